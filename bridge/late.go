package bridge

import (
	"slices"
	"time"
)

// Sending an answer takes the kernel's network code through the caches, in which the
// application was: Flask's hello world takes 86 us of CPU with answers that are sent
// eight at a time, and 98 with each on its own. So while requests wait in the queue, an
// executor keeps a few small answers for a moment. Should the application block in the
// meantime, the next tick sends them, and for a while none are kept.
const (
	lateMost = 8
	lateTime = 200 * time.Microsecond
	lateCalm = 256 // requests after one that has blocked, before answers are kept again
)

// delayed is an executor's; the pool's lock guards it.
type delayed struct {
	kept  []*conn
	since time.Time // when the first was
	from  uint64    // the number of the request from which on answers may be kept
}

// mayKeep tells whether the answer of what s serves now may be kept; p.mu is held.
func (p *Pool) mayKeep(s *slot) bool {
	return s.number >= s.late.from && (p.queue.len() > 0 || p.assisted) && (p.gate.narrow || len(p.slots) == 1)
}

// keeps tells whether an executor has kept answers, or is about to; p.mu is held.
func (p *Pool) keeps() bool {
	return slices.ContainsFunc(p.slots, func(s *slot) bool { return s.x != nil && (s.x.mayWait || len(s.late.kept) > 0) })
}

// due tells whether kept answers are to be sent before s does anything else; p.mu is
// held.
func (p *Pool) due(s *slot) bool {
	n := len(s.late.kept)
	return n > 0 && (n >= lateMost || p.queue.len() == 0 || s.lost || !p.gate.admits(0) || time.Since(s.late.since) > lateTime)
}

// keep takes a connection whose answer waits; p.mu is held.
func (l *delayed) keep(c *conn) {
	if len(l.kept) == 0 {
		l.since = time.Now()
	}
	l.kept = append(l.kept, c)
}

// sendLate sends what was kept.
func (p *Pool) sendLate(kept []*conn) {
	for i, c := range kept {
		kept[i] = nil
		if x := c.ans.x; c.sendRest(x) && c.finish(x) {
			p.repark(c)
		}
	}
}

// sendRest sends a kept answer; false: a goroutine goes on with it.
func (c *conn) sendRest(x *Exchange) bool {
	x.holds.Add(1) // callFront gives ours to a front
	defer x.Release()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.inline != c {
		return false
	}
	c.late = false
	c.out, c.rest = c.rest, nil
	c.vec = [3][]byte{c.out}
	if err := c.send(); err != nil {
		c.clientLeft(err)
	}
	c.out = c.out[:0]
	if len(c.rest) > 0 {
		x.callFront()
		return false
	}
	return true
}

// waits tells whether c has an answer that is kept.
func (c *conn) waits(x *Exchange) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.inline == c && c.late
}
