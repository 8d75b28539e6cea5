package bridge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// What the fake application of FuzzConn may do, one after another.
const (
	fuzzEcho     = iota // the request's body, whole
	fuzzStream          // two pieces without a length
	fuzzDeclared        // two pieces with their length
	fuzzShort           // less than declared
	fuzzLong            // more than declared
	fuzz204
	fuzz304
	fuzzFail     // before a head
	fuzzFailLate // after a piece
	fuzzHints
	fuzzModes
)

// FuzzConn: a whole connection over a fake socket. The requests that reach the
// application are those that a reference reading of the same bytes finds, however
// the bytes are cut into reads; each has one well-formed answer with the body that
// its framing tells; a refused one gets an error, and nothing follows.
func FuzzConn(f *testing.F) {
	for _, in := range fuzzConnSeeds {
		f.Add([]byte(in), uint16(len(in)/2), uint8(3), []byte("\x00\x01\x02\x03"))
		f.Add([]byte(in), uint16(len(in)), uint8(200), []byte("\x08\x04\x05\x09\x07"))
	}
	var now atomic.Pointer[fuzzRun]
	pool := NewPool(PoolLimits{Queue: 1})
	go pool.Run(app(func(x *Exchange) { now.Load().execute(x) }))
	f.Cleanup(pool.Stop)
	f.Fuzz(func(t *testing.T, in []byte, first uint16, step uint8, modes []byte) {
		if len(in) > 32<<10 || len(modes) == 0 {
			return
		}
		r := &fuzzRun{modes: modes}
		now.Store(r)
		srv := &Server{Pool: pool, Prepare: r.prepare, Log: hclog.NewNullLogger(), Name: "s"}
		srv.Limits.BodyMemory = 1 << 30
		nc := &fakeConn{t: t, in: in, next: 1 + int(first), step: 1 + int(step)}
		srv.done.Add(1)
		newConn(srv, nc, Endpoint{}).serve()
		want := readConn(string(in), modes)
		if got, expected := fmt.Sprintf("%q", r.prepared), fmt.Sprintf("%q", want.requests); got != expected {
			t.Fatalf("requests:\n got %s\nwant %s", got, expected)
		}
		if int(r.executed.Load()) != len(want.requests) {
			t.Fatalf("%d reached the application, want %d", r.executed.Load(), len(want.requests))
		}
		checkAnswers(t, nc, want.answers)
	})
}

var fuzzConnSeeds = []string{
	"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\nHEAD /c HTTP/1.1\r\nHost: h:80\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: [::1]\r\nConnection: x, close\r\n\r\n",
	"POST / HTTP/1.1\r\nHost:h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhelloGET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nA: b\r\n\r\nPUT http://h HTTP/1.1\r\nHost: i\r\n\r\n",
	"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
	"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"HEAD / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n\r\n",
	"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
	"GET * HTTP/1.1\r\nHost: h\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\naF ; b = \"\\\"\" ; c\r\n" + fuzzData + "\r\n0A\r\n" + fuzzData[:10] + "\r\n0;a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nax\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b=c\r\na\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: i\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551617\r\n\r\nxGET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\nContent-Type: a\r\n\r\nx",
	"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\nB : c\r\n\r\n",
}

// fuzzData is a body of 175 bytes.
var fuzzData = strings.Repeat("0123456789\r\n\r\n\x00\xff\n\r#\x7f\t \"\\;", 7)

// fuzzRun is one connection's application.
type fuzzRun struct {
	modes    []byte
	prepared [][2]string // head and body
	executed atomic.Int64
}

func (r *fuzzRun) prepare(q *Request, x *Exchange) error {
	head := fmt.Sprintf("%s %s %s?%s %s host=%s", q.Method, q.Target, q.Path, q.Query, q.Proto, q.Host)
	for _, f := range q.Fields {
		head += fmt.Sprintf("\n%s:%s", f.Name, f.Value)
	}
	x.Record = append(x.Record[:0], r.modes[len(r.prepared)%len(r.modes)]%fuzzModes)
	r.prepared = append(r.prepared, [2]string{head, string(x.Body.Bytes())})
	return nil
}

const fuzzPiece = "a piece\r\n\r\n"

func (r *fuzzRun) execute(x *Exchange) {
	r.executed.Add(1)
	two := int64(2 * len(fuzzPiece))
	switch x.Record[0] {
	case fuzzEcho:
		_ = x.Respond(okHead(), x.Body.Bytes(), true)
	case fuzzStream:
		stream(okHead(), fuzzPiece, fuzzPiece)(x)
	case fuzzDeclared:
		stream(withLength(okHead(), two), fuzzPiece, fuzzPiece)(x)
	case fuzzShort:
		stream(withLength(okHead(), two+1), fuzzPiece, fuzzPiece)(x)
	case fuzzLong:
		stream(withLength(okHead(), two-1), fuzzPiece, fuzzPiece)(x)
	case fuzz204:
		_ = x.Respond(statusHead("204 No Content"), []byte(fuzzPiece), true)
	case fuzz304:
		_ = x.Respond(withLength(statusHead("304 Not Modified"), 7), nil, true)
	case fuzzFail:
		x.Fail(ErrFailed)
	case fuzzFailLate:
		if x.Respond(okHead(), []byte(fuzzPiece), false) == nil {
			waitTaken(x)
			x.Fail(ErrFailed)
		}
	case fuzzHints:
		x.Inform([]byte("Link: </a>\r\n\r\n"))
		_ = x.Respond(okHead(), []byte(fuzzPiece), true)
	}
}

