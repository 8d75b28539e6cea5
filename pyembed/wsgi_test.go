package pyembed

import (
	"errors"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
)

const text = "200 OK\r\nContent-Type: text/plain\r\n"

// TestAnswers: what each way to answer gives, how often close() is called, and
// what is reported.
func TestAnswers(t *testing.T) {
	w := embedded(t)
	for _, tt := range []struct {
		path   string
		lines  string // "": no head
		body   string
		closes int
		err    error
		report string // a part of it
	}{
		{"/list", text, "hello", 0, nil, ""},
		{"/tuple", text, "hello", 0, nil, ""},
		{"/empty", text, "", 0, nil, ""},
		{"/subclass_of_bytes", text, "hello", 0, nil, ""},
		{"/generator", text, "hello", 0, nil, ""},
		{"/empty_first", "201 Created\r\nContent-Type: text/plain\r\n", "changed", 0, nil, ""},
		{"/start_in_loop", text, "late", 0, nil, ""},
		{"/many_empty", text, "end", 0, nil, ""},
		{"/closing", text, "hello", 1, nil, ""},
		{"/closing_list", text, "hello", 1, nil, ""},
		{"/closing_empty", text, "", 1, nil, ""},
		{"/close_raises", text, "hello", 1, nil, "RuntimeError: in close"},
		{"/file", text, "456789", 0, nil, ""},
		{"/bytes_io", text, "0123456789", 0, nil, ""},
		{"/file_closed", text, "", 1, nil, ""},
		{"/pipe", text, "from a pipe", 0, nil, ""},
		{"/errors", text, "ok", 0, nil, ""},

		{"/write", text, "abc", 0, nil, ""},
		{"/write_only", text, "all", 0, nil, ""},
		{"/write_generator", text, "abcd", 0, nil, ""},
		{"/quick_and_write", text, "firstabcabcabc", 0, nil, ""},

		{"/raises", "", "", 0, bridge.ErrFailed, "LookupError: before anything"},
		{"/raises_after_start", "", "", 0, bridge.ErrFailed, "LookupError: after start_response"},
		{"/raises_first", "", "", 1, bridge.ErrFailed, "LookupError: first"},
		{"/raises_later", text, "hello", 1, bridge.ErrFailed, "LookupError: later"},
		{"/raises_twice", "", "", 1, bridge.ErrFailed, "LookupError: the cause"},
		{"/system_exit", "", "", 0, bridge.ErrFailed, "SystemExit: 3"},
		{"/keyboard_interrupt", "", "", 0, bridge.ErrFailed, "KeyboardInterrupt"},
		{"/generator_exit", "", "", 0, bridge.ErrFailed, "GeneratorExit"},
		{"/stop_iteration", "", "", 0, bridge.ErrFailed, "StopIteration: stopped"},
		{"/bad_str", "", "", 0, bridge.ErrFailed, "its __str__ failed"},
		{"/none", "", "", 0, bridge.ErrFailed, "'NoneType' object is not iterable"},
		{"/bytes", "", "", 0, bridge.ErrFailed, "returned a str or bytes: PEP 3333 wants an iterable of bytes"},
		{"/str", "", "", 0, bridge.ErrFailed, "returned a str or bytes: PEP 3333 wants an iterable of bytes"},
		{"/str_chunk", "", "", 0, bridge.ErrFailed, "gave an object of <class 'str'>: PEP 3333 wants bytes"},
		{"/str_chunk_later", text, "hel", 1, bridge.ErrFailed, "gave an object of <class 'str'>"},
		{"/no_start", "", "", 0, bridge.ErrFailed, "start_response was not called before the first chunk"},
		{"/no_start_empty", "", "", 0, bridge.ErrFailed, "start_response was not called"},
		{"/start_twice", "", "", 0, bridge.ErrFailed, "start_response was called a second time without exc_info"},
		{"/exc_info", "500 Oops\r\nContent-Type: text/plain\r\n", "sorry", 0, nil, ""},
		{"/exc_info_late", text, "hel", 0, bridge.ErrFailed, "ValueError: too late"},
		{"/write_str", "", "", 0, bridge.ErrFailed, "TypeError: write() takes bytes"},
		{"/write_then_raise", text, "sent", 0, bridge.ErrFailed, "LookupError: after write"},
		{"/quick_then_raise", text, "firstxxxxxxxxxx", 0, bridge.ErrFailed, "LookupError: after quick chunks"},
		{"/missing", "", "", 0, bridge.ErrFailed, "KeyError: 'route_missing'"},
	} {
		t.Run(tt.path[1:], func(t *testing.T) {
			before := w.closed(t)
			r := w.ask(t, "GET", tt.path, "")
			unseen := r.lines == "" && tt.err != nil // the failure came before the head was taken
			if r.lines != tt.lines && !unseen || r.body != tt.body && !unseen || !errors.Is(r.err, tt.err) {
				t.Errorf("got  %q %q %v\nwant %q %q %v", r.lines, r.body, r.err, tt.lines, tt.body, tt.err)
			}
			if got := r.reported(); !strings.Contains(got, tt.report) || (got == "") != (tt.report == "") || strings.Contains(got, " | ") {
				t.Errorf("reported %q, want one with %q", got, tt.report)
			}
			if got := w.closed(t) - before; got != tt.closes {
				t.Errorf("close() was called %d times, want %d", got, tt.closes)
			}
		})
	}
}

