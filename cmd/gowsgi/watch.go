package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/hashicorp/go-hclog"
)

// watchConfig is when a worker is to be replaced although nobody asks for it; zero
// is never.
type watchConfig struct {
	timeout     time.Duration // a request gives its client nothing
	stuck       time.Duration // the interpreter runs nothing
	maxRSS      int64         // bytes of memory
	maxLifetime time.Duration
	reload      bool // Python is asked for the application's files
}

const (
	stackTime = 5 * time.Second // bounds what is asked of an interpreter in trouble
	abortTime = 5 * time.Second
)

// watch looks after a worker's requests, its interpreter and its size.
type watch struct {
	watchConfig
	in     *pyembed.Interpreter
	pool   *bridge.Pool
	log    hclog.Logger
	unwell func(reason string) // asks to be replaced, once; the reason goes on with "a worker that"

	// over gets one function when nothing more can be served; it is to be called
	// with what was running.
	over  chan func(running []bridge.Stall)
	told  chan struct{} // closed when it has been
	end   sync.Once
	abort sync.Once
	stops []func()
	stop  func() // returns when nothing of this runs any more: what has happened is in the log
}

// startWatch begins what cfg asks for.
func startWatch(cfg watchConfig, in *pyembed.Interpreter, pool *bridge.Pool, log hclog.Logger, unwell func(reason string)) (*watch, error) {
	w := &watch{watchConfig: cfg, in: in, pool: pool, log: log, over: make(chan func([]bridge.Stall), 1), told: make(chan struct{})}
	var asked sync.Once
	w.unwell = func(reason string) {
		asked.Do(func() { unwell(reason) })
	}
	w.stop = sync.OnceFunc(func() {
		for _, stop := range w.stops {
			stop()
		}
		given := true
		w.end.Do(func() { given = false }) // nor will it be
		if given {
			select {
			case <-w.told:
			case <-time.After(time.Second): // nobody listens
			}
		}
	})
	_, hooks := pyembed.Adopted()
	if cfg.timeout > 0 || cfg.stuck > 0 || cfg.reload || hooks {
		if err := in.Watch(); err != nil {
			return nil, err
		}
	}
	if cfg.timeout > 0 {
		w.stops = append(w.stops, pool.Watch(cfg.timeout, w.stalled))
	}
	if cfg.stuck > 0 {
		w.stops = append(w.stops, in.WatchStuck(cfg.stuck, w.isStuck))
	}
	if cfg.maxRSS > 0 || cfg.maxLifetime > 0 {
		end := make(chan struct{})
		go w.age(end)
		w.stops = append(w.stops, func() { close(end) })
	}
	return w, nil
}

// stalled tells of requests that took too long, all at the same time.
func (w *watch) stalled(stalls []bridge.Stall) {
	var executors []bridge.Executor
	for _, s := range stalls {
		executors = append(executors, s.Executor)
		go w.replace(s.Executor) // which waits while Python is stuck
	}
	// Stacks come in no time, or never.
	ask := time.AfterFunc(time.Second/2, w.slow)
	defer ask.Stop()
	own, others, err := w.in.Stacks(stackTime, executors...)
	for i, s := range stalls {
		stack := own[i]
		switch {
		case errors.Is(err, pyembed.ErrNoAnswer):
			stack = "cannot be had: C code keeps all Python threads from running (it holds the GIL)"
		case err != nil:
			stack = "cannot be had: " + err.Error()
		case stack == "":
			stack = "not in Python any more"
		}
		args := append(requestArgs(s.Record), "seconds", seconds(s.Silent), "limit", seconds(w.timeout), "client", s.Client, "stack", stack)
		if i == 0 && others != "" {
			args = append(args, "others", others) // once is enough for all
		}
		w.log.Error("the application took too long", args...)
	}
	w.slow()
	if err == nil {
		w.abort.Do(w.runAbortHook)
	}
}

func (w *watch) slow() { w.unwell("had a request that took too long") }

