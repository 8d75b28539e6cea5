package bridge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge/uwsgi"
)

func withUWSGI(_ *Server, p *poolSetting) { p.uwsgi = true }

// packet makes a packet's bytes of "NAME=value"s.
func packet(modifier byte, pairs ...string) string {
	p := uwsgi.Packet{Modifier1: modifier}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		p.Vars = append(p.Vars, uwsgi.Var{Name: []byte(name), Value: []byte(value)})
	}
	b, err := uwsgi.Append(nil, &p)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func getPacket(more ...string) string {
	return packet(0, append([]string{"REQUEST_METHOD=GET", "PATH_INFO=/"}, more...)...)
}

func postPacket(length string, body string) string {
	return packet(0, "REQUEST_METHOD=POST", "PATH_INFO=/p", "CONTENT_LENGTH="+length) + body
}

// TestUWSGI: what a web server gets for what it sends, and when the connection ends:
// always after one answer, which has no chunks.
func TestUWSGI(t *testing.T) {
	for _, tt := range []struct {
		name   string
		app    app
		send   string
		method string
		want   []string
	}{
		{"request", hello, getPacket(), "GET", []string{`200 length=5 "hello"`, "EOF"}},
		{"no second request", hello, getPacket() + getPacket(), "GET", []string{`200 length=5 "hello"`, "EOF"}},
		{"body", echo, postPacket("4", "body"), "POST", []string{`200 length=19 "POST /p memory body"`, "EOF"}},
		{"more than the body", echo, postPacket("4", "body and more"), "POST", []string{`200 length=19 "POST /p memory body"`, "EOF"}},
		{"empty body", echo, postPacket("0", ""), "POST", []string{`200 length=15 "POST /p memory "`, "EOF"}},
		{"no length", echo, postPacket("", ""), "POST", []string{`200 length=15 "POST /p memory "`, "EOF"}},
		{"large body", echo, postPacket("3000000", strings.Repeat("x", 3_000_000)), "POST",
			[]string{`200 length=27 "POST /p file xxxx...3000000"`, "EOF"}},
		{"HEAD", hello, packet(0, "REQUEST_METHOD=HEAD"), "HEAD", []string{"200 length=5", "EOF"}},
		{"unknown length", stream(okHead(), "one ", "two"), getPacket(), "GET", []string{`200 close "one two"`, "EOF"}},
		{"unknown length, HTTP/1.1 client", stream(okHead(), "one ", "two"), getPacket("SERVER_PROTOCOL=HTTP/1.1"), "GET", []string{`200 close "one two"`, "EOF"}},
		{"known length", stream(withLength(okHead(), 7), "one ", "two"), getPacket(), "GET", []string{`200 length=7 "one two"`, "EOF"}},
		{"204", func(x *Exchange) { _ = x.Respond(statusHead("204 No Content"), nil, true) }, getPacket(), "GET", []string{"204", "EOF"}},
		{"304", func(x *Exchange) { _ = x.Respond(statusHead("304 Not Modified"), []byte("no"), true) }, getPacket(), "GET", []string{"304", "EOF"}},
		{"failure", func(x *Exchange) { x.Fail(errors.New("broken")) }, getPacket(), "GET", []string{"500 ...", "EOF"}},
		{"short of its length", stream(withLength(okHead(), 70), "one ", "two"), getPacket(), "GET", []string{`200 length=70 "one two" CUT`}},
		{"hints", func(x *Exchange) { x.Inform([]byte("A: b\r\n\r\n")); hello(x) }, getPacket(), "GET", []string{`200 length=5 "hello"`, "EOF"}},

		{"HTTP", hello, get("/"), "GET", []string{"400 ...", "EOF"}},
		{"TLS", hello, "\x16\x03\x01\x02\x00\x01", "GET", []string{"400 ...", "EOF"}},
		{"other modifier", hello, packet(5), "GET", []string{"501 ...", "EOF"}},
		{"lengths that contradict", hello, "\x00\x05\x00\x00\x09\x00ABC", "GET", []string{"400 ...", "EOF"}},
		{"no method", hello, packet(0, "PATH_INFO=/"), "GET", []string{"400 ...", "EOF"}},
		{"empty packet", hello, packet(0), "GET", []string{"400 ...", "EOF"}},
		{"CONNECT", hello, packet(0, "REQUEST_METHOD=CONNECT"), "GET", []string{"501 ...", "EOF"}},
		{"bad length", hello, postPacket("x", "body"), "POST", []string{"400 ...", "EOF"}},
		{"two lengths", hello, packet(0, "REQUEST_METHOD=POST", "CONTENT_LENGTH=4", "CONTENT_LENGTH=5") + "body", "POST", []string{"400 ...", "EOF"}},
		{"length past 63 bits", hello, postPacket("18446744073709551619", "bod"), "POST", []string{"413 ...", "EOF"}},
		{"too large", hello, postPacket("4000000", "x"), "POST", []string{"413 ...", "EOF"}},
		{"too large a packet", hello, getPacket("X=" + strings.Repeat("x", 5000)), "GET", []string{"431 ...", "EOF"}},
		{"a packet of several reads", echo, getPacket("X=" + strings.Repeat("x", 4200)), "GET", []string{`200 length=13 "GET / memory "`, "EOF"}},
	} {
		for _, unix := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/unix=%t", tt.name, unix), func(t *testing.T) {
				c := startUWSGI(t, unix, tt.app, limits(func(l *Limits) { l.MaxBody, l.Packet = 3_000_000, 4500 }))
				c.send(tt.send)
				if got := c.answers(tt.method); !same(got, tt.want) {
					t.Errorf("got  %q\nwant %q", got, tt.want)
				}
			})
		}
	}
}

