package bridge

import (
	"cmp"
	"net"
	"sync"
	"syscall"
	"time"
)

// A connection that waits for a request is parked: it is in its pool's set, without a
// goroutine and without buffers. An executor that has nothing to do waits there, reads
// what has come, and queues the requests that have arrived whole. The executor that
// serves such a request also sends the answer, by calls that do not block. So a small
// request changes no thread: that costs as much as all else that the server does for
// it. Whatever does not go so is handed over to a goroutine, before the request is
// queued or in the midst of the answer, and goes on as conn.go says: what has come in
// part, large bodies, what is refused, answers that do not fit into the socket's
// buffer, files, connections that end.

const (
	// inlineBuffer is the largest request, head and body, that is served inline.
	inlineBuffer = 16 << 10
	// inlineAnswer is the largest answer, bytes of its body, after which a goroutine
	// takes the next request to be one for an executor.
	inlineAnswer = 256 << 10
	// lapse is how long a connection's goroutine waits for a request before the
	// connection is parked.
	lapse = time.Second
)

// desk is the memory of a connection that is served inline.
type desk struct {
	buf [inlineBuffer]byte
	out []byte
}

var desks = sync.Pool{New: func() any { return new(desk) }}

// receive reads what has come on a connection that the caller holds. It returns an
// exchange, ready to be queued, if that is a whole request that can be served inline;
// else it has seen to the connection. Before it returns an exchange nothing happens
// that a goroutine could not do again.
func (c *conn) receive() *Exchange {
	c.desk = desks.Get().(*desk)
	c.buf, c.out = c.desk.buf[:], c.desk.out[:0]
	n, err := c.readParked(c.buf, 0)
	if err != nil || n == 0 {
		c.leaveDesk()
		if again(err) {
			c.filled, c.ended = false, false
			c.srv.Pool.repark(c)
		} else {
			c.end()
		}
		return nil
	}
	c.r, c.w = 0, n
	c.filled = n == len(c.buf) || c.ended
	x := c.whole()
	if x == nil {
		c.desk = nil // goes with the connection
		c.handOver(c.loop)
	}
	return x
}

// whole returns the exchange of what receive has read; nil if it is not for an executor.
func (c *conn) whole() *Exchange {
	c.parsed = false
	c.parser.Reset(c.srv.Limits.Head)
	size, err := c.parser.Parse(c.buf[:c.w])
	h := &c.parser.Head
	if err != nil || size == 0 || h.Chunked || string(h.Method) == "CONNECT" {
		return nil
	}
	if h.ContentLength > min(int64(c.w-size), c.srv.Limits.BodyMemory) {
		return nil
	}
	c.start = time.Now()
	c.r = size
	c.parsed = true
	c.fillRequest()
	x := NewExchange()
	if c.admit(x) != nil || x.responded { // responded: Prepare has the answer, a file
		x.Release()
		c.r = 0
		return nil
	}
	x.inline = c
	c.ans = answer{conn: c, x: x, noBody: x.NoBody}
	return x
}

// leaveDesk lets another connection have c's memory.
func (c *conn) leaveDesk() {
	c.desk.out = c.out
	desks.Put(c.desk)
	c.desk, c.buf, c.out = nil, nil, nil
	c.r, c.w = 0, 0
}

// readParked reads without waiting.
func (c *conn) readParked(p []byte, flags int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, net.ErrClosed
	}
	return readFD(c.fd, p, flags)
}

// push sends a part of an answer as far as the socket takes it, or keeps it for a
// moment (see late.go); x.mu is held. It returns why no more is wanted, if so.
func (c *conn) push(x *Exchange, p Part) error {
	a := &c.ans
	if p.Head != nil {
		a.begin(p)
	}
	data, tail := a.frame(p)
	a.over = a.complete(p.Last)
	if len(data) <= gather {
		c.out = append(append(c.out, data...), tail...)
		data, tail = nil, nil
	}
	var err error
	switch {
	case a.over && a.keep && x.mayWait && data == nil:
		c.out, c.rest = nil, c.out
		c.late = true
	default:
		c.vec = [3][]byte{c.out, data, tail}
		err = c.send()
		c.out = c.out[:0]
	}
	switch {
	case err != nil:
		c.clientLeft(err)
		x.left = cmp.Or(x.left, ErrGone)
	case a.over:
		x.left = cmp.Or(x.left, ErrComplete)
	}
	if c.unsent() && !c.late {
		x.callFront()
	}
	return x.left
}

// unsent tells whether something of the answer was not sent yet.
func (c *conn) unsent() bool { return len(c.rest)+len(c.ans.lent)+len(c.ans.tail) > 0 }

// clientLeft ends an answer that cannot be sent.
func (c *conn) clientLeft(err error) {
	c.srv.Log.Debug("the client left before its answer was whole", "peer", c.peer.Addr, "error", err)
	c.ans.over = true
	c.ans.stopShort()
}

// send writes c.vec; what the socket does not take is copied to rest, but for bytes
// that were lent; x.mu is held.
func (c *conn) send() error {
	c.mu.Lock()
	fd := c.fd
	n, err := 0, net.ErrClosed
	if fd >= 0 {
		n, err = writeFD(fd, &c.vec)
	}
	c.mu.Unlock()
	vec := c.vec
	c.vec = [3][]byte{}
	lent := c.ans.x.borrowed != nil
	for i, p := range vec {
		skip := min(n, len(p))
		n -= skip
		p = p[skip:]
		switch {
		case err != nil || len(p) == 0:
		case i == 1 && lent:
			c.ans.lent = p
		case i == 2 && lent:
			c.ans.tail = p
		default:
			c.rest = append(c.rest, p...)
		}
	}
	return err
}

