package pyembed

/*
#include "gowsgi.h"
*/
import "C"

import (
	"errors"
	"runtime"
	"strconv"
	"sync"

	"github.com/gowsgi/gowsgi/bridge"
)

// crew is the executors of one Serve.
type crew struct {
	in     *Interpreter
	pool   *bridge.Pool
	app    App
	report Reporter

	// all counts who is at work, and who was given up until Replace has decided.
	all sync.WaitGroup

	mu      sync.Mutex
	next    int // index of the next thread
	spare   int // how many more Replace may start
	working int
}

// Serve runs one executor for each of the options' threads until the pool is
// stopped and empty. app serves the requests whose App is 0, those that were loaded
// after it the ones from 1 on. report gets the exceptions that applications raise, on the
// executor's goroutine, with the request they belong to. Serve does not wait for
// executors that the pool has given up: Replace says what becomes of their place.
func (in *Interpreter) Serve(pool *bridge.Pool, app App, report Reporter) error {
	n := in.options.Threads
	first := 1 // index of the first executor that has a thread to be started
	if in.options.Library {
		first = 0
	}
	c := &crew{in: in, pool: pool, app: app, report: report, next: n + 1 - first, spare: n, working: n}
	in.crew.Store(c)
	var threads []*thread
	for i := first; i < n; i++ {
		t, err := newThread(i + 1 - first)
		if err != nil {
			return err
		}
		threads = append(threads, t)
	}
	c.all.Add(n)
	if !in.options.Library {
		in.main.app, in.main.report = app, report
		in.calls <- func() { c.run(in.main) }
	}
	started := make(chan error, n)
	for _, t := range threads {
		go func() { c.start(t, started) }()
	}
	var failure error
	for range threads {
		if err := <-started; err != nil && failure == nil {
			failure = err
			pool.Stop()
		}
	}
	c.all.Wait()
	return failure
}

// start is the life of an executor's thread but the main one.
func (c *crew) start(t *thread, started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with the process
	t.app, t.report = c.app, c.report
	name := "gowsgi-" + strconv.Itoa(t.index)
	err := t.start(name)
	started <- err
	if err != nil {
		c.all.Done()
		return
	}
	c.in.identify(t, name)
	c.run(t)
	select {} // CPython may still know the thread: it must not be reused
}

func (c *crew) run(t *thread) {
	C.gw_thread_note(t.c)
	if c.pool.Run(t) {
		c.in.lost.Add(-1) // it did come back
		return
	}
	c.all.Done()
}

// ErrNoSpare: as many executors as there are threads were replaced before.
var ErrNoSpare = errors.New("as many threads were replaced as there were")

// Replace starts another executor in the place of one that the pool has given up,
// for which it must be called once; at most as many as there are threads, since
// those that were given up are still there. It returns when the new one serves,
// which takes as long as the interpreter is stuck, with how many are at work.
func (in *Interpreter) Replace(bridge.Executor) (working int, err error) {
	c := in.crew.Load()
	in.lost.Add(1)
	defer c.all.Done()
	c.mu.Lock()
	if c.spare == 0 {
		c.working--
		defer c.mu.Unlock()
		return c.working, ErrNoSpare
	}
	c.spare--
	index := c.next
	c.next++
	c.mu.Unlock()
	t, err := newThread(index)
	if err == nil {
		c.all.Add(1)
		started := make(chan error, 1)
		go c.start(t, started)
		err = <-started
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.working--
	}
	return c.working, err
}

// Lost returns how many executors were given up and have not come back.
func (in *Interpreter) Lost() int { return int(max(in.lost.Load(), 0)) }
