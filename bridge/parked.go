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

// parkHeld parks a connection that is in the set; false: there is something to read on
// it. p.mu is held.
func (p *Pool) parkHeld(c *conn) bool {
	if c.start.After(c.since) {
		c.since = c.start
	}
	if c.again || c.filled {
		c.again, c.filled = false, false
		return false
	}
	c.parked = true
	return true
}

// repark parks a connection on which there was nothing to read.
func (p *Pool) repark(c *conn) {
	p.mu.Lock()
	parked := p.parkHeld(c)
	p.mu.Unlock()
	switch {
	case !parked:
		p.take([]*conn{c}, false)
	case c.srv.draining.Load():
		c.drainParked()
	}
}

// arrived adds the connections that a wait in the set has brought. The caller holds
// them. polled: the wait was an executor's.
func (p *Pool) arrived(conns []*conn, e *events, n int, polled bool) []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polls++
	if polled {
		p.polling--
		p.interrupted = min(max(0, p.interrupted-1), p.polling)
		if p.interrupted > 0 || p.called {
			p.set.interrupt() // two interruptions may have become one, or come to the wrong one
		}
	}
	if p.set == nil {
		return conns
	}
	for i := range n {
		c, ended := p.set.at(&e[i])
		switch {
		case c == nil:
		case !c.parked:
			c.again = true
			c.ended = c.ended || ended
		default:
			c.parked, c.ended = false, ended
			conns = append(conns, c)
		}
	}
	return conns
}

// take reads from connections that the caller holds and queues the requests that have
// come; free: the caller is an executor that will take the first.
func (p *Pool) take(conns []*conn, free bool) {
	if len(conns) == 0 {
		return
	}
	var room [len(events{})]*Exchange
	requests := room[:0]
	for i, c := range conns {
		conns[i] = nil
		if x := c.receive(); x != nil {
			requests = append(requests, x)
		}
	}
	var refused error
	served := 0
	p.mu.Lock()
	for served < len(requests) && refused == nil {
		if refused = p.enqueue(requests[served], free && served == 0); refused == nil {
			served++
		}
	}
	p.mu.Unlock()
	for _, x := range requests[served:] {
		x.holds.Add(1) // Fail gives ours to a front
		x.Fail(refused)
		x.Release()
	}
}

// most is how many events one wait takes: with the gate narrow or a single executor,
// who waits also serves; otherwise others wait beside it. More than can be queued are
// left to the kernel.
func (p *Pool) most() int {
	if p.gate.narrow || len(p.slots) == 1 {
		return min(len(events{}), p.limits.Queue+1)
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
