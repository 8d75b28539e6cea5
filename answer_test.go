package gowsgi_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi"
)

func TestAnswers(t *testing.T) {
	app, _ := webapp(t)
	s := serve(t, app)
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
		length       int64 // -1: none
	}{
		{"GET", "/hello", 200, "hello", 5},
		{"HEAD", "/hello", 200, "", 5},
		{"GET", "/empty", 200, "", 0},
		{"GET", "/several", 200, "abc", -1},
		{"HEAD", "/several", 200, "", -1},
		{"GET", "/write", 200, "abc", -1},
		{"GET", "/status?404+Gone+Fishing", 404, "body", 4},
		{"GET", "/status?204+No+Content", 204, "", 0},
		{"GET", "/status?304+Not+Modified", 304, "", 0},
		{"GET", "/declared?3,a,b,c", 200, "abc", 3},
		{"HEAD", "/declared?3,a,b,c", 200, "", 3},
		{"GET", "/declared?2,a,b,c,d", 200, "ab", 2},
		{"GET", "/large", 200, strings.Repeat("x", 3_000_000), 3_000_000},
		{"GET", "/file", 200, strings.Repeat("0123456789", 100_000)[4:], 999_996},
		{"HEAD", "/file", 200, "", 999_996},
	} {
		got := do(t, s.Client(), request(t, tt.method, s.URL+tt.path, nil))
		if got.StatusCode != tt.status || got.body != tt.body || got.err != nil || got.ContentLength != tt.length {
			t.Errorf("%s %s: %s, %d bytes, length %d, %v", tt.method, tt.path, got.Status, len(got.body), got.ContentLength, got.err)
		}
		if got.Header.Get("Date") == "" || got.Header.Get("Server") != "" {
			t.Errorf("%s %s: %v", tt.method, tt.path, got.Header)
		}
	}
	if started, closed := count(t, "started"), count(t, "closed"); started != closed {
		t.Errorf("%d iterables, %d closed", started, closed)
	}
}

// TestMiddlewaresFields: an answer's fields replace what middleware has set, but for
// those that are lists of several's doing.
func TestMiddlewaresFields(t *testing.T) {
	app, _ := webapp(t)
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"X-Own", "Cache-Control", "Set-Cookie", "Vary", "X-Other"} {
			w.Header().Set(name, "go")
		}
		w.Header().Set("Content-Length", "99")
		app.ServeHTTP(w, r)
	}))
	got := get(t, s, "/fields")
	want := map[string]string{
		"X-Own": "[0]", "Set-Cookie": "[go 1 2]", "Vary": "[go 3]", "Cache-Control": "[4]", "X-Other": "[go]", "Content-Length": "[2]",
		"Content-Type": "[]", // none: net/http's guess would be text/plain
	}
	for name, values := range want {
		if all := fmt.Sprint(got.Header.Values(name)); all != values {
			t.Errorf("%s: %s, want %s", name, all, values)
		}
	}
}

// TestStreaming: each piece leaves when the application gives it.
func TestStreaming(t *testing.T) {
	app, _ := webapp(t)
	plain := serve(t, app)
	secure := httptest.NewUnstartedServer(app)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	wrapped := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { app.ServeHTTP(wrapper{w}, r) }))
	for _, s := range []*httptest.Server{plain, secure, wrapped} {
		response, err := s.Client().Do(request(t, "GET", s.URL+"/stream", nil))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			var b [1]byte
			if _, err := io.ReadFull(response.Body, b[:]); err != nil || int(b[0]-'0') != n {
				t.Fatalf("%q, %v", b, err)
			}
			goOn(t, "go")
		}
		if rest, err := io.ReadAll(response.Body); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v", rest, err)
		}
		response.Body.Close()
		if want := map[bool]int{true: 2, false: 1}[s == secure]; response.ProtoMajor != want {
			t.Errorf("%s, want HTTP/%d", response.Proto, want)
		}
	}
	if env := get(t, secure, "/environ_of"); !strings.Contains(env.body, `"wsgi.url_scheme": "https"`) || !strings.Contains(env.body, `"SERVER_PROTOCOL": "HTTP/2.0"`) {
		t.Error(env.body)
	}
}

