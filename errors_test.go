package gowsgi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi"
	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/pyembed"
)

func TestExceptions(t *testing.T) {
	app, o := webapp(t)
	s := serve(t, app)
	got := get(t, s, "/raises")
	if got.StatusCode != 500 || got.body != "500 Internal Server Error\n" || got.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%s %q %v", got.Status, got.body, got.Header)
	}
	var raised *pyembed.Error
	if errs := o.take(); len(errs) != 1 || !errors.As(errs[0], &raised) || raised.Type != "builtins.LookupError" || raised.Message != "no such thing" {
		t.Fatal(ids(errs))
	}
	contains(t, "traceback", raised.Traceback, "webapp.py", "in raises")
	r := request(t, "GET", s.URL+"/raises", nil)
	r.Header.Set("Accept", "application/json")
	if got := do(t, s.Client(), r); got.body != `{"status":500,"error":"Internal Server Error"}`+"\n" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%q %v", got.body, got.Header)
	}
	// The client has its answer; its close() failed.
	if got := get(t, s, "/raises_at_close"); got.body != "whole" || got.err != nil {
		t.Errorf("%q, %v", got.body, got.err)
	}
	eventually(t, "the exception of close()", func() bool { return app.Stats().Failed == 3 })
	contains(t, "errors", ids(o.take()), "at the end")
	if a := app.Stats(); a.Failed != 3 || a.Refused != 0 || a.Left != 0 {
		t.Errorf("%+v", a)
	}
}

func TestErrorHandlers(t *testing.T) {
	c := config("webapp:app")
	c.Debug = true
	debug, _ := load(t, c)
	contains(t, "answer", record(debug, at("/raises")).body, "500 Internal Server Error\n", "Traceback (most", "no such thing")

	c = config("webapp:app")
	c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		var raised *pyembed.Error
		http.Error(w, fmt.Sprint(r.URL.Path, " ", errors.As(err, &raised)), gowsgi.Status(err)+20)
	}
	own, _ := load(t, c)
	if got := record(own, at("/raises")); got.StatusCode != 520 || got.body != "/raises true\n" {
		t.Errorf("%s %q", got.Status, got.body)
	}

	// Without OnError, the log has it.
	var text syncBuffer
	c = config("webapp:app")
	c.Logger = slog.New(slog.NewTextHandler(&text, nil))
	c.Prefix = "/p"
	app, err := gowsgi.Load(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	record(app, at("/p/raises"))
	record(app, at("/other"))
	contains(t, "log", text.String(), "LookupError: no such thing", "Traceback", "uri=/p/raises", "peer=192.0.2.1:1234",
		"not under the application's prefix, /p", "uri=/other")
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestPanics: the Go side's are Go's. Those on the handler's goroutine pass; those on
// Python's threads are logged.
func TestPanics(t *testing.T) {
	c := config("webapp:app")
	c.Environ = func(r *http.Request) map[string]string {
		if r.URL.Path == "/hello" {
			panic("of Environ")
		}
		return nil
	}
	c.OnError = func(*http.Request, error) { panic("of OnError") }
	app, o := load(t, c)
	func() {
		defer func() {
			if v := recover(); v != "of Environ" {
				t.Errorf("%v", v)
			}
		}()
		record(app, at("/hello"))
	}()
	if got := record(app, at("/raises")); got.StatusCode != 500 {
		t.Error(got.Status)
	}
	eventually(t, "the log", func() bool { return strings.Contains(o.logged(), "of OnError") })
	contains(t, "log", o.logged(), "Config.OnError panicked", "errors_test.go")
	eventually(t, "both to be over", func() bool { return app.Stats().Active == 0 })
}

// hold keeps all threads in Python until release is called.
func hold(t *testing.T, app *gowsgi.App) (release func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "go-on")
	eventually(t, "earlier calls to be over", func() bool { return app.Stats().Busy == 0 })
	var all sync.WaitGroup
	for range threads {
		all.Go(func() { record(app, at("/held?"+file)) })
	}
	eventually(t, "all threads to be busy", func() bool { return app.Stats().Busy == threads })
	return func() {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Error(err)
		}
		all.Wait()
	}
}

