package pyembed

/*
#include "gowsgi.h"
*/
import "C"

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/gowsgi/gowsgi/bridge"
)

// thread is one executor: an OS thread with a Python thread state, and the
// request it serves. All but drainOutbox runs on its own goroutine, which is
// locked to the OS thread.
type thread struct {
	c      *C.gw_thread
	index  int
	ident  uint64 // as threading.get_ident() has it; set before Run
	app    App
	report Reporter
	notify *os.File // the outbox's end of the pipe; held so that it stays open

	// mu orders what the application's write() sends (drainOutbox) with what the
	// thread itself passes on.
	mu      sync.Mutex
	current *bridge.Exchange // nil between requests
}

func (t *thread) start(name string) error {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	var msg *C.char
	if C.gw_thread_start(t.c, text, &msg) != 0 {
		return parseError(takeText(msg))
	}
	return nil
}

// call runs gowsgi.embed.<function> and returns its text.
func (t *thread) call(function string, argument *string) (string, error) {
	name := C.CString(function)
	defer C.free(unsafe.Pointer(name))
	var arg, msg *C.char
	if argument != nil {
		arg = C.CString(*argument)
		defer C.free(unsafe.Pointer(arg))
	}
	out := C.gw_call(t.c, name, arg, &msg)
	if out == nil {
		return "", parseError(takeText(msg))
	}
	return takeText(out), nil
}

// Running implements bridge.Locked.
func (t *thread) Running() (running, known bool) {
	n := C.gw_thread_running(t.c)
	return n > 0, n >= 0
}

// Execute implements bridge.Executor. Crossings: one when the application returned
// a list or tuple; for other iterables one, one more for each chunk after the
// first and for the end, or for as many small ones as come at once, and one for close()
// when the end itself had to be sent.
func (t *thread) Execute(x *bridge.Exchange) {
	t.setCurrent(x)
	t.first(x)
	left := t.deliver(x)
	for t.c.part.open {
		switch {
		case t.c.part.kind == C.GW_MORE && (left == nil || errors.Is(left, bridge.ErrComplete)):
			// What is complete is still iterated to its end, for the code after
			// the last yield; a chunk more than the client takes ends it.
			C.gw_next(t.c, C.bool(left != nil))
			if left != nil && t.c.part.kind == C.GW_MORE {
				C.gw_finish(t.c)
			}
		default:
			C.gw_finish(t.c)
			t.reportError(x)
			continue
		}
		if err := t.deliver(x); left == nil {
			left = err
		}
	}
	t.setCurrent(nil)
}

func (t *thread) setCurrent(x *bridge.Exchange) {
	t.mu.Lock()
	t.current = x
	t.mu.Unlock()
}

func (t *thread) first(x *bridge.Exchange) {
	body, fd := x.Body.Bytes(), -1
	if f := x.Body.File(); f != nil {
		fd = int(f.Fd())
	}
	C.gw_start(t.c, C.int(int(t.app)+x.App), (*C.char)(unsafe.Pointer(unsafe.SliceData(x.Record))), C.size_t(len(x.Record)),
		(*C.char)(unsafe.Pointer(unsafe.SliceData(body))), C.size_t(len(body)), C.int(fd))
}

// deliver passes the thread's present part on; it returns why the front takes no
// more, if so.
func (t *thread) deliver(x *bridge.Exchange) error {
	p := &t.c.part
	failure := t.reportError(x)
	var left error
	if p.wrote {
		t.mu.Lock()
		left = t.takeOutbox(x)
		t.mu.Unlock()
	}
	body := unsafe.Slice((*byte)(unsafe.Pointer(p.body)), int(p.body_len))
	var lent bridge.Loan
	if p.lent != nil {
		lent = loan{unsafe.Pointer(p.lent)}
	}
	last := p.kind == C.GW_LAST
	switch {
	case p.kind == C.GW_ERROR:
		x.Fail(fmt.Errorf("%w: %w", bridge.ErrFailed, failure))
		return bridge.ErrFailed
	case p.kind == C.GW_FILE:
		x.RespondFile(t.head(), bridge.FilePart{
			File:   os.NewFile(uintptr(p.file_fd), "wsgi.file_wrapper"),
			Offset: int64(p.file_offset), Length: int64(p.file_length),
		})
		return nil
	case bool(p.head):
		return cmp.Or(left, x.RespondLent(t.head(), body, lent, last))
	}
	return cmp.Or(left, x.WriteLent(body, lent, last))
}

// head reads the head that start_response left; its Lines are C's memory.
func (t *thread) head() bridge.Head {
	c := t.c
	return bridge.Head{
		Status:        int(c.status),
		Lines:         bytesOf(&c.lines),
		ContentLength: int64(c.content_length),
		HasDate:       bool(c.has_date),
		HasServer:     bool(c.has_server),
	}
}

// reportError reports the exception that the part came with, if any, and returns it.
func (t *thread) reportError(x *bridge.Exchange) error {
	p := &t.c.part
	if p.error == nil {
		return nil
	}
	err := parseError(C.GoStringN(p.error, C.int(p.error_len)))
	p.error = nil
	if _, ok := x.Owner.(calling); !ok {
		t.report(x, err)
	}
	return err
}

// takeOutbox passes on what write() and early_hints left; t.mu is held.
func (t *thread) takeOutbox(x *bridge.Exchange) error {
	var hints, data C.buf
	var head C.bool
	C.gw_outbox_take(t.c, &hints, &data, &head)
	if hints.p != nil {
		x.Inform(bytesOf(&hints))
		C.free(unsafe.Pointer(hints.p))
	}
	if data.p == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(data.p))
	var err error
	if head {
		err = x.Respond(t.head(), bytesOf(&data), false)
	} else {
		err = x.Write(bytesOf(&data), false)
	}
	if errors.Is(err, bridge.ErrGone) {
		C.gw_outbox_close(t.c)
	}
	return err
}

// bytesOf is C's memory as a slice, good until C changes or frees it.
func bytesOf(b *C.buf) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(b.p)), int(b.len))
}

// corkTick is how long a small chunk waits at most when the next does not follow at once.
const corkTick = 500 * time.Microsecond

// drainOutbox passes on, while the application still runs, what its write() and
// early_hints calls leave, and chunks that have waited for the next one. It is the
// outbox's goroutine.
func (t *thread) drainOutbox(r *os.File) {
	var wakes [64]byte
	for {
		n, err := r.Read(wakes[:])
		late := errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !late {
			return
		}
		if late || bytes.IndexByte(wakes[:n], C.GW_WAKE) >= 0 {
			t.mu.Lock()
			if t.current != nil {
				t.takeOutbox(t.current)
			}
			t.mu.Unlock()
		}
		var next time.Time
		if C.gw_outbox_tend(t.c) {
			next = time.Now().Add(corkTick)
		}
		_ = r.SetReadDeadline(next) // a pipe has deadlines
	}
}