// TestHead: no body is made, close() is called all the same.
func TestHead(t *testing.T) {
	w := embedded(t)
	for path, closes := range map[string]int{
		"/list": 0, "/generator": 0, "/closing": 1, "/closing_list": 1, "/endless": 1, "/write": 0, "/write_much": 0, "/file_closed": 1,
	} {
		before := w.closed(t)
		r := w.ask(t, "HEAD", path, "")
		if r.lines != text || r.body != "" || r.err != nil || len(r.errors) > 0 {
			t.Errorf("%s: %+v", path, r)
		}
		if got := w.closed(t) - before; got != closes {
			t.Errorf("%s: close() was called %d times, want %d", path, got, closes)
		}
	}
}

// TestStartResponse calls it with all kinds of arguments, written in Python.
func TestStartResponse(t *testing.T) {
	w := embedded(t)
	for args, want := range map[string]string{
		`"200 OK", []`: "200 OK\r\n",
		`"404 Not Found", [("A", "b"), ("A", "c")]`: "404 Not Found\r\nA: b\r\nA: c\r\n",
		`"200", []`:                                                 "200 \r\n",
		`"299 As You Like It", []`:                                  "299 As You Like It\r\n",
		`"200 \xe9t\xe9", [("X", "\xe9\xff")]`:                      "200 \xe9t\xe9\r\nX: \xe9\xff\r\n",
		`"200 OK", [("X", "a\tb")]`:                                 "200 OK\r\nX: a\tb\r\n",
		`"200 OK", [("X", "  a  ")]`:                                "200 OK\r\nX: a\r\n",
		`"200 OK", [("X", "")]`:                                     "200 OK\r\nX: \r\n",
		`"200 OK", [("Content-Length", "7"), ("A", "b")]`:           "200 OK\r\nA: b\r\n",
		`"200 OK", [("Content-Length", "7")] * 2`:                   "200 OK\r\n",
		`"200 OK", [("date", "d"), ("SERVER", "s")]`:                "200 OK\r\ndate: d\r\nSERVER: s\r\n",
		`status="200 OK", response_headers=[("A", "b")]`:            "200 OK\r\nA: b\r\n",
		`"200 OK", response_headers=[], exc_info=None`:              "200 OK\r\n",
		`"200 OK", [], None`:                                        "200 OK\r\n",
		`type("S", (str,), {})("200 OK"), type("L", (list,), {})()`: "200 OK\r\n",
	} {
		if r := w.ask(t, "GET", "/start", args); r.lines != want || r.body != "started" || r.err != nil {
			t.Errorf("start_response(%s): %q %q %v %s, want %q", args, r.lines, r.body, r.err, r.reported(), want)
		}
	}
}