// webServer is a client on a TCP or unix connection.
type webServer struct {
	client
	nc net.Conn
	h  *harness
}

func startUWSGI(t *testing.T, unix bool, a app, settings ...setting) *webServer {
	t.Helper()
	settings = append(settings, withUWSGI)
	network := "tcp"
	if unix {
		network = "unix"
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Fatal(err)
		}
		settings = append(settings, func(_ *Server, p *poolSetting) { p.listener = l })
	}
	h := start(t, a, settings...)
	nc, err := net.Dial(network, h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	w := &webServer{client: client{t: t, r: bufio.NewReader(nc)}, nc: nc, h: h}
	return w
}

func (w *webServer) send(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w.nc, s); err != nil && !errors.Is(err, syscall.EPIPE) {
		w.t.Fatal(err)
	}
}

func (w *webServer) rest() (string, error) {
	b, err := io.ReadAll(w.r)
	return string(b), err
}

// TestUWSGIHead: nginx adds Date, Server and what becomes of the connection itself; it
// would pass ours on to the client.
func TestUWSGIHead(t *testing.T) {
	w := startUWSGI(t, false, func(x *Exchange) {
		_ = x.Respond(Head{Status: 200, Lines: []byte("200 Fine\r\nX: y\r\n"), ContentLength: -1}, []byte("hello"), true)
	}, func(s *Server, _ *poolSetting) { s.Name = "gowsgi" })
	w.send(getPacket())
	if got, err := w.rest(); got != "HTTP/1.1 200 Fine\r\nX: y\r\nContent-Length: 5\r\n\r\nhello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUWSGIPing(t *testing.T) {
	for _, unix := range []bool{false, true} {
		for _, ping := range []string{packet(100), packet(100, "A=b"), packet(100) + "more"} {
			w := startUWSGI(t, unix, hello)
			w.send(ping)
			if got, err := w.rest(); got != "\x64\x00\x00\x01" || err != nil {
				t.Errorf("%q: %q, %v", ping, got, err)
			}
		}
	}
}

// TestUWSGIFailsMidway: an answer without a length that the application does not
// finish must not look whole.
func TestUWSGIFailsMidway(t *testing.T) {
	failing := func(x *Exchange) {
		_ = x.Respond(okHead(), []byte("the beginning"), false)
		waitTaken(x)
		x.Fail(ErrFailed)
	}
	for _, unix := range []bool{false, true} {
		for name, send := range map[string][]string{
			"no body":           {getPacket()},
			"body":              {postPacket("4", "body")},
			"body that follows": {postPacket("8", "the "), "body"},
			"large body":        {postPacket("300000", strings.Repeat("x", 300_000))},
			"slow packet":       {postPacket("4", "")[:20], postPacket("4", "")[20:], "b", "ody"},
		} {
			w := startUWSGI(t, unix, failing)
			for _, piece := range send {
				w.send(piece)
				time.Sleep(5 * time.Millisecond)
			}
			if got, err := w.rest(); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s, unix %t: %q, %v", name, unix, got, err)
			}
		}
	}
}

// TestUWSGIEndsMidway: a request that is not whole never reaches the application.
func TestUWSGIEndsMidway(t *testing.T) {
	for _, unix := range []bool{false, true} {
		for _, tt := range []struct{ send, want, log string }{
			{"", "EOF", ""},
			{getPacket()[:3], "400 ...", "ended after 3 bytes of 4"},
			{getPacket()[:9], "400 ...", "ended after 9 bytes of 39"},
			{postPacket("9", "body"), "400 ...", "the request's body ended early"},
			{postPacket("9", "nearly a"), "400 ...", "the request's body ended early"},
		} {
			w := startUWSGI(t, unix, func(*Exchange) { t.Error("the application was called") })
			w.send(tt.send)
			if err := w.nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got := w.answers(); !same(got[:1], []string{tt.want}) || !strings.Contains(w.h.log.String(), tt.log) {
				t.Errorf("%q, unix %t: %q, %s", tt.send, unix, got, w.h.log)
			}
		}
	}
}

