package gowsgi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/pyembed"
)

// host is the process's Python: CPython lives once in a process.
type host struct {
	turn chan struct{} // holds one token; what is below is its holder's, but for fields set once

	in      *pyembed.Interpreter // nil before the first load
	pool    *bridge.Pool
	calls   *pyembed.Caller
	threads int
	limits  bridge.PoolLimits
	asked   string                 // Config.Python of the first load
	apps    map[string]pyembed.App // by spec
	served  chan error             // of Serve
	over    error                  // why nothing can be loaded any more
}

var process = host{turn: make(chan struct{}, 1), apps: map[string]pyembed.App{}}

// do runs f when the turn for it has come, and waits for it as long as ctx lasts. f goes
// on then: Python cannot be interrupted.
func do[T any](ctx context.Context, h *host, f func() (T, error)) (T, error) {
	var none T
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		<-h.turn
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// ready makes modules importable that c and name are about, and starts Python before.
func (h *host) ready(ctx context.Context, c *Config, name string) error {
	folders, err := c.folders()
	if err != nil {
		return err
	}
	if h.over != nil {
		return h.over
	}
	if h.in == nil {
		err = h.start(ctx, c)
	} else {
		err = h.suits(ctx, c)
	}
	if err != nil {
		return err
	}
	return h.in.UseFolders(folders, name)
}

func (h *host) start(ctx context.Context, c *Config) error {
	py, err := pyembed.Find(ctx, c.Python, c.Dir)
	if err != nil {
		return err
	}
	threads := max(c.Threads, 1)
	in, err := pyembed.Start(py, pyembed.Options{
		Argv: os.Args[:1], ErrorFD: 2, Threads: threads, OwnedSignals: []string{"*"}, Library: true,
	})
	if err != nil {
		h.over = fmt.Errorf("starting Python %s: %w", py.Version, err)
		return h.over
	}
	limits := c.poolLimits()
	pool := bridge.NewPool(limits)
	calls, err := in.NewCaller(pool, 0)
	if err != nil {
		h.over = fmt.Errorf("starting Python %s: %w", py.Version, err)
		return h.over
	}
	h.in, h.pool, h.calls, h.threads, h.limits, h.asked = in, pool, calls, threads, limits, c.Python
	h.served = make(chan error, 1)
	go func() {
		err := in.Serve(pool, 0, report)
		if err != nil {
			slog.Error("Python has too few threads; its requests are refused", "error", err)
		}
		h.served <- err
	}()
	return nil
}

// poolLimits are what Python is started with.
func (c *Config) poolLimits() bridge.PoolLimits {
	return bridge.PoolLimits{Queue: cmp.Or(c.Queue, defaultQueue), Wait: max(cmp.Or(c.QueueTimeout, defaultQueueTimeout), 0)}
}

// suits tells whether Python runs as c asks for.
func (h *host) suits(ctx context.Context, c *Config) error {
	limits := c.poolLimits()
	switch {
	case c.Threads != 0 && c.Threads != h.threads:
		return fmt.Errorf("%w: with %d threads, not %d", ErrProcess, h.threads, c.Threads)
	case c.Queue != 0 && limits.Queue != h.limits.Queue:
		return fmt.Errorf("%w: with a queue of %d, not %d", ErrProcess, h.limits.Queue, limits.Queue)
	case c.QueueTimeout != 0 && limits.Wait != h.limits.Wait:
		return fmt.Errorf("%w: with a queue timeout of %v, not %v", ErrProcess, h.limits.Wait, limits.Wait)
	case c.Python == "" || c.Python == h.asked:
		return nil
	}
	py, err := pyembed.Find(ctx, c.Python, c.Dir)
	if err != nil {
		return err
	}
	if py.Prefix != h.in.Python.Prefix || py.Library != h.in.Python.Library {
		return fmt.Errorf("%w: it is %s, not %s", ErrProcess, h.in.Python.Executable, py.Executable)
	}
	return nil
}

// load returns an application.
func (h *host) load(ctx context.Context, c *Config) (pyembed.App, error) {
	return do(ctx, h, func() (pyembed.App, error) {
		if err := h.ready(ctx, c, c.App); err != nil {
			return 0, err
		}
		if app, ok := h.apps[c.App]; ok {
			return app, nil
		}
		app, err := h.in.Load(c.App)
		if err == nil && !strings.Contains(c.App, "(") { // a factory makes a new one each time
			h.apps[c.App] = app
		}
		return app, err
	})
}

// report gets what applications raise, on their threads.
func report(x *bridge.Exchange, err error) {
	if q, ok := x.Owner.(*request); ok {
		q.app.raised(q.http, err)
	}
}

// Import imports a Python module, whose functions the program can call then; see
// pyembed.Caller for what they may take and return. It is found and run as Load says,
// by Config's Dir, PythonPath, Python, Threads, Queue and QueueTimeout. Errors are as
// Load's and Module.Call's; when ctx ends the import goes on.
func Import(ctx context.Context, c Config, module string) (*pyembed.Module, error) {
	return do(ctx, &process, func() (*pyembed.Module, error) {
		if err := process.ready(ctx, &c, module); err != nil {
			return nil, fmt.Errorf("importing %s: %w", module, err)
		}
		return process.calls.Import(module)
	})
}

// Shutdown ends Python in this process for good: it waits until all requests and calls
// are done, then runs Python's own exit handlers (atexit) and ends its threads. When
// ctx ends before, it returns ctx's error, and no more requests are taken all the same.
// Close applications and stop servers first. Without it, a process that ends ends
// Python with it, and no exit handlers run.
func Shutdown(ctx context.Context) error {
	_, err := do(ctx, &process, func() (struct{}, error) { return struct{}{}, process.end() })
	return err
}

func (h *host) end() error {
	if h.in == nil || errors.Is(h.over, ErrShutdown) {
		h.over = cmp.Or(h.over, ErrShutdown)
		return nil
	}
	h.over = ErrShutdown
	h.pool.Stop()
	<-h.served
	return h.in.Close(0)
}
