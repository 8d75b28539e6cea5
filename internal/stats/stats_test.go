package stats

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
)

func TestRecorder(t *testing.T) {
	var passed int
	r := NewRecorder(counter(func() { passed++ }))
	head := &bridge.Head{Lines: []byte("200 OK\r\n")}
	for _, e := range []bridge.AccessEntry{
		{Status: 200, Bytes: 100, Took: 2 * time.Millisecond, Head: head},
		{Status: 200, Bytes: 50, Took: 4 * time.Millisecond, Head: head},
		{Status: 504, Bytes: 20, Took: 10 * time.Millisecond},           // the server's
		{Status: 504, Bytes: 0, Took: 2 * time.Millisecond, Head: head}, // the application's
	} {
		r.Log(&e)
	}
	r.Raised()
	want := Figures{Requests: 4, Exceptions: 1, Timeouts: 1, TX: 170 + 3*8, Running: 18000, AvgRT: (((2000+4000)/2+10000)/2 + 2000) / 2}
	if got := r.Figures(); got != want || passed != 4 {
		t.Errorf("%+v, %d passed on, want %+v", got, passed, want)
	}
	NewRecorder(nil).Log(&bridge.AccessEntry{})
}

type counter func()

func (c counter) Log(*bridge.AccessEntry) { c() }

func sample() *Server {
	return &Server{
		Version: "gowsgi-1", Load: 3, Waiting: 1, Sockets: []Socket{{"127.0.0.1:8000", "http", 2048}},
		Workers: []Worker{
			{ID: 1, PID: 11, Serving: true, Threads: 2, Busy: 1, RSS: 1 << 20, Started: time.Unix(1000, 0), Spawns: 2,
				Figures: Figures{Requests: 10, Exceptions: 1, Timeouts: 2, TX: 3, Running: 4, AvgRT: 5}, Apps: []App{{}}},
			{ID: 2, PID: 12, Serving: true, Threads: 2, Apps: []App{{"/a"}, {}}},
			{ID: 3, PID: 13, Spawns: 1},
		},
	}
}

// TestDocument: the names and nesting are those that uWSGI 2.0.30 writes with
// --memory-report off and without caches, spoolers and mules.
func TestDocument(t *testing.T) {
	text, err := sample().JSON()
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	worker := func(n int) map[string]any { return d["workers"].([]any)[n].(map[string]any) }
	for what, tt := range map[string]struct {
		got  map[string]any
		want string
	}{
		"top":    {d, "cwd gid listen_queue listen_queue_errors load locks pid signal_queue sockets uid version workers"},
		"socket": {d["sockets"].([]any)[0].(map[string]any), "can_offload max_queue name proto queue shared"},
		"worker": {worker(0), "accepting apps avg_rt cores delta_requests exceptions harakiri_count id last_spawn pid requests respawn_count rss running_time signal_queue signals status tx vsz"},
		"app":    {worker(0)["apps"].([]any)[0].(map[string]any), "chdir exceptions id modifier1 mountpoint requests startup_time"},
		"core":   {worker(0)["cores"].([]any)[0].(map[string]any), "id in_request offloaded_requests read_errors req_info requests routed_requests static_requests vars write_errors"},
	} {
		if got := strings.Join(slices.Sorted(maps.Keys(tt.got)), " "); got != tt.want {
			t.Errorf("%s: %s, want %s", what, got, tt.want)
		}
	}
	for i, want := range []string{"busy", "idle", "cheap"} {
		if got := worker(i)["status"]; got != want {
			t.Errorf("worker %d is %v, want %s", i+1, got, want)
		}
	}
	for name, want := range map[string]float64{
		"id": 1, "pid": 11, "accepting": 1, "requests": 10, "exceptions": 1, "harakiri_count": 2, "tx": 3, "running_time": 4, "avg_rt": 5,
		"rss": 1 << 20, "last_spawn": 1000, "respawn_count": 2,
	} {
		if got := worker(0)[name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if worker(2)["accepting"] != 0.0 || worker(2)["last_spawn"] != 0.0 || len(worker(2)["cores"].([]any)) != 1 {
		t.Errorf("a worker that starts: %v", worker(2))
	}
	if got := worker(0)["cores"].([]any)[1].(map[string]any)["in_request"]; got != 0.0 || len(worker(0)["cores"].([]any)) != 2 {
		t.Errorf("cores %v", worker(0)["cores"])
	}
	empty, err := (&Server{}).JSON()
	if err != nil || strings.Contains(string(empty), "null") {
		t.Errorf("an empty one has null: %s, %v", empty, err)
	}
}

// serve starts a stats server, and ends it with the test.
func serve(t *testing.T, address, dir string) *Listener {
	t.Helper()
	l, err := Listen(address, dir)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); l.Serve(sample) }()
	t.Cleanup(func() {
		l.Close()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Error("Serve does not end")
		}
	})
	return l
}

func read(t *testing.T, network, address string) string {
	t.Helper()
	c, err := net.DialTimeout(network, address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	text, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	tcp := serve(t, "127.0.0.1:0", "")
	path := filepath.Join(dir, "s.sock")
	serve(t, "unix:s.sock", dir)
	want, err := sample().JSON()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := read(t, "tcp", tcp.Addr().String()); got != string(want) {
			t.Errorf("%q", got)
		}
		if got := read(t, "unix", path); got != string(want) {
			t.Errorf("%q", got)
		}
	}
}

func TestServeHTTP(t *testing.T) {
	l := serve(t, "http://127.0.0.1:0/", "")
	client := http.Client{Timeout: 10 * time.Second}
	for range 2 {
		res, err := client.Get("http://" + l.Addr().String() + "/any?thing")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var d map[string]any
		if err := json.NewDecoder(res.Body).Decode(&d); err != nil || res.StatusCode != 200 || d["version"] != "gowsgi-1" {
			t.Errorf("%v, %v, %v", res, d, err)
		}
	}
}

// TestSilentReaders: those that connect and do nothing keep nobody for long.
func TestSilentReaders(t *testing.T) {
	l := serve(t, "http://127.0.0.1:0", "")
	var all sync.WaitGroup
	for range talkCount / 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all.Go(func() { _, _ = io.ReadAll(c) }) // it is closed after talkTime
	}
	client := http.Client{Timeout: 3 * time.Second}
	res, err := client.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	all.Wait()
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s.sock")
	first, err := Listen(path, "") // a path alone
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, ""); err == nil || !strings.HasPrefix(err.Error(), "--stats: ") {
		t.Errorf("twice: %v", err)
	}
	first.Listener.(*net.UnixListener).SetUnlinkOnClose(false)
	first.Close() // as if it was killed: its file is still there
	second, err := Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if second.Close(); exists(path) {
		t.Error("its file is left")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, ""); err == nil || !exists(path) {
		t.Errorf("a file that is no socket: %v", err)
	}
	if _, err := Listen("nowhere", ""); err == nil {
		t.Error("an address without a port")
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
