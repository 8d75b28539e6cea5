package accesslog

import (
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
)

func entry(fields ...string) *bridge.AccessEntry {
	r := &bridge.Request{
		Method: []byte("GET"), Target: []byte("/path?q=1"), Path: []byte("/path"), Query: []byte("q=1"), Proto: "HTTP/1.1",
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

// whole is an entry that has all there can be.
func whole() *bridge.AccessEntry {
	e := entry("X-Id: a", "User-Agent: curl", "x-id: b", "Empty: ", "Referer: http://h/")
	e.Took = 3*time.Second + 4567*time.Microsecond
	e.Head = &bridge.Head{
		Status: 200, ContentLength: 12,
		Lines: []byte("200 Fine\r\nX-Trace: 1\r\nContent-Type: text/plain\r\nx-trace: \"2\"\r\n"),
	}
	e.Record = bridge.Record{}.Append("REQUEST_METHOD", "GET").Append("PATH_INFO", "/p\nath").
		Append("wsgi.url_scheme", "https").Append("HTTP_X_ID", "a,b")
	return e
}

func basicAuth(credentials string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func line(t *testing.T, format string, e *bridge.AccessEntry) string {
	t.Helper()
	f, err := Compile(format)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(f.Append(nil, e)), "\n")
}

func TestDefaultLines(t *testing.T) {
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
			if got := line(t, Default, tt.e); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestAtoms(t *testing.T) {
	for format, want := range map[string]string{
		"%(h)s|%(l)s|%(u)s":                  "192.0.2.7|-|-",
		"%(m)s %(U)s?%(q)s":                  `GET /p\x0aath?q=1`, // PATH_INFO is decoded: a newline in it must not end the line
		"%(H)s %(s)s":                        "HTTP/1.1 200",
		"%(B)s %(b)s":                        "5 5",
		"%(f)s %(a)s":                        "http://h/ curl",
		"%(T)s %(D)s %(M)s":                  "3 3004567 3004",
		"%(L)s":                              "3.004567",
		"%(p)s":                              fmt.Sprintf("<%d>", os.Getpid()),
		"%(t)s":                              "[02/Jan/2026:15:04:07 -0700]",
		"%({x-id}i)s":                        "b",
		"%({X-ID}i)s":                        "b",
		"%({X-ID}I)s":                        "b",
		"%({empty}i)s":                       "-",
		"%({missing}i)s":                     "-",
		"%({x-trace}o)s":                     `\"2\"`,
		"%({content-type}o)s":                "text/plain",
		"%({Content-Length}o)s %({date}o)s":  "12 -",
		"%({http_x_id}e)s":                   "a,b",
		"%({wsgi.url_scheme}e)s":             "https",
		"%({path}e)s":                        "-",
		"%(z)s %({x}z)s %()s %(hh)s %({}i)s": "- - - - -",
		"100%% %(s)s%%":                      "100% 200%",
		"%(s)6s|%(s)-6s|%(s)06s|":            "   200|200   |   200|",
		"%(D)09d|%(T)i|%(T)-3d|":             "003004567|3|3  |",
		"%(a).2s|%(a)6.2s|":                  "cu|    cu|",
		"":                                   "",
		"%(r)s":                              "GET /path?q=1 HTTP/1.1",
	} {
		if got := line(t, format, whole()); got != want {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	}
}

func TestWidthCountsCharacters(t *testing.T) {
	if got := line(t, "%({n}i)-4s|%({n}i).1s|", entry("N: \u00e9\u00e8")); got != "\u00e9\u00e8  |\u00e9|" {
		t.Errorf("got %q", got)
	}
}

func TestAtomsOfARefusedHead(t *testing.T) {
	e := &bridge.AccessEntry{Request: &bridge.Request{}, Status: 400}
	if got := line(t, "%(m)s %(U)s %(q)s. %(H)s %({a}i)s %({a}o)s %({a}e)s", e); got != "- - . - - - -" {
		t.Errorf("got %q", got)
	}
}

func TestBadFormats(t *testing.T) {
	for _, format := range []string{"%s", "%", "%(h", "%(h)", "%(h)x", "%(h)d", "%(T)5.2d", "%(h)99999s", "%(h)r", "%()d", "%(TM)d", "50% of %(s)s"} {
		if _, err := Compile(format); err == nil {
			t.Errorf("%s: no error", format)
		} else if !strings.HasPrefix(err.Error(), "the access log's format at ") {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestUser(t *testing.T) {
	for auth, want := range map[string]string{
		"":                                 "-",
		basicAuth("ann:secret"):            "ann",
		basicAuth("ann"):                   "ann",
		basicAuth(":secret"):               "-",
		basicAuth("ann:se:cret"):           "ann",
		basicAuth("a\"n\nn:x"):             `a\"n\x0an`,
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
		got := line(t, Default, entry(fields...))
		if !strings.HasPrefix(got, "192.0.2.7 - "+want+" [") {
			t.Errorf("%q: %s, want user %s", auth, got, want)
		}
		if strings.Contains(got, "secret") {
			t.Errorf("the password is logged: %s", got)
		}
	}
}

// TestStampFollowsTheTime: it is made once a second, not once.
func TestStampFollowsTheTime(t *testing.T) {
	f, err := Compile(Default)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for range 3 {
		e := entry()
		all = f.Append(all, e)
		e.Start = e.Start.Add(time.Second)
		all = f.Append(all, e)
	}
	got := strings.Join(regexp.MustCompile(`15:04:0\d`).FindAllString(string(all), -1), " ")
	if want := "15:04:05 15:04:06 15:04:05 15:04:06 15:04:05 15:04:06"; got != want {
		t.Errorf("stamps %s, want %s", got, want)
	}
}

// TestLinesCostNoAllocation: they are made on the way of every request.
func TestLinesCostNoAllocation(t *testing.T) {
	for _, format := range []string{Default, `%(L)s %({x-id}i)s %({content-length}o)s %({http_x_id}e)s %(U)s %(p)s`} {
		f, err := Compile(format)
		if err != nil {
			t.Fatal(err)
		}
		e, b := whole(), make([]byte, 0, 4096)
		e.Request.Fields = append(e.Request.Fields, entry(basicAuth("ann:x")).Request.Fields...)
		if n := testing.AllocsPerRun(100, func() { f.Append(b, e) }); n > 0 {
			t.Errorf("%s: %v allocations", format, n)
		}
		if n := testing.AllocsPerRun(100, func() { f.AppendJSON(b, e) }); n > 0 {
			t.Errorf("%s as JSON: %v allocations", format, n)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	f, err := Compile(Default)
	if err != nil {
		b.Fatal(err)
	}
	e := entry("User-Agent: curl/8.5.0", "Referer: http://h/")
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = f.Append(buf[:0], e)
	}
}
