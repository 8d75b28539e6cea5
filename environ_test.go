package gowsgi_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi"
)

// at is a request for the test of paths.
func at(target string) *http.Request { return httptest.NewRequest("GET", target, nil) }

func TestEnviron(t *testing.T) {
	app, _ := webapp(t)
	proxied := config("webapp:app")
	proxied.ForwardedAllowIPs = "192.0.2.0/24"
	behind, _ := load(t, proxied)
	for _, tt := range []struct {
		name string
		app  http.Handler
		r    func() *http.Request
		want []string // "NAME=value", "-NAME" for one that is not there
	}{
		{"plain", app, func() *http.Request { return at("/environ_of?a=%20b&c") }, []string{
			"REQUEST_METHOD=GET", "PATH_INFO=/environ_of", "SCRIPT_NAME=", "QUERY_STRING=a=%20b&c", "RAW_URI=/environ_of?a=%20b&c",
			"REQUEST_URI=/environ_of?a=%20b&c", "SERVER_PROTOCOL=HTTP/1.1", "wsgi.url_scheme=http", "SERVER_NAME=example.com", "SERVER_PORT=80",
			"REMOTE_ADDR=192.0.2.1", "REMOTE_PORT=1234", "HTTP_HOST=example.com", "-HTTPS", "-CONTENT_LENGTH", "-CONTENT_TYPE",
		}},
		{"fields", app, func() *http.Request {
			r := at("/environ_of")
			r.Header = http.Header{
				"X-A": {"1", "2"}, "Cookie": {"a=b", "c=d"}, "Content-Type": {"text/x"}, "X_a": {"spoofed"}, "Proxy": {"evil"},
				"X-Latin": {"caf\xe9"}, "X-Forwarded-For": {"198.51.100.1"}, "X-Forwarded-Proto": {"https"}, "Content-Length": {"9"},
			}
			return r
		}, []string{
			"HTTP_X_A=1,2", "HTTP_COOKIE=a=b; c=d", "CONTENT_TYPE=text/x", "-HTTP_CONTENT_TYPE", "HTTP_X_LATIN=caf\u00e9",
			"REMOTE_ADDR=192.0.2.1", "wsgi.url_scheme=http", "CONTENT_LENGTH=0", "-HTTP_CONTENT_LENGTH",
		}},
		{"body", app, func() *http.Request { return httptest.NewRequest("POST", "/environ_of", strings.NewReader("abc")) },
			[]string{"CONTENT_LENGTH=3", "REQUEST_METHOD=POST"}},
		{"body of unknown length", app, func() *http.Request {
			r := httptest.NewRequest("POST", "/environ_of", strings.NewReader("abcd"))
			r.ContentLength = -1
			return r
		}, []string{"CONTENT_LENGTH=4"}},
		{"empty body of unknown length", app, func() *http.Request {
			r := httptest.NewRequest("POST", "/environ_of", strings.NewReader(""))
			r.ContentLength = -1
			return r
		}, []string{"CONTENT_LENGTH=0"}},
		{"no body, limited", app, func() *http.Request {
			r := at("/environ_of")
			r.Body = http.MaxBytesReader(httptest.NewRecorder(), http.NoBody, 10)
			return r
		}, []string{"-CONTENT_LENGTH"}},
		{"TLS", app, func() *http.Request {
			r := at("/environ_of")
			r.TLS = &tls.ConnectionState{}
			return r
		}, []string{"wsgi.url_scheme=https", "HTTPS=on", "SERVER_PORT=443"}},
		{"connection", app, func() *http.Request {
			return withLocal(at("/environ_of"), &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 8000})
		}, []string{"SERVER_NAME=[2001:db8::1]", "SERVER_PORT=8000"}},
		{"unix socket", behind, func() *http.Request {
			r := withLocal(at("/environ_of"), &net.UnixAddr{Name: "/run/x", Net: "unix"})
			r.RemoteAddr = "@"
			r.Header.Set("X-Forwarded-For", "198.51.100.1")
			return r
		}, []string{"SERVER_NAME=example.com", "SERVER_PORT=80", "REMOTE_ADDR=198.51.100.1"}},
		{"unix socket, trusting nobody", app, func() *http.Request {
			r := withLocal(at("/environ_of"), &net.UnixAddr{Name: "/run/x", Net: "unix"})
			r.RemoteAddr = "@"
			r.Header.Set("X-Forwarded-For", "198.51.100.1")
			return r
		}, []string{"REMOTE_ADDR=@", "-REMOTE_PORT"}},
		{"proxy", behind, func() *http.Request {
			r := at("/environ_of")
			r.Header.Set("X-Forwarded-For", "198.51.100.1")
			r.Header.Set("X-Forwarded-Proto", "https")
			return r
		}, []string{"REMOTE_ADDR=198.51.100.1", "-REMOTE_PORT", "wsgi.url_scheme=https"}},
		{"middleware that knows the client", app, func() *http.Request {
			r := at("/environ_of")
			r.RemoteAddr = "2001:db8::7"
			return r
		}, []string{"REMOTE_ADDR=2001:db8::7", "-REMOTE_PORT"}},
		{"absolute target", app, func() *http.Request { return at("http://other.example:81/environ_of?x") },
			[]string{"PATH_INFO=/environ_of", "HTTP_HOST=other.example:81", "SCRIPT_NAME=", "RAW_URI=http://other.example:81/environ_of?x", "QUERY_STRING=x"}},
		{"request of a client", app, func() *http.Request { return request(t, "GET", "http://h/environ_of?q=%2f", nil) },
			[]string{"PATH_INFO=/environ_of", "RAW_URI=/environ_of?q=%2f", "HTTP_HOST=h"}},
		{"HTTP/2", app, func() *http.Request {
			r := at("/environ_of")
			r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
			return r
		}, []string{"SERVER_PROTOCOL=HTTP/2.0"}},
	} {
		env := environ(t, tt.app, tt.r())
		for _, want := range tt.want {
			name, value, there := strings.Cut(want, "=")
			name = strings.TrimPrefix(name, "-")
			if got, ok := env[name]; ok != there || ok && got != value {
				t.Errorf("%s: %s is %q, %t; want %s", tt.name, name, got, ok, want)
			}
		}
		if env["wsgi.multithread"] != true || env["wsgi.multiprocess"] != false {
			t.Errorf("%s: %v", tt.name, env)
		}
	}
}

