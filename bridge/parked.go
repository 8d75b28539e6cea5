package bridge

import "time"

// parks tells whether connections can be parked here; from then on executors wait for
// them.
func (p *Pool) parks() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set != nil || p.stopped {
		return p.set != nil
	}
	p.set = newSet()
	for _, wake := range p.idle {
		wake <- struct{}{}
	}
	p.idle = nil
	return p.set != nil
}

// park takes a connection into the set.
func (p *Pool) park(c *conn) bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set == nil {
		return false
	}
	c.parked, c.again, c.ended, c.since = true, false, false, now
	if p.polling == 0 {
		p.startTicks()
	}
	return p.set.add(c) == nil
}

// parkHeld parks a connection that is in the set, unless there is something to read
// on it; p.mu is held.
func (p *Pool) parkHeld(c *conn) {
	if c.start.After(c.since) {
		c.since = c.start
	}
	if c.again || c.filled {
		c.again, c.filled = false, false
		p.getReady(c)
		return
	}
	c.parked = true
}

// arrive notes what a wait in the set has brought; p.mu is held.
func (p *Pool) arrive(s *slot, n int) {
	p.polling--
	p.interrupted = min(max(0, p.interrupted-1), p.polling)
	if p.interrupted > 0 {
		p.set.interrupt() // two interruptions may have become one
	}
	p.note(&s.events, n)
}

func (p *Pool) note(e *events, n int) {
	p.polls++
	for i := range n {
		c, ended := p.set.at(&e[i])
		switch {
		case c == nil:
		case !c.parked:
			c.again = true
			c.ended = c.ended || ended
		default:
			c.parked, c.ended = false, ended
			p.getReady(c)
		}
	}
}

func (p *Pool) getReady(c *conn) {
	if p.ready.len() == 0 {
		p.readySince = time.Now()
	}
	p.ready.push(c)
}

// most is how many events one wait takes: with the gate narrow or a single executor,
// who waits also serves; otherwise others wait beside it.
func (p *Pool) most() int {
	if p.gate.narrow || len(p.slots) == 1 {
		return len(events{})
	}
	return 1
}

// claim makes the caller the holder of a parked connection, if it is one, and with a
// time, if its own is over then.
func (p *Pool) claim(c *conn, over time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.parked {
		return false
	}
	if !over.IsZero() {
		if end := c.expires(); end.IsZero() || over.Before(end) {
			return false
		}
	}
	c.parked = false
	return true
}

// forget takes a connection out of the set.
func (p *Pool) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set != nil {
		p.set.remove(c)
	}
}
