package bridge

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const megabyte = 1 << 20

// TestBodies: each body reaches the application whole, from where it is kept.
func TestBodies(t *testing.T) {
	chunked := func(chunks ...string) string {
		var b strings.Builder
		for _, c := range chunks {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(c), c)
		}
		return b.String() + "0\r\n\r\n"
	}
	sized := func(body string) string {
		return request("POST /b HTTP/1.1", fmt.Sprintf("Content-Length: %d", len(body))) + body
	}
	coded := request("POST /b HTTP/1.1", "Transfer-Encoding: chunked")
	small := limits(func(l *Limits) { l.BodyMemory, l.MaxBody = 1000, 200_000 })
	xs := func(n int) string { return strings.Repeat("x", n) }
	ok := func(rest string) string { // echo's answer as the client writes it down
		text := "POST /b " + rest
		return fmt.Sprintf("200 length=%d %q", len(text), text)
	}
	const tooLarge, early = "413 ...", "400 ..."
	for _, tt := range []struct {
		name, send string
		want       []string
	}{
		{"none", request("POST /b HTTP/1.1"), []string{ok("memory "), "EOF"}},
		{"length 0", sized(""), []string{ok("memory "), "EOF"}},
		{"in memory", sized("body"), []string{ok("memory body"), "EOF"}},
		{"as large as memory", sized(xs(1000)), []string{ok("memory xxxx...1000"), "EOF"}},
		{"one byte more", sized(xs(1001)), []string{ok("file xxxx...1001"), "EOF"}},
		{"as large as allowed", sized(xs(200_000)), []string{ok("file xxxx...200000"), "EOF"}},
		{"larger than allowed", sized(xs(200_001)), []string{tooLarge, "EOF"}},
		{"larger than any", request("POST /b HTTP/1.1", "Content-Length: 9223372036854775807") + "x", []string{tooLarge, "EOF"}},
		{"two after each other", sized("one") + sized("two"), []string{ok("memory one"), ok("memory two"), "EOF"}},
		{"file, then memory", sized(xs(5000)) + sized("two"), []string{ok("file xxxx...5000"), ok("memory two"), "EOF"}},
		{"chunked", coded + chunked("bo", "dy"), []string{ok("memory body"), "EOF"}},
		{"chunked, empty", coded + chunked(), []string{ok("memory "), "EOF"}},
		{"chunked, extensions and trailer", coded + "2;a=b\r\nbo\r\n2\r\ndy\r\n0;c\r\nX-T: 1\r\n\r\n", []string{ok("memory body"), "EOF"}},
		{"chunked, to a file", coded + chunked(xs(600), xs(600)), []string{ok("file xxxx...1200"), "EOF"}},
		{"chunked past the buffer", coded + chunked(xs(9000), xs(90_000)) + get("/c"),
			[]string{ok("file xxxx...99000"), `200 length=14 "GET /c memory "`, "EOF"}},
		{"chunked, larger than allowed", coded + chunked(xs(150_000), xs(50_001)), []string{tooLarge, "EOF"}},
		{"many small chunks", coded + strings.Repeat("1\r\nx\r\n", 900) + chunked(), []string{ok("memory xxxx...900"), "EOF"}},
		{"cut with a length", request("POST /b HTTP/1.1", "Content-Length: 9") + "body", []string{early, "EOF"}},
		{"cut in a chunk", coded + "9\r\nbody", []string{early, "EOF"}},
		{"cut before the last chunk", coded + "4\r\nbody\r\n", []string{early, "EOF"}},
		{"cut in the trailer", coded + "0\r\nX-T: 1\r\n", []string{early, "EOF"}},
		{"bad chunk size", coded + "zz\r\n", []string{early, "EOF"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var access accessBuffer
			h := start(t, echo, small, func(s *Server, _ *poolSetting) { s.Access = &access })
			c := h.dial()
			go func() { // the answer may come before all is sent
				_, _ = io.WriteString(c.TCPConn, tt.send)
				_ = c.CloseWrite()
			}()
			got := c.answers()
			if !same(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if len(access.all()) != len(got)-1 {
				t.Errorf("access log %q for answers %q", access.all(), got)
			}
		})
	}
}

