package bridge

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gowsgi/gowsgi/bridge/http1"
)

var errBodyFile = errors.New("body file")

var errTooLarge = &http1.Error{Status: 413, Cause: "the request's body is larger than this server takes"}

const bodyChunk = 64 << 10

var bodyChunks = sync.Pool{New: func() any { b := make([]byte, bodyChunk); return &b }}

// body reads the whole body into x.Body. The head's slices stay valid: what is
// read on the way lies behind the head in buf, or in a new buf.
func (c *conn) body(x *Exchange) error {
	h := &c.parser.Head
	limit := c.srv.Limits.MaxBody
	if !h.Chunked && h.ContentLength <= 0 {
		return nil
	}
	if limit > 0 && h.ContentLength > limit {
		return errTooLarge
	}
	if h.Expect100 && c.r == c.w {
		c.writeDeadline()
		if _, err := io.WriteString(c.nc, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return err
		}
	}
	if h.Chunked {
		return c.chunkedBody(x, limit)
	}
	return c.sizedBody(x, h.ContentLength)
}

func (c *conn) sizedBody(x *Exchange, left int64) error {
	if have := min(int64(c.w-c.r), left); have > 0 {
		if err := c.keep(x, c.buf[c.r:c.r+int(have)]); err != nil {
			return err
		}
		c.r += int(have)
		left -= have
	}
	if left == 0 {
		return nil
	}
	started := time.Now()
	chunk := bodyChunks.Get().(*[]byte)
	defer bodyChunks.Put(chunk)
	for left > 0 {
		c.bodyDeadline(started, x)
		n, err := c.readSome((*chunk)[:min(left, bodyChunk)], left)
		if n > 0 {
			if err := c.keep(x, (*chunk)[:n]); err != nil {
				return err
			}
			left -= int64(n)
			continue
		}
		return unexpected(err)
	}
	return nil
}

// readSome reads into p, which is no longer than the left bytes of the body.
func (c *conn) readSome(p []byte, left int64) (n int, err error) {
	switch {
	case !c.holds:
		return c.nc.Read(p)
	case left == 1:
		n, err = c.peekWait(p)
		c.held = n == 1
		return n, err
	}
	return c.nc.Read(p[:min(int64(len(p)), left-1)])
}

func (c *conn) chunkedBody(x *Exchange, limit int64) error {
	var dec http1.Chunked
	dec.Reset(http1.DefaultChunkedLimits())
	headEnd, started := c.r, time.Now()
	for {
		for c.r < c.w {
			n, data, done, err := dec.Decode(c.buf[c.r:c.w])
			if err != nil {
				return err
			}
			c.r += n
			if limit > 0 && x.Body.Size()+int64(len(data)) > limit {
				return errTooLarge
			}
			if err := c.keep(x, data); err != nil {
				return err
			}
			if done {
				return nil
			}
			if n == 0 {
				break
			}
		}
		headEnd = c.makeRoom(headEnd)
		c.bodyDeadline(started, x)
		if err := c.fill(); err != nil {
			return unexpected(err)
		}
	}
}

// makeRoom frees the part of buf behind the head, which must not move; when that
// is small it goes on in a new buffer and leaves the old one to the head's slices.
func (c *conn) makeRoom(headEnd int) int {
	if len(c.buf)-headEnd < readBuffer {
		fresh := make([]byte, keepBuffer)
		c.w = copy(fresh, c.buf[c.r:c.w])
		c.buf, c.r = fresh, 0
		return 0
	}
	c.w = headEnd + copy(c.buf[headEnd:], c.buf[c.r:c.w])
	c.r = headEnd
	return headEnd
}

func (c *conn) keep(x *Exchange, p []byte) error {
	if err := x.Body.write(p, c.srv.Limits.BodyMemory, c.srv.Limits.TempDir); err != nil {
		return fmt.Errorf("%w: %w", errBodyFile, err)
	}
	return nil
}

// bodyDeadline bounds the wait for the next bytes: ReadTime, and no longer than until
// BodyRate would be missed.
func (c *conn) bodyDeadline(started time.Time, x *Exchange) {
	wait := c.srv.Limits.ReadTime
	if rate := c.srv.Limits.BodyRate; rate > 0 {
		due := wait + time.Duration(float64(x.Body.Size())/float64(rate)*float64(time.Second))
		wait = min(wait, max(due-time.Since(started), time.Nanosecond))
	}
	c.mu.Lock()
	c.readDeadline(wait)
	c.mu.Unlock()
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