// wrapper is what middleware makes of a writer.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestHTTP10: net/http frames for old clients.
func TestHTTP10(t *testing.T) {
	app, _ := webapp(t)
	s := serve(t, app)
	for path, want := range map[string]string{"/hello": "hello", "/several": "abc", "/hints": "hinted"} {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", path)
		text, err := io.ReadAll(c)
		c.Close()
		head, body, _ := strings.Cut(string(text), "\r\n\r\n")
		if err != nil || !strings.HasPrefix(head, "HTTP/1.0 200 OK\r\n") || strings.Contains(head, "chunked") || body != want {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
}

// TestCutAnswers: a client sees that an answer is not whole.
func TestCutAnswers(t *testing.T) {
	app, o := webapp(t)
	secure := httptest.NewUnstartedServer(app)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for _, s := range []*httptest.Server{serve(t, app), secure} {
		if got := get(t, s, "/declared?9,abc"); got.err == nil || got.body != "abc" {
			t.Errorf("too short: %q, %v", got.body, got.err)
		}
		if got := get(t, s, "/raises_later"); got.err == nil || got.body != "begun" {
			t.Errorf("raises: %q, %v", got.body, got.err)
		}
	}
	contains(t, "log", o.logged(), "less body than its Content-Length", "missing_bytes=6")
	if got := get(t, secure, "/declared?2,abc"); got.body != "ab" {
		t.Errorf("too long: %q", got.body)
	}
	contains(t, "log", o.logged(), "more body than its Content-Length", "extra_bytes=1")
}

func TestEarlyHints(t *testing.T) {
	app, _ := webapp(t)
	var h http.Handler = app
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Go", "final")
		h.ServeHTTP(w, r)
	}))
	ask := func() (hints []string, final reply) {
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h["Link"], h["X-Go"]))
			return nil
		}}
		r := request(t, "GET", s.URL+"/hints", nil)
		final = do(t, s.Client(), r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
		return hints, final
	}
	for _, wrapped := range []bool{false, true} {
		if wrapped {
			h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { app.ServeHTTP(wrapper{w}, r) })
		}
		hints, final := ask()
		if want := "[103 [</a.css>; rel=preload] [] 103 [</b.css>; rel=preload </c.css>] []]"; fmt.Sprint(hints) != want {
			t.Errorf("%v, want %s", hints, want)
		}
		if final.body != "hinted" || fmt.Sprint(final.Header["Link"]) != "[</d.css>]" || final.Header.Get("X-Go") != "final" {
			t.Errorf("%+v", final)
		}
	}
	// Writers that would take a hint for the answer get none.
	h = http.TimeoutHandler(app, patience, "late")
	if hints, final := ask(); len(hints) > 0 || final.StatusCode != 200 || final.body != "hinted" {
		t.Errorf("%v, %+v", hints, final)
	}
	if got := record(app, at("/hints")); got.StatusCode != 200 || got.body != "hinted" {
		t.Errorf("%+v", got)
	}
}

func TestBodies(t *testing.T) {
	c := config("webapp:app")
	c.BodyMemory, c.MaxBody, c.TempDir = 1000, 100_000, t.TempDir()
	app, o := load(t, c)
	s := serve(t, http.MaxBytesHandler(app, 200_000))
	unlimited, u := webapp(t)
	limited := serve(t, http.MaxBytesHandler(unlimited, 50_000))
	large := strings.Repeat("0123456789", 10_000)
	post := func(s *httptest.Server, path string, body io.Reader) reply {
		return do(t, s.Client(), request(t, "POST", s.URL+path, body))
	}
	for _, body := range []string{"", "abc", large} {
		if got := post(s, "/echo", strings.NewReader(body)); got.body != body {
			t.Errorf("%d bytes: %s", len(body), got.Status)
		}
		if got := post(s, "/echo", io.MultiReader(strings.NewReader(body))); got.body != body { // chunked
			t.Errorf("%d bytes, chunked: %s", len(body), got.Status)
		}
	}
	if a, b := post(s, "/body_kind", strings.NewReader(large[:1000])), post(s, "/body_kind", strings.NewReader(large[:1001])); a.body != "BytesIO" || b.body != "BodyFile" {
		t.Errorf("%s, %s", a.body, b.body)
	}
	if left, err := os.ReadDir(c.TempDir); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
	for name, got := range map[string]reply{
		"declared":              post(s, "/echo", strings.NewReader(large+"x")),
		"chunked":               post(s, "/echo", io.MultiReader(strings.NewReader(large+"x"))),
		"MaxBytesReader":        post(limited, "/echo", strings.NewReader(large)),
		"MaxBytesReader, coded": post(limited, "/echo", io.MultiReader(strings.NewReader(large))),
	} {
		if got.StatusCode != 413 || !strings.HasPrefix(got.body, "413 Request Entity Too Large") {
			t.Errorf("%s: %s %q", name, got.Status, got.body)
		}
	}
	if errs := append(o.take(), u.take()...); len(errs) != 4 {
		t.Errorf("told of %s", ids(errs))
	} else {
		for _, err := range errs {
			var bad *gowsgi.RequestError
			if !errors.As(err, &bad) || bad.Status != 413 {
				t.Error(err)
			}
		}
	}
	if a := app.Stats(); a.Refused != 2 || a.Requests != 10 {
		t.Errorf("%+v", a)
	}
}

