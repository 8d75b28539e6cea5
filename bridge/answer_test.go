package bridge

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestAnswers sends requests, half-closes, and reads all that comes: what the
// framing, the connection and the body of each answer are.
func TestAnswers(t *testing.T) {
	streamed := stream(okHead(), "ab", "", "cd")
	failing := func(pieces ...string) app {
		return func(x *Exchange) {
			for i, p := range pieces {
				if i == 0 {
					_ = x.Respond(okHead(), []byte(p), false)
				} else {
					_ = x.Write([]byte(p), false)
				}
			}
			x.Fail(ErrFailed)
		}
	}
	sized := func(n int64, pieces ...string) app { return stream(withLength(okHead(), n), pieces...) }
	whole := func(h Head, body string) app {
		return func(x *Exchange) { _ = x.Respond(h, []byte(body), true) }
	}
	for _, tt := range []struct {
		name string
		app  app
		send string
		want []string
	}{
		{"length known whole", hello, get("/"), []string{`200 length=5 "hello"`, "EOF"}},
		{"empty body", whole(okHead(), ""), get("/"), []string{"200 length=0", "EOF"}},
		{"chunked", streamed, get("/"), []string{`200 chunked "abcd"`, "EOF"}},
		{"nothing streamed", stream(okHead(), ""), get("/"), []string{"200 chunked", "EOF"}},
		{"length declared, streamed", sized(4, "ab", "cd"), get("/"), []string{`200 length=4 "abcd"`, "EOF"}},
		{"three pipelined", echo, get("/1") + get("/2") + get("/3"), []string{
			`200 length=14 "GET /1 memory "`, `200 length=14 "GET /2 memory "`, `200 length=14 "GET /3 memory "`, "EOF"}},
		{"pipelined behind bodies", echo,
			request("POST /1 HTTP/1.1", "Content-Length: 2") + "ab" +
				request("POST /2 HTTP/1.1", "Transfer-Encoding: chunked") + "1\r\nx\r\n0\r\n\r\n" + get("/3"),
			[]string{`200 length=17 "POST /1 memory ab"`, `200 length=16 "POST /2 memory x"`, `200 length=14 "GET /3 memory "`, "EOF"}},
		{"streams pipelined", streamed, get("/") + get("/"), []string{`200 chunked "abcd"`, `200 chunked "abcd"`, "EOF"}},
		{"close asked for", hello, request("GET / HTTP/1.1", "Connection: close") + get("/2"),
			[]string{`200 length=5 close "hello"`, "EOF"}},
		{"close in a list", hello, request("GET / HTTP/1.1", "Connection: foo, Close"),
			[]string{`200 length=5 close "hello"`, "EOF"}},

		{"1.0", hello, "GET / HTTP/1.0\r\n\r\n", []string{`200 length=5 close "hello"`, "EOF"}},
		{"1.0 keep-alive", hello, strings.Repeat("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 2),
			[]string{`200 length=5 keep-alive "hello"`, `200 length=5 keep-alive "hello"`, "EOF"}},
		{"1.0 to close", streamed, "GET / HTTP/1.0\r\n\r\n", []string{`200 close "abcd"`, "EOF"}},
		{"1.0 to close whatever was asked", streamed, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
			[]string{`200 close "abcd"`, "EOF"}},
		{"1.0 streamed with a length keeps", sized(4, "ab", "cd"), strings.Repeat("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 2),
			[]string{`200 length=4 keep-alive "abcd"`, `200 length=4 keep-alive "abcd"`, "EOF"}},

		{"HEAD, known whole", hello, request("HEAD / HTTP/1.1") + get("/"),
			[]string{"200 length=5", `200 length=5 "hello"`, "EOF"}},
		{"HEAD, streamed", streamed, request("HEAD / HTTP/1.1") + get("/"),
			[]string{"200", `200 chunked "abcd"`, "EOF"}},
		{"HEAD, length declared", sized(7, "ab"), request("HEAD / HTTP/1.1"), []string{"200 length=7", "EOF"}},
		{"HEAD 1.0 keeps", streamed, "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", []string{"200 keep-alive", "EOF"}},
		{"204 with a body", whole(statusHead("204 No Content"), "body"), get("/") + get("/"), []string{"204", "204", "EOF"}},
		{"204 streamed", stream(statusHead("204 No Content"), "a", "b"), get("/") + get("/"), []string{"204", "204", "EOF"}},
		{"204 with a length", whole(withLength(statusHead("204 No Content"), 4), "body"), get("/"), []string{"204", "EOF"}},
		{"304", whole(statusHead("304 Not Modified"), ""), get("/") + get("/"), []string{"304", "304", "EOF"}},
		{"304 with a length", whole(withLength(statusHead("304 Not Modified"), 9), ""), get("/"), []string{"304 length=9", "EOF"}},

		{"longer than declared", sized(3, "ab", "cd", "ef"), get("/") + get("/"),
			[]string{`200 length=3 "abc"`, `200 length=3 "abc"`, "EOF"}},
		{"longer, whole", whole(withLength(okHead(), 3), "abcdef"), get("/"), []string{`200 length=3 "abc"`, "EOF"}},
		{"length 0 with a body", sized(0, "ab", "cd"), get("/") + get("/"), []string{"200 length=0", "200 length=0", "EOF"}},
		{"shorter than declared", sized(9, "ab", "cd"), get("/") + get("/"), []string{`200 length=9 "abcd" CUT`}},
		{"shorter, whole", whole(withLength(okHead(), 9), "ab"), get("/"), []string{`200 length=9 "ab" CUT`}},

		{"fails before the head", failing(), get("/") + get("/"), []string{
			`500 length=26 "500 Internal Server Error\n"`, `500 length=26 "500 Internal Server Error\n"`, "EOF"}},
		{"HEAD fails before the head", failing(), request("HEAD / HTTP/1.1") + request("HEAD / HTTP/1.1"),
			[]string{"500 length=26", "500 length=26", "EOF"}},
		{"1.0 fails before the head", failing(), "GET / HTTP/1.0\r\n\r\n",
			[]string{`500 length=26 close "500 Internal Server Error\n"`, "EOF"}},
		{"fails in an answer with a length", func(x *Exchange) {
			_ = x.Respond(withLength(okHead(), 9), []byte("ab"), false)
			waitTaken(x)
			x.Fail(ErrFailed)
		}, get("/") + get("/"), []string{`200 length=9 "ab" CUT`}},
		{"fails in a chunked answer", func(x *Exchange) {
			_ = x.Respond(okHead(), []byte("ab"), false)
			waitTaken(x)
			x.Fail(ErrFailed)
		}, get("/") + get("/"), []string{`200 chunked "ab" CUT`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, tt.app).dial()
			c.send(tt.send)
			c.halfClose()
			if got := c.answers(methodsOf(tt.send)...); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func methodsOf(requests string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)(GET|HEAD|POST) /\S* HTTP`).FindAllStringSubmatch(requests, -1) {
		all = append(all, m[1])
	}
	return all
}

// TestAnswerBytes compares whole answers, byte for byte.
func TestAnswerBytes(t *testing.T) {
	named := func(s *Server, _ *poolSetting) { s.Name = "gowsgi" }
	for _, tt := range []struct {
		name, send string
		app        app
		want       string
	}{
		{"plain", get("/"), func(x *Exchange) {
			_ = x.Respond(okHead("X-A: 1", "x-b: 2"), []byte("hello"), true)
		}, "HTTP/1.1 200 OK\r\nX-A: 1\r\nx-b: 2\r\nContent-Length: 5\r\nServer: gowsgi\r\n\r\nhello"},
		{"own reason and Server", "GET / HTTP/1.0\r\n\r\n", func(x *Exchange) {
			h := statusHead("299 As You Like", "Server: mine")
			h.HasServer = true
			_ = x.Respond(h, nil, true)
		}, "HTTP/1.1 299 As You Like\r\nServer: mine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"chunks as they come", get("/"), func(x *Exchange) {
			_ = x.Respond(okHead(), []byte("hello"), false)
			waitTaken(x)
			_ = x.Write([]byte(strings.Repeat("x", 17)), false)
			waitTaken(x)
			_ = x.Write(nil, true)
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: gowsgi\r\n\r\n" +
			"5\r\nhello\r\n11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"},
		{"last chunk with its data", get("/"), func(x *Exchange) {
			_ = x.Respond(okHead(), nil, false)
			waitTaken(x)
			_ = x.Write([]byte("end"), true)
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: gowsgi\r\n\r\n3\r\nend\r\n0\r\n\r\n"},
		{"failure", get("/"), func(x *Exchange) { x.Fail(ErrFailed) },
			"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 26\r\n" +
				"Date: D\r\nServer: gowsgi\r\n\r\n500 Internal Server Error\n"},
		{"refusal", "GET / HTTP/1.1\r\n\r\n", hello,
			"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 38\r\n" +
				"Date: D\r\nServer: gowsgi\r\nConnection: close\r\n\r\n400 Bad Request\nHTTP/1.1 without Host\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, tt.app, named).dial()
			c.send(tt.send)
			c.halfClose()
			raw, err := io.ReadAll(c.TCPConn)
			if err != nil {
				t.Fatal(err)
			}
			got := regexp.MustCompile(`Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n`).ReplaceAllString(string(raw), "Date: D\r\n")
			want := tt.want
			if got != want {
				t.Errorf("got\n%q\nwant\n%q", got, want)
			}
		})
	}
}

// TestLargeAnswers checks sizes around those where writing changes its way.
func TestLargeAnswers(t *testing.T) {
	for _, size := range []int{gather - 1, gather, gather + 1, highWater, writeStep, writeStep + 1, 3*writeStep + 7} {
		body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		for name, a := range map[string]app{
			"whole":   func(x *Exchange) { _ = x.Respond(okHead(), []byte(body), true) },
			"chunked": stream(okHead(), body, body[:size/2]),
			"length":  stream(withLength(okHead(), int64(size)), body[:size/2], body[size/2:]),
		} {
			c := start(t, a).dial()
			c.send(get("/"))
			c.halfClose()
			var got strings.Builder
			for _, a := range c.answers() {
				got.WriteString(a)
			}
			want := body
			if name == "chunked" {
				want += body[:size/2]
			}
			if !strings.Contains(got.String(), `"`+want+`"`) {
				t.Errorf("%s of %d bytes: answer differs (%d bytes written down)", name, size, got.Len())
			}
		}
	}
}

// TestFileAnswers: a stretch of a file as the body, whatever the file's position.
func TestFileAnswers(t *testing.T) {
	big := strings.Repeat("0123456789", 70_000) // past one write step
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(big), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name           string
		head           Head
		offset, length int64
		send           string
		want           string // of the first answer
	}{
		{"all", okHead(), 0, int64(len(big)), get("/"), `200 length=700000 "` + big + `"`},
		{"a stretch", okHead(), 5, 10, get("/"), `200 length=10 "5678901234"`},
		{"none of it", okHead(), 5, 0, get("/"), "200 length=0"},
		{"less declared", withLength(okHead(), 3), 5, 10, get("/"), `200 length=3 "567"`},
		{"more declared", withLength(okHead(), 12), 5, 10, get("/"), `200 length=12 "5678901234" CUT`},
		{"the file ends early", okHead(), int64(len(big)) - 3, 10, get("/"), `200 length=10 "789" CUT`},
		{"HEAD", okHead(), 5, 10, request("HEAD / HTTP/1.1"), "200 length=10"},
		{"304", statusHead("304 Not Modified"), 5, 10, get("/"), "304"},
		{"1.0", okHead(), 5, 10, "GET / HTTP/1.0\r\n\r\n", `200 length=10 close "5678901234"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f *os.File
			given := make(chan struct{})
			h := start(t, func(x *Exchange) {
				f, _ = os.Open(path)
				x.RespondFile(tt.head, FilePart{File: f, Offset: tt.offset, Length: tt.length})
				close(given)
			})
			c := h.dial()
			c.send(tt.send)
			c.halfClose()
			if got := c.answers(methodsOf(tt.send)...)[0]; got != tt.want {
				t.Errorf("got %.200s, want %.200s", got, tt.want)
			}
			<-given
			if err := f.Close(); err == nil {
				t.Error("the front left the file open")
			}
		})
	}
}

// TestContentLengthWarnings: what the client cannot see, the log says.
func TestContentLengthWarnings(t *testing.T) {
	for want, a := range map[string]app{
		"more body than its Content-Length": stream(withLength(okHead(), 1), "ab"),
		"less body than its Content-Length": stream(withLength(okHead(), 9), "ab"),
	} {
		h := start(t, a)
		c := h.dial()
		c.send(get("/a%20path"))
		c.halfClose()
		c.answers()
		if log := h.log.String(); !strings.Contains(log, want) || !strings.Contains(log, "/a%20path") {
			t.Errorf("no word of %q in the log:\n%s", want, log)
		}
	}
}
