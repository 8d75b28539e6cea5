package pyembed

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
)

// hammerKind is a request of the hammer; gone ones lose their client after a part.
type hammerKind struct {
	path, query string
	body        string
	fails       bool
	closes      int64
	gone        bool
}

var hammerKinds = []hammerKind{
	{path: "/list", body: "hello"},
	{path: "/tuple", body: "hello"},
	{path: "/generator", body: "hello"},
	{path: "/start_in_loop", body: "late"},
	{path: "/closing", body: "hello", closes: 1},
	{path: "/closing_list", body: "hello", closes: 1},
	{path: "/write", body: "abc"},
	{path: "/write_generator", body: "abcd"},
	{path: "/file", body: "456789"},
	{path: "/bytes_io", body: "0123456789"},
	{path: "/exc_info", body: "sorry"},
	{path: "/context_set", body: "unset of another request"},
	{path: "/raises", fails: true},
	{path: "/raises_first", fails: true, closes: 1},
	{path: "/raises_later", fails: true, closes: 1},
	{path: "/system_exit", fails: true},
	{path: "/no_start", fails: true},
	{path: "/start", query: `"bad", []`, fails: true},
	{path: "/start", query: `"200 OK", [("A", "b")]`, body: "started"},
	{path: "/big_list"},
	{path: "/endless", closes: 1, gone: true},
	{path: "/closing", closes: 1, gone: true},
	{path: "/write_for_ever", gone: true},
}

// TestHammer: eight threads, requests of all kinds at once, clients that leave.
// Each request gets its own answer, each close() is called once, and the process
// does not grow. To hold it to cgo's rules:
//
//	GOEXPERIMENT=cgocheck2 go test -race -run Hammer ./pyembed
func TestHammer(t *testing.T) {
	w := embedded(t)
	requests := 400 // of each client, in each round
	if testing.Short() {
		requests = 50
	}
	closed := int64(w.closed(t))
	closed += w.hammer(t, requests) // buffers and caches reach their size
	before := residentMB(t)
	for range 2 {
		closed += w.hammer(t, requests)
	}
	grown := residentMB(t) - before
	t.Logf("%d requests, resident %d MB, grown by %d MB", 3*8*requests, before, grown)
	if grown > 100 { // it is -10 to 50, by which large answers are alive at the moment; one that stays is 3
		t.Errorf("resident memory grew by %d MB", grown)
	}
	if got := int64(w.closed(t)); got != closed {
		t.Errorf("close() was called %d times, want %d", got, closed)
	}
}

// hammer returns how many close() calls its requests are worth.
func (w *world) hammer(t *testing.T, requests int) int64 {
	t.Helper()
	const clients = sharedThreads
	served := w.pool.Stats().Served
	var closes atomic.Int64
	var all sync.WaitGroup
	for client := range clients {
		r := rand.New(rand.NewPCG(uint64(client), uint64(served)))
		all.Go(func() {
			for range requests {
				k := hammerKinds[r.IntN(len(hammerKinds))]
				closes.Add(k.closes)
				w.hammerOne(t, k)
			}
		})
	}
	all.Wait()
	w.waitServed(t, served+int64(clients*requests))
	w.reported("hammer")
	return closes.Load()
}

func (w *world) hammerOne(t *testing.T, k hammerKind) {
	x := newRequest("hammer", "GET", k.path, k.query)
	defer x.Release()
	if err := w.pool.Submit(x); err != nil {
		t.Error(err)
		return
	}
	if k.gone {
		collect(x, 1)
		return
	}
	got := collect(x, -1)
	switch {
	case k.fails != errors.Is(got.err, bridge.ErrFailed):
		t.Errorf("%s: %v", k.path, got.err)
	case k.path == "/big_list" && len(got.body) != 3_000_000:
		t.Errorf("%s: %d bytes", k.path, len(got.body))
	case k.body != "" && got.body != k.body:
		t.Errorf("%s: %q, want %q", k.path, got.body, k.body)
	}
}

// residentMB is the process's memory, without what Go could give back.
func residentMB(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}

// TestThreadNames: executors are known to threading by name, the first is its
// main thread.
func TestThreadNames(t *testing.T) {
	w := embedded(t)
	var names sync.Map
	var all sync.WaitGroup
	for range 8 * sharedThreads {
		all.Go(func() {
			x := newRequest("names", "GET", "/thread", "")
			defer x.Release()
			if err := w.pool.Submit(x); err != nil {
				t.Error(err)
				return
			}
			names.Store(collect(x, -1).body, true)
		})
	}
	all.Wait()
	seen := 0
	names.Range(func(name, _ any) bool {
		seen++
		if s := name.(string); s != "MainThread" && !strings.HasPrefix(s, "gowsgi-") {
			t.Errorf("a thread is named %q", s)
		}
		return true
	})
	if seen != sharedThreads {
		t.Errorf("%d names for %d threads", seen, sharedThreads)
	}
}

// BenchmarkHello is one request through C and Python, without a connection.
func BenchmarkHello(b *testing.B) {
	w, err := shared()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		x := newRequest("bench", "GET", "/list", "")
		if err := w.pool.Submit(x); err != nil {
			b.Fatal(err)
		}
		if p := x.Next(); string(p.Body) != "hello" {
			b.Fatal(p.Err)
		}
		x.Leave(bridge.ErrComplete)
		x.Release()
	}
}