// runAbortHook runs the configuration file's worker_abort, as gunicorn's workers do
// when their time is over.
func (w *watch) runAbortHook() {
	w.hook("worker_abort")
}

// hook runs a hook of the configuration file while the executors serve.
func (w *watch) hook(name string) {
	if _, ok := pyembed.Adopted(); !ok {
		return // no configuration file
	}
	request := `{"name": "` + name + `"}`
	if _, err := w.in.Aside(abortTime, "worker_hook", &request); err != nil {
		w.log.Warn("a hook did not end well", "hook", name, "error", err)
	}
}

// replace lets another thread serve in the place of one that may never come back.
func (w *watch) replace(e bridge.Executor) {
	working, err := w.in.Replace(e)
	if err != nil {
		w.log.Warn("no thread takes the place of one that was lost", "cause", err, "threads", working)
	}
	if working == 0 {
		w.giveUp(func([]bridge.Stall) {})
	}
}

// isStuck ends a worker in whose interpreter nothing runs.
func (w *watch) isStuck(s pyembed.Stuck) {
	w.giveUp(func(running []bridge.Stall) {
		var requests strings.Builder
		for _, r := range running {
			fmt.Fprintf(&requests, "%s %s from %s\n", r.Record.Lookup("REQUEST_METHOD"), r.Record.Lookup("RAW_URI"), r.Record.Lookup("REMOTE_ADDR"))
		}
		stacks := s.Stacks
		if stacks == "" {
			stacks = "cannot be had: the application has set faulthandler.dump_traceback_later for itself"
		}
		w.log.Error("Python is stuck: C code keeps all its threads from running (it holds the GIL); this process ends",
			"seconds", seconds(s.Silent), "limit", seconds(w.stuck), "requests", requests.String(), "stacks", stacks, "threads", s.Threads)
	})
}

func (w *watch) giveUp(tell func(running []bridge.Stall)) {
	w.end.Do(func() {
		w.over <- func(running []bridge.Stall) {
			tell(running)
			close(w.told)
		}
	})
}

var (
	errStuck = errors.New("the application does not come back: nothing more can be served")
	errLost  = errors.New("threads are in requests that took too long")
	errBusy  = errors.New("it is still busy after its last answer")
)

// whileStopping ends the requests that a stopping worker waits for in vain.
func (w *watch) whileStopping() {
	tell := <-w.over
	tell(w.pool.GiveUp(bridge.ErrStuck))
}

// rest waits for the executors to end, after the last answer. An error says why the
// application's exit handlers cannot run.
func (w *watch) rest(ctx context.Context, executors <-chan error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	// Idle threads need a moment to end, however quick the stop is to be.
	var late <-chan time.Time
	over := ctx.Done()
	for {
		select {
		case <-executors:
			if w.in.Lost() > 0 {
				return errLost
			}
			return nil
		case <-w.told:
			return errStuck
		case <-over:
			over, late = nil, time.After(200*time.Millisecond)
		case <-late:
			return errBusy
		case <-tick.C:
			// Another in the place of a lost one may wait for Python as long as that.
			if n := w.in.Lost(); n > 0 && w.pool.Stats().Busy <= int64(n) {
				return errLost
			}
		}
	}
}

// age asks for a replacement when the process is too large or too old.
func (w *watch) age(end <-chan struct{}) {
	var old <-chan time.Time
	if w.maxLifetime > 0 {
		old = time.After(w.maxLifetime + rand.N(w.maxLifetime/10+1)) // not all at the same time
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-old:
			w.unwell(fmt.Sprintf("has served for %v s (--max-lifetime)", seconds(w.maxLifetime)))
			return
		case <-tick.C:
			if size := residentBytes(); w.maxRSS > 0 && size > w.maxRSS {
				w.unwell(fmt.Sprintf("holds %d MB of memory, more than %d MB (--max-rss)", size>>20, w.maxRSS>>20))
				return
			}
		}
	}
}

func seconds(d time.Duration) float64 { return d.Round(10 * time.Millisecond).Seconds() }
