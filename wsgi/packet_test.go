package wsgi

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/bridge/uwsgi"
)

// packet is a request from a web server on this host; each pair is "NAME=value".
func packet(t testing.TB, modifier byte, pairs ...string) *bridge.Request {
	t.Helper()
	p := &uwsgi.Packet{Modifier1: modifier}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		p.Vars = append(p.Vars, uwsgi.Var{Name: []byte(name), Value: []byte(value)})
	}
	r := &bridge.Request{
		Peer:  bridge.Endpoint{Addr: "127.0.0.1", Port: "50000"},
		Local: bridge.Endpoint{Addr: "127.0.0.1", Port: "3031"},
	}
	if err := r.FromPacket(p); err != nil {
		t.Fatal(err)
	}
	return r
}

func asMap(t testing.TB, rec bridge.Record) map[string]string {
	env := map[string]string{}
	for name, value := range rec.All {
		env[string(name)] = string(value)
	}
	return env
}

// fromNginx is what Debian's uwsgi_params and a browser make.
var fromNginx = []string{
	"QUERY_STRING=a=1&b=%20", "REQUEST_METHOD=GET", "CONTENT_TYPE=", "CONTENT_LENGTH=",
	"REQUEST_URI=/a%20b/%C3%A9?a=1&b=%20", "PATH_INFO=/a b/\xc3\xa9", "DOCUMENT_ROOT=/usr/share/nginx/html",
	"SERVER_PROTOCOL=HTTP/2.0", "REQUEST_SCHEME=https", "HTTPS=on",
	"REMOTE_ADDR=203.0.113.9", "REMOTE_PORT=40001", "SERVER_PORT=443", "SERVER_NAME=example.org",
	"HTTP_HOST=www.example.org", "HTTP_USER_AGENT=Mozilla", "HTTP_COOKIE=a=1; b=2", "HTTP_ACCEPT=*/*",
}

