package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// tracedError is a failure of an application that knows its traceback.
type tracedError struct{ trace string }

func (e *tracedError) Error() string   { return "ValueError: secret" }
func (e *tracedError) Details() string { return e.trace }

const trace = "Traceback (most recent call last):\n  File \"app.py\", line 1\nValueError: \"secret\" <b>\n"

func failing(err error) app { return func(x *Exchange) { x.Fail(err) } }

func debug(s *Server, _ *poolSetting) { s.Debug = true }

// response reads one answer whole.
func (c *client) response(method string) (res *http.Response, body string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(b)
}

func wantText(t *testing.T, res *http.Response, body, want string) {
	t.Helper()
	if body != want {
		t.Errorf("body %q, want %q", body, want)
	}
	if kind := res.Header.Get("Content-Type"); kind != "text/plain; charset=utf-8" {
		t.Errorf("Content-Type %q", kind)
	}
}

func wantJSON(t *testing.T, res *http.Response, body string, status int, reason, cause string) {
	t.Helper()
	want := map[string]any{"status": float64(status), "error": reason}
	if cause != "" {
		want["cause"] = cause
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) || !strings.HasSuffix(body, "}\n") {
		t.Errorf("body %q (%v), want %v", body, err, want)
	}
	if kind := res.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("Content-Type %q", kind)
	}
}

// accepts are values of Accept, and whether they ask for JSON.
var accepts = []struct {
	fields []string
	json   bool
}{
	{nil, false},
	{[]string{"Accept: */*"}, false},
	{[]string{"Accept: text/plain"}, false},
	{[]string{"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, false},
	{[]string{"Accept: text/html, application/json"}, false},
	{[]string{"Accept: application/json"}, true},
	{[]string{"accept: application/json, */*;q=0.1"}, true},
	{[]string{"Accept: application/problem+json"}, true},
	{[]string{"Accept: "}, false},
	{[]string{"X-Accept: application/json"}, false},
}

// TestErrorAnswerByAccept: an application that fails, and a queue that is full.
func TestErrorAnswerByAccept(t *testing.T) {
	for status, err := range map[int]error{500: errors.New("secret"), 503: ErrQueueFull} {
		h := start(t, failing(err))
		for _, a := range accepts {
			t.Run(fmt.Sprint(status, a.fields), func(t *testing.T) {
				c := h.dial()
				c.send(request("GET / HTTP/1.1", a.fields...))
				res, body := c.response("GET")
				if a.json {
					wantJSON(t, res, body, status, http.StatusText(status), "")
				} else {
					wantText(t, res, body, fmt.Sprintf("%d %s\n", status, http.StatusText(status)))
				}
				if res.StatusCode != status || res.Close || (res.Header.Get("Retry-After") == "1") != (status == 503) {
					t.Errorf("%d, close %t, %q", res.StatusCode, res.Close, res.Header)
				}
				c.send(get("/")) // the connection is as good as before
				c.response("GET")
			})
		}
	}
}

// TestRefusalByAccept: what never reaches the application.
func TestRefusalByAccept(t *testing.T) {
	h := start(t, hello, limits(func(l *Limits) { l.MaxBody = 3 }))
	for _, a := range accepts {
		t.Run(fmt.Sprint(a.fields), func(t *testing.T) {
			c := h.dial()
			c.send(request("POST / HTTP/1.1", append([]string{"Content-Length: 4"}, a.fields...)...) + "body")
			res, body := c.response("POST")
			if res.StatusCode != 413 || !res.Close {
				t.Errorf("%d, close %t", res.StatusCode, res.Close)
			}
			if a.json {
				wantJSON(t, res, body, 413, "Request Entity Too Large", errTooLarge.Cause)
			} else {
				wantText(t, res, body, "413 Request Entity Too Large\n"+errTooLarge.Cause+"\n")
			}
		})
	}
}

// TestErrorAnswerToHead: the same head without a body, and the connection in step.
func TestErrorAnswerToHead(t *testing.T) {
	for _, accept := range []string{"text/plain", "application/json"} {
		for _, settings := range [][]setting{nil, {debug}} {
			h := start(t, failing(&tracedError{trace}), settings...)
			c := h.dial()
			c.send(request("GET / HTTP/1.1", "Accept: "+accept) + request("HEAD / HTTP/1.1", "Accept: "+accept))
			full, body := c.response("GET")
			res, none := c.response("HEAD")
			if res.StatusCode != 500 || none != "" || res.ContentLength != int64(len(body)) ||
				res.Header.Get("Content-Type") != full.Header.Get("Content-Type") {
				t.Errorf("%s: %d, length %d of %d, %q", accept, res.StatusCode, res.ContentLength, len(body), res.Header)
			}
			c.send(get("/"))
			if res, _ := c.response("GET"); res.StatusCode != 500 {
				t.Errorf("%s: %d behind it", accept, res.StatusCode)
			}
		}
	}
}

// TestDebug: who sees the cause of a failure.
func TestDebug(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		debug bool
		cause string
	}{
		{"off", &tracedError{trace}, false, ""},
		{"on", &tracedError{trace}, true, trace},
		{"on, wrapped", fmt.Errorf("calling the application: %w", &tracedError{trace}), true, trace},
		{"on, without an end of line", &tracedError{"one line"}, true, "one line"},
		{"on, nothing to tell", &tracedError{""}, true, ""},
		{"on, an error of another kind", errors.New("secret"), true, ""},
		{"on, in latin-1", &tracedError{"caf\xe9"}, true, "caf\xe9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := start(t, failing(tt.err), func(s *Server, _ *poolSetting) { s.Debug = tt.debug })
			c := h.dial()
			c.send(get("/"))
			res, body := c.response("GET")
			want := "500 Internal Server Error\n"
			if tt.cause != "" {
				want += strings.TrimSuffix(tt.cause, "\n") + "\n"
			}
			wantText(t, res, body, want)
			c.send(request("GET / HTTP/1.1", "Accept: application/json"))
			res, body = c.response("GET")
			wantJSON(t, res, body, 500, "Internal Server Error", strings.ToValidUTF8(tt.cause, "\ufffd"))
			if !tt.debug && strings.Contains(h.log.String()+body, "secret") {
				t.Errorf("%q", body)
			}
		})
	}
}

