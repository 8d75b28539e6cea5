package bridge

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stepper is an application that does one thing at a time, as the test says.
type stepper struct{ steps, done chan func(*Exchange) }

func newStepper() *stepper {
	return &stepper{make(chan func(*Exchange)), make(chan func(*Exchange), 1)}
}

// Execute runs steps until one is nil.
func (s *stepper) Execute(x *Exchange) {
	for f := range s.steps {
		if f == nil {
			return
		}
		f(x)
		s.done <- f
	}
}

func (s *stepper) do(f func(*Exchange)) {
	s.steps <- f
	<-s.done
}

const limit = 8 * time.Second // of the tests that tell the time themselves

// quiet looks as often as the limit allows, and wants nothing to be found.
func quiet(t *testing.T, p *Pool) {
	t.Helper()
	p.look(time.Second, limit) // sees what has just happened
	for i := range 7 {
		if stalls, longest := p.look(time.Second, limit); len(stalls) > 0 || longest != time.Duration(i+1)*time.Second {
			t.Fatalf("after %d s of %v: %+v, longest %v", i+1, limit, stalls, longest)
		}
	}
}

// TestLook: what counts as giving the client something.
func TestLook(t *testing.T) {
	respond := func(x *Exchange) { _ = x.Respond(okHead(), []byte("a"), false) }
	for _, tt := range []struct {
		name   string
		steps  []func(*Exchange)
		client string
	}{
		{"nothing", nil, ClientRefused},
		{"hints", []func(*Exchange){func(x *Exchange) { x.Inform([]byte("Link: </a>\r\n\r\n")) }}, ClientRefused},
		{"a head", []func(*Exchange){respond}, ClientCut},
		{"chunks", []func(*Exchange){
			respond, func(x *Exchange) { _ = x.Write([]byte("b"), false) }, func(x *Exchange) { _ = x.Write([]byte("c"), false) },
		}, ClientCut},
		{"the last chunk", []func(*Exchange){respond, func(x *Exchange) { _ = x.Write(nil, true) }}, ClientAnswered},
		{"the whole answer", []func(*Exchange){func(x *Exchange) { hello(x) }}, ClientAnswered},
		{"the end of a chunk too many", []func(*Exchange){func(x *Exchange) {
			respond(x)
			x.Leave(ErrComplete)
			_ = x.Write([]byte("b"), true)
		}}, ClientAnswered},
		{"the end for a client that has left", []func(*Exchange){func(x *Exchange) {
			respond(x)
			x.Leave(ErrGone)
			_ = x.Write([]byte("b"), true)
		}}, ClientGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkGoroutines(t)
			p, s := NewPool(PoolLimits{Queue: 9}), newStepper()
			var run sync.WaitGroup
			run.Go(func() { p.Run(s) })
			x := NewExchange()
			x.Record = x.Record.Append("path", "/"+tt.name)
			if err := p.Submit(x); err != nil {
				t.Fatal(err)
			}
			s.do(func(*Exchange) {}) // it has begun
			for _, f := range tt.steps {
				quiet(t, p)
				s.do(f)
			}
			quiet(t, p)
			stalls, _ := p.look(time.Second, limit)
			if len(stalls) != 1 || stalls[0].Executor != s || stalls[0].Silent != limit || stalls[0].Client != tt.client ||
				stalls[0].Record.Lookup("path") != "/"+tt.name {
				t.Errorf("got %+v, want %s", stalls, tt.client)
			}
			if stalls, _ := p.look(limit, limit); len(stalls) > 0 {
				t.Errorf("told twice: %+v", stalls)
			}
			s.steps <- nil
			run.Wait() // it does not go on, although the pool does
			x.Release()
		})
	}
}

// TestLookAtAnEmptyChunk: it gives the client nothing.
func TestLookAtAnEmptyChunk(t *testing.T) {
	p, s := NewPool(PoolLimits{Queue: 9}), newStepper()
	go p.Run(s)
	if err := p.Submit(NewExchange()); err != nil {
		t.Fatal(err)
	}
	s.do(func(x *Exchange) { _ = x.Respond(okHead(), nil, false) })
	quiet(t, p)
	s.do(func(x *Exchange) { _ = x.Write(nil, false) })
	s.do(func(x *Exchange) { x.Inform([]byte("Link: </late>\r\n\r\n")) }) // and hints after the head
	if stalls, _ := p.look(time.Second, limit); len(stalls) != 1 {
		t.Errorf("got %+v", stalls)
	}
	s.steps <- nil
}

