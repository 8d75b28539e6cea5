package pyembed

/*
#include "gowsgi.h"
*/
import "C"

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
)

// ErrNoAnswer: the interpreter did not answer in time, since C code keeps the GIL
// or what it was asked to run takes too long.
var ErrNoAnswer = errors.New("Python does not answer")

// watcher is a thread in the interpreter that never runs requests: what is to be
// asked while executors are busy, or lost, is asked here. It waits outside Python.
type watcher struct {
	t     *thread
	calls chan func()
	alarm *os.File      // where CPython's own watchdog writes
	heard dump          // what it wrote
	stuck chan struct{} // closed when WatchStuck has found that
}

// Watch starts the watch thread, which Aside, Stacks and WatchStuck need.
func (in *Interpreter) Watch() error {
	const index = C.GW_MAX_THREADS - 1 // no executor's
	c := C.gw_thread_new(index, -1)
	if c == nil {
		return errors.New("no memory for the watch thread")
	}
	r, alarm, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making the watch thread's pipe: %w", err)
	}
	w := &watcher{t: &thread{c: c, index: index}, calls: make(chan func()), alarm: alarm, stuck: make(chan struct{})}
	go w.heard.collect(r)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the process
		const name = "gowsgi-watch"
		err := w.t.start(name)
		in.identify(w.t, name)
		started <- err
		for call := range w.calls {
			call()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	in.watcher.Store(w)
	return nil
}

// identify notes who the calling thread is.
func (in *Interpreter) identify(t *thread, name string) {
	t.ident = uint64(C.gw_thread_ident())
	in.names.Store(syscall.Gettid(), name)
	in.names.Store(t.ident, name)
}

// Aside calls gowsgi.embed.<function>, with an argument unless that is nil, on the
// watch thread, and returns its text. After bound, or when the interpreter is found
// stuck, it gives up with ErrNoAnswer; the call may go on, and those after it wait
// for it.
func (in *Interpreter) Aside(bound time.Duration, function string, argument *string) (string, error) {
	w := in.watcher.Load()
	if w == nil {
		return "", errors.New("there is no watch thread")
	}
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	call := func() {
		text, err := w.t.call(function, argument)
		got <- answer{text, err}
	}
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case w.calls <- call:
	case <-timer.C:
		return "", ErrNoAnswer
	case <-w.stuck:
		return "", ErrNoAnswer
	}
	select {
	case a := <-got:
		return a.text, a.err
	case <-timer.C:
		return "", ErrNoAnswer
	case <-w.stuck:
		return "", ErrNoAnswer
	}
}

// Stacks returns the Python stacks of the executors in of, in that order, and of
// all other threads: as text, with the threads' names. "" is a thread that is not
// in Python any more.
func (in *Interpreter) Stacks(bound time.Duration, of ...bridge.Executor) (own []string, others string, err error) {
	own = make([]string, len(of))
	text, err := in.Aside(bound, "dump_stacks", nil)
	if err != nil {
		return own, "", err
	}
	var all []struct {
		Ident uint64
		Stack string
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return own, "", fmt.Errorf("reading the stacks: %w", err)
	}
	var rest strings.Builder
	for _, one := range all {
		i := slices.IndexFunc(of, func(e bridge.Executor) bool {
			t, ok := e.(*thread)
			return ok && t.ident == one.Ident
		})
		if i >= 0 {
			own[i] = one.Stack
		} else {
			rest.WriteString(one.Stack)
		}
	}
	return own, rest.String(), nil
}

// Stuck describes an interpreter that does not answer.
type Stuck struct {
	Silent  time.Duration
	Threads string // the kernel's view of this process's threads
	Stacks  string // of Python, written without the GIL; "" if the application uses that timer of faulthandler's
}

// longestPause is between two pings: a stuck interpreter is found that much later.
const longestPause = 15 * time.Second

// WatchStuck asks the interpreter for an answer again and again, and calls stuck,
// once, when there is none for limit. stop returns when none of it runs any more.
func (in *Interpreter) WatchStuck(limit time.Duration, stuck func(Stuck)) (stop func()) {
	w := in.watcher.Load()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		pause := min(limit/4, longestPause)
		for {
			silent, stopped := w.ping(limit, end)
			if stopped {
				return
			}
			if silent >= limit {
				close(w.stuck)
				stuck(Stuck{Silent: silent, Threads: in.osThreads(), Stacks: in.withNames(w.heard.take())})
				return
			}
			w.heard.take() // it was slow, or this process was stopped
			select {
			case <-end:
				return
			case <-time.After(pause):
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(end)
		<-ended
	})
}

// ping returns after an answer, or how long there was none when that is limit.
func (w *watcher) ping(limit time.Duration, end <-chan struct{}) (silent time.Duration, stopped bool) {
	// The alarm goes off before the next ping but one is given up.
	argument := fmt.Sprintf("%.3f %d", limit.Seconds(), w.alarm.Fd())
	done := make(chan struct{})
	call := func() {
		defer close(done)
		_, _ = w.t.call("ping", &argument) // an exception is an answer
	}
	step := min(max(limit/16, 10*time.Millisecond), time.Second)
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	last := time.Now()
	calls := w.calls
	for silent < limit {
		select {
		case <-end:
			return 0, true
		case <-done:
			return 0, false
		case calls <- call:
			calls = nil
		case now := <-ticker.C:
			// Of a longer time this process was stopped, or had no CPU.
			silent += min(now.Sub(last), 2*step)
			last = now
			if C.gw_thread_inside(w.t.c) { // busy with something, so it did get the GIL
				silent = 0
			}
		}
	}
	return silent, false
}

// endWatch parks the watch thread outside Python for good, before Python ends.
func (in *Interpreter) endWatch() error {
	w := in.watcher.Load()
	if w == nil {
		return nil
	}
	select {
	case w.calls <- func() { select {} }:
		return nil
	case <-time.After(time.Second):
		return fmt.Errorf("ending the watch thread: %w", ErrNoAnswer)
	}
}

// withNames adds the threads' names to stacks that were written without the GIL.
func (in *Interpreter) withNames(stacks string) string {
	in.names.Range(func(key, name any) bool {
		if ident, ok := key.(uint64); ok {
			hex := fmt.Sprintf("hread 0x%016x", ident)
			stacks = strings.ReplaceAll(stacks, hex, fmt.Sprintf("%s (%s)", hex, name))
		}
		return true
	})
	return stacks
}

// dump is what CPython's watchdog has written.
type dump struct {
	mu   sync.Mutex
	text []byte
}

const dumpSize = 1 << 20

func (d *dump) collect(r *os.File) {
	part := make([]byte, 4<<10)
	for {
		n, err := r.Read(part)
		if err != nil {
			return
		}
		d.mu.Lock()
		if len(d.text) < dumpSize {
			d.text = append(d.text, part[:n]...)
		}
		d.mu.Unlock()
	}
}

// take returns what there is, and forgets it.
func (d *dump) take() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := d.text
	d.text = nil
	_, text, _ = bytes.Cut(text, []byte("!\n")) // "Timeout (0:01:00)!"
	return string(text)
}