func TestStartResponseErrors(t *testing.T) {
	w := embedded(t)
	const arguments = "TypeError: start_response takes (status, response_headers, exc_info=None)"
	const form = "is not of the form '200 OK'"
	for args, want := range map[string]string{
		``:                                arguments,
		`"200 OK"`:                        arguments,
		`"200 OK", [], None, 1`:           arguments,
		`"200 OK", [], wrong=1`:           arguments,
		`"200 OK", [], status="200 OK"`:   arguments,
		`b"200 OK", []`:                   "TypeError: the status must be a str",
		`200, []`:                         "TypeError: the status must be a str",
		`None, []`:                        "TypeError: the status must be a str",
		`"", []`:                          form,
		`"OK", []`:                        form,
		`"20 OK", []`:                     form,
		`"2000 OK", []`:                   form,
		`"200OK", []`:                     form,
		`"200  OK", []`:                   form,
		`"200 OK ", []`:                   form,
		`" 200 OK", []`:                   form,
		`"100 Continue", []`:              "is informational: only the server sends those",
		`"099 No", []`:                    "ValueError: status",
		`"200 OK\r\nX: y", []`:            "ValueError: the status has the control character 0xd",
		`"200 O\tK", []`:                  "ValueError: the status has the control character 0x9",
		`"200 \u20ac", []`:                "ValueError: the status has a character outside latin-1",
		`"200 \udcff", []`:                "UnicodeEncodeError",
		`"200 OK", ()`:                    "TypeError: the headers must be a list of tuples",
		`"200 OK", {}`:                    "TypeError: the headers must be a list of tuples",
		`"200 OK", None`:                  "TypeError: the headers must be a list of tuples",
		`"200 OK", [1]`:                   "TypeError: each header must be a tuple (name, value)",
		`"200 OK", [["a", "b"]]`:          "TypeError: each header must be a tuple (name, value)",
		`"200 OK", [("a", "b", "c")]`:     "TypeError: each header must be a tuple (name, value)",
		`"200 OK", [(b"a", "b")]`:         "TypeError: a header's name must be a str",
		`"200 OK", [("a", b"b")]`:         "TypeError: a header's value must be a str",
		`"200 OK", [("a", 1)]`:            "TypeError: a header's value must be a str",
		`"200 OK", [("", "b")]`:           "ValueError: '' is not a header name",
		`"200 OK", [("a b", "c")]`:        "ValueError: 'a b' is not a header name",
		`"200 OK", [("a:", "c")]`:         "ValueError: 'a:' is not a header name",
		`"200 OK", [("\xe9", "c")]`:       "ValueError: 'é' is not a header name",
		`"200 OK", [("a\r", "c")]`:        "ValueError: a header's name has the control character 0xd",
		`"200 OK", [("a", "b\r\nc: d")]`:  "ValueError: a header's value has the control character 0xd",
		`"200 OK", [("a", "b\nc")]`:       "ValueError: a header's value has the control character 0xa",
		`"200 OK", [("a", "b\0")]`:        "ValueError: a header's value has the control character 0x0",
		`"200 OK", [("a", "b\x7f")]`:      "ValueError: a header's value has the control character 0x7f",
		`"200 OK", [("a", "\u20ac")]`:     "ValueError: a header's value has a character outside latin-1",
		`"200 OK", [("Connection", "x")]`: "AssertionError: 'Connection' is a hop-by-hop header",
		`"200 OK", [("keep-alive", "x")]`: "hop-by-hop",
		`"200 OK", [("TE", "x")]`:         "hop-by-hop",
		`"200 OK", [("Trailer", "x")]`:    "hop-by-hop",
		`"200 OK", [("Transfer-Encoding", "chunked")]`:                 "hop-by-hop",
		`"200 OK", [("Upgrade", "x")]`:                                 "hop-by-hop",
		`"200 OK", [("Proxy-Authenticate", "x")]`:                      "hop-by-hop",
		`"200 OK", [("Content-Length", "")]`:                           "Content-Length is not a decimal number",
		`"200 OK", [("Content-Length", "-1")]`:                         "Content-Length is not a decimal number",
		`"200 OK", [("Content-Length", "1 2")]`:                        "Content-Length is not a decimal number",
		`"200 OK", [("Content-Length", "99999999999999999999")]`:       "Content-Length is not a decimal number",
		`"200 OK", [("Content-Length", "1"), ("content-length", "2")]`: "two Content-Length headers that differ",
	} {
		r := w.ask(t, "GET", "/start", args)
		if r.lines != "" || !errors.Is(r.err, bridge.ErrFailed) || !strings.Contains(r.reported(), want) {
			t.Errorf("start_response(%s): %q %v, reported %q, want %q", args, r.lines, r.err, r.reported(), want)
		}
	}
}