// TestLookAtASlowClient: the time in which the application waits for the client.
func TestLookAtASlowClient(t *testing.T) {
	checkGoroutines(t)
	p, s := NewPool(PoolLimits{Queue: 9}), newStepper()
	var run sync.WaitGroup
	run.Go(func() { p.Run(s) })
	x := NewExchange()
	if err := p.Submit(x); err != nil {
		t.Fatal(err)
	}
	s.do(func(x *Exchange) { _ = x.Respond(okHead(), make([]byte, highWater), false) })
	quiet(t, p)
	s.steps <- func(x *Exchange) { _ = x.Write([]byte("more"), false) }
	eventually(t, "the write to wait", func() bool { _, blocked := x.progress(); return blocked })
	for range 10 {
		if stalls, longest := p.look(limit, limit); len(stalls) > 0 || longest != 0 {
			t.Fatalf("a slow client: %+v, %v", stalls, longest)
		}
	}
	x.Next()
	<-s.done
	quiet(t, p)
	if stalls, _ := p.look(time.Second, limit); len(stalls) != 1 || stalls[0].Client != ClientCut {
		t.Errorf("got %+v", stalls)
	}
	s.steps <- nil
	run.Wait()
	x.Release()
}

// TestLookAtTheNext: each request has its own time, the queue's is none of it.
func TestLookAtTheNext(t *testing.T) {
	p, s := NewPool(PoolLimits{Queue: 9}), newStepper()
	for range 3 {
		if err := p.Submit(NewExchange()); err != nil {
			t.Fatal(err)
		}
	}
	if stalls, _ := p.look(limit, limit); len(stalls) > 0 {
		t.Errorf("nobody runs: %+v", stalls)
	}
	go p.Run(s)
	for range 3 {
		s.do(func(*Exchange) {})
		quiet(t, p)
		s.steps <- nil
	}
	eventually(t, "the executor to be idle", func() bool { return p.Stats().Served == 3 })
	if stalls, longest := p.look(limit, limit); len(stalls) > 0 || longest != 0 {
		t.Errorf("an idle executor: %+v, %v", stalls, longest)
	}
	p.Stop()
}

// watched is a server whose pool is watched; stuck is the application's path that
// never ends until the test does.
type watched struct {
	*harness
	mu     sync.Mutex
	stalls []Stall
	stop   func()
	back   chan bool // what Run returned for a lost executor
}

func startWatched(t *testing.T, a app, limit time.Duration, executors int) *watched {
	w := &watched{back: make(chan bool, 100)}
	var extra sync.WaitGroup
	w.harness = start(t, a, pool(PoolLimits{Queue: 100}, executors))
	w.stop = w.srv.Pool.Watch(limit, func(stalls []Stall) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stalls = append(w.stalls, stalls...)
		for range stalls {
			extra.Go(func() { w.back <- w.srv.Pool.Run(a) })
		}
	})
	t.Cleanup(func() { // before start's own, which waits for the first executors
		w.stop()
		w.srv.Pool.Stop()
		extra.Wait()
	})
	return w
}

func (w *watched) stalled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, s := range w.stalls {
		all = append(all, s.Record.Lookup("path")+" "+s.Client)
	}
	slices.Sort(all)
	return all
}