// TestDebugAfterTheHead: a traceback must not end up in an answer that has begun.
func TestDebugAfterTheHead(t *testing.T) {
	c := start(t, func(x *Exchange) {
		_ = x.Respond(okHead(), []byte("begin"), false)
		waitTaken(x)
		x.Fail(&tracedError{trace})
	}, debug).dial()
	c.send(get("/"))
	if got := c.answers(); !same(got, []string{`200 chunked "begin" CUT`}) {
		t.Errorf("got %q", got)
	}
}

// TestErrorAnswerTellsLittle: no name, no version, no code of the server.
func TestErrorAnswerTellsLittle(t *testing.T) {
	h := start(t, failing(&tracedError{trace}))
	for _, send := range []string{get("/"), "nonsense\r\n\r\n", request("GET / HTTP/1.1", "Expect: x"), "GET / HTTP/3.0\r\n\r\n"} {
		c := h.dial()
		c.send(send)
		c.halfClose()
		all, err := io.ReadAll(c.r)
		for _, word := range []string{"Server:", "gowsgi", ".go", "goroutine", "Traceback", "http1", "secret"} {
			if strings.Contains(string(all), word) {
				t.Errorf("%q in %q (%v)", word, all, err)
			}
		}
	}
}

// TestHints: when early hints go out, and to whom.
func TestHints(t *testing.T) {
	h := start(t, func(x *Exchange) {
		x.Inform([]byte("Link: </a>\r\n\r\n"))
		x.Inform([]byte("Link: </b>\r\nX-A: 1\r\n\r\n"))
		hello(x)
	})
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\nX-A: 1\r\n\r\n"
	for line, want := range map[string]string{
		"GET / HTTP/1.1": hints, "HEAD / HTTP/1.1": hints, "GET / HTTP/1.0": "",
	} {
		c := h.dial()
		c.send(request(line, "Connection: close"))
		all, err := io.ReadAll(c.r)
		if interim, _, ok := strings.Cut(string(all), "HTTP/1.1 200 OK\r\n"); !ok || interim != want {
			t.Errorf("%s: %q (%v), want %q first", line, all, err, want)
		}
	}
}

// TestHintsThenFailure: they are no answer; the failure's is whole.
func TestHintsThenFailure(t *testing.T) {
	c := start(t, func(x *Exchange) {
		x.Inform([]byte("Link: </a>\r\n\r\n"))
		x.Fail(ErrFailed)
	}).dial()
	c.send(get("/") + get("/"))
	for range 2 {
		c.want("GET", "103")
		c.want("GET", `500 length=26 "500 Internal Server Error\n"`)
	}
}