// fuzzAnswer is what a request's answer has to be.
type fuzzAnswer struct {
	status         int // 400 stands for any refusal
	body           string
	head, keep     bool
	cut            bool // ends before its framing says so
	reset          bool // and no framing but a reset can tell
	minor          int
	mayExpect      bool // 100 may come first
	framingUnknown bool
}

// answerTo is what PEP 3333 and RFC 9112 make of a mode.
func answerTo(q *refRequest, mode byte) fuzzAnswer {
	a := fuzzAnswer{status: 200, head: q.method == "HEAD", keep: q.keep, minor: q.minor, mayExpect: q.expect}
	a.body = fuzzPiece + fuzzPiece
	switch mode % fuzzModes {
	case fuzzEcho:
		a.body = q.body
	case fuzzStream:
		a.keep = a.keep && (a.minor > 0 || a.head)
	case fuzzShort:
		a.cut = !a.head
	case fuzzLong:
		a.body = a.body[:len(a.body)-1]
	case fuzz204, fuzz304:
		a.status, a.body = map[byte]int{fuzz204: 204, fuzz304: 304}[mode%fuzzModes], ""
	case fuzzFail:
		a.status, a.framingUnknown = 500, true
	case fuzzFailLate:
		a.body = fuzzPiece
		a.cut = !a.head
		a.reset = a.cut && a.minor == 0
		a.keep = a.keep && (a.minor > 0 || a.head)
	case fuzzHints:
		a.body = fuzzPiece
	}
	if a.head {
		a.body = ""
	}
	return a
}

var answerHead = regexp.MustCompile(`^HTTP/1\.1 [1-5][0-9][0-9] [ -~]*\r\n([A-Za-z-]+: [!-~]([ -~]*[!-~])?\r\n)*\r\n`)

// checkAnswers reads what was written with net/http's client side.
func checkAnswers(t *testing.T, nc *fakeConn, answers []fuzzAnswer) {
	t.Helper()
	left := nc.out.Bytes()
	r := bufio.NewReader(&nc.out)
	for i, a := range answers {
		method := "GET"
		if a.head {
			method = "HEAD"
		}
		var res *http.Response
		for interim := 0; ; interim++ {
			at := len(left) - r.Buffered() - nc.out.Len()
			if !answerHead.Match(left[at:]) {
				t.Fatalf("answer %d: no head at %q", i, left[at:])
			}
			var err error
			if res, err = http.ReadResponse(r, &http.Request{Method: method}); err != nil {
				t.Fatalf("answer %d: %v at %q", i, err, left[at:])
			}
			if res.StatusCode >= 200 {
				break
			}
			if interim > 1 || res.StatusCode == 100 && (interim > 0 || !a.mayExpect) || a.minor == 0 {
				t.Fatalf("answer %d: interim %q", i, left[at:])
			}
		}
		body, err := io.ReadAll(res.Body)
		what := fmt.Sprintf("answer %d, %d %v %q: ", i, res.StatusCode, res.Header, body)
		if a.status == 400 && (res.StatusCode < 400 || res.StatusCode > 505) || a.status != 400 && res.StatusCode != a.status {
			t.Fatal(what+"want", a.status)
		}
		if a.framingUnknown && a.head != (len(body) == 0) || !a.framingUnknown && string(body) != a.body {
			t.Fatalf("%swant body %q", what, a.body)
		}
		if last := i == len(answers)-1; a.cut && !a.reset && err == nil || !a.cut && err != nil || last && nc.reset != a.reset {
			t.Fatalf("%scut %t, reset %t, %v", what, a.cut, nc.reset, err)
		}
		if res.Close == a.keep && !a.cut {
			t.Fatalf("%skeep is %t", what, a.keep)
		}
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Fatalf("%q comes after the last answer", rest)
	}
}

// fakeConn hands out the fuzzer's bytes in pieces and keeps what is written.
type fakeConn struct {
	t          *testing.T
	in         []byte
	next, step int // size of the next read, and of those after it
	out        bytes.Buffer
	shut       bool
	reset      bool
}

func (c *fakeConn) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		c.t.Fatal("a read into nothing")
	}
	n := copy(p, c.in[:min(len(c.in), c.next)])
	c.in, c.next = c.in[n:], c.step
	return n, nil
}

func (c *fakeConn) Write(p []byte) (int, error) {
	if c.shut {
		c.t.Fatalf("%q is written to a closed connection", p)
	}
	return c.out.Write(p)
}

func (c *fakeConn) Close() error                     { c.shut = true; return nil }
func (c *fakeConn) CloseWrite() error                { c.shut = true; return nil }
func (c *fakeConn) SetLinger(int) error              { c.reset = true; return nil }
func (c *fakeConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *fakeConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *fakeConn) SetDeadline(time.Time) error      { return nil }
func (c *fakeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *fakeConn) SetWriteDeadline(time.Time) error { return nil }

// latin1 makes each byte a character, as regexp wants it; bytesOf undoes that.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func bytesOf(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
	}
	return b.String()
}
