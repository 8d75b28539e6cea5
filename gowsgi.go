package gowsgi

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/wsgi"
)

// App is a Python application as an [http.Handler]. Safe for concurrent use.
type App struct {
	config Config
	rules  *wsgi.Rules
	number int // of the application, for the executors
	pool   *bridge.Pool

	mu     sync.Mutex
	active int           // requests that have come and are not let go by both sides
	closed chan struct{} // nil: takes requests; closed when the last one is done

	requests, failed, refused, left atomic.Int64
}

// Load imports an application, and starts Python before if nothing has yet. It returns
// when the import is done, or with ctx's error when ctx ends; the import goes on then,
// and the next Load waits for it.
//
// What Python raises is a *pyembed.Error, whose Hint says what to do; no fitting Python
// is one of pyembed's errors; other settings than the process's are ErrProcess. An
// application that was loaded before is not imported again: both are one in Python.
func Load(ctx context.Context, c Config) (*App, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	rules, err := c.rules()
	if err != nil {
		return nil, err
	}
	app, err := process.load(ctx, &c)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", c.App, err)
	}
	return &App{config: c, rules: rules, number: int(app), pool: process.pool}, nil
}

// Stats are an application's counters since Load, and gauges.
type Stats struct {
	Requests int64 // that have come
	Failed   int64 // exceptions that the application raised
	Refused  int64 // requests that the application never saw, for whatever reason
	Left     int64 // whose client or context was gone before the answer was whole
	Active   int64 // that are being served now, until Python is done with them as well

	// Of the process, for all its applications and calls:

	Threads int
	Busy    int64 // threads that are in Python now
	Waiting int64 // for a thread
}

// Stats returns the figures; each is exact, their sum need not be.
func (a *App) Stats() Stats {
	a.mu.Lock()
	active := a.active
	a.mu.Unlock()
	pool := a.pool.Stats()
	return Stats{
		Requests: a.requests.Load(), Failed: a.failed.Load(), Refused: a.refused.Load(), Left: a.left.Load(),
		Active: int64(active), Threads: process.threads, Busy: pool.Busy, Waiting: pool.Waiting,
	}
}

// enter counts a request in; false when no more are taken.
func (a *App) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed != nil {
		return false
	}
	a.active++
	return true
}

func (a *App) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.active--; a.active == 0 && a.closed != nil {
		close(a.closed)
	}
}

// Drain takes no more requests, which get a 503, and returns when those that have come
// are done, in Python too, or with ctx's error. http.Server.Shutdown comes first: it
// stops new ones from coming.
func (a *App) Drain(ctx context.Context) error {
	a.mu.Lock()
	if a.closed == nil {
		a.closed = make(chan struct{})
		if a.active == 0 {
			close(a.closed)
		}
	}
	a.mu.Unlock()
	select {
	case <-a.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d requests are not done: %w", a.Stats().Active, ctx.Err())
	}
}

// closeTime is gunicorn's graceful_timeout.
const closeTime = 30 * time.Second

// Close is Drain, for at most 30 s. Python and what was imported stay: see Shutdown.
func (a *App) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return a.Drain(ctx)
}

// ServeHTTP has the application answer a request. It returns when the answer is
// written, or the request's context has ended.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	if !a.enter() {
		a.refuse(w, r, ErrClosed)
		return
	}
	x := bridge.NewExchange()
	x.Owner, x.App = &request{app: a, http: r}, a.number
	defer x.Release() // calls leave, once Python has let go as well
	err := a.prepare(x, w, r)
	if err == nil {
		err = a.pool.Submit(x)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	s := answer{app: a, w: w, r: r, x: x}
	s.run()
}

// request owns an exchange.
type request struct {
	app  *App
	http *http.Request
}

// Released implements bridge.Owner.
func (q *request) Released() { q.app.leave() }

// refuse answers what the application never saw.
func (a *App) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a.refused.Add(1)
	a.config.OnError(r, err)
	a.fail(w, r, err)
}

// fail answers in the application's place.
func (a *App) fail(w http.ResponseWriter, r *http.Request, err error) {
	if a.config.ErrorHandler != nil {
		a.config.ErrorHandler(w, r, err)
		return
	}
	a.answerError(w, r, err)
}

// raised tells of an exception, on a Python thread.
func (a *App) raised(r *http.Request, err error) {
	a.failed.Add(1)
	defer func() {
		if v := recover(); v != nil {
			err := &PanicError{Value: v, Stack: debug.Stack()}
			a.config.Logger.Error("Config.OnError panicked", "error", err, "stack", string(err.Stack))
		}
	}()
	a.config.OnError(r, err)
}
