package bridge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/bridge/uwsgi"
)

const (
	readBuffer = 4 << 10 // bytes; grows for large heads
	keepBuffer = 16 << 10
)

// conn is one connection: a goroutine that reads a request whole, has it answered,
// writes the answer, and, for HTTP/1.1, goes on with the next.
type conn struct {
	srv    *Server
	raw    net.Conn // as it was accepted; nil while fd is there
	nc     net.Conn // raw, or TLS over it
	uwsgi  bool     // a web server speaks, by packets: see uwsgiconn.go
	fd     int      // the socket of a connection that is parked or served inline; else -1
	parser http1.Parser
	packet uwsgi.Parser // in parser's place with uwsgi
	holds  bool         // the request's last byte is held back: see holdback.go
	held   bool         // it lies in the kernel
	peeked int          // bytes of buf that do too, and are to be taken
	peer   Endpoint     // the client
	proxy  Endpoint     // who spoke for it by the PROXY protocol
	req    Request

	buf  []byte // of which buf[r:w] is received and not consumed
	r, w int

	parsed bool // the present request's head is whole: req may be looked at

	out    []byte // answer bytes being put together
	vec    [3][]byte
	desk   *desk  // whose memory buf and out are; nil: the connection's own
	rest   []byte // bytes of an answer that were not sent yet
	late   bool   // rest is the whole answer, kept for a moment
	ans    answer
	start  time.Time   // of the present request
	served int         // requests
	entry  AccessEntry // kept here, as one made for each request would be an allocation

	readBy, writeBy time.Time // the deadlines set

	parkable bool // may be parked
	small    bool // the last request could have been served inline
	lapsed   bool // no request has come for lapse
	filled   bool // more may have come than was read

	// The pool's lock guards these, while the connection is in its set.
	number int       // the set's for it
	parked bool      // nobody holds it
	again  bool      // something has come since somebody holds it
	hungUp bool      // and its client will send no more
	since  time.Time // when it was parked; zero until somebody looks, after a request

	ended bool // its client will send no more: what came before is not all

	mu       sync.Mutex
	idle     bool // waits for a request's first byte
	lingers  bool // takes what the client still sends, before closing
	draining bool // no further request after this one
}

func newConn(s *Server, nc net.Conn, local Endpoint) *conn {
	c := &conn{srv: s, raw: nc, nc: nc, fd: -1}
	c.req.Local = local
	if local.Unix {
		c.peer.Unix = true
	} else {
		c.peer = endpoint(nc.RemoteAddr())
	}
	return c
}

// serve is the goroutine of a connection that package net has accepted.
func (c *conn) serve() {
	switch {
	case c.uwsgi:
		if c.await() {
			c.exchangePacket()
		}
		c.end()
	case c.preamble():
		c.loop()
	default:
		c.end()
	}
}

// preamble takes what comes before the first request; false: there will be none.
func (c *conn) preamble() bool {
	if c.await() {
		if err := c.proxyHeader(); err != nil {
			return c.refuse(err)
		}
	}
	if c.srv.TLS != nil && c.await() {
		if err := c.startTLS(); err != nil {
			c.srv.Log.Debug("no TLS with a client", "peer", c.peer.Addr, "error", err)
			return false
		}
	}
	return true
}

// loop serves requests until the connection ends, or can be parked.
func (c *conn) loop() {
	for c.await() && c.exchange() {
		c.served++
		if c.small && c.park() {
			return
		}
	}
	if c.lapsed && c.park() {
		return
	}
	c.end()
}

// end closes the connection, wherever it is.
func (c *conn) end() {
	if c.parkable {
		c.srv.Pool.forget(c)
	}
	c.mu.Lock()
	if c.nc != nil {
		c.nc.Close()
	} else if c.fd >= 0 {
		syscall.Close(c.fd)
		c.fd = -1
	}
	c.mu.Unlock()
	c.srv.forget(c)
}

// await waits for the first byte of a request, at most IdleTime (HeadTime on a new
// connection). It returns false when the connection is to be closed.
func (c *conn) await() bool {
	if c.r < c.w {
		return true
	}
	c.r, c.w = 0, 0
	if cap(c.buf) > keepBuffer {
		c.buf = nil
	}
	wait := c.srv.Limits.IdleTime
	if c.served == 0 {
		wait = c.srv.Limits.HeadTime
	}
	c.mu.Lock()
	c.idle = true
	lapses := c.parkable && (wait <= 0 || wait > lapse)
	switch {
	case c.draining:
		wait = drainGrace
	case lapses:
		wait = lapse
	}
	c.readDeadline(wait)
	c.mu.Unlock()
	fill := c.fill
	if c.holds {
		fill = c.peekFill
	}
	err := fill()
	c.mu.Lock()
	c.idle = false
	draining := c.draining
	c.mu.Unlock()
	if err != nil && draining {
		return c.lastLook()
	}
	c.lapsed = lapses && errors.Is(err, os.ErrDeadlineExceeded)
	return err == nil
}