func withLocal(r *http.Request, addr net.Addr) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, addr))
}

// TestPaths: SCRIPT_NAME and PATH_INFO, by Config.Prefix and by handlers that cut the
// path before.
func TestPaths(t *testing.T) {
	made := func(prefix string) http.Handler {
		c := config(`webapp:factory("at")`)
		c.Prefix = prefix
		app, _ := load(t, c)
		return app
	}
	root, api, deep := made(""), made("/api/"), made("/caf\u00e9")
	rewrite := func(path string, h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL = &url.URL{Path: path}
			h.ServeHTTP(w, r)
		})
	}
	for _, tt := range []struct {
		name   string
		h      http.Handler
		target string
		want   string // "at SCRIPT_NAME PATH_INFO", or a status
	}{
		{"root", root, "/a/b", "at  /a/b"},
		{"escaped", root, "/a%2Fb%20c%25d", "at  /a/b c%d"},
		{"not UTF-8", root, "/%ff", "at  /\u00ff"},
		{"prefix", api, "/api/x", "at /api /x"},
		{"prefix alone", api, "/api", "at /api "},
		{"prefix and a slash", api, "/api/", "at /api /"},
		{"escaped prefix", api, "/%61pi/x%25", "at /api /x%"},
		{"another path", api, "/x", "404"},
		{"part of a segment", api, "/apix", "404"},
		{"prefix with more than ASCII", deep, "/caf%C3%A9/x", "at /caf\u00c3\u00a9 /x"},
		{"stripped", http.StripPrefix("/v1", root), "/v1/a%2fb", "at /v1 /a/b"},
		{"stripped whole", http.StripPrefix("/v1", root), "/v1", "at /v1 "},
		{"stripped with its slash", http.StripPrefix("/v1/", root), "/v1/a", "at /v1 /a"},
		{"stripped with its slash, whole", http.StripPrefix("/v1/", root), "/v1/", "at /v1 /"},
		{"stripped twice", http.StripPrefix("/a", http.StripPrefix("/b", root)), "/a/b/c", "at /a/b /c"},
		{"stripped, and a prefix", http.StripPrefix("/v1", api), "/v1/api/x", "at /v1/api /x"},
		{"stripped of the prefix", http.StripPrefix("/api", api), "/api/x", "at /api /x"},
		{"stripped of the prefix, which comes again", http.StripPrefix("/api", api), "/api/api/x", "at /api /api/x"},
		{"rewritten", rewrite("/new", root), "/old", "at  /new"},
		{"rewritten without a slash", rewrite("new", root), "/old", "at  /new"},
		{"absolute target, stripped", http.StripPrefix("/v1", root), "http://h/v1/x%20y", "at /v1 /x y"},
		{"every path", root, "*", "at  *"},
	} {
		r := at("/")
		if tt.target == "*" {
			r.Method, r.RequestURI, r.URL = "OPTIONS", "*", &url.URL{Path: "*"}
		} else {
			r = at(tt.target)
		}
		got := record(tt.h, r)
		answer := strings.ReplaceAll(got.body, "\xff", "\u00ff")
		if got.StatusCode != 200 {
			answer = got.Status[:3]
		}
		if answer != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, answer, tt.want)
		}
	}
}

