package wsgi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
)

// base is a request that rows change.
func base() *bridge.Request {
	return &bridge.Request{
		Method: []byte("GET"), Target: []byte("/"), Path: []byte("/"), Proto: "HTTP/1.1",
		Host: []byte("example.org"), Scheme: "http", BodyLength: -1,
		Peer:  bridge.Endpoint{Addr: "192.0.2.7", Port: "40000"},
		Local: bridge.Endpoint{Addr: "127.0.0.1", Port: "8000"},
	}
}

// fields makes fields from lines "Name: value".
func fields(lines ...string) []http1.Field {
	var all []http1.Field
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		all = append(all, http1.Field{Name: []byte(name), Value: []byte(value)})
	}
	return all
}

// record returns r's variables under rules.
func record(t testing.TB, u *Rules, r *bridge.Request) bridge.Record {
	t.Helper()
	rec, err := u.Environ(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// environ returns r's variables; a name that comes twice fails the test.
func environ(t *testing.T, r *bridge.Request) map[string]string {
	t.Helper()
	env := map[string]string{}
	for name, value := range record(t, &Rules{}, r).All {
		if _, twice := env[string(name)]; twice {
			t.Errorf("%s is there twice", name)
		}
		env[string(name)] = string(value)
	}
	return env
}

func TestPlainEnviron(t *testing.T) {
	want := map[string]string{
		"REQUEST_METHOD": "GET", "RAW_URI": "/", "REQUEST_URI": "/", "PATH_INFO": "/", "QUERY_STRING": "",
		"SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000",
		"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "40000", "HTTP_HOST": "example.org", // of an absolute target
	}
	if got := environ(t, base()); !maps.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// absent is the value of a variable that must not be there.
const absent = "\x00absent"

func checkVars(t *testing.T, r *bridge.Request, want map[string]string) {
	t.Helper()
	env := environ(t, r)
	for name, value := range want {
		got, ok := env[name]
		if !ok {
			got = absent
		}
		if got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
}

func TestRequestVariables(t *testing.T) {
	type vars = map[string]string
	unix := bridge.Endpoint{Addr: "/run/gowsgi.sock", Unix: true}
	for _, tt := range []struct {
		name   string
		change func(r *bridge.Request)
		want   vars
	}{
		{"method", func(r *bridge.Request) { r.Method = []byte("M-SEARCH") }, vars{"REQUEST_METHOD": "M-SEARCH"}},
		{"target as received", func(r *bridge.Request) {
			r.Target, r.Path, r.Query = []byte("http://h/a%20b?q=%20"), []byte("/a%20b"), []byte("q=%20")
		}, vars{"RAW_URI": "http://h/a%20b?q=%20", "REQUEST_URI": "http://h/a%20b?q=%20", "PATH_INFO": "/a b", "QUERY_STRING": "q=%20"}},
		{"CONNECT has no path", func(r *bridge.Request) { r.Path = nil }, vars{"PATH_INFO": ""}},
		{"version", func(r *bridge.Request) { r.Proto = "HTTP/1.0" }, vars{"SERVER_PROTOCOL": "HTTP/1.0"}},
		{"https", func(r *bridge.Request) { r.Scheme = "https" }, vars{"HTTPS": "on", "wsgi.url_scheme": "https"}},
		{"http", func(*bridge.Request) {}, vars{"HTTPS": absent, "wsgi.url_scheme": "http"}},
		{"no body", func(*bridge.Request) {}, vars{"CONTENT_LENGTH": absent, "CONTENT_TYPE": absent}},
		{"empty body", func(r *bridge.Request) { r.BodyLength = 0 }, vars{"CONTENT_LENGTH": "0"}},
		{"large body", func(r *bridge.Request) { r.BodyLength = 1<<63 - 1 }, vars{"CONTENT_LENGTH": "9223372036854775807"}},
		{"unix peer", func(r *bridge.Request) { r.Peer = bridge.Endpoint{Unix: true} }, vars{"REMOTE_ADDR": "", "REMOTE_PORT": absent}},
		{"IPv6 peer", func(r *bridge.Request) { r.Peer.Addr = "2001:db8::1" }, vars{"REMOTE_ADDR": "2001:db8::1"}},
		{"TCP listener, whatever Host says", func(r *bridge.Request) { r.Host = []byte("other:81") },
			vars{"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000"}},
		{"unix listener", func(r *bridge.Request) { r.Local = unix }, vars{"SERVER_NAME": "example.org", "SERVER_PORT": "80"}},
		{"unix, https", func(r *bridge.Request) { r.Local, r.Scheme = unix, "https" }, vars{"SERVER_NAME": "example.org", "SERVER_PORT": "443"}},
		{"unix, port", func(r *bridge.Request) { r.Local, r.Host = unix, []byte("example.org:8080") },
			vars{"SERVER_NAME": "example.org", "SERVER_PORT": "8080"}},
		{"unix, empty port", func(r *bridge.Request) { r.Local, r.Host = unix, []byte("example.org:") },
			vars{"SERVER_NAME": "example.org", "SERVER_PORT": "80"}},
		{"unix, IPv6", func(r *bridge.Request) { r.Local, r.Host = unix, []byte("[::1]:8080") },
			vars{"SERVER_NAME": "[::1]", "SERVER_PORT": "8080"}},
		{"unix, IPv6 without port", func(r *bridge.Request) { r.Local, r.Host = unix, []byte("[2001:db8::12]") },
			vars{"SERVER_NAME": "[2001:db8::12]", "SERVER_PORT": "80"}},
		{"unix, digits alone", func(r *bridge.Request) { r.Local, r.Host = unix, []byte("12") }, vars{"SERVER_NAME": "12", "SERVER_PORT": "80"}},
		{"unix, no Host", func(r *bridge.Request) { r.Local, r.Host = unix, nil }, vars{"SERVER_NAME": "localhost", "SERVER_PORT": "80"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := base()
			tt.change(r)
			checkVars(t, r, tt.want)
		})
	}
}

func TestPathInfo(t *testing.T) {
	for path, want := range map[string]string{
		"/":              "/",
		"*":              "*",
		"":               "",
		"/a/b":           "/a/b",
		"/a%20b":         "/a b",
		"/a%2Fb%2fc":     "/a/b/c",
		"/a+b":           "/a+b",
		"/%41%6a%C3%a9":  "/Aj\xc3\xa9",
		"/%ff%FE":        "/\xff\xfe",
		"/%00":           "/\x00",
		"/%":             "/%",
		"/%4":            "/%4",
		"/%4g":           "/%4g",
		"/%g4":           "/%g4",
		"/%%41":          "/%A",
		"/%2541":         "/%41", // decoded once
		"/a%3Fb":         "/a?b",
		"//a//..%2f/./b": "//a//..//./b", // what a path means is the application's
		"/a;p=1":         "/a;p=1",
		"/\"<>[]^`{|}\\": "/\"<>[]^`{|}\\",
	} {
		r := base()
		r.Path = []byte(path)
		if got := environ(t, r)["PATH_INFO"]; got != want {
			t.Errorf("PATH_INFO of %q = %q, want %q", path, got, want)
		}
	}
}

func TestFields(t *testing.T) {
	type vars = map[string]string
	for _, tt := range []struct {
		name string
		in   []string
		want vars
	}{
		{"name", []string{"X-Some-Name: v"}, vars{"HTTP_X_SOME_NAME": "v"}},
		{"token characters", []string{"a.!#$%&'*+^`|~9: v"}, vars{"HTTP_A.!#$%&'*+^`|~9": "v"}},
		{"empty value", []string{"X-A: "}, vars{"HTTP_X_A": ""}},
		{"latin-1 value", []string{"X-A: \xe9\xff"}, vars{"HTTP_X_A": "\xe9\xff"}},
		{"Content-Type", []string{"content-TYPE: text/plain"}, vars{"CONTENT_TYPE": "text/plain", "HTTP_CONTENT_TYPE": absent}},
		{"Content-Length is the body's", []string{"Content-Length: 7"}, vars{"CONTENT_LENGTH": "3", "HTTP_CONTENT_LENGTH": absent}},
		{"coding is undone", []string{"Transfer-Encoding: chunked", "Trailer: X-T", "TE: trailers"}, vars{
			"HTTP_TRANSFER_ENCODING": absent, "HTTP_TRAILER": absent, "HTTP_TE": "trailers", "CONTENT_LENGTH": "3"}},
		{"like special ones", []string{"Content-Types: a", "X-Content-Type: b", "Content: c"}, vars{
			"HTTP_CONTENT_TYPES": "a", "HTTP_X_CONTENT_TYPE": "b", "HTTP_CONTENT": "c", "CONTENT_TYPE": absent}},

		{"underscore", []string{"X_Forwarded_For: evil", "X-Forwarded-For: good"}, vars{"HTTP_X_FORWARDED_FOR": "good"}},
		{"underscore behind", []string{"X-Forwarded-For: good", "X_Forwarded-For: evil"}, vars{"HTTP_X_FORWARDED_FOR": "good"}},
		{"underscore alone", []string{"Content_Length: 9", "Content_Type: a", "_: b"}, vars{
			"HTTP_CONTENT_LENGTH": absent, "CONTENT_TYPE": absent, "HTTP__": absent, "CONTENT_LENGTH": "3"}},

		{"repeated", []string{"Accept: a", "X-B: b", "Accept: c", "Accept: d"}, vars{"HTTP_ACCEPT": "a,c,d", "HTTP_X_B": "b"}},
		{"repeated in other case", []string{"accept: a", "ACCEPT: b", "aCCePt: c"}, vars{"HTTP_ACCEPT": "a,b,c"}},
		{"repeated, empty ones", []string{"A: ", "A: x", "A: "}, vars{"HTTP_A": ",x,"}},
		{"cookies", []string{"Cookie: a=1", "cookie: b=2; c=3"}, vars{"HTTP_COOKIE": "a=1; b=2; c=3"}},
		{"like cookies", []string{"Cookie2: a", "Cookie2: b"}, vars{"HTTP_COOKIE2": "a,b"}},
		{"not quite the same", []string{"A@: a", "A`: b", "A-: c"}, vars{"HTTP_A@": "a", "HTTP_A`": "b", "HTTP_A_": "c"}},
		{"one class, other names", []string{"axa: 1", "aya: 2", "axa: 3"}, vars{"HTTP_AXA": "1,3", "HTTP_AYA": "2"}},

		{"Host", []string{"host: example.org"}, vars{"HTTP_HOST": "example.org"}},
		{"Host of an absolute target", []string{"Host: other"}, vars{"HTTP_HOST": "example.org"}},
		{"like Host", []string{"X-Host: other", "Hosts: a"}, vars{"HTTP_HOST": "example.org", "HTTP_X_HOST": "other", "HTTP_HOSTS": "a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := base()
			r.BodyLength = 3
			r.Fields = fields(tt.in...)
			checkVars(t, r, tt.want)
			present := 0
			for _, v := range tt.want {
				if v != absent {
					present++
				}
			}
			r.Fields = nil
			without := len(environ(t, r))
			for _, name := range []string{"CONTENT_LENGTH", "HTTP_HOST"} {
				if _, ok := tt.want[name]; ok {
					present-- // there without fields, too
				}
			}
			r.Fields = fields(tt.in...)
			if got := len(environ(t, r)) - without; got != present {
				t.Errorf("%d variables from these fields, want %d", got, present)
			}
		})
	}
}

// TestManyFields: past the 64 classes of the set that finds repeated names.
func TestManyFields(t *testing.T) {
	r := base()
	want := map[string]string{}
	for i := range 300 {
		name := strings.Repeat("x", i%7+1) + string(rune('a'+i%26)) + strings.Repeat("y", i%5)
		value := string(rune('A' + i%26))
		r.Fields = append(r.Fields, fields(name+": "+value)...)
		key := "HTTP_" + strings.ToUpper(name)
		if old, ok := want[key]; ok {
			value = old + "," + value
		}
		want[key] = value
	}
	checkVars(t, r, want)
}

// TestPrepareReuses: a record that held another request's variables.
func TestPrepareReuses(t *testing.T) {
	x := bridge.NewExchange()
	defer x.Release()
	x.Record = x.Record.Append("OLD", "value")
	r := base()
	r.Fields = fields("X-A: 1")
	if err := (&Rules{}).Prepare(r, x); err != nil || !slices.Equal(x.Record, record(t, &Rules{}, r)) {
		t.Error("not what Environ gives", err)
	}
}

func BenchmarkEnviron(b *testing.B) {
	few := fields("Host: example.org", "User-Agent: curl/8.5.0", "Accept: */*", "Accept-Encoding: gzip", "Cookie: a=1",
		"X-Forwarded-For: 192.0.2.1", "Content-Type: text/plain", "Connection: keep-alive")
	many := slices.Clone(few)
	for i := range 42 { // of one length, and hardly different
		many = append(many, fields(fmt.Sprintf("X-Field-%02d: value of field %d", i, i))...)
	}
	for name, all := range map[string][]http1.Field{"8 fields": few, "50 fields": many} {
		b.Run(name, func(b *testing.B) {
			r := base()
			r.Fields = all
			var rec bridge.Record
			u := &Rules{}
			b.ReportAllocs()
			for b.Loop() {
				rec, _ = u.Environ(rec[:0], r)
			}
		})
	}
}
