package bridge

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/hashicorp/go-hclog"
)

// patience bounds every wait of a test that is expected to end at once.
const patience = 20 * time.Second

// app is a fake application: it answers one exchange, on the executor's goroutine.
type app func(x *Exchange)

// Execute makes an app an Executor.
func (a app) Execute(x *Exchange) { a(x) }

// okHead is a head with a Date of its own, so that answers are the same each time.
func okHead(fields ...string) Head { return statusHead("200 OK", fields...) }

func statusHead(status string, fields ...string) Head {
	h := Head{ContentLength: -1, HasDate: true}
	if _, err := fmt.Sscan(status, &h.Status); err != nil {
		panic(err)
	}
	h.Lines = []byte(status + "\r\n")
	for _, f := range fields {
		h.Lines = append(h.Lines, f+"\r\n"...)
	}
	return h
}

func withLength(h Head, n int64) Head {
	h.ContentLength = n
	return h
}

func hello(x *Exchange) { _ = x.Respond(okHead(), []byte("hello"), true) }

// echo answers with what the request was: method, path, body's size and bytes.
func echo(x *Exchange) {
	body := x.Body.Bytes()
	where := "memory"
	if f := x.Body.File(); f != nil {
		where = "file"
		body = make([]byte, x.Body.Size())
		if _, err := f.ReadAt(body, 0); err != nil {
			x.Fail(err)
			return
		}
	}
	if len(body) > 40 {
		body = fmt.Appendf(nil, "%s...%d", body[:4], len(body))
	}
	text := fmt.Sprintf("%s %s %s %s", x.Record.Lookup("method"), x.Record.Lookup("path"), where, body)
	_ = x.Respond(okHead(), []byte(text), true)
}

// stream gives its pieces one by one, as a generator would, the next when the
// front has taken the last: else they may go out as one.
func stream(h Head, pieces ...string) app {
	return func(x *Exchange) {
		err := x.Respond(h, []byte(pieces[0]), false)
		for _, p := range pieces[1:] {
			if err == nil {
				waitTaken(x)
				err = x.Write([]byte(p), false)
			}
		}
		if err == nil {
			waitTaken(x)
			_ = x.Write(nil, true)
		}
	}
}

// waitTaken returns when the front has taken what was given so far, or has left.
func waitTaken(x *Exchange) {
	for {
		x.mu.Lock()
		done := x.headTaken && len(x.pending) == 0 || x.left != nil
		x.mu.Unlock()
		if done {
			return
		}
		<-x.space
	}
}

// harness is a server with executors around an app, on a listener of its own.
type harness struct {
	t    *testing.T
	srv  *Server
	addr string
	log  *logBuffer

	served    chan error // Serve's result
	down      sync.Once
	executors sync.WaitGroup
}

type setting func(*Server, *poolSetting)

type poolSetting struct {
	limits    PoolLimits
	executors int
	executor  func(app) Executor // nil: the app itself
	load      func() (runnable, cores int)
	listener  net.Listener
	uwsgi     bool
}

func limits(change func(*Limits)) setting {
	return func(s *Server, _ *poolSetting) { change(&s.Limits) }
}

func pool(l PoolLimits, executors int) setting {
	return func(_ *Server, p *poolSetting) { p.limits, p.executors = l, executors }
}

// start serves a until the test ends, and then looks for goroutines that stayed.
func start(t *testing.T, a app, settings ...setting) *harness {
	t.Helper()
	checkGoroutines(t)
	h := &harness{t: t, log: &logBuffer{}, served: make(chan error, 1)}
	h.srv = &Server{
		Prepare: func(r *Request, x *Exchange) error {
			x.Record = x.Record[:0].AppendBytes("method", r.Method).AppendBytes("path", r.Path)
			return nil
		},
		Log:    hclog.New(&hclog.LoggerOptions{Output: h.log, Level: hclog.Debug}),
		Limits: DefaultLimits(),
	}
	ps := &poolSetting{limits: PoolLimits{Queue: 100}, executors: 1}
	for _, set := range settings {
		set(h.srv, ps)
	}
	h.srv.Pool = NewPool(ps.limits)
	if ps.load != nil {
		h.srv.Pool.load = ps.load
	}
	executors := &h.executors
	for range ps.executors {
		var e Executor = a
		if ps.executor != nil {
			e = ps.executor(a)
		}
		executors.Go(func() { h.srv.Pool.Run(e) })
	}
	l := ps.listener
	if l == nil {
		l = listenLocal(t)
	}
	h.addr = l.Addr().String()
	serve := h.srv.Serve
	if ps.uwsgi {
		serve = h.srv.ServeUWSGI
	}
	go func() { h.served <- serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		h.down.Do(func() {
			if err := h.srv.Shutdown(ctx); err != nil {
				t.Errorf("Shutdown at the end of the test: %v", err)
			}
		})
		h.srv.Pool.Stop()
		executors.Wait()
		if err := receive(t, h.served, "Serve to return"); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return h
}

func listenLocal(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// checkGoroutines fails the test if it leaves goroutines behind.
func checkGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		eventually(t, "its goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
		if t.Failed() {
			buf := make([]byte, 1<<20)
			t.Logf("%s", buf[:runtime.Stack(buf, true)])
		}
	})
}

