package bridge

import (
	"cmp"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Errors that an exchange ends with, beside the application's own.
var (
	// ErrGone: the front has left (client gone, write deadline passed).
	ErrGone = errors.New("the client is gone")
	// ErrComplete: the front has all the body that its framing allows.
	ErrComplete = errors.New("the answer is complete")
	// ErrNoBody: the answer has no body, so none need be made.
	ErrNoBody = errors.New("the answer has no body")
	// ErrQueueFull: as many requests as allowed wait for a thread.
	ErrQueueFull = errors.New("the queue is full")
	// ErrQueueTimeout: no thread was free within the queue's wait limit.
	ErrQueueTimeout = errors.New("no thread was free in time")
	// ErrStopped: the pool takes no more requests.
	ErrStopped = errors.New("the server is stopping")
	// ErrFailed: the application failed; the cause went to the log.
	ErrFailed = errors.New("the application failed")
	// ErrTimeout: the application gave nothing for too long (Pool.Watch).
	ErrTimeout = errors.New("the application took too long")
	// ErrStuck: no executor will come back (Pool.GiveUp).
	ErrStuck = errors.New("the application is stuck")
)

// Head is an answer's head, checked by the executor (PEP 3333, "The
// start_response() Callable").
type Head struct {
	Status int
	// Lines is the status as the application gave it ("200 OK"), then its
	// fields, each line ended by CRLF, without Content-Length.
	Lines         []byte
	ContentLength int64 // bytes; -1 when the application set none
	HasDate       bool  // Lines has a Date field
	HasServer     bool  // Lines has a Server field
}

// highWater is how many body bytes an exchange holds, at most one chunk more,
// before the executor has to wait for the client to take some.
const highWater = 64 << 10

// Exchange is one request and its answer on their way between a front (one
// goroutine) and an executor (one thread, and for write() its helper). The front
// sets Record, Body and NoBody, submits, and calls Next until the last part; the
// executor calls Respond, Write and Finish. Both ends hold it until they are
// done; the later one hands it back for reuse.
type Exchange struct {
	Record Record
	Body   Body
	NoBody bool // the answer's body is not wanted: a HEAD request
	App    int  // the application's number, as in Request

	queued time.Time
	holds  atomic.Int32
	inline *conn // takes the answer on the executor's thread; nil: a front does
	// mayWait: a small answer may be sent a moment later, with others.
	mayWait bool

	ready chan struct{} // to the front: something changed
	space chan struct{} // to the executor: something was taken, or the front left

	mu        sync.Mutex
	head      Head
	lines     []byte // backs head.Lines
	responded bool
	headTaken bool
	whole     bool   // the body was whole when the head was given
	hints     []byte // field lines of 103 answers, an empty line after each
	pending   []byte // body bytes that the front has not taken
	taken     []byte // the last ones it took, for swapping
	lent      []byte // more of them, behind pending, in somebody else's memory
	loan      Loan   // of lent
	borrowed  Loan   // of what the front has in hand; nil for none
	file      FilePart
	last      bool  // nothing comes after pending
	err       error // the answer ends here, not as it should
	left      error // why the front takes no more: ErrGone, ErrComplete, ErrNoBody
	beats     int64 // how often the executor gave something
	blocked   bool  // Write waits for the client

	// Owner is whoever the front wants to find again: reporters get the exchange. It
	// is told when neither end holds it any more.
	Owner Owner
}

// Owner is a front's note on an exchange.
type Owner interface {
	// Released is called once, on the goroutine of the end that let go last.
	Released()
}

// FilePart is a stretch of a file as an answer's body.
type FilePart struct {
	File   *os.File // owned by who holds the part
	Offset int64    // bytes from the file's start
	Length int64    // bytes
}

// Part is what Next returns: a piece of an answer, in order.
type Part struct {
	// Hints are field lines to send ahead of the head as 103 answers (RFC 8297),
	// an empty line after each; until the next call of Next.
	Hints []byte
	Head  *Head // with the first part only, hints apart
	// Whole, with the head: this is the whole body, as the executor gave it. It does
	// not depend on who is quicker, so that one answer is always framed alike.
	Whole bool
	Body  []byte   // until the next call of Next
	File  FilePart // instead of Body, for the whole body; File.File is the caller's to close
	Last  bool     // nothing follows
	Err   error    // the answer ends without being whole
}

var exchanges = sync.Pool{New: func() any {
	return &Exchange{ready: make(chan struct{}, 1), space: make(chan struct{}, 1)}
}}

// NewExchange returns an empty exchange, held by the caller.
func NewExchange() *Exchange {
	x := exchanges.Get().(*Exchange)
	x.holds.Store(1)
	return x
}

// Release gives up the front's or the executor's hold.
func (x *Exchange) Release() {
	if x.holds.Add(-1) > 0 {
		return
	}
	if x.file.File != nil {
		x.file.File.Close() // never taken by the front
	}
	x.borrow(nil)
	x.unlend()
	x.Body.reset()
	owner := x.Owner
	*x = Exchange{
		Record: x.Record[:0], Body: x.Body, ready: x.ready, space: x.space,
		lines: x.lines[:0], hints: x.hints[:0], pending: trim(x.pending), taken: trim(x.taken),
	}
	drain(x.ready)
	drain(x.space)
	exchanges.Put(x)
	if owner != nil {
		owner.Released()
	}
}

func trim(b []byte) []byte {
	if cap(b) > 4*highWater {
		return nil
	}
	return b[:0]
}

func drain(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Respond gives the answer's head and the first bytes of its body, which are
// copied; last says that the body is whole. It returns nil when the front wants
// more of the body, else why not.
func (x *Exchange) Respond(h Head, body []byte, last bool) error {
	return x.RespondLent(h, body, nil, last)
}

// RespondLent is Respond for a body, at least LendFrom bytes, that is not copied but
// lies where it is until the loan is returned; without a loan it is Respond.
func (x *Exchange) RespondLent(h Head, body []byte, loan Loan, last bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil { // abandoned
		giveBack(loan)
		return ErrGone
	}
	if x.NoBody && last && h.ContentLength < 0 && len(body) > 0 {
		h.ContentLength = int64(len(body)) // what GET would say (RFC 9110, 8.6)
	}
	x.setHead(h)
	x.last, x.whole = last, last
	if x.NoBody || h.Status == 204 || h.Status == 304 {
		x.left = cmp.Or(x.left, ErrNoBody)
		body = nil
	}
	if x.inline != nil {
		x.headTaken = true
		x.borrow(loan)
		return x.inline.push(x, Part{Head: &x.head, Whole: last, Body: body, Last: last})
	}
	x.give(body, loan)
	return x.left
}

// give lets the front have a piece of the body, and tells it of what has changed; x.mu
// is held.
func (x *Exchange) give(p []byte, loan Loan) {
	switch {
	case loan == nil:
		x.pending = append(x.pending, p...)
	case x.left == nil:
		x.lend(p, loan)
	default:
		loan.Return()
	}
	signal(x.ready)
}

// Inform gives the field lines of a 103 answer, an empty line after them; they are
// copied. Once there is a head it does nothing.
func (x *Exchange) Inform(lines []byte) {
	x.mu.Lock()
	if !x.responded && x.err == nil {
		x.hints = append(x.hints, lines...)
		x.beats++
		if x.inline != nil {
			x.callFront()
		}
	}
	x.mu.Unlock()
	signal(x.ready)
}

// RespondFile gives the answer's head and a stretch of a file as its whole body.
// The exchange owns the file from here on.
func (x *Exchange) RespondFile(h Head, f FilePart) {
	x.mu.Lock()
	x.file = f // Release closes it if nobody takes it
	if x.err == nil {
		x.setHead(h)
		x.last, x.whole = true, true
	}
	if x.inline != nil {
		x.callFront()
	}
	x.mu.Unlock()
	signal(x.ready)
}

// Answered tells whether there is a head. The front may give an answer itself before
// it submits: then no executor sees the request.
func (x *Exchange) Answered() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.responded
}

func (x *Exchange) setHead(h Head) {
	x.lines = append(x.lines[:0], h.Lines...)
	x.head, x.responded = h, true
	x.head.Lines = x.lines
	x.beats++
}

// Write adds a copy of p to the body; last says that the body is whole now. It
// waits while the front has more than highWater bytes to write, at most for the
// front's own write deadline. It returns why the front takes no more, if so.
func (x *Exchange) Write(p []byte, last bool) error { return x.WriteLent(p, nil, last) }

// WriteLent is to Write what RespondLent is to Respond.
func (x *Exchange) WriteLent(p []byte, loan Loan, last bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.left == nil && len(x.pending)+len(x.lent) >= highWater {
		x.blocked = true
		x.mu.Unlock()
		<-x.space
		x.mu.Lock()
	}
	x.blocked = false
	if len(p) > 0 || last {
		x.beats++
	}
	x.last = x.last || last && x.err == nil // an abandoned answer is not whole
	if x.left == nil && x.inline != nil {
		x.borrow(loan)
		return x.inline.push(x, Part{Body: p, Last: last})
	}
	if x.left != nil {
		p = nil
	}
	x.give(p, loan)
	return x.left
}

// Fail ends the answer with err: a 500 when the front has no head yet, else a cut
// connection.
func (x *Exchange) Fail(err error) {
	x.mu.Lock()
	x.err = cmp.Or(x.err, err)
	if x.inline != nil {
		x.callFront()
	}
	x.mu.Unlock()
	signal(x.ready)
}

// Next waits for the next part of the answer. After a part with Last or Err it
// must not be called again, nor after the head of an answer without a body (NoBody,
// 204, 304), which may be the last there is. There is no limit here on how long the application
// may take before its first part or between two.
func (x *Exchange) Next() Part {
	for {
		x.mu.Lock()
		if p, ok := x.take(); ok {
			x.mu.Unlock()
			signal(x.space)
			return p
		}
		x.mu.Unlock()
		<-x.ready
	}
}

// take returns what there is to give to the front; x.mu is held.
func (x *Exchange) take() (Part, bool) {
	var p Part
	x.borrow(nil)
	if len(x.hints) > 0 && !x.headTaken {
		p.Hints = append([]byte(nil), x.hints...)
		x.hints = x.hints[:0]
		return p, true
	}
	if x.err != nil && !x.responded {
		return Part{Err: x.err}, true
	}
	if x.responded && !x.headTaken {
		x.headTaken = true
		p.Head, p.Whole = &x.head, x.whole
	}
	if x.file.File != nil {
		p.File, x.file = x.file, FilePart{}
	}
	if len(x.pending) > 0 {
		x.taken, x.pending = x.pending, x.taken[:0]
		p.Body = x.taken
	} else if len(x.lent) > 0 {
		p.Body = x.lent
		x.borrow(x.loan)
		x.lent, x.loan = nil, nil
	}
	p.Last = x.last && x.headTaken && len(x.lent) == 0
	if p.Head == nil && p.Body == nil && !p.Last {
		if x.err == nil {
			return p, false
		}
		p.Err = x.err
	}
	return p, true
}

// Leave tells the executor that the front takes no more, and why: ErrGone or
// ErrComplete. What is pending is dropped, the last part's body done with.
func (x *Exchange) Leave(why error) {
	x.mu.Lock()
	x.left = cmp.Or(x.left, why)
	x.pending = x.pending[:0]
	x.borrow(nil)
	x.unlend()
	x.mu.Unlock()
	signal(x.space)
}

// progress tells the watchdog how often the executor has given something, and
// whether it waits for the client now.
func (x *Exchange) progress() (beats int64, blocked bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.beats, x.blocked
}

// abandon ends the answer with err although the executor may never come back; what
// that still gives is dropped. It returns what becomes of the client.
func (x *Exchange) abandon(err error) (client string) {
	x.mu.Lock()
	switch {
	case errors.Is(x.left, ErrGone):
		client = ClientGone
	case x.last || x.left != nil || x.err != nil:
		client = ClientAnswered
	case x.responded:
		client = ClientCut
	default:
		client = ClientRefused
	}
	x.err = cmp.Or(x.err, err)
	x.left = cmp.Or(x.left, ErrGone)
	if x.inline != nil {
		x.callFront()
	}
	x.mu.Unlock()
	signal(x.ready)
	signal(x.space)
	return client
}

// detach lets the connection go on although the executor is not done, if the client
// has its answer.
func (x *Exchange) detach() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mayWait = false
	if x.inline != nil && x.inline.ans.over {
		x.callFront()
	}
}