// lastLook takes the request that reached the kernel at the moment when drain
// ended the wait: it is served, and its answer says that the connection closes.
func (c *conn) lastLook() bool {
	c.w = c.readNow(c.buf, 0)
	return c.w > 0
}

// peek tells whether the kernel holds bytes that were not read.
func (c *conn) peek() bool {
	var one [1]byte
	return c.readNow(one[:], syscall.MSG_PEEK) > 0
}

// readNow reads what is there, without waiting; 0 for nothing or any error.
func (c *conn) readNow(p []byte, flags int) int {
	sc, ok := c.nc.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0
	}
	c.mu.Lock()
	c.readDeadline(c.srv.Limits.HeadTime) // a passed one would refuse the call
	c.mu.Unlock()
	n := 0
	err = raw.Read(func(fd uintptr) bool {
		n, _, _ = syscall.Recvfrom(int(fd), p, flags|syscall.MSG_DONTWAIT)
		return true
	})
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// drain makes the present request, if any, the connection's last.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	switch {
	case c.nc == nil: // see drainParked
	case c.lingers, c.idle:
		c.readDeadline(drainGrace)
	}
}

// cut ends the connection whatever it is doing.
func (c *conn) cut() {
	c.drain()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 {
		resetFD(c.fd)
		syscall.Close(c.fd)
		c.fd = -1
	}
	if c.raw != nil {
		c.abort()
		c.raw.Close()
	}
}

// abort makes the coming close a reset, so that no client takes what it has for a
// whole answer.
func (c *conn) abort() {
	if t, ok := c.raw.(interface{ SetLinger(int) error }); ok {
		_ = t.SetLinger(0) // fails on a connection that is gone
	}
}

func (c *conn) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// mayKeep tells whether another request may follow the present one.
func (c *conn) mayKeep() bool {
	return c.parser.Head.KeepAlive && !c.srv.Limits.OneRequest && !c.isDraining()
}

// fill reads once more into buf, behind what is there.
func (c *conn) fill() error {
	if c.w == len(c.buf) {
		grown := make([]byte, max(readBuffer, 2*len(c.buf)))
		copy(grown, c.buf[:c.w])
		c.buf = grown
	}
	n, err := c.nc.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}

// exchange serves one request; it returns whether the connection goes on.
func (c *conn) exchange() bool {
	c.parsed = false
	n, err := c.head()
	if err != nil {
		return c.refuse(err)
	}
	c.start = time.Now()
	c.r += n
	c.parsed = true
	c.fillRequest()
	if string(c.parser.Head.Method) == "CONNECT" {
		return c.refuse(errConnect) // an origin server is no tunnel (RFC 9110, 9.3.6)
	}
	x := NewExchange()
	defer x.Release()
	if err := c.admit(x); err != nil {
		return c.refuse(err)
	}
	c.respond(x)
	h := &c.parser.Head
	c.small = !h.Chunked && int64(n)+h.ContentLength <= inlineBuffer && c.ans.sent <= inlineAnswer
	return c.conclude()
}

// admit makes x of the request whose head was parsed: it reads the body.
func (c *conn) admit(x *Exchange) error {
	if err := c.body(x); err != nil {
		return err
	}
	if h := &c.parser.Head; h.Chunked || h.ContentLength >= 0 {
		c.req.BodyLength = x.Body.Size()
	}
	return c.prepare(x)
}

// prepare fills the record of a request whose body is whole.
func (c *conn) prepare(x *Exchange) error {
	x.NoBody = string(c.req.Method) == "HEAD"
	return c.srv.Prepare(&c.req, x)
}

// respond has the request answered.
func (c *conn) respond(x *Exchange) {
	c.ans = answer{conn: c, x: x, noBody: x.NoBody}
	if err := c.srv.Pool.Submit(x); err != nil {
		c.ans.fail(err)
	} else {
		c.ans.run()
	}
}

