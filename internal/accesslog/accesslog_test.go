package accesslog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
)

func entry(fields ...string) *bridge.AccessEntry {
	r := &bridge.Request{
		Method: []byte("GET"), Target: []byte("/path?q=1"), Proto: "HTTP/1.1",
		Peer: bridge.Endpoint{Addr: "192.0.2.7", Port: "40000"},
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Fields = append(r.Fields, http1.Field{Name: []byte(name), Value: []byte(value)})
	}
	return &bridge.AccessEntry{
		Request: r, Status: 200, Bytes: 5,
		Start: time.Date(2026, 1, 2, 15, 4, 4, 0, time.FixedZone("", -7*3600)), Took: time.Second,
	}
}

func basic(credentials string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func TestLines(t *testing.T) {
	const stamp = "[02/Jan/2026:15:04:05 -0700]"
	refused := entry()
	refused.Request = &bridge.Request{Peer: refused.Request.Peer}
	refused.Status, refused.Bytes = 400, 16
	unix := entry()
	unix.Request.Peer = bridge.Endpoint{Unix: true}
	odd := entry()
	odd.Request.Target = []byte("/\"\\\x7f\xe9")
	for _, tt := range []struct {
		name string
		e    *bridge.AccessEntry
		want string
	}{
		{"plain", entry(), `192.0.2.7 - - ` + stamp + ` "GET /path?q=1 HTTP/1.1" 200 5 "-" "-"`},
		{"fields", entry("referer: http://h/", "USER-AGENT: curl/8.5.0"),
			`192.0.2.7 - - ` + stamp + ` "GET /path?q=1 HTTP/1.1" 200 5 "http://h/" "curl/8.5.0"`},
		{"empty fields", entry("Referer: ", "User-Agent: "), `192.0.2.7 - - ` + stamp + ` "GET /path?q=1 HTTP/1.1" 200 5 "-" "-"`},
		{"escapes in fields", entry("Referer: a\"b\\c", "User-Agent: \x1b[31m\x00\t\n\x7f\xc3\xa9"),
			`192.0.2.7 - - ` + stamp + ` "GET /path?q=1 HTTP/1.1" 200 5 "a\"b\\c" "\x1b[31m\x00\x09\x0a\x7f` + "\xc3\xa9" + `"`},
		{"escapes in the target", odd, `192.0.2.7 - - ` + stamp + ` "GET /\"\\\x7f` + "\xe9" + ` HTTP/1.1" 200 5 "-" "-"`},
		{"refused head", refused, `192.0.2.7 - - ` + stamp + ` "-" 400 16 "-" "-"`},
		{"unix socket", unix, `- - - ` + stamp + ` "GET /path?q=1 HTTP/1.1" 200 5 "-" "-"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			New(&b).Log(tt.e)
			if got := b.String(); got != tt.want+"\n" {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestUser(t *testing.T) {
	for auth, want := range map[string]string{
		"":                                 "-",
		basic("ann:secret"):                "ann",
		basic("ann"):                       "ann",
		basic(":secret"):                   "-",
		basic("ann:se:cret"):               "ann",
		basic("a\"n\nn:x"):                 `a\"n\x0an`,
		"authorization: bAsIc YW5uOng=":    "ann",
		"Authorization: Basic   YW5uOng= ": "ann",
		"Authorization: Basic ???":         "-",
		"Authorization: Basic":             "-",
		"Authorization: Bearer YW5uOng=":   "-",
	} {
		var fields []string
		if auth != "" {
			fields = []string{auth}
		}
		var b bytes.Buffer
		New(&b).Log(entry(fields...))
		if !strings.HasPrefix(b.String(), "192.0.2.7 - "+want+" [") {
			t.Errorf("%q: %s, want user %s", auth, b.String(), want)
		}
		if strings.Contains(b.String(), "secret") {
			t.Errorf("the password is logged: %s", b.String())
		}
	}
}

// TestStampFollowsTheTime: it is made once a second, not once.
func TestStampFollowsTheTime(t *testing.T) {
	var b bytes.Buffer
	l := New(&b)
	for range 3 {
		e := entry()
		l.Log(e)
		e.Start = e.Start.Add(time.Second)
		l.Log(e)
	}
	got := strings.Join(regexp.MustCompile(`15:04:0\d`).FindAllString(b.String(), -1), " ")
	if want := "15:04:05 15:04:06 15:04:05 15:04:06 15:04:05 15:04:06"; got != want {
		t.Errorf("stamps %s, want %s", got, want)
	}
}

type lineWriter struct {
	t     *testing.T
	lines int // guarded by the log's own lock
}

func (w *lineWriter) Write(p []byte) (int, error) {
	if bytes.Count(p, []byte("\n")) != 1 || p[len(p)-1] != '\n' {
		w.t.Errorf("one Write of %q", p)
	}
	w.lines++
	return len(p), nil
}

// TestConcurrentLines do not mix: each is one Write.
func TestConcurrentLines(t *testing.T) {
	w := &lineWriter{t: t}
	l := New(w)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				l.Log(entry("User-Agent: a"))
			}
		})
	}
	all.Wait()
	if w.lines != 1600 {
		t.Errorf("%d lines", w.lines)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space") }

// TestFailingWriter loses lines and nothing else.
func TestFailingWriter(*testing.T) { New(fullDisk{}).Log(entry()) }

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	for range 2 { // the second open appends
		l, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		l.Log(entry())
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") != 2 {
		t.Errorf("the file holds %q (%v)", text, err)
	}
	if _, err := Open(t.TempDir() + "/missing/access.log"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open in a missing folder: %v", err)
	}
	if l, err := Open("-"); err != nil || l.w != os.Stdout {
		t.Errorf("Open of -: %v", err)
	}
}

func BenchmarkLine(b *testing.B) {
	l, e := New(io.Discard), entry("User-Agent: curl/8.5.0", "Referer: http://h/")
	b.ReportAllocs()
	for b.Loop() {
		l.Log(e)
	}
}
