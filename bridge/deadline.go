package bridge

import "time"

// coarse is how stale a deadline may get before it is set anew: setting one costs a
// lock and a timer, on every request.
const coarse = time.Second

// readDeadline bounds the wait for what is read next; 0 or less is no bound. c.mu
// is held, since drain may interfere.
func (c *conn) readDeadline(wait time.Duration) {
	if t, ok := moved(c.readBy, wait); ok {
		c.nc.SetReadDeadline(t)
		c.readBy = t
	}
}

func (c *conn) writeDeadline() {
	if t, ok := moved(c.writeBy, c.srv.Limits.WriteTime); ok {
		c.nc.SetWriteDeadline(t)
		c.writeBy = t
	}
}

// moved returns the deadline that lies wait ahead, and whether it has to replace
// old: one that is early by less than coarse, or a tenth of wait, will do.
func moved(old time.Time, wait time.Duration) (time.Time, bool) {
	if wait <= 0 {
		return time.Time{}, !old.IsZero()
	}
	t := time.Now().Add(wait)
	d := t.Sub(old)
	return t, d < 0 || d > min(coarse, wait/10)
}
