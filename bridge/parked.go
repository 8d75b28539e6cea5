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
	if p.set == nil || p.set.add(c) != nil {
		return false
	}
	c.parked, c.again, c.hungUp, c.ended, c.since = true, false, false, false, now
	if p.polling == 0 {
		p.startTicks()
	}
	return true
}

// unwatched tells whether no executor waits for the parked connections that there are;
// p.mu is held.
func (p *Pool) unwatched() bool { return p.set != nil && p.set.count > 0 && p.polling == 0 }

// closeSet closes the set when nobody looks into it any more; goroutines go on with the
// connections that are still parked. p.mu is held.
func (p *Pool) closeSet() {
	if p.set == nil || !p.stopped || len(p.slots) > 0 || p.assisted || p.tending {
		return
	}
	for _, c := range p.set.all() {
		if c != nil && c.parked {
			c.parked = false
			c.handOver(c.loop)
		}
	}
	p.set.close()
	p.set = nil
}

// parkHeld parks a connection that is in the set; false: there is something to read on
// it. p.mu is held.
func (p *Pool) parkHeld(c *conn) bool {
	if c.again || c.filled {
		c.ended = c.ended || c.hungUp
		c.again, c.hungUp, c.filled = false, false, false
		return false
	}
	c.parked = true
	return true
}

// repark parks a connection on which there was nothing to read.
func (p *Pool) repark(c *conn) {
	p.mu.Lock()
	watched := p.set != nil
	parked := watched && p.parkHeld(c)
	p.mu.Unlock()
	switch {
	case !watched:
		c.handOver(c.loop)
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
		p.back.Signal()
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
			c.hungUp = c.hungUp || ended
		default:
			c.parked, c.ended = false, ended
			conns = append(conns, c)
		}
	}
	return conns
}

// take reads from connections that the caller holds and queues the requests that have
// come; free: the caller is an executor that will take the first, and see to the others.
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
	var why error
	refused := requests[:0]
	p.mu.Lock()
	for i, x := range requests {
		if err := p.enqueue(x, free && i == 0); err != nil {
			why = err // the same for all
			refused = append(refused, x)
		}
	}
	if !free {
		p.passOn()
	}
	p.mu.Unlock()
	for _, x := range refused {
		x.holds.Add(1) // Fail gives ours to a front
		x.Fail(why)
		x.Release()
	}
}

// manner is how executors wait.
type manner int

const (
	alone  manner = iota // who waits also serves what comes
	beside               // others wait, too
	apart                // most of them wait: there is little to do
)

// manner decides that; p.mu is held.
func (p *Pool) manner() manner {
	switch {
	case p.gate.narrow || len(p.slots) == 1:
		return alone
	case 2*p.polling > len(p.slots):
		return apart
	}
	return beside
}

// await is an executor's wait. More than can be queued are left to the kernel.
func (p *Pool) await(set *set, e *events, how manner) int {
	switch how {
	case alone:
		return set.wait(e, min(len(e), p.limits.Queue+1), true)
	case apart:
		return set.waitApart(e, 1)
	}
	return set.wait(e, 1, true)
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
		if c.since.IsZero() {
			c.since = over // a clock for each request would cost more than this is worth
		}
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