func TestPacketEnviron(t *testing.T) {
	want := map[string]string{
		"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/a b/\xc3\xa9", "QUERY_STRING": "a=1&b=%20",
		"REQUEST_URI": "/a%20b/%C3%A9?a=1&b=%20", "RAW_URI": "/a%20b/%C3%A9?a=1&b=%20",
		"SERVER_PROTOCOL": "HTTP/2.0", "SERVER_NAME": "example.org", "SERVER_PORT": "443",
		"REMOTE_ADDR": "203.0.113.9", "REMOTE_PORT": "40001", "wsgi.url_scheme": "https", "HTTPS": "on",
		"DOCUMENT_ROOT": "/usr/share/nginx/html", "REQUEST_SCHEME": "https",
		"HTTP_HOST": "www.example.org", "HTTP_USER_AGENT": "Mozilla", "HTTP_COOKIE": "a=1; b=2", "HTTP_ACCEPT": "*/*",
	}
	u := &Rules{ForwarderNames: []string{"SCRIPT_NAME", "PATH_INFO"}}
	if got := asMap(t, record(t, u, packet(t, 0, fromNginx...))); !maps.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// packetRows change what nginx sends, and say what then differs in the environ;
// "-NAME" must not be there.
var packetRows = []struct {
	name     string
	modifier byte
	change   []string
	want     []string
}{
	{"percent signs of the path", 0, []string{"PATH_INFO=/100%25/%zz"}, []string{"PATH_INFO=/100%25/%zz"}},
	{"rewritten path", 0, []string{"PATH_INFO=/new"}, []string{"PATH_INFO=/new", "REQUEST_URI=/a%20b/%C3%A9?a=1&b=%20"}},
	{"empty path", 0, []string{"PATH_INFO="}, []string{"PATH_INFO=/"}},
	{"path without a slash", 0, []string{"PATH_INFO=a"}, []string{"PATH_INFO=/a"}},
	{"asterisk", 0, []string{"REQUEST_METHOD=OPTIONS", "PATH_INFO=*"}, []string{"PATH_INFO=*"}},
	{"control bytes of the path", 0, []string{"PATH_INFO=/\r\n\x00"}, []string{"PATH_INFO=/\r\n\x00"}},

	{"mount", 0, []string{"SCRIPT_NAME=/app", "PATH_INFO=/x"}, []string{"SCRIPT_NAME=/app", "PATH_INFO=/x"}},
	{"mount at the root", 0, []string{"SCRIPT_NAME=/", "PATH_INFO=/x"}, []string{"SCRIPT_NAME=", "PATH_INFO=/x"}},
	{"mount with a slash", 0, []string{"SCRIPT_NAME=/app/", "PATH_INFO=/x"}, []string{"SCRIPT_NAME=/app", "PATH_INFO=/x"}},
	{"mount, empty path", 0, []string{"SCRIPT_NAME=/app", "PATH_INFO="}, []string{"SCRIPT_NAME=/app", "PATH_INFO="}},
	{"mount that is not taken away", 0, []string{"SCRIPT_NAME=/app", "PATH_INFO=/app/x"}, []string{"SCRIPT_NAME=/app", "PATH_INFO=/app/x"}},
	{"modifier 30", 30, []string{"SCRIPT_NAME=/app", "PATH_INFO=/app/x"}, []string{"SCRIPT_NAME=/app", "PATH_INFO=/x"}},
	{"modifier 30, mount alone", 30, []string{"SCRIPT_NAME=/app", "PATH_INFO=/app"}, []string{"SCRIPT_NAME=/app", "PATH_INFO="}},
	{"modifier 30, mount with a slash", 30, []string{"SCRIPT_NAME=/app/", "PATH_INFO=/app/x"}, []string{"SCRIPT_NAME=/app", "PATH_INFO=/x"}},
	{"modifier 30, part of a segment", 30, []string{"SCRIPT_NAME=/app", "PATH_INFO=/apple"}, []string{"SCRIPT_NAME=/app", "PATH_INFO=/apple"}},
	{"modifier 30, other path", 30, []string{"SCRIPT_NAME=/app", "PATH_INFO=/x"}, []string{"SCRIPT_NAME=/app", "PATH_INFO=/x"}},
	{"modifier 30 without a mount", 30, []string{"PATH_INFO=/app/x"}, []string{"SCRIPT_NAME=", "PATH_INFO=/app/x"}},

	{"no server name", 0, []string{"SERVER_NAME=", "SERVER_PORT="}, []string{"SERVER_NAME=www.example.org", "SERVER_PORT=443"}},
	{"no server name, port of the host", 0, []string{"SERVER_NAME=", "SERVER_PORT=", "HTTP_HOST=h:8080"}, []string{"SERVER_NAME=h", "SERVER_PORT=8080"}},
	{"no server name, plain", 0, []string{"SERVER_NAME=", "SERVER_PORT=", "HTTPS=", "REQUEST_SCHEME=http"}, []string{"SERVER_PORT=80"}},
	{"server name alone", 0, []string{"SERVER_PORT="}, []string{"SERVER_NAME=example.org", "SERVER_PORT=443"}},

	{"scheme by REQUEST_SCHEME", 0, []string{"HTTPS="}, []string{"wsgi.url_scheme=https", "HTTPS=on"}},
	{"plain", 0, []string{"HTTPS=", "REQUEST_SCHEME=http"}, []string{"wsgi.url_scheme=http", "-HTTPS"}},
	{"HTTPS off", 0, []string{"HTTPS=off", "REQUEST_SCHEME="}, []string{"wsgi.url_scheme=http", "-HTTPS"}},
	{"HTTPS 1", 0, []string{"HTTPS=1", "REQUEST_SCHEME="}, []string{"wsgi.url_scheme=https"}},
	{"uWSGI's own scheme first", 0, []string{"UWSGI_SCHEME=http"}, []string{"wsgi.url_scheme=http", "UWSGI_SCHEME=http"}},
	{"uWSGI's own scheme alone", 0, []string{"UWSGI_SCHEME=https", "HTTPS=", "REQUEST_SCHEME="}, []string{"wsgi.url_scheme=https"}},
	{"no scheme that there is", 0, []string{"UWSGI_SCHEME=gopher", "HTTPS=", "REQUEST_SCHEME="}, []string{"wsgi.url_scheme=http"}},

	{"what is the server's own", 0, []string{
		"wsgi.input=x", "wsgi.url_scheme=http", "wsgi.errors=x", "wsgi.file_wrapper=x", "SERVER_SOFTWARE=nginx", "HTTP_PROXY=http://evil",
	}, []string{"-wsgi.input", "wsgi.url_scheme=https", "-wsgi.errors", "-wsgi.file_wrapper", "-SERVER_SOFTWARE", "-HTTP_PROXY"}},
	{"variables of no meaning here", 0, []string{"UWSGI_FILE=/tmp/evil.py", "UWSGI_SETENV=A=b", "X=", "lower=1", "REMOTE_USER=ann"},
		[]string{"UWSGI_FILE=/tmp/evil.py", "UWSGI_SETENV=A=b", "X=", "lower=1", "REMOTE_USER=ann"}},
	{"the last of several", 0, []string{"REMOTE_USER=a", "REMOTE_USER=b", "SERVER_NAME=last"}, []string{"REMOTE_USER=b", "SERVER_NAME=last"}},
	{"fields of one name", 0, []string{"HTTP_X=1", "HTTP_Y=2", "HTTP_X=3", "HTTP_COOKIE=c=3"},
		[]string{"HTTP_X=1,3", "HTTP_Y=2", "HTTP_COOKIE=a=1; b=2; c=3"}},
	{"what describes the message on the client's side", 0, []string{
		"HTTP_CONTENT_LENGTH=99", "HTTP_CONTENT_TYPE=x/y", "HTTP_TRANSFER_ENCODING=chunked", "HTTP_TRAILER=X"},
		[]string{"-HTTP_CONTENT_LENGTH", "-HTTP_CONTENT_TYPE", "-HTTP_TRANSFER_ENCODING", "-HTTP_TRAILER", "-CONTENT_LENGTH", "-CONTENT_TYPE"}},
	{"a body", 0, []string{"CONTENT_LENGTH=05", "CONTENT_TYPE=a/b"}, []string{"CONTENT_LENGTH=5", "CONTENT_TYPE=a/b"}},
	{"an empty body", 0, []string{"CONTENT_LENGTH=0"}, []string{"CONTENT_LENGTH=0"}},
	{"field without a name", 0, []string{"HTTP_=x"}, []string{"-HTTP_"}},
	{"empty field", 0, []string{"HTTP_X="}, []string{"HTTP_X="}},
	{"bytes of a field", 0, []string{"HTTP_X=\xe9\xff"}, []string{"HTTP_X=\xe9\xff"}},
	{"odd protocol", 0, []string{"SERVER_PROTOCOL=\"\r\n"}, []string{"SERVER_PROTOCOL=HTTP/1.1"}},
	{"HTTP/1.0", 0, []string{"SERVER_PROTOCOL=HTTP/1.0"}, []string{"SERVER_PROTOCOL=HTTP/1.0"}},

	{"fields that a client sent", 0, []string{"HTTP_X_FORWARDED_FOR=198.51.100.1", "HTTP_X_FORWARDED_PROTO=http"},
		[]string{"REMOTE_ADDR=203.0.113.9", "wsgi.url_scheme=https", "HTTP_X_FORWARDED_FOR=198.51.100.1"}},
	{"fields of a proxy before the web server", 0, []string{"REMOTE_ADDR=10.1.2.3", "HTTP_X_FORWARDED_FOR=198.51.100.1", "HTTP_X_FORWARDED_PROTO=http"},
		[]string{"REMOTE_ADDR=198.51.100.1", "-REMOTE_PORT", "wsgi.url_scheme=http", "-HTTPS"}},
	{"client on the web server's unix socket", 0, []string{"REMOTE_ADDR=unix:", "REMOTE_PORT=", "HTTP_X_FORWARDED_FOR=198.51.100.1"},
		[]string{"REMOTE_ADDR=198.51.100.1"}},
	{"client on the web server's unix socket, no more said", 0, []string{"REMOTE_ADDR=unix:", "REMOTE_PORT="}, []string{"REMOTE_ADDR=", "-REMOTE_PORT"}},
	{"client that is not named", 0, []string{"REMOTE_ADDR=", "REMOTE_PORT=", "HTTP_X_FORWARDED_FOR=198.51.100.1"},
		[]string{"REMOTE_ADDR=127.0.0.1", "REMOTE_PORT=50000"}},
	{"client that is no address", 0, []string{"REMOTE_ADDR=elsewhere"}, []string{"REMOTE_ADDR=elsewhere"}},
}

func TestPacketRows(t *testing.T) {
	proxies, err := ParseNetworks("127.0.0.1,10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	u := &Rules{Proxies: proxies, SecureScheme: []SchemeField{{Name: "x-forwarded-proto", HTTPS: "https"}}}
	for _, row := range packetRows {
		// What is changed comes last, as when a configuration overrides uwsgi_params.
		env := asMap(t, record(t, u, packet(t, row.modifier, append(fromNginx[:len(fromNginx):len(fromNginx)], row.change...)...)))
		for _, want := range row.want {
			name, value, there := strings.Cut(want, "=")
			if !there {
				name = name[1:]
			}
			if got, ok := env[name]; ok != there || got != value {
				t.Errorf("%s: %s is %q, %t; want %s", row.name, name, got, ok, want)
			}
		}
	}
}

// TestPacketTrustsAll: "*" is for those who connect here. Behind a web server that
// would be every client.
func TestPacketTrustsAll(t *testing.T) {
	proxies, err := ParseNetworks("*")
	if err != nil {
		t.Fatal(err)
	}
	r := packet(t, 0, append(fromNginx[:len(fromNginx):len(fromNginx)], "HTTP_X_FORWARDED_FOR=198.51.100.1")...)
	if got := record(t, &Rules{Proxies: proxies}, r).Lookup("REMOTE_ADDR"); got != "203.0.113.9" {
		t.Error(got)
	}
}

// TestPacketOfTargetAlone: what a configuration without uwsgi_params leaves out.
func TestPacketOfTargetAlone(t *testing.T) {
	for _, tt := range []struct{ uri, path, query string }{
		{"/a%20b?c=%20", "/a b", "c=%20"},
		{"/", "/", ""},
		{"http://h/a?b", "/a", "b"},
		{"http://h?b", "/", "b"},
		{"", "/", ""},
		{"/100%25?", "/100%", ""},
	} {
		env := asMap(t, record(t, &Rules{}, packet(t, 0, "REQUEST_METHOD=GET", "REQUEST_URI="+tt.uri)))
		if env["PATH_INFO"] != tt.path || env["QUERY_STRING"] != tt.query || env["SERVER_NAME"] != "localhost" || env["SERVER_PORT"] != "80" ||
			env["SERVER_PROTOCOL"] != "HTTP/1.1" || env["REMOTE_ADDR"] != "127.0.0.1" {
			t.Errorf("%s: %q", tt.uri, env)
		}
	}
	env := asMap(t, record(t, &Rules{}, packet(t, 0, "REQUEST_METHOD=GET", "REQUEST_URI=/app/x%20y", "SCRIPT_NAME=/app")))
	if env["PATH_INFO"] != "/x y" || env["SCRIPT_NAME"] != "/app" {
		t.Errorf("%q", env)
	}
	env = asMap(t, record(t, &Rules{}, packet(t, 0, "REQUEST_METHOD=GET", "PATH_INFO=/a%", "QUERY_STRING=q")))
	if env["REQUEST_URI"] != "/a%25?q" || env["PATH_INFO"] != "/a%" {
		t.Errorf("%q", env)
	}
}

// TestPacketUnderOurMount: SCRIPT_NAME in this server's environment.
func TestPacketUnderOurMount(t *testing.T) {
	u := &Rules{ScriptName: []byte("/caf%C3%A9")}
	env := asMap(t, record(t, u, packet(t, 0, "REQUEST_METHOD=GET", "PATH_INFO=/caf\xc3\xa9/x")))
	if env["SCRIPT_NAME"] != "/caf\xc3\xa9" || env["PATH_INFO"] != "/x" {
		t.Errorf("%q", env)
	}
	if _, err := u.Environ(nil, packet(t, 0, "REQUEST_METHOD=GET", "PATH_INFO=/other")); !errors.Is(err, errScriptName) {
		t.Errorf("error %v", err)
	}
	env = asMap(t, record(t, u, packet(t, 0, "REQUEST_METHOD=GET", "PATH_INFO=/other", "SCRIPT_NAME=/app")))
	if env["SCRIPT_NAME"] != "/app" || env["PATH_INFO"] != "/other" { // the web server knows better
		t.Errorf("%q", env)
	}
}

func TestPacketRefused(t *testing.T) {
	for _, pairs := range [][]string{
		{"PATH_INFO=/"}, {"REQUEST_METHOD="}, {"REQUEST_METHOD=G ET"}, {"REQUEST_METHOD=GET\r\n"}, {"REQUEST_METHOD=G\xe9T"}, {"REQUEST_METHOD=\"GET\""},
		{"REQUEST_METHOD=CONNECT"}, {"REQUEST_METHOD=GET", "CONTENT_LENGTH=-1"}, {"REQUEST_METHOD=GET", "CONTENT_LENGTH=5", "CONTENT_LENGTH=6"},
	} {
		p := &uwsgi.Packet{}
		for _, pair := range pairs {
			name, value, _ := strings.Cut(pair, "=")
			p.Vars = append(p.Vars, uwsgi.Var{Name: []byte(name), Value: []byte(value)})
		}
		var bad *http1.Error
		if err := new(bridge.Request).FromPacket(p); !errors.As(err, &bad) {
			t.Errorf("%q: error %v", pairs, err)
		}
	}
	if _, err := new(Rules).Environ(nil, packet(t, 0, "REQUEST_METHOD=GET", "SCRIPT_NAME=app")); !errors.Is(err, errPacketScript) {
		t.Errorf("SCRIPT_NAME=app: %v", err)
	}
}

// TestLinkedFields: the way for many fields gives what that for few does, and takes no
// time that grows with their square.
func TestLinkedFields(t *testing.T) {
	for _, headerMap := range []HeaderMap{Drop, Dangerous} {
		u := &Rules{HeaderMap: headerMap}
		few, many := base(), base()
		for i := range manyFields - 1 {
			lines := fields(fmt.Sprintf("X-%d: %d", i%40, i), fmt.Sprintf("x_%d: u%d", i%7, i))
			few.Fields = append(few.Fields, lines[0])
			if headerMap == Dangerous && len(few.Fields) < manyFields-1 {
				few.Fields = append(few.Fields, lines[1])
			}
		}
		few.Fields = few.Fields[:min(len(few.Fields), manyFields-1)]
		many.Fields = append(append(many.Fields, few.Fields...), fields("Last: 1", "last: 2")...)
		want := asMap(t, record(t, u, few))
		want["HTTP_LAST"] = "1,2"
		if got := asMap(t, record(t, u, many)); !maps.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	r := packet(t, 0, "REQUEST_METHOD=GET")
	for range 10_000 {
		r.Fields = append(r.Fields, fields("X: y")...)
	}
	started := time.Now()
	if got := len(record(t, &Rules{}, r).Lookup("HTTP_X")); got != 19_999 {
		t.Error(got)
	}
	if took := time.Since(started); took > time.Second {
		t.Errorf("took %v", took)
	}
}

// FuzzPacket: whatever a packet says, the environ has what PEP 3333 demands, nothing
// that is ours to say, and each name's last value is the only one that was meant.
func FuzzPacket(f *testing.F) {
	f.Add(byte(0), strings.Join(fromNginx, "\n"))
	for _, row := range packetRows {
		f.Add(row.modifier, strings.Join(append(fromNginx[:len(fromNginx):len(fromNginx)], row.change...), "\n"))
	}
	proxies, err := ParseNetworks("127.0.0.1,10.0.0.0/8")
	if err != nil {
		f.Fatal(err)
	}
	u := &Rules{Proxies: proxies, SecureScheme: []SchemeField{{Name: "x-forwarded-proto", HTTPS: "https"}}, Host: true}
	f.Fuzz(func(t *testing.T, modifier byte, text string) {
		p := &uwsgi.Packet{Modifier1: modifier}
		for line := range strings.SplitSeq(text, "\n") {
			if name, value, _ := strings.Cut(line, "="); name != "" {
				p.Vars = append(p.Vars, uwsgi.Var{Name: []byte(name), Value: []byte(value)})
			}
		}
		r := &bridge.Request{Peer: bridge.Endpoint{Unix: true}, Local: bridge.Endpoint{Unix: true}}
		if r.FromPacket(p) != nil {
			return
		}
		rec, err := u.Environ(nil, r)
		if err != nil {
			var bad *http1.Error
			if !errors.As(err, &bad) {
				t.Fatal(err)
			}
			return
		}
		env := asMap(t, rec)
		for _, name := range []string{"REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "REQUEST_URI"} {
			if env[name] == "" {
				t.Errorf("%s is empty: %q", name, env)
			}
		}
		script, path := env["SCRIPT_NAME"], env["PATH_INFO"]
		if script != "" && (script[0] != '/' || strings.HasSuffix(script, "/")) ||
			path != "" && path[0] != '/' && path != "*" || script == "" && path == "" {
			t.Errorf("SCRIPT_NAME %q, PATH_INFO %q", script, path)
		}
		if s := env["wsgi.url_scheme"]; s != "http" && s != "https" || (env["HTTPS"] == "on") != (s == "https") {
			t.Errorf("scheme %q, HTTPS %q", s, env["HTTPS"])
		}
		for name := range env {
			switch {
			case name == "wsgi.url_scheme":
			case strings.HasPrefix(name, "wsgi."), name == "SERVER_SOFTWARE", name == "HTTP_PROXY", name == "HTTP_CONTENT_LENGTH",
				name == "HTTP_CONTENT_TYPE", name == "HTTP_TRANSFER_ENCODING", name == "HTTP_", name == "":
				t.Errorf("%q is there: %q", name, env[name])
			}
		}
		if length, ok := env["CONTENT_LENGTH"]; ok && (length == "" || strings.Trim(length, "0123456789") != "") {
			t.Errorf("CONTENT_LENGTH %q", length)
		}
	})
}