// TestWatch: what the clients get whose requests stall, and those behind them.
func TestWatch(t *testing.T) {
	release := make(chan struct{})
	a := app(func(x *Exchange) {
		switch path := x.Record.Lookup("path"); path {
		case "/stuck":
			<-release
			_ = x.Respond(okHead(), []byte("too late"), true)
		case "/stuck-file":
			<-release
			x.RespondFile(okHead(), FilePart{})
		case "/stuck-stream":
			_ = x.Respond(okHead(), []byte("begin"), false)
			<-release
			if err := x.Write([]byte("too late"), true); !errors.Is(err, ErrGone) {
				t.Errorf("the late write: %v", err)
			}
		case "/stuck-close":
			_ = x.Respond(okHead(), []byte("whole"), true)
			<-release
		default:
			_ = x.Respond(okHead(), []byte(path), true)
		}
	})
	for _, tt := range []struct{ method, path, want, told string }{
		{"GET", "/stuck", `504 length=20 "504 Gateway Timeout\n"`, "/stuck refused"},
		{"HEAD", "/stuck", "504 length=20", "/stuck refused"},
		{"GET", "/stuck-file", `504 length=20 "504 Gateway Timeout\n"`, "/stuck-file refused"},
		{"GET", "/stuck-stream", `200 chunked "begin" CUT`, "/stuck-stream cut"},
		{"GET", "/stuck-close", `200 length=5 "whole"`, "/stuck-close answered"},
	} {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			release = make(chan struct{})
			w := startWatched(t, a, 50*time.Millisecond, 1)
			c, behind := w.dial(), w.dial()
			c.send(request(tt.method + " " + tt.path + " HTTP/1.1"))
			eventually(t, "the executor to be busy", func() bool { return w.srv.Pool.Stats().Busy == 1 })
			behind.send(get("/behind"))
			c.want(tt.method, tt.want)
			behind.want("GET", `200 length=7 "/behind"`)
			if !strings.HasSuffix(tt.want, "CUT") {
				c.send(get("/next")) // the connection is as good as before
				c.want("GET", `200 length=5 "/next"`)
			}
			eventually(t, "the stall to be told", func() bool { return len(w.stalled()) > 0 })
			close(release)
			w.stop()
			if got := w.stalled(); len(got) != 1 || got[0] != tt.told {
				t.Errorf("told %q, want %q", got, tt.told)
			}
			eventually(t, "the lost executor to leave", func() bool {
				w.srv.Pool.mu.Lock()
				defer w.srv.Pool.mu.Unlock()
				return len(w.srv.Pool.slots) == 1
			})
			if log := w.log.String(); strings.Contains(log, "504") {
				t.Errorf("the log is the callback's: %s", log)
			}
		})
	}
}

// TestWatchLeavesOthersAlone: answers that take longer than the limit in all, whose
// parts do not; and a client that reads none of them for as long.
func TestWatchLeavesOthersAlone(t *testing.T) {
	const limit, pause, parts = time.Second, 40 * time.Millisecond, 40
	a := app(func(x *Exchange) {
		switch x.Record.Lookup("path") {
		case "/stream":
			_ = x.Respond(okHead(), []byte("."), false)
			for range parts {
				time.Sleep(pause)
				_ = x.Write([]byte("."), false)
			}
			_ = x.Write(nil, true)
		case "/hints":
			for range parts {
				time.Sleep(pause)
				x.Inform([]byte("Link: </a>\r\n\r\n"))
			}
			hello(x)
		case "/large":
			err := x.Respond(okHead(), make([]byte, 1<<20), false)
			for range 20 {
				if err == nil {
					err = x.Write(make([]byte, 1<<20), false)
				}
			}
			_ = x.Write(nil, true)
		}
	})
	w := startWatched(t, a, limit, 3)
	var all sync.WaitGroup
	for _, path := range []string{"/stream", "/hints", "/large"} {
		c := w.dial()
		c.send(get(path))
		all.Go(func() {
			if path == "/large" {
				time.Sleep(limit + limit/2)
			}
			for {
				got := c.answer("GET")
				if strings.HasPrefix(got, "103") {
					continue
				}
				if !strings.HasPrefix(got, "200") || strings.HasSuffix(got, "CUT") {
					t.Errorf("%s: %.40s", path, got)
				}
				return
			}
		})
	}
	all.Wait()
	if got := w.stalled(); len(got) > 0 {
		t.Errorf("told %q", got)
	}
}

// TestWatchStopWaits for the callback.
func TestWatchStopWaits(t *testing.T) {
	checkGoroutines(t)
	p, s := NewPool(PoolLimits{Queue: 9}), newStepper()
	go p.Run(s)
	if err := p.Submit(NewExchange()); err != nil {
		t.Fatal(err)
	}
	called, ended := make(chan struct{}), atomic.Bool{}
	stop := p.Watch(time.Millisecond, func([]Stall) {
		close(called)
		time.Sleep(soon)
		ended.Store(true)
	})
	<-called
	stop()
	if !ended.Load() {
		t.Error("stop returned while the callback ran")
	}
	stop() // twice is once
	s.steps <- nil
}

