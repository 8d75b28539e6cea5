package pyembed

import (
	"errors"
	"runtime"
	"time"
)

/*
#include "gowsgi.h"
*/
import "C"

// ErrNoAnswer: the interpreter did not answer in time.
var ErrNoAnswer = errors.New("Python does not answer")

// Watch starts the watch thread, which Aside needs.
func (in *Interpreter) Watch() error {
	t, err := newThread(C.GW_MAX_THREADS - 1) // no executor's
	if err != nil {
		return err
	}
	in.aside = make(chan func())
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the process
		started <- t.start("gowsgi-watch")
		for call := range in.aside {
			call()
		}
	}()
	in.watch = t
	return <-started
}

// Aside calls gowsgi.embed.<function>, with an argument unless that is nil, on the
// watch thread, and returns its text. After bound it gives up with ErrNoAnswer; the
// call may go on, and those after it wait for it.
func (in *Interpreter) Aside(bound time.Duration, function string, argument *string) (string, error) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	call := func() {
		text, err := in.watch.call(function, argument)
		got <- answer{text, err}
	}
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case in.aside <- call:
	case <-timer.C:
		return "", ErrNoAnswer
	}
	select {
	case a := <-got:
		return a.text, a.err
	case <-timer.C:
		return "", ErrNoAnswer
	}
}
