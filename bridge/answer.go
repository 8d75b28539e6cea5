package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/bridge/http1"
)

const (
	// gather is the largest body piece that is copied behind a head or into a
	// chunk to go out with one write; a larger one is written from where it lies.
	gather = 16 << 10
	// writeStep bounds what one write deadline covers, in bytes: 1 MB to a slow
	// client must make progress, not be done in time.
	writeStep = 256 << 10
)

// answer writes one answer to a connection: frames what the exchange yields.
type answer struct {
	conn *conn
	x    *Exchange

	noBody  bool // answers a HEAD request
	framing http1.Framing
	head    *Head // nil for an answer of the server's own
	left    int64 // bytes that Length framing still allows
	status  int
	sent    int64 // body bytes, without framing
	keep    bool  // the connection may go on
	reset   bool  // it must not end orderly: that would look like the body's end
	over    bool  // all is sent, or the client is gone

	// Served inline, what the socket has not taken, behind conn.rest: bytes of the body
	// that are lent, and a constant.
	lent, tail []byte

	bufs net.Buffers // here, as it would be an allocation elsewhere
}

// run takes parts from the exchange until the answer is whole or cut.
func (a *answer) run() {
	c := a.conn
	for {
		p := a.x.Next()
		if p.Err != nil {
			a.cut(p.Err)
			return
		}
		if p.Hints != nil {
			a.hint(p.Hints) // a client that is gone shows at the answer itself
			continue
		}
		if p.Head != nil {
			a.begin(p)
		}
		err := a.body(p)
		if err != nil {
			c.srv.Log.Debug("the client left before its answer was whole", "peer", c.peer.Addr, "error", err)
			a.x.Leave(ErrGone)
			a.stopShort()
			return
		}
		if a.complete(p.Last) {
			a.x.Leave(ErrComplete)
			return
		}
	}
}

// hint sends 103 answers, to clients that know informational ones (RFC 9110, 15.2).
func (a *answer) hint(lines []byte) {
	c := a.conn
	if c.parser.Head.Minor == 0 {
		return
	}
	end := []byte("\r\n\r\n")
	for block := range bytes.SplitAfterSeq(lines, end) {
		if len(block) > 0 {
			c.out = append(append(c.out, "HTTP/1.1 103 Early Hints\r\n"...), block...)
		}
	}
	_ = c.flush(nil, nil)
}

// begin decides the framing and puts the head into out.
func (a *answer) begin(p Part) {
	c, h := a.conn, p.Head
	length := int64(-1)
	if p.Whole {
		length = int64(len(p.Body))
		if p.File.File != nil {
			length = p.File.Length
		}
	}
	ans := http1.Answer{
		Status: h.Status, Lines: h.Lines,
		ContentLength: h.ContentLength, BodyLength: length,
		Head: a.noBody, Minor: c.parser.Head.Minor,
		HasDate: h.HasDate, HasName: h.HasServer, Bare: c.uwsgi,
	}
	f, n := ans.Frame()
	a.status, a.framing, a.left, a.head = h.Status, f, n, h
	a.keep = c.mayKeep() && f != http1.ToClose
	ans.Close = !a.keep
	c.out = ans.AppendHead(c.out[:0], f, n, httpDate(time.Now()), c.srv.Name)
}

// body writes one part, with what out already holds before it.
func (a *answer) body(p Part) error {
	if p.File.File != nil {
		defer p.File.File.Close()
		if a.framing != http1.NoBody {
			return a.sendFile(p.File)
		}
	}
	return a.conn.flush(a.frame(p))
}

// frame returns what goes out of a part behind out, to which it adds a chunk's head:
// bytes of the body, and what follows them.
func (a *answer) frame(p Part) (data, tail []byte) {
	c := a.conn
	if a.framing == http1.NoBody {
		return nil, nil
	}
	data = p.Body
	if a.framing == http1.Length && int64(len(data)) > a.left {
		c.srv.Log.Warn("the application gave more body than its Content-Length; the rest is not sent",
			"path", string(c.req.Path), "extra_bytes", int64(len(data))-a.left)
		data = data[:a.left]
	}
	a.sent += int64(len(data))
	a.left -= int64(len(data))
	if a.framing == http1.Coded {
		if len(data) > 0 {
			c.out = http1.AppendChunkHead(c.out, len(data))
			tail = crlf
		}
		if p.Last {
			tail = lastChunk[len(crlf)-len(tail):]
		}
	}
	return data, tail
}

var (
	crlf      = []byte("\r\n")
	lastChunk = []byte("\r\n" + http1.LastChunk)
)

// complete tells whether the client has the whole answer. It closes a connection
// whose answer ended short of its Content-Length.
func (a *answer) complete(last bool) bool {
	switch a.framing {
	case http1.NoBody:
		return true
	case http1.Length:
		if a.left == 0 {
			return true
		}
		if last {
			a.conn.srv.Log.Warn("the application gave less body than its Content-Length; closing the connection",
				"path", string(a.conn.req.Path), "missing_bytes", a.left)
			a.keep = false
		}
	}
	return last
}

// cut ends an answer that failed: with a whole error answer if nothing was sent,
// else by a connection that closes before the framing says that it may.
func (a *answer) cut(err error) {
	if a.head == nil {
		a.fail(err)
		return
	}
	a.stopShort()
}