// same compares; a wanted text that ends with ... is a beginning.
func same(got, want []string) bool {
	return slices.EqualFunc(got, want, func(g, w string) bool {
		start, open := strings.CutSuffix(w, " ...")
		return g == w || open && strings.HasPrefix(g, start+" ")
	})
}

// TestBodyByByte: how the bytes arrive does not matter.
func TestBodyByByte(t *testing.T) {
	c := start(t, echo).dial()
	for _, r := range []string{
		request("POST /1 HTTP/1.1", "Content-Length: 4") + "body",
		request("POST /2 HTTP/1.1", "Transfer-Encoding: chunked") + "4\r\nbody\r\n0\r\n\r\n",
	} {
		for i := range r {
			c.send(r[i : i+1])
		}
	}
	c.want("POST", `200 length=19 "POST /1 memory body"`)
	c.want("POST", `200 length=19 "POST /2 memory body"`)
}

func TestExpectContinue(t *testing.T) {
	head := func(fields ...string) string {
		return request("POST /b HTTP/1.1", append(fields, "Expect: 100-continue")...)
	}
	t.Run("waits for 100", func(t *testing.T) {
		c := start(t, echo).dial()
		for range 2 {
			c.send(head("Content-Length: 4"))
			c.want("POST", "100")
			c.send("body")
			c.want("POST", `200 length=19 "POST /b memory body"`)
		}
		c.send(head("Transfer-Encoding: chunked"))
		c.want("POST", "100")
		c.send("4\r\nbody\r\n0\r\n\r\n")
		c.want("POST", `200 length=19 "POST /b memory body"`)
	})
	t.Run("does not wait", func(t *testing.T) {
		c := start(t, echo).dial()
		c.send(head("Content-Length: 4") + "body")
		c.want("POST", `200 length=19 "POST /b memory body"`)
	})
	t.Run("without a body", func(t *testing.T) {
		c := start(t, echo).dial()
		c.send(head("Content-Length: 0"))
		c.want("POST", `200 length=15 "POST /b memory "`)
	})
	t.Run("refused instead", func(t *testing.T) {
		c := start(t, echo, limits(func(l *Limits) { l.MaxBody = 3 })).dial()
		c.send(head("Content-Length: 4"))
		if got := c.answer("POST"); !strings.HasPrefix(got, "413 ") {
			t.Errorf("got %s", got)
		}
	})
	t.Run("HTTP/1.0 knows no 100", func(t *testing.T) {
		c := start(t, echo).dial()
		c.send("POST /b HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
		c.want("POST", `200 length=19 close "POST /b memory body"`)
	})
}

// TestRefusals: what never reaches the application.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct{ name, send, want string }{
		{"no Host", "GET / HTTP/1.1\r\n\r\n", "400"},
		{"head ends early", "GET / HTTP/1.1\r\nHo", "400"},
		{"request line too long", "GET /" + strings.Repeat("x", 200), "414"},
		{"field too long", "GET / HTTP/1.1\r\nA: " + strings.Repeat("x", 200), "431"},
		{"too many fields", "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 6), "431"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
		{"TLS", "\x16\x03\x01", "400"},
		{"smuggling", request("POST / HTTP/1.1", "Content-Length: 3", "Transfer-Encoding: chunked") + "0\r\n\r\n" + get("/x"), "400"},
		{"other coding", request("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"), "501"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var access accessBuffer
			c := start(t, func(*Exchange) { t.Error("reached the application") },
				limits(func(l *Limits) { l.Head = shortHead() }),
				func(s *Server, _ *poolSetting) { s.Access = &access }).dial()
			c.send(tt.send)
			c.halfClose()
			got := c.answers()
			if len(got) != 2 || !strings.HasPrefix(got[0], tt.want+" ") || !strings.Contains(got[0], " close ") || got[1] != "EOF" {
				t.Errorf("got %q, want one answer %s that closes", got, tt.want)
			}
			if log := access.all(); len(log) != 1 || !strings.HasPrefix(log[0], "  "+tt.want) {
				t.Errorf("access log %q: want one line without method and target", log)
			}
		})
	}
}

