package pyembed

/*
#include "gowsgi.h"
*/
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/python"
)

// zygoteVariable makes a process of this program a zygote (zygote.c).
const zygoteVariable = "GOWSGI_ZYGOTE"

// mainCalls are for the process's main thread, which in a process that a zygote
// forked is Python's.
var mainCalls = make(chan func())

func init() {
	if _, ok := Adopted(); ok {
		runtime.LockOSThread() // for main: it is the thread that Python knows
	}
}

// Adopted tells whether this process was forked by a Zygote, and returns what
// gowsgi.zygote.run said here: JSON.
func Adopted() (string, bool) {
	text := C.gw_adopted()
	if text == nil {
		return "", false
	}
	return C.GoString(text), true
}

// Main runs f, a program that may start an interpreter, and ends the process with
// the code that it returns. The function main must consist of it where Zygotes are
// used, so that Python keeps its main thread.
func Main(f func() int) {
	if _, ok := Adopted(); !ok {
		os.Exit(f())
	}
	go func() { os.Exit(f()) }()
	for call := range mainCalls {
		call()
	}
}

// adopt makes the interpreter that a zygote has left in this process the process's.
func adopt(p *Python, o Options) (*Interpreter, error) {
	t, err := newThread(0)
	if err != nil {
		return nil, err
	}
	in := &Interpreter{Python: p, options: o, main: t, calls: mainCalls}
	options, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encoding the interpreter's options: %w", err)
	}
	text := C.CString(string(options))
	defer C.free(unsafe.Pointer(text))
	in.do(func() {
		in.identify(t, "MainThread")
		var msg *C.char
		if C.gw_adopt(t.c, C.int(t.notify.Fd()), text, &msg) != 0 {
			err = parseError(takeText(msg))
		}
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}

// Zygote is a process that holds a Python and forks others from it (zygote.c). What
// it is asked and what it answers is python/gowsgi/zygote.py's. Its process is the
// caller's to reap.
type Zygote struct {
	PID int

	mu   sync.Mutex
	conn *net.UnixConn
	err  error // it cannot be asked any more
}

// StartZygote starts this program anew as a zygote. args and env are those of the
// processes it will fork. An interpreter that does not start is the error of the
// first Ask.
func StartZygote(p *Python, o Options, args, env []string) (*Zygote, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	options, err := json.Marshal(struct {
		Options
		Deferred bool `json:"deferred"`
	}{o, true})
	if err != nil {
		return nil, fmt.Errorf("encoding the interpreter's options: %w", err)
	}
	var state bridge.Record
	for _, pair := range [][2]string{
		{"library", p.Library}, {"program", p.Executable}, {"bootstrap", python.Bootstrap()},
		{"options", string(options)}, {"sources", string(flatSources())},
	} {
		state = state.Append(pair[0], pair[1])
	}
	theirState, ourState, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting a Python process: %w", err)
	}
	defer theirState.Close()
	defer ourState.Close()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("starting a Python process: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "zygote"), os.NewFile(uintptr(pair[1]), "master")
	defer ours.Close() // conn is a copy
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("starting a Python process: %w", err)
	}
	pid, err := syscall.ForkExec(selfExe, args, &syscall.ProcAttr{
		Env:   append(env[:len(env):len(env)], zygoteVariable+"=1"),
		Files: []uintptr{0, 1, 2, theirs.Fd(), theirState.Fd()},
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("starting a Python process: %w", err)
	}
	theirState.Close() // so that writing fails if the process has ended
	z := &Zygote{PID: pid, conn: conn.(*net.UnixConn)}
	if _, err := ourState.Write(state); err != nil {
		z.Close()
		return nil, fmt.Errorf("starting a Python process: %w", err)
	}
	return z, nil
}

// selfExe is this program, also when its file was replaced since.
const selfExe = "/proc/self/exe"

// maxPacket bounds an answer; the kernel takes packets of about 200 KiB.
const maxPacket = 256 << 10

// Ask sends a request and returns its answer, within a limit. files go along with
// it and stay the caller's. An exception there is an *Error. It may be called from
// any goroutine; after a limit that was passed it fails always.
func (z *Zygote) Ask(request any, limit time.Duration, files ...uintptr) (json.RawMessage, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("asking the Python process: %w", err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.err != nil {
		return nil, z.err
	}
	answer, err := z.exchange(text, limit, files)
	if err != nil {
		z.err = fmt.Errorf("asking the Python process %d: %w", z.PID, err)
		z.conn.Close()
		return nil, z.err
	}
	if !strings.HasPrefix(string(answer), "{") { // from zygote.c
		return nil, errors.New(string(answer))
	}
	var reply struct {
		Type  string `json:"type"` // a bare error: Python did not start
		Error *Error `json:"error"`
	}
	if err := json.Unmarshal(answer, &reply); err != nil {
		return nil, fmt.Errorf("the Python process's answer: %w", err)
	}
	if reply.Type != "" {
		return nil, parseError(string(answer))
	}
	if reply.Error != nil {
		return nil, reply.Error
	}
	return answer, nil
}

func (z *Zygote) exchange(text []byte, limit time.Duration, files []uintptr) ([]byte, error) {
	if err := z.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f)
		}
		rights = syscall.UnixRights(fds...)
	}
	if _, _, err := z.conn.WriteMsgUnix(text, rights, nil); err != nil {
		return nil, err
	}
	answer := make([]byte, maxPacket)
	n, _, flags, _, err := z.conn.ReadMsgUnix(answer, nil)
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.ErrUnexpectedEOF
	case flags&syscall.MSG_TRUNC != 0:
		return nil, errors.New("its answer is too long")
	}
	return answer[:n], nil
}

// Close lets the process end. Those it has forked go on.
func (z *Zygote) Close() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.err == nil {
		z.err = errors.New("the Python process was ended")
		z.conn.Close()
	}
}