// finish ends a request whose answer has gone out. It returns whether c is to be
// parked again, which is left to the caller; else it has seen to it.
func (c *conn) finish(x *Exchange) (park bool) {
	x.mu.Lock()
	mine := x.inline == c
	x.inline = nil
	x.mu.Unlock()
	return mine && c.finished(x) // else it was handed over meanwhile
}

func (c *conn) finished(x *Exchange) (park bool) {
	a := &c.ans
	if !a.over { // the executor came back without an answer
		a.stopShort()
	}
	c.log(c.start, a)
	c.served++
	keep, reset := a.keep, a.reset
	*a = answer{}
	x.Release()
	switch {
	case keep && c.r == c.w:
		c.leaveDesk()
		c.since = time.Time{}
		return true
	case keep:
		c.desk = nil
		c.handOver(c.loop)
	case reset:
		c.leaveDesk()
		c.mu.Lock()
		if c.fd >= 0 {
			resetFD(c.fd)
		}
		c.mu.Unlock()
		c.end()
	case c.r < c.w || c.more():
		c.desk = nil
		c.handOver(func() {
			c.linger()
			c.end()
		})
	default:
		c.leaveDesk()
		c.end()
	}
	return false
}

// more tells whether the client has sent more than was read.
func (c *conn) more() bool {
	var one [1]byte
	n, _ := c.readParked(one[:], syscall.MSG_PEEK)
	return n > 0
}

// --- from executors to goroutines and back ---

// callFront lets a goroutine go on with an exchange that is served inline; x.mu is held.
func (x *Exchange) callFront() {
	c := x.inline
	x.inline = nil
	c.desk, c.late = nil, false
	c.handOver(func() { c.takeOver(x) })
}

// takeOver goes on with an answer where push has stopped.
func (c *conn) takeOver(x *Exchange) {
	a := &c.ans
	if c.unsent() {
		err := c.flush(c.rest, nil)
		if err == nil {
			err = c.flush(a.lent, a.tail)
		}
		c.rest, a.lent, a.tail = nil, nil, nil
		if err != nil {
			x.Leave(ErrGone)
			a.over = true
			a.stopShort()
		}
	}
	if !a.over {
		a.run()
	}
	keep := c.conclude()
	x.Release()
	if keep {
		c.served++
		c.loop()
		return
	}
	c.end()
}

// handOver has a goroutine go on with c, which is not parked.
func (c *conn) handOver(next func()) {
	go func() {
		if err := c.unpark(); err != nil {
			c.srv.Log.Debug("cannot go on with a connection", "peer", c.peer.Addr, "error", err)
			if x := c.ans.x; x != nil {
				x.Leave(ErrGone)
				x.Release()
			}
			c.end()
			return
		}
		next()
	}()
}

// unpark puts c into package net's care.
func (c *conn) unpark() error {
	c.srv.Pool.forget(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	nc, err := fileConn(c.fd)
	c.fd = -1
	if err != nil {
		return err
	}
	c.raw, c.nc = nc, nc
	return nil
}

// park ends c's goroutine: it returns false where c must keep it.
func (c *conn) park() bool {
	if !c.parkable || c.r < c.w || c.isDraining() {
		return false
	}
	c.mu.Lock()
	fd, err := ownFD(c.nc)
	if err != nil {
		c.mu.Unlock()
		return false
	}
	c.fd, c.raw, c.nc = fd, nil, nil
	c.readBy, c.writeBy = time.Time{}, time.Time{}
	c.mu.Unlock()
	c.buf, c.out = nil, nil
	c.r, c.w = 0, 0
	c.ans, c.lapsed = answer{}, false
	if !c.srv.Pool.park(c) {
		c.handOver(c.loop)
		return true
	}
	c.srv.watchParked()
	if c.srv.draining.Load() {
		c.drainParked()
	}
	return true
}

// drainParked gives c, if it is parked, the time that an idle connection has then.
func (c *conn) drainParked() {
	if !c.srv.Pool.claim(c, time.Time{}) {
		return
	}
	c.handOver(c.loop)
}

// expires is when a parked connection has waited for too long; c is parked.
func (c *conn) expires() time.Time {
	wait := c.srv.Limits.IdleTime
	if c.served == 0 {
		wait = c.srv.Limits.HeadTime
	}
	if wait <= 0 {
		return time.Time{}
	}
	return c.since.Add(wait)
}

// watchParked starts to look for parked connections whose time is over.
func (s *Server) watchParked() {
	if s.watching.Swap(true) {
		return
	}
	pause := time.Second
	for _, limit := range []time.Duration{s.Limits.IdleTime, s.Limits.HeadTime} {
		if limit > 0 {
			pause = min(pause, max(limit/8, time.Millisecond))
		}
	}
	time.AfterFunc(pause, s.closeExpired)
}

func (s *Server) closeExpired() {
	s.watching.Store(false)
	now := time.Now()
	var expired []*conn
	left := false
	s.mu.Lock()
	for c := range s.conns {
		left = left || c.parkable
		if c.parkable && s.Pool.claim(c, now) {
			expired = append(expired, c)
		}
	}
	s.mu.Unlock()
	for _, c := range expired {
		c.end()
	}
	if left {
		s.watchParked()
	}
}
