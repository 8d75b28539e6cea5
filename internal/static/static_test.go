package static

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/wsgi"
	"github.com/hashicorp/go-hclog"
)

// application is the executor of requests that no file answers.
type application struct{}

func (application) Execute(x *bridge.Exchange) {
	_ = x.Respond(bridge.Head{Status: 200, Lines: []byte("200 OK\r\nX-App: yes\r\n"), ContentLength: -1}, []byte("app"), true)
}

// start serves files and returns the address.
func start(t *testing.T, f *Files) string {
	t.Helper()
	rules := &wsgi.Rules{Static: f.Answer}
	pool := bridge.NewPool(bridge.PoolLimits{Queue: 10})
	done := make(chan struct{})
	go func() { defer close(done); pool.Run(application{}) }()
	srv := &bridge.Server{Pool: pool, Prepare: rules.Prepare, Log: hclog.NewNullLogger(), Limits: bridge.DefaultLimits(), Name: "test"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		pool.Stop()
		<-done
	})
	return l.Addr().String()
}

// tree makes files; a name that ends in a slash is a folder, "a -> b" a link.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		link, target, isLink := strings.Cut(name, " -> ")
		path := filepath.Join(dir, link)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		switch {
		case isLink:
			err = os.Symlink(strings.ReplaceAll(target, "DIR", dir), path)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, []byte("file "+link), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// get sends a request as it is and returns the answer's parts.
func get(t *testing.T, address, head string) (*http.Response, string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "%s\r\nHost: x\r\nConnection: close\r\n\r\n", head)
	method, _, _ := strings.Cut(head, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestWhichFile(t *testing.T) {
	dir := tree(t, "st/a.txt", "st/sub/index.html", "st/sub/b.css", "st/no index/", "st/in.txt -> a.txt", "st/up.txt -> ../secret",
		"st/abs.txt -> DIR/st/a.txt", "st/host -> /etc/hostname", "st/safe.txt -> DIR/safe/s.txt", "st/dir -> DIR/safe", "st/dangling -> nothing",
		"st/loop -> loop", "secret", "safe/s.txt", "st-other/a.txt", "one.ico", "chk/c.txt", "chk/st/a.txt", "real/x.js", "now -> real")
	if err := syscall.Mkfifo(filepath.Join(dir, "st", "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := New([]string{"/static=" + dir + "/st", "/fav.ico=one.ico", "/now/=" + dir + "/now", "/gone=" + dir + "/gone"},
		[]string{"chk"}, []string{"index.html"}, []string{"safe"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	address := start(t, f)
	for path, want := range map[string]string{
		"/static/a.txt": "file st/a.txt", "/static/%61.txt": "file st/a.txt", "/static/a.txt?v=1": "file st/a.txt",
		"/static//a.txt": "file st/a.txt", "/static/./a.txt": "file st/a.txt",
		"/static/sub/": "file st/sub/index.html", "/static/sub": "file st/sub/index.html", "/static/sub/b.css": "file st/sub/b.css",
		"/static/in.txt": "file st/a.txt", "/static/abs.txt": "file st/a.txt", "/static/safe.txt": "file safe/s.txt", "/static/dir/s.txt": "file safe/s.txt",
		"/fav.ico": "file one.ico", "/now/x.js": "file real/x.js", "/c.txt": "file chk/c.txt", "/st/a.txt": "file chk/st/a.txt",

		"/static": "app", "/static/": "app", "/static/no%20index/": "app", "/static/none": "app", "/static/a.txt/": "app", "/static/a.txt/x": "app",
		"/static/up.txt": "app", "/static/host": "app", "/static/dangling": "app", "/static/loop": "app", "/static/pipe": "app",
		"/static/../secret": "app", "/static/%2e%2e/secret": "app", "/static/..%2fsecret": "app", "/static/sub/../a.txt": "app", "/../secret": "app",
		"/static-other/a.txt": "app", "/statica.txt": "app", "/static/a.txt%00": "app", "/fav.ico/x": "app", "/fav.icon": "app", "/gone/x": "app", "/": "app",
		"/static/" + strings.Repeat("x", 3000): "app",
	} {
		if res, body := get(t, address, "GET "+path+" HTTP/1.1"); res.StatusCode != 200 || body != want {
			t.Errorf("%.60s: %d %q, want %q", path, res.StatusCode, body, want)
		}
	}
	for _, method := range []string{"POST", "OPTIONS", "DELETE"} {
		if _, body := get(t, address, method+" /static/a.txt HTTP/1.1"); body != "app" {
			t.Errorf("%s: %q", method, body)
		}
	}
}

func TestAnswers(t *testing.T) {
	dir := tree(t, "a.txt", "b.css", "c.unknown", "empty", "big")
	modified := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	for name, content := range map[string][]byte{"empty": {}, "big": big} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(dir, "a.txt"), modified, modified); err != nil {
		t.Fatal(err)
	}
	f, err := New([]string{"/s=" + dir}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	address := start(t, f)
	res, body := get(t, address, "GET /s/a.txt HTTP/1.1")
	tag := res.Header.Get("Etag")
	want := http.Header{"Accept-Ranges": {"bytes"}, "Content-Length": {"10"}, "Content-Type": {"text/plain; charset=utf-8"},
		"Last-Modified": {"Thu, 02 Jan 2020 03:04:05 GMT"}, "Etag": {tag}, "Server": {"test"}, "Date": res.Header["Date"]}
	if body != "file a.txt" || fmt.Sprint(res.Header) != fmt.Sprint(want) || len(tag) < 5 {
		t.Errorf("%q %v, want %v", body, res.Header, want)
	}
	for _, tt := range []struct {
		head   string
		status int
		body   string
		field  string // one of the answer's
	}{
		{"GET /s/b.css HTTP/1.1", 200, "file b.css", "Content-Type: text/css; charset=utf-8"},
		{"GET /s/c.unknown HTTP/1.1", 200, "file c.unknown", "Content-Type: text/plain; charset=utf-8"},
		{"GET /s/empty HTTP/1.1", 200, "", "Content-Length: 0"},
		{"HEAD /s/a.txt HTTP/1.1", 200, "", "Content-Length: 10"},
		{"HEAD /s/a.txt HTTP/1.0", 200, "", "Content-Length: 10"},
		{"GET /s/a.txt HTTP/1.1\r\nIf-None-Match: " + tag, 304, "", "Etag: " + tag},
		{"HEAD /s/a.txt HTTP/1.1\r\nIf-None-Match: " + tag, 304, "", "Etag: " + tag},
		{"GET /s/a.txt HTTP/1.1\r\nIf-None-Match: \"other\"", 200, "file a.txt", "Etag: " + tag},
		{"GET /s/a.txt HTTP/1.1\r\nIf-Modified-Since: Thu, 02 Jan 2020 03:04:05 GMT", 304, "", ""},
		{"GET /s/a.txt HTTP/1.1\r\nIf-Modified-Since: Thu, 02 Jan 2020 03:04:04 GMT", 200, "file a.txt", ""},
		{"GET /s/a.txt HTTP/1.1\r\nIf-Match: \"other\"", 412, "", ""},
		{"GET /s/a.txt HTTP/1.1\r\nRange: bytes=1-3", 206, "ile", "Content-Range: bytes 1-3/10"},
		{"GET /s/a.txt HTTP/1.1\r\nRange: bytes=-3", 206, "txt", "Content-Range: bytes 7-9/10"},
		{"GET /s/a.txt HTTP/1.1\r\nRange: bytes=5-", 206, "a.txt", "Content-Length: 5"},
		{"HEAD /s/a.txt HTTP/1.1\r\nRange: bytes=1-3", 206, "", "Content-Length: 3"},
		{"GET /s/a.txt HTTP/1.1\r\nRange: bytes=1-3\r\nIf-Range: " + tag, 206, "ile", ""},
		{"GET /s/a.txt HTTP/1.1\r\nRange: bytes=1-3\r\nIf-Range: \"other\"", 200, "file a.txt", ""},
		{"GET /s/a.txt HTTP/1.1\r\nRange: bytes=20-", 416, "invalid range: failed to overlap\n", "Content-Range: bytes */10"},
		{"GET /s/a.txt HTTP/1.1\r\nRange: bytes=0-1,4-5", 200, "file a.txt", "Content-Length: 10"},
		{"GET /s/a.txt HTTP/1.1\r\nRange: lines=1-2", 416, "invalid range\n", ""},
		{"GET /s/big HTTP/1.1", 200, string(big), "Content-Length: 4194304"},
		{"GET /s/big HTTP/1.1\r\nRange: bytes=16-2097167", 206, string(big[16:2097168]), ""},
	} {
		res, body := get(t, address, tt.head)
		name, value, _ := strings.Cut(tt.field, ": ")
		if res.StatusCode != tt.status || body != tt.body || res.Header.Get(name) != value {
			t.Errorf("%q\ngot  %d %.60q %q\nwant %d %.60q %q", tt.head, res.StatusCode, body, res.Header.Get(name), tt.status, tt.body, value)
		}
		if len(res.Header["X-App"]) > 0 {
			t.Errorf("%q went to the application", tt.head)
		}
	}
}

func TestNewErrors(t *testing.T) {
	for _, tt := range [][4]string{{"/static"}, {"static=/srv"}, {"=/srv"}, {"/static="}, {"/s=/srv", "", "a/b"}} {
		var check, index []string
		if tt[1] != "" {
			check = []string{tt[1]}
		}
		if tt[2] != "" {
			index = []string{tt[2]}
		}
		if _, err := New([]string{tt[0]}, check, index, nil, ""); err == nil {
			t.Errorf("%q is taken", tt)
		}
	}
	if f, err := New(nil, nil, []string{"index.html"}, nil, ""); f != nil || err != nil {
		t.Errorf("without folders: %v, %v", f, err)
	}
}

// TestNoDescriptorIsLost: answers of every kind close the file.
func TestNoDescriptorIsLost(t *testing.T) {
	dir := tree(t, "a.txt", "sub/x")
	f, err := New([]string{"/s=" + dir}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	address := start(t, f)
	round := func() {
		for _, head := range []string{
			"GET /s/a.txt HTTP/1.1", "HEAD /s/a.txt HTTP/1.1", "GET /s/sub HTTP/1.1", "GET /s/a.txt/ HTTP/1.1",
			"GET /s/a.txt HTTP/1.1\r\nRange: bytes=90-", "GET /s/a.txt HTTP/1.1\r\nIf-Modified-Since: Thu, 02 Jan 2120 03:04:05 GMT",
		} {
			get(t, address, head)
		}
	}
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range entries {
			if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(target, dir) {
				n++
			}
		}
		return n
	}
	for range 5 {
		round()
	}
	for deadline := time.Now().Add(5 * time.Second); count() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors are open", count())
		}
	}
}