// TestBrokenBodies: requests whose bodies never come whole.
func TestBrokenBodies(t *testing.T) {
	app, o := webapp(t)
	s := httptest.NewUnstartedServer(app)
	s.Config.ReadTimeout = 100 * time.Millisecond
	s.Start()
	t.Cleanup(s.Close)
	for name, tt := range map[string]struct {
		end  bool // the client ends its side
		want string
	}{"ended": {true, "400"}, "late": {false, "408"}} {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
		if tt.end {
			_ = c.(*net.TCPConn).CloseWrite()
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		c.Close()
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+tt.want) {
			t.Errorf("%s: %q, %v", name, line, err)
		}
		if errs := o.take(); len(errs) != 1 || gowsgi.Status(errs[0]) != map[string]int{"400": 400, "408": 408}[tt.want] {
			t.Errorf("%s: told of %s", name, ids(errs))
		}
	}
	c := config("webapp:app")
	c.BodyMemory, c.TempDir = 1, "/nowhere"
	nowhere, o := load(t, c)
	if got := record(nowhere, httptest.NewRequest("POST", "/echo", strings.NewReader("abc"))); got.StatusCode != 500 {
		t.Error(got.Status)
	}
	contains(t, "errors", ids(o.take()), "/nowhere")
	if got := record(app, httptest.NewRequest("CONNECT", "http://h:1/", nil)); got.StatusCode != 501 {
		t.Error(got.Status)
	}
}

// TestWriteTimeout: a client that takes nothing does not keep a thread for ever.
func TestWriteTimeout(t *testing.T) {
	c := config("webapp:app")
	c.WriteTimeout = 100 * time.Millisecond
	app, _ := load(t, c)
	s := serve(t, app)
	for _, path := range []string{"/endless", "/file"} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.(*net.TCPConn).SetReadBuffer(1)
		for range 20 {
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
		}
		eventually(t, "the thread", func() bool { return app.Stats().Left > 0 && app.Stats().Active == 0 })
	}
	if got := get(t, s, "/hello"); got.body != "hello" {
		t.Errorf("%+v", got)
	}
}

// TestReadFrom: net/http may hand a file to the kernel.
func TestReadFrom(t *testing.T) {
	app, _ := webapp(t)
	var w fileWriter
	app.ServeHTTP(&w, at("/file"))
	if w.copied != 999_996 || w.Len() != 0 {
		t.Errorf("%d bytes by ReadFrom, %d others", w.copied, w.Len())
	}
}

type fileWriter struct {
	bytes.Buffer
	h      http.Header
	copied int64
}

func (w *fileWriter) Header() http.Header {
	if w.h == nil {
		w.h = http.Header{}
	}
	return w.h
}

func (w *fileWriter) WriteHeader(int) {}

func (w *fileWriter) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); !ok {
		return 0, fmt.Errorf("a %T", r)
	} else if _, ok := l.R.(*os.File); !ok {
		return 0, fmt.Errorf("a %T", l.R)
	}
	n, err := io.Copy(io.Discard, r)
	w.copied += n
	return n, err
}