// TestEnvironOfTheProgram: what Config.Environ may and may not give.
func TestEnvironOfTheProgram(t *testing.T) {
	given := map[string]string{}
	c := config("webapp:app")
	c.Environ = func(r *http.Request) map[string]string { return given }
	app, o := load(t, c)
	given = map[string]string{"REMOTE_USER": "zo\u00eb", "my.json": `{"a": 1}`, "wsgi.url_scheme": "https", "HTTP_X": "1", "SCRIPT_NAME": "/s", "EMPTY": ""}
	env := environ(t, app, at("/environ_of"))
	for name, want := range map[string]string{
		"REMOTE_USER": "zo\u00c3\u00ab", "my.json": `{"a": 1}`, "wsgi.url_scheme": "https", "HTTP_X": "1", "SCRIPT_NAME": "/s", "EMPTY": "",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	for name, value := range map[string]string{
		"wsgi.input": "x", "wsgi.errors": "", "wsgi.anything": "x", "wsgi.url_scheme": "gopher", "REQUEST_METHOD": "GET", "CONTENT_LENGTH": "1", "": "x",
	} {
		given = map[string]string{name: value}
		if got := record(app, at("/environ_of")); got.StatusCode != 500 {
			t.Errorf("%s=%s: %s", name, value, got.Status)
		}
		var bad *gowsgi.EnvironError
		if errs := o.take(); len(errs) != 1 || !errors.As(errs[0], &bad) || bad.Name != name || bad.Reason == "" {
			t.Errorf("%s=%s: %s", name, value, ids(errs))
		}
	}
}

// TestAuthMiddleware: what Go middleware finds out reaches Python; whom it turns away
// does not.
func TestAuthMiddleware(t *testing.T) {
	type key struct{}
	c := config("webapp:app")
	c.Environ = func(r *http.Request) map[string]string {
		return map[string]string{"REMOTE_USER": r.Context().Value(key{}).(string)}
	}
	app, _ := load(t, c)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, ok := r.BasicAuth()
		if !ok {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		app.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, user)))
	})
	r := at("/environ_of")
	r.SetBasicAuth("ann", "secret")
	if env := environ(t, h, r); env["REMOTE_USER"] != "ann" {
		t.Errorf("REMOTE_USER is %q", env["REMOTE_USER"])
	}
	if got := record(h, at("/environ_of")); got.StatusCode != 401 || app.Stats().Requests != 1 {
		t.Errorf("%s, %+v", got.Status, app.Stats())
	}
}

// TestValidated: wsgiref.validate has nothing to find.
func TestValidated(t *testing.T) {
	app, o := webapp(t)
	s := serve(t, app)
	for _, body := range []string{"", "first\nsecond\nno end", strings.Repeat("long\n", 1<<19)} {
		got := do(t, s.Client(), request(t, "POST", s.URL+"/validated?q=1", strings.NewReader(body)))
		if got.StatusCode != 200 || got.body != body+"end" {
			t.Errorf("%d bytes: %s, %d bytes, %s", len(body), got.Status, len(got.body), ids(o.take()))
		}
	}
}

// TestFolders: the program's folder stays its own, Python's code finds its own.
func TestFolders(t *testing.T) {
	app, _ := webapp(t)
	got := record(app, at("/where"))
	folder, thread, _ := strings.Cut(got.body, " ")
	if folder != abs(".") || filepath.Base(folder) == "testdata" || !strings.HasPrefix(thread, "gowsgi-") {
		t.Errorf("%q", got.body)
	}
}
