package accesslog

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
)

func decode(t *testing.T, text []byte) map[string]any {
	t.Helper()
	if strings.Count(string(text), "\n") != 1 || text[len(text)-1] != '\n' {
		t.Errorf("not one line: %q", text)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return got
}

func TestJSON(t *testing.T) {
	f, err := Compile(`%({X-Id}i)s %({x-trace}o)s %({wsgi.url_scheme}e)s %({nothing}i)s %(h)s`)
	if err != nil {
		t.Fatal(err)
	}
	e := whole()
	e.Request.Fields = append(e.Request.Fields, entry(basicAuth("ann:x")).Request.Fields...)
	got := decode(t, f.AppendJSON(nil, e))
	want := map[string]any{
		"time": "2026-01-02T15:04:07.004-07:00", "level": "info", "logger": "gowsgi.access", "pid": float64(os.Getpid()),
		"message": "GET /path?q=1 200", "status": 200., "bytes": 5., "duration": 3.004567,
		"remote_addr": "192.0.2.7", "user": "ann", "method": "GET", "path": "/p\nath", "query": "q=1", "protocol": "HTTP/1.1",
		"referer": "http://h/", "user_agent": "curl",
		"request_headers": map[string]any{"x-id": "b"}, "response_headers": map[string]any{"x-trace": `"2"`},
		"environ": map[string]any{"wsgi.url_scheme": "https"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestJSONOfARefusedHead(t *testing.T) {
	f, err := Compile(Default)
	if err != nil {
		t.Fatal(err)
	}
	got := decode(t, f.AppendJSON(nil, &bridge.AccessEntry{Request: &bridge.Request{}, Status: 400}))
	for _, key := range []string{"method", "path", "query", "protocol", "user", "remote_addr", "request_headers"} {
		if v, ok := got[key]; ok {
			t.Errorf("%s is %v", key, v)
		}
	}
	if got["message"] != "400" || got["status"] != 400. {
		t.Errorf("got %v", got)
	}
}

// TestJSONIsAlwaysValid: whatever a client sends.
func TestJSONIsAlwaysValid(t *testing.T) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
	}
	f, err := Compile(`%({x}i)s`)
	if err != nil {
		t.Fatal(err)
	}
	e := entry("X: "+string(all), "User-Agent: \u00e9\u2028\xe9\xed\xa0\x80\"")
	e.Request.Target, e.Request.Path = all, all
	got := decode(t, f.AppendJSON(nil, e))
	if got["user_agent"] != "\u00e9\u2028\ufffd\ufffd\ufffd\ufffd\"" {
		t.Errorf("the agent is %q", got["user_agent"])
	}
	if path := got["path"].(string); !strings.HasPrefix(path, string(all[:128])+"\ufffd") {
		t.Errorf("the path is %q", path)
	}
}

func TestRaw(t *testing.T) {
	f, err := Compile(Default)
	if err != nil {
		t.Fatal(err)
	}
	e := whole()
	e.Record = bridge.Record{}.Append("PATH_INFO", "/\xc3\xa9").Append("wsgi.url_scheme", "https")
	got := decode(t, f.AppendRaw(nil, e))
	pairs := func(words ...any) []any {
		var all []any
		for i := 0; i < len(words); i += 2 {
			all = append(all, []any{words[i], words[i+1]})
		}
		return all
	}
	want := map[string]any{
		"kind": "access", "time": 1767391447.004567, "took": 3004567., "status": 200., "reason": "Fine", "sent": 5.,
		"address": "192.0.2.7", "user": "", "method": "GET", "uri": "/path?q=1", "path": "/\u00c3\u00a9", "query": "q=1",
		"protocol": "HTTP/1.1",
		"fields":   pairs("X-Id", "a", "User-Agent", "curl", "x-id", "b", "Empty", "", "Referer", "http://h/"),
		"answer":   pairs("X-Trace", "1", "Content-Type", "text/plain", "x-trace", `"2"`, "Content-Length", "12"),
		"environ":  pairs("PATH_INFO", "/\u00c3\u00a9", "wsgi.url_scheme", "https"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	own := decode(t, f.AppendRaw(nil, &bridge.AccessEntry{Request: &bridge.Request{}, Status: 503}))
	if own["reason"] != "Service Unavailable" || len(own["answer"].([]any)) != 0 {
		t.Errorf("got %v", own)
	}
}