// TestContexts: what becomes of a request whose context ends, by where it is.
func TestContexts(t *testing.T) {
	checkLeaks(t)
	app, o := webapp(t)
	for name, tt := range map[string]struct {
		end    func(context.Context) (context.Context, context.CancelFunc)
		status int
		told   bool
	}{
		"client": {context.WithCancel, 503, false},
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 30*time.Millisecond)
		}, 504, true},
	} {
		left, closed, gated := app.Stats().Left, count(t, "closed"), count(t, "gated")
		ctx, cancel := tt.end(t.Context())
		got := make(chan reply, 1)
		go func() { got <- record(app, at("/gate?"+name).WithContext(ctx)) }()
		eventually(t, "the application to run", func() bool { return count(t, "gated") == gated+1 })
		if name == "client" {
			cancel()
		}
		if r := <-got; r.StatusCode != tt.status {
			t.Errorf("%s: %s", name, r.Status)
		}
		cancel()
		if app.Stats().Left != left+1 || app.Stats().Active != 1 {
			t.Errorf("%s: %+v", name, app.Stats())
		}
		goOn(t, name)
		eventually(t, "close() to be called", func() bool { return count(t, "closed") == closed+1 && app.Stats().Active == 0 })
		if errs := o.take(); (len(errs) > 0) != tt.told || tt.told && !errors.Is(errs[0], context.DeadlineExceeded) {
			t.Errorf("%s: %s", name, ids(errs))
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if got := record(app, at("/hello").WithContext(over)); got.StatusCode != 503 && got.StatusCode != 200 {
		t.Errorf("over before: %s", got.Status) // whichever is quicker
	}
}

// TestContextInTheQueue: a request that waits for a thread never reaches Python.
func TestContextInTheQueue(t *testing.T) {
	checkLeaks(t)
	app, o := webapp(t)
	release := hold(t, app)
	for _, tt := range []struct {
		ctx  func() (context.Context, context.CancelFunc)
		told int
	}{
		{func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 20*time.Millisecond)
		}, 1},
		{func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for app.Stats().Waiting == 0 {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			return ctx, cancel
		}, 0},
	} {
		ctx, cancel := tt.ctx()
		got := record(app, at("/raises").WithContext(ctx))
		cancel()
		if got.StatusCode != 503 || got.Header.Get("Retry-After") != "1" || app.Stats().Waiting != 0 || app.Stats().Active != threads {
			t.Errorf("%s %v %+v", got.Status, got.Header, app.Stats())
		}
		if errs := o.take(); len(errs) != tt.told {
			t.Error(ids(errs))
		}
	}
	timeouts := http.TimeoutHandler(app, 20*time.Millisecond, "too late")
	if got := record(timeouts, at("/raises")); got.StatusCode != 503 || got.body != "too late" {
		t.Errorf("%s %q", got.Status, got.body)
	}
	eventually(t, "the timeout's request to be over", func() bool { return app.Stats().Active == threads })
	release()
	if app.Stats().Failed != 0 {
		t.Errorf("%+v", app.Stats())
	}
}

// TestClientLeaves: a streamed answer whose client is gone is closed.
func TestClientLeaves(t *testing.T) {
	checkLeaks(t)
	app, o := webapp(t)
	s := serve(t, app)
	closed := count(t, "closed")
	for _, path := range []string{"/endless", "/stream"} {
		ctx, cancel := context.WithCancel(t.Context())
		response, err := s.Client().Do(request(t, "GET", s.URL+path, nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		if _, err := response.Body.Read(b[:]); err != nil {
			t.Fatal(err)
		}
		cancel()
		response.Body.Close()
		if path == "/stream" {
			eventually(t, "the handler to leave", func() bool { return app.Stats().Left == 2 })
			goOn(t, "go")
		}
	}
	eventually(t, "close() of both", func() bool { return count(t, "closed") == closed+2 && app.Stats().Active == 0 })
	if errs := o.take(); len(errs) > 0 || app.Stats().Left != 2 {
		t.Errorf("%s, %+v", ids(errs), app.Stats())
	}
	s.Close()
}

// TestClose: no more requests, and those that run to their end.
func TestClose(t *testing.T) {
	app, _ := webapp(t)
	got := make(chan reply, 1)
	go func() { got <- record(app, at("/gate?close")) }()
	eventually(t, "the request", func() bool { return app.Stats().Active == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := app.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 requests") {
		t.Error(err)
	}
	if r := record(app, at("/hello")); r.StatusCode != 503 {
		t.Error(r.Status)
	}
	goOn(t, "close")
	if err := app.Close(); err != nil {
		t.Error(err)
	}
	if r := <-got; r.body != "through" {
		t.Errorf("%+v", r)
	}
	again, _ := webapp(t)
	if r := record(again, at("/hello")); r.body != "hello" { // Python goes on
		t.Errorf("%+v", r)
	}
}

func TestStatus(t *testing.T) {
	for err, want := range map[error]int{
		bridge.ErrFailed: 500, bridge.ErrQueueFull: 503, bridge.ErrQueueTimeout: 503, bridge.ErrStopped: 503, gowsgi.ErrClosed: 503,
		context.Canceled: 503, context.DeadlineExceeded: 504, errors.New("x"): 500, &gowsgi.EnvironError{}: 500,
		fmt.Errorf("wrapped: %w", &gowsgi.RequestError{Status: 413, Err: errors.New("x")}): 413,
	} {
		if got := gowsgi.Status(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}