// TestRefusalsWithoutAnswer: connections that were not a request.
func TestRefusalsWithoutAnswer(t *testing.T) {
	h := start(t, hello)
	c := h.dial()
	c.halfClose()
	c.want("GET", "EOF")
	c = h.dial()
	c.send("\r\n") // what some clients send behind a body
	c.halfClose()
	if got := c.answers(); len(got) > 2 {
		t.Errorf("got %q", got)
	}
}

// TestHeadRefusedHasNoBody: a client that sent HEAD takes a body for the start of
// the next answer (RFC 9110, 9.3.2).
func TestHeadRefusedHasNoBody(t *testing.T) {
	c := start(t, echo, limits(func(l *Limits) { l.MaxBody = 3 })).dial()
	c.send(request("HEAD / HTTP/1.1", "Content-Length: 4"))
	if got := c.answers("HEAD"); len(got) != 2 || !strings.HasPrefix(got[0], "413 ") || got[1] != "EOF" {
		t.Errorf("got %q, want a 413 without a body", got)
	}
}

// TestUnreadBodyDoesNotResetTheAnswer: RFC 9112, 9.6.
func TestUnreadBodyDoesNotResetTheAnswer(t *testing.T) {
	for name, head := range map[string]string{
		"bad head":  "POST / HTTP/1.1\r\nContent-Length: 2097152\r\n\r\n",
		"too large": request("POST / HTTP/1.1", "Content-Length: 2097152"),
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, echo, limits(func(l *Limits) { l.MaxBody = 1000 })).dial()
			c.send(head + strings.Repeat("x", 2*megabyte)) // returns when it is all on its way
			c.halfClose()
			if got := c.answers(); len(got) != 2 || got[0][0] != '4' || got[1] != "EOF" {
				t.Errorf("got %q, want an answer and EOF", got)
			}
		})
	}
}

// TestUnreadBytesBehindTheLastRequest: a client may have sent more (RFC 9112, 9.6)
// than the request whose answer closes; they must not reset that answer.
func TestUnreadBytesBehindTheLastRequest(t *testing.T) {
	entered, sent := make(chan struct{}), make(chan struct{})
	const size = 4 * megabyte
	h := start(t, func(x *Exchange) {
		close(entered)
		<-sent
		_ = x.Respond(okHead(), []byte(strings.Repeat("x", size)), true)
	})
	c := h.dial()
	c.send(request("GET / HTTP/1.1", "Connection: close"))
	receive(t, entered, "the application to be called")
	c.send(strings.Repeat("y", 32<<10)) // the kernel holds them, the server has not read them
	close(sent)
	eventually(t, "the server to have written", func() bool { return h.srv.Pool.Stats().Busy == 0 })
	got := c.answers()
	if want := size + len(`200 length=4194304 close ""`); len(got) != 2 || len(got[0]) != want || got[1] != "EOF" {
		last := got[len(got)-1]
		t.Errorf("the answer has %d bytes (want %d), then %q: it was reset on its way", len(got[0]), want, last[max(0, len(last)-20):])
	}
}

// TestHalfClosedClient: a client that has closed its sending side gets its answer.
func TestHalfClosedClient(t *testing.T) {
	closed := make(chan struct{})
	c := start(t, func(x *Exchange) {
		<-closed
		stream(okHead(), "ab", "cd")(x)
	}).dial()
	c.send(get("/"))
	c.halfClose()
	close(closed)
	c.want("GET", `200 chunked "abcd"`)
	c.want("GET", "EOF")
}

// TestBodyFileFails: a body that cannot be kept is the server's fault.
func TestBodyFileFails(t *testing.T) {
	h := start(t, echo, limits(func(l *Limits) { l.BodyMemory, l.TempDir = 1, t.TempDir()+"/missing" }))
	c := h.dial()
	c.send(request("POST / HTTP/1.1", "Content-Length: 4") + "body")
	c.halfClose()
	got := c.answers()
	if len(got) != 2 || !strings.HasPrefix(got[0], "500 ") || got[1] != "EOF" {
		t.Errorf("got %q", got)
	}
	if log := h.log.String(); !strings.Contains(log, "TMPDIR") {
		t.Errorf("the log does not name TMPDIR:\n%s", log)
	}
}