// stopShort ends the connection before the framing says that the answer is whole.
func (a *answer) stopShort() {
	a.keep = false
	a.reset = a.framing == http1.ToClose
}

// fail answers a request that has no answer from the application.
func (a *answer) fail(err error) {
	c := a.conn
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, ErrTimeout):
		status = http.StatusGatewayTimeout // Pool.Watch has told
	case errors.Is(err, ErrQueueFull), errors.Is(err, ErrQueueTimeout), errors.Is(err, ErrStopped), errors.Is(err, ErrStuck):
		status = http.StatusServiceUnavailable
		c.srv.Log.Warn("refused a request", "peer", c.peer.Addr, "status", status, "cause", err)
	}
	a.keep = c.mayKeep()
	cause := ""
	var known interface{ Details() string }
	if c.srv.Debug && errors.As(err, &known) {
		cause = known.Details()
	}
	a.plain(status, cause)
	if a.x != nil {
		a.x.Leave(ErrComplete)
	}
}

// plain writes a short text, or JSON where the client asks for it, as the whole
// answer.
func (a *answer) plain(status int, cause string) {
	c := a.conn
	line := strconv.Itoa(status) + " " + http.StatusText(status)
	kind, text := ErrorText(status, cause, c.req.Field("Accept"))
	lines := line + "\r\nContent-Type: " + kind + "\r\n"
	if status == http.StatusServiceUnavailable {
		lines += "Retry-After: 1\r\n"
	}
	ans := http1.Answer{
		Status: status, Lines: []byte(lines), ContentLength: int64(len(text)),
		Head: a.noBody, Minor: c.parser.Head.Minor, Close: !a.keep, Bare: c.uwsgi,
	}
	f, n := ans.Frame()
	c.out = ans.AppendHead(c.out[:0], f, n, httpDate(time.Now()), c.srv.Name)
	a.status = status
	if f == http1.NoBody {
		text = ""
	}
	a.sent = int64(len(text))
	if c.flush([]byte(text), nil) != nil {
		a.keep = false
	}
}

// ErrorText is the body of an error answer and its Content-Type: JSON where the
// client's Accept field asks for it. cause, which may have several lines, is for
// developers; "" leaves it out.
func ErrorText(status int, cause string, accept []byte) (kind, text string) {
	if wantsJSON(accept) {
		return "application/json", errorJSON(status, cause)
	}
	text = strconv.Itoa(status) + " " + http.StatusText(status) + "\n"
	if cause != "" {
		text += strings.TrimSuffix(cause, "\n") + "\n"
	}
	return "text/plain; charset=utf-8", text
}

// wantsJSON: a client that names JSON and no HTML is a program.
func wantsJSON(accept []byte) bool {
	return bytes.Contains(accept, []byte("json")) && !bytes.Contains(accept, []byte("html"))
}

func errorJSON(status int, cause string) string {
	text, err := json.Marshal(struct {
		Status int    `json:"status"`
		Error  string `json:"error"`
		Cause  string `json:"cause,omitempty"`
	}{status, http.StatusText(status), cause})
	if err != nil {
		return "{}\n" // no string makes Marshal fail
	}
	return string(text) + "\n"
}

// flush writes out, data and tail, in one go when data is small or the connection
// can gather, and empties out.
func (c *conn) flush(data, tail []byte) error {
	if len(data) <= gather {
		c.out = append(append(c.out, data...), tail...)
		data, tail = nil, nil
	}
	c.writeDeadline()
	var err error
	if data == nil {
		if len(c.out) > 0 {
			_, err = c.nc.Write(c.out)
		}
	} else {
		first := data[:min(len(data), writeStep)]
		data = data[len(first):]
		c.vec = [3][]byte{c.out, first, nil}
		if len(data) == 0 {
			c.vec[2], tail = tail, nil
		}
		c.ans.bufs = c.vec[:]
		_, err = c.ans.bufs.WriteTo(c.nc)
		c.vec = [3][]byte{} // data may be lent
	}
	for err == nil && len(data) > 0 {
		c.writeDeadline()
		step := data[:min(len(data), writeStep)]
		data = data[len(step):]
		_, err = c.nc.Write(step)
	}
	if err == nil && len(tail) > 0 {
		_, err = c.nc.Write(tail)
	}
	c.out = c.out[:0]
	if cap(c.out) > keepBuffer+gather {
		c.out = nil
	}
	return err
}

// sendFile writes a stretch of a file; the kernel copies it where it can
// (sendfile). A file that ends early leaves the answer short.
func (a *answer) sendFile(f FilePart) error {
	c := a.conn
	length := f.Length
	if a.framing == http1.Length {
		length = min(length, a.left)
	}
	if err := c.flush(nil, nil); err != nil {
		return err
	}
	if _, err := f.File.Seek(f.Offset, io.SeekStart); err != nil {
		return err
	}
	for length > 0 {
		c.writeDeadline()
		n, err := io.CopyN(c.nc, f.File, min(length, writeStep))
		a.sent += n
		a.left -= n
		length -= n
		if errors.Is(err, io.EOF) {
			return nil // complete tells of the missing bytes
		}
		if err != nil {
			return err
		}
	}
	return nil
}