// eventually waits for something that another goroutine is about to do and that
// no channel tells of.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("waited in vain for %s", what)
			return
		}
	}
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// client is one raw connection to the server.
type client struct {
	t *testing.T
	*net.TCPConn
	r *bufio.Reader
}

func (h *harness) dial() *client {
	h.t.Helper()
	c, err := dial(h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	c.t = h.t
	return c
}

// dial connects to a server, for a goroutine that is not the test's too.
func dial(addr string) (*client, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		nc.Close()
		return nil, err
	}
	return &client{TCPConn: nc.(*net.TCPConn), r: bufio.NewReader(nc)}, nil
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.TCPConn, s); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) halfClose() {
	c.t.Helper()
	if err := c.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one answer and writes it down: status, framing, the Connection
// field if any, and the body, followed by what cut it. A connection that ends
// where an answer could start gives EOF or RESET.
func (c *client) answer(method string) string {
	c.t.Helper()
	if _, err := c.r.Peek(1); err != nil {
		return ending(err)
	}
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("reading an answer's head: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	var b strings.Builder
	fmt.Fprintf(&b, "%d", res.StatusCode)
	switch {
	case len(res.TransferEncoding) > 0:
		b.WriteString(" chunked")
	case res.Header.Get("Content-Length") != "":
		b.WriteString(" length=" + res.Header.Get("Content-Length"))
	}
	if res.Close { // the reader takes the field away then
		b.WriteString(" close")
	} else if v := res.Header.Get("Connection"); v != "" {
		b.WriteString(" " + v)
	}
	if len(body) > 0 {
		fmt.Fprintf(&b, " %q", body)
	}
	if err != nil {
		b.WriteString(" " + ending(err))
	}
	return b.String()
}

// answers reads answers until the connection ends; methods are those of the
// requests (GET past their end).
func (c *client) answers(methods ...string) []string {
	c.t.Helper()
	var all []string
	for {
		method := "GET"
		if len(methods) > 0 {
			method = methods[0]
		}
		a := c.answer(method)
		all = append(all, a)
		if a == "EOF" || a == "RESET" || strings.HasSuffix(a, "RESET") || strings.HasSuffix(a, "CUT") {
			return all
		}
		if !strings.HasPrefix(a, "100") && len(methods) > 0 {
			methods = methods[1:]
		}
	}
}

func ending(err error) string {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "CUT"
	case errors.Is(err, io.EOF):
		return "EOF"
	case errors.Is(err, syscall.ECONNRESET):
		return "RESET"
	}
	return err.Error()
}

func (c *client) want(method, want string) {
	c.t.Helper()
	if got := c.answer(method); got != want {
		c.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// logBuffer collects the server's log.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// get is a minimal request.
func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

func request(line string, fields ...string) string {
	s := line + "\r\nHost: h\r\n"
	for _, f := range fields {
		s += f + "\r\n"
	}
	return s + "\r\n"
}

var _ AccessLogger = (*accessBuffer)(nil)

// accessBuffer writes access log entries down.
type accessBuffer struct {
	mu    sync.Mutex
	lines []string
}

func (a *accessBuffer) Log(e *AccessEntry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, fmt.Sprintf("%s %s %d %d", e.Request.Method, e.Request.Target, e.Status, e.Bytes))
}

func (a *accessBuffer) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lines
}

func shortHead() http1.Limits { return http1.Limits{RequestLine: 100, Fields: 5, FieldSize: 100} }