// TestGiveUp: all that runs and waits is told, and nothing is taken any more.
func TestGiveUp(t *testing.T) {
	release := make(chan struct{})
	h := start(t, func(x *Exchange) { <-release; hello(x) })
	clients := []*client{h.dial(), h.dial(), h.dial()}
	for i, c := range clients {
		c.send(get("/" + fmt.Sprint(i)))
		eventually(t, "the request to be there", func() bool {
			s := h.srv.Pool.Stats()
			return s.Busy+s.Waiting == int64(i+1)
		})
	}
	stalls := h.srv.Pool.GiveUp(ErrStuck)
	if len(stalls) != 1 || stalls[0].Record.Lookup("path") != "/0" || stalls[0].Client != ClientRefused {
		t.Errorf("got %+v", stalls)
	}
	for _, c := range append(clients, h.dial()) {
		if c == clients[0] {
			c.want("GET", `503 length=24 "503 Service Unavailable\n"`)
			c.send(get("/again"))
		}
		if !slices.Contains(clients, c) {
			c.send(get("/new"))
		}
		c.want("GET", `503 length=24 "503 Service Unavailable\n"`)
	}
	if again := h.srv.Pool.GiveUp(ErrStuck); len(again) > 0 {
		t.Errorf("told twice: %+v", again)
	}
	if got := h.srv.Pool.Stats().Waiting; got != 0 {
		t.Errorf("%d wait", got)
	}
	close(release)
}

// TestWatchHammer: executors are given up at random moments, come back and are
// replaced, while exchanges are reused. Each request gets its own answer or none.
func TestWatchHammer(t *testing.T) {
	checkGoroutines(t)
	p := NewPool(PoolLimits{Queue: 1000})
	var executors sync.WaitGroup
	a := app(func(x *Exchange) {
		r := rand.New(rand.NewPCG(rand.Uint64(), 1))
		id := []byte(x.Record.Lookup("id"))
		for range r.IntN(3) {
			pause(r)
		}
		if r.IntN(20) == 0 {
			time.Sleep(time.Duration(r.IntN(10)) * time.Millisecond)
		}
		err := x.Respond(okHead(), id, false)
		if r.IntN(20) == 0 {
			time.Sleep(time.Duration(r.IntN(10)) * time.Millisecond)
		}
		if err == nil {
			_ = x.Write(id, true)
		}
	})
	var lost atomic.Int64
	for range 4 {
		executors.Go(func() { p.Run(a) })
	}
	stop := p.Watch(2*time.Millisecond, func(stalls []Stall) {
		lost.Add(int64(len(stalls)))
		for range stalls {
			executors.Go(func() { p.Run(a) })
		}
	})
	var fronts sync.WaitGroup
	var whole, failed atomic.Int64
	for front := range 8 {
		fronts.Go(func() {
			for i := range 300 {
				x := NewExchange()
				id := fmt.Sprintf("<%d.%d>", front, i)
				x.Record = x.Record.Append("id", id)
				if err := p.Submit(x); err != nil {
					t.Error(err)
					return
				}
				body := ""
				for {
					part := x.Next()
					body += string(part.Body)
					if part.Last {
						whole.Add(1)
						if body != id+id {
							t.Errorf("%s got %q", id, body)
						}
						break
					}
					if part.Err != nil {
						failed.Add(1)
						if !errors.Is(part.Err, ErrTimeout) || !strings.HasPrefix(id, body) {
							t.Errorf("%s: %q, %v", id, body, part.Err)
						}
						break
					}
				}
				x.Leave(ErrComplete)
				x.Release()
			}
		})
	}
	fronts.Wait()
	stop()
	p.Stop()
	executors.Wait()
	t.Logf("%d whole, %d ended, %d executors lost", whole.Load(), failed.Load(), lost.Load())
	if lost.Load() == 0 || whole.Load() == 0 {
		t.Error("nothing was tested")
	}
}