// conclude ends the present answer; it returns whether the connection goes on.
func (c *conn) conclude() bool {
	a := &c.ans
	c.log(c.start, a)
	switch {
	case a.keep:
		return true
	case a.reset:
		c.abort()
	case c.r < c.w || c.leftover():
		c.linger()
	}
	return false
}

// head reads until the parser has a whole head; n is its size in buf[r:w].
func (c *conn) head() (n int, err error) {
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	c.parser.Reset(c.srv.Limits.Head)
	deadline := false
	for {
		n, err := c.parser.Parse(c.buf[:c.w])
		if n > 0 || err != nil {
			return n, err
		}
		if !deadline {
			deadline = true
			c.mu.Lock()
			c.readDeadline(c.srv.Limits.HeadTime)
			c.mu.Unlock()
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// fillRequest takes over the parsed head; the body is still to come.
func (c *conn) fillRequest() {
	h := &c.parser.Head
	r := &c.req
	r.Method, r.Target, r.Path, r.Query, r.Host = h.Method, h.Target, h.Path, h.Query, h.Host
	r.Fields = h.Fields
	r.Proxy = c.proxy
	r.Peer, r.Scheme = c.peer, "http" // Prepare may have changed the last request's
	if c.srv.TLS != nil {
		r.Scheme = "https"
	}
	r.Proto = "HTTP/1.1"
	if h.Minor == 0 {
		r.Proto = "HTTP/1.0"
	}
	r.BodyLength = -1
}

var errConnect = &http1.Error{Status: 501, Cause: "this server is no proxy: CONNECT is not served"}

// refuse answers what never reached the application, if the client can still use
// an answer, and ends the connection.
func (c *conn) refuse(err error) bool {
	var bad *http1.Error
	switch {
	case !c.parsed && len(bytes.Trim(c.buf[:c.w], "\r\n")) == 0 && !errors.As(err, &bad):
		return false // nothing came but perhaps an empty line (RFC 9112, 2.2)
	case errors.As(err, &bad):
	case errors.Is(err, os.ErrDeadlineExceeded):
		bad = &http1.Error{Status: 408, Cause: "the request did not arrive in time"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		bad = &http1.Error{Status: 400, Cause: "the request's body ended early"}
	case errors.Is(err, io.EOF):
		bad = &http1.Error{Status: 400, Cause: "the request's head ended early"}
	case errors.Is(err, errBodyFile):
		c.srv.Log.Error("cannot keep a request's body", "peer", c.peer.Addr, "error", err)
		bad = &http1.Error{Status: 500, Cause: "the body could not be kept"}
	default:
		c.srv.Log.Debug("connection lost while reading a request", "peer", c.peer.Addr, "error", err)
		return false
	}
	c.srv.Log.Warn("refused a request", "peer", c.peer.Addr, "status", bad.Status, "cause", bad.Cause)
	if !c.parsed {
		c.req = Request{Local: c.req.Local, Proxy: c.proxy} // the last one's, or half of this
	}
	c.req.Peer = c.peer
	w := answer{conn: c, noBody: string(c.req.Method) == "HEAD"}
	if !c.parsed {
		w.noBody = bytes.HasPrefix(bytes.TrimLeft(c.buf[:c.w], "\r\n"), []byte("HEAD "))
	}
	w.plain(bad.Status, bad.Cause)
	c.log(time.Now(), &w)
	c.linger()
	return false
}

func (c *conn) log(start time.Time, a *answer) {
	if c.srv.Access == nil || a.status == 0 {
		return
	}
	c.entry = AccessEntry{
		Request: &c.req, Start: start, Took: time.Since(start), Status: a.status, Bytes: a.sent, Head: a.head,
	}
	if a.x != nil {
		c.entry.Record = a.x.Record
	}
	c.srv.Access.Log(&c.entry)
	c.entry = AccessEntry{} // the exchange's memory is not ours for longer
}

const (
	lingerTime  = 5 * time.Second
	lingerBytes = 64 << 20
)

// linger closes the writing side, then takes what the client still sends, for a
// bounded time and size: closing with unread bytes makes the kernel send a reset,
// which can destroy the answer on its way (RFC 9112, 9.6).
func (c *conn) linger() {
	hc, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || hc.CloseWrite() != nil {
		return
	}
	wait := lingerTime
	c.mu.Lock()
	c.lingers = true
	if c.draining {
		wait = drainGrace
	}
	c.readDeadline(wait)
	c.mu.Unlock()
	_, _ = io.Copy(io.Discard, io.LimitReader(c.nc, lingerBytes)) // any end is fine
}