func TestUWSGIDeadlines(t *testing.T) {
	for _, unix := range []bool{false, true} {
		for _, tt := range []struct {
			name string
			set  func(*Limits)
			send string
			want []string
		}{
			{"nothing", func(l *Limits) { l.HeadTime = soon }, "", []string{"EOF"}},
			{"half a header", func(l *Limits) { l.HeadTime = soon }, "\x00\x10", []string{"408 ...", "EOF"}},
			{"half a packet", func(l *Limits) { l.HeadTime = soon }, getPacket()[:20], []string{"408 ...", "EOF"}},
			{"half a body", func(l *Limits) { l.ReadTime = soon }, postPacket("9", "body"), []string{"408 ...", "EOF"}},
			{"all but a byte", func(l *Limits) { l.ReadTime = soon }, postPacket("5", "body"), []string{"408 ...", "EOF"}},
		} {
			w := startUWSGI(t, unix, hello, limits(func(l *Limits) { l.HeadTime, l.ReadTime = late, late; tt.set(l) }))
			w.send(tt.send)
			if got := w.answers(); !same(got, tt.want) {
				t.Errorf("%s, unix %t: %q, want %q", tt.name, unix, got, tt.want)
			}
		}
	}
}

// TestUWSGISlowPacket: bytes that come one by one do not move the deadline.
func TestUWSGISlowPacket(t *testing.T) {
	w := startUWSGI(t, false, hello, limits(func(l *Limits) { l.HeadTime = 200 * time.Millisecond }))
	stop := make(chan struct{})
	go func() {
		for _, b := range []byte(strings.Repeat(getPacket(), 10)) {
			if _, err := w.nc.Write([]byte{b}); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	defer close(stop)
	if got := w.answer("GET"); !strings.HasPrefix(got, "408") {
		t.Error(got)
	}
}

func TestUWSGIAllow(t *testing.T) {
	for _, allow := range []bool{true, false} {
		var asked []Endpoint
		w := startUWSGI(t, false, hello, func(s *Server, _ *poolSetting) {
			s.AllowUWSGI = func(peer Endpoint) bool { asked = append(asked, peer); return allow }
		})
		w.send(getPacket())
		want := `200 length=5 "hello"`
		if !allow {
			want = "403 ..."
		}
		got := w.answers()
		if !same(got[:1], []string{want}) || len(asked) != 1 || asked[0].Addr != "127.0.0.1" {
			t.Errorf("allowed %t: %q, asked %v", allow, got, asked)
		}
		if refused := strings.Contains(w.h.log.String(), "not allowed to send any"); refused == allow {
			t.Errorf("allowed %t: %s", allow, w.h.log)
		}
	}
}

// TestUWSGIRequest: what the others (logs, rules) see of a packet.
func TestUWSGIRequest(t *testing.T) {
	type seen struct{ target, path, query, proto, host, agent, kind string }
	var got seen
	log := &accessBuffer{}
	w := startUWSGI(t, false, hello, func(s *Server, _ *poolSetting) {
		s.Access = log
		s.Prepare = func(r *Request, _ *Exchange) error {
			got = seen{string(r.Target), string(r.Path), string(r.Query), r.Proto, string(r.Host), string(r.Field("User-Agent")), string(r.Field("Content-Type"))}
			return nil
		}
	})
	w.send(getPacket("REQUEST_URI=/x%20y?z", "PATH_INFO=/x y%", "SERVER_PROTOCOL=HTTP/2.0", "HTTP_HOST=h", "HTTP_USER_AGENT=curl",
		"QUERY_STRING=z", "CONTENT_TYPE=a/b", "HTTP_CONTENT_TYPE=c/d"))
	w.want("GET", `200 length=5 "hello"`)
	if want := (seen{"/x%20y?z", "/x y%25", "z", "HTTP/2.0", "h", "curl", "a/b"}); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	eventually(t, "the access log", func() bool { return slices.Equal(log.all(), []string{"GET /x%20y?z 200 5"}) })
}

// TestUWSGIDrain: a stopping server answers who has connected.
func TestUWSGIDrain(t *testing.T) {
	for _, unix := range []bool{false, true} {
		entered, release := make(chan struct{}), make(chan struct{})
		w := startUWSGI(t, unix, func(x *Exchange) { close(entered); <-release; hello(x) })
		w.send(getPacket())
		receive(t, entered, "the application")
		down := make(chan error, 1)
		go w.h.down.Do(func() { down <- w.h.srv.Shutdown(t.Context()) })
		time.Sleep(soon)
		close(release)
		w.want("GET", `200 length=5 "hello"`)
		if err := receive(t, down, "Shutdown"); err != nil {
			t.Error(err)
		}
	}
}

// TestUWSGIOnHTTP: the log says what was sent to the wrong port.
func TestUWSGIOnHTTP(t *testing.T) {
	h := start(t, hello)
	c := h.dial()
	c.send(getPacket())
	if got := c.answer("GET"); !strings.HasPrefix(got, "400") || !strings.Contains(h.log.String(), "a uwsgi packet where a request line was expected") {
		t.Errorf("%s, %s", got, h.log)
	}
}
