package bridge

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/gowsgi/gowsgi/bridge/http1"
)

// What a front needs that is no Server and has its requests from elsewhere, such as
// net/http.

// Fill reads a request's body whole, before an application hears of the request: up
// to memory bytes are kept there, the rest goes to a temporary file in dir (the
// system's folder when ""). More than limit bytes, unless that is 0, are refused with
// an *http1.Error, and so is, wrapped, what cannot be kept; other errors are r's.
func (b *Body) Fill(r io.Reader, limit, memory int64, dir string) error {
	chunk := bodyChunks.Get().(*[]byte)
	defer bodyChunks.Put(chunk)
	for {
		n, err := r.Read(*chunk)
		if limit > 0 && b.size+int64(n) > limit {
			return errTooLarge
		}
		if n > 0 {
			if err := b.write((*chunk)[:n], memory, dir); err != nil {
				return fmt.Errorf("%w: %w", errNotKept, err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var errNotKept = &http1.Error{Status: 500, Cause: "the body could not be kept"}

// EndpointOf is one end of a connection.
func EndpointOf(a net.Addr) Endpoint { return endpoint(a) }

// NextOr is Next, but for giving up when done is closed: then ok is false.
func (x *Exchange) NextOr(done <-chan struct{}) (p Part, ok bool) {
	for {
		x.mu.Lock()
		p, ok := x.take()
		x.mu.Unlock()
		if ok {
			signal(x.space)
			return p, true
		}
		select {
		case <-x.ready:
		case <-done:
			return Part{}, false
		}
	}
}

// Withdraw takes x back out of the queue, and tells whether it was still there: then
// no executor has seen it or will. It takes time with the length of the queue.
func (p *Pool) Withdraw(x *Exchange) bool {
	p.mu.Lock()
	found := p.queue.remove(x)
	p.mu.Unlock()
	if found {
		p.seat.Waiting.Add(-1)
		x.Release()
	}
	return found
}