// TestBodyLeavesNoFile: the temporary file has no name while it is used.
func TestBodyLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	h := start(t, func(x *Exchange) {
		if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
			t.Errorf("the folder holds %v (%v)", names, err)
		}
		echo(x)
	}, limits(func(l *Limits) { l.BodyMemory, l.TempDir = 1, dir }))
	c := h.dial()
	c.send(request("POST /b HTTP/1.1", "Content-Length: 4") + "body")
	c.want("POST", `200 length=17 "POST /b file body"`)
}

// TestRequestFields: what Prepare gets.
func TestRequestFields(t *testing.T) {
	for _, tt := range []struct{ name, send, want string }{
		{"origin form", request("GET /a%20b?q=1 HTTP/1.1", "A: 1", "a: 2"),
			"GET /a%20b?q=1 /a%20b q=1 HTTP/1.1 h http -1 [Host: h, A: 1, a: 2] 127.0.0.1"},
		{"absolute form", request("GET http://other:81/x HTTP/1.1"),
			"GET http://other:81/x /x  HTTP/1.1 other:81 http -1 [Host: h] 127.0.0.1"},
		{"1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "GET / /  HTTP/1.0  http -1 [] 127.0.0.1"},
		{"empty body", request("PUT / HTTP/1.1", "Content-Length: 0"), "PUT / /  HTTP/1.1 h http 0 [Host: h, Content-Length: 0] 127.0.0.1"},
		{"chunked body", request("PUT / HTTP/1.1", "Transfer-Encoding: chunked") + "2\r\nab\r\n0\r\n\r\n",
			"PUT / /  HTTP/1.1 h http 2 [Host: h, Transfer-Encoding: chunked] 127.0.0.1"},
		{"OPTIONS *", request("OPTIONS * HTTP/1.1"), "OPTIONS * *  HTTP/1.1 h http -1 [Host: h] 127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan string, 1)
			h := start(t, hello, func(s *Server, _ *poolSetting) {
				s.Prepare = func(r *Request, _ *Exchange) error {
					var fields []string
					for _, f := range r.Fields {
						fields = append(fields, fmt.Sprintf("%s: %s", f.Name, f.Value))
					}
					got <- fmt.Sprintf("%s %s %s %s %s %s %s %d [%s] %s", r.Method, r.Target, r.Path, r.Query, r.Proto,
						r.Host, r.Scheme, r.BodyLength, strings.Join(fields, ", "), r.Peer.Addr)
					if r.Local.Addr+":"+r.Local.Port == "" || r.Peer.Port == "" || r.Local.Unix || r.Peer.Unix {
						t.Errorf("ends of the connection: %+v %+v", r.Peer, r.Local)
					}
					if string(r.Field("hOST")) != string(r.Host) && tt.name != "absolute form" || r.Field("none") != nil {
						t.Error("Field does not find what is there, or finds what is not")
					}
					return nil
				}
			})
			c := h.dial()
			c.send(tt.send)
			c.answer("GET")
			if got := receive(t, got, "Prepare"); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestAccessEntries(t *testing.T) {
	var access accessBuffer
	c := start(t, stream(okHead(), "ab", "cd"), func(s *Server, _ *poolSetting) { s.Access = &access }).dial()
	c.send(get("/1") + request("HEAD /2 HTTP/1.1"))
	c.halfClose()
	c.answers("GET", "HEAD")
	want := []string{"GET /1 200 4", "HEAD /2 200 0"}
	eventually(t, "the access log", func() bool { return len(access.all()) == len(want) })
	if got := access.all(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHTTPDate(t *testing.T) {
	at := time.Date(1994, 11, 6, 8, 49, 37, 5, time.FixedZone("", 3600))
	for range 2 {
		if got := httpDate(at); got != "Sun, 06 Nov 1994 07:49:37 GMT" {
			t.Errorf("httpDate = %q", got)
		}
	}
	if got := httpDate(at.Add(time.Second)); got != "Sun, 06 Nov 1994 07:49:38 GMT" {
		t.Errorf("a second later httpDate = %q", got)
	}
}