// TestHeadFacts: what the head says beside its lines.
func TestHeadFacts(t *testing.T) {
	w := embedded(t)
	for args, want := range map[string]bridge.Head{
		`"200 OK", []`: {Status: 200, ContentLength: -1},
		`"404 No", [("Content-Length", " 007 ")]`:                      {Status: 404, ContentLength: 7},
		`"599 No", [("content-length", "123456789012345678")]`:         {Status: 599, ContentLength: 123456789012345678},
		`"200 OK", [("DATE", "x")]`:                                    {Status: 200, ContentLength: -1, HasDate: true},
		`"200 OK", [("server", "x"), ("X-Date", "y"), ("Dates", "z")]`: {Status: 200, ContentLength: -1, HasServer: true},
	} {
		r := w.ask(t, "GET", "/start", args)
		if r.head.Status != want.Status || r.head.ContentLength != want.ContentLength ||
			r.head.HasDate != want.HasDate || r.head.HasServer != want.HasServer {
			t.Errorf("start_response(%s): %+v, want %+v", args, r.head, want)
		}
	}
}

func TestLargeAnswers(t *testing.T) {
	w := embedded(t)
	var list, written strings.Builder
	for i := range 1000 {
		list.WriteString(strings.Repeat(string([]byte{byte(i)}), 3000))
	}
	for i := range 100 {
		written.WriteString(strings.Repeat(string([]byte{byte(i)}), 10_000))
	}
	for path, want := range map[string]string{
		"/big_list": list.String(), "/big_bytes": strings.Repeat("x", 5_000_000), "/write_much": written.String(),
	} {
		if r := w.ask(t, "GET", path, ""); r.body != want || r.err != nil {
			t.Errorf("%s: %d bytes, %v; want %d", path, len(r.body), r.err, len(want))
		}
	}
}

// TestGoneClient: an iterable without end is closed, write() raises.
func TestGoneClient(t *testing.T) {
	w := embedded(t)
	for path, want := range map[string]struct {
		closes int
		report string
	}{
		"/endless":        {1, ""},
		"/closing":        {1, ""},
		"/write_for_ever": {0, "the client is gone"},
	} {
		before, served := w.closed(t), w.pool.Stats().Served
		x := newRequest("gone"+path, "GET", path, "")
		if err := w.pool.Submit(x); err != nil {
			t.Fatal(err)
		}
		collect(x, 1)
		x.Release()
		w.waitServed(t, served+1)
		if got := w.closed(t) - before; got != want.closes {
			t.Errorf("%s: close() was called %d times, want %d", path, got, want.closes)
		}
		if r := (&reply{errors: w.reported("gone" + path)}).reported(); !strings.Contains(r, want.report) || (r == "") != (want.report == "") {
			t.Errorf("%s: reported %q, want %q", path, r, want.report)
		}
	}
}

// TestContextVariables: a request sees neither another's nor leaves its own.
func TestContextVariables(t *testing.T) {
	w := embedded(t)
	for range 3 * sharedThreads {
		if r := w.ask(t, "GET", "/context_set", ""); r.body != "unset of another request" {
			t.Errorf("got %q", r.body)
		}
	}
}

// TestStaleCallables: what is kept from a request does no harm later, and the
// environ belongs to the application.
func TestStaleCallables(t *testing.T) {
	w := embedded(t)
	w.ask(t, "GET", "/keep", "")
	want := "start_response was called after its request had ended\nwrite() was called after its request had ended\n/keep"
	if r := w.ask(t, "GET", "/use_kept", ""); r.body != want {
		t.Errorf("got %q (%s)", r.body, r.reported())
	}
}

func TestBaseEnviron(t *testing.T) {
	r := embedded(t).ask(t, "GET", "/environ", "q=\xe9")
	for _, want := range []string{
		"PATH_INFO='/environ'", "QUERY_STRING='q=é'", "REQUEST_METHOD='GET'", "SCRIPT_NAME=''", "SERVER_SOFTWARE='gowsgi/",
		"wsgi.version=(1, 0)", "wsgi.multithread=True", "wsgi.multiprocess=False", "wsgi.run_once=False", "wsgi.input_terminated=True",
		"type dict",
	} {
		if !strings.Contains(r.body, want) {
			t.Errorf("no %s in\n%s", want, r.body)
		}
	}
}
