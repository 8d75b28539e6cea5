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
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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
		runtime.LockOSThread()      // for main: it is the thread that Python knows
		os.Unsetenv(zygoteVariable) // which was C's alone to see
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
// it is asked and what it answers is python/gowsgi/zygote.py's. It ends with the
// process that has started it, which is to reap it.
type Zygote struct {
	PID int

	process *os.Process
	mu      sync.Mutex
	conn    *net.UnixConn
	err     error // it cannot be asked any more
}

// ErrZygote is that the process has ended, or was ended since it did not answer.
var ErrZygote = errors.New("the process that holds the configuration and forks the workers")

// StartZygote starts this program anew as a zygote, in a folder ("": the present
// one). args and env are those of the processes it will fork. An interpreter that
// does not start is the error of the first Ask.
func StartZygote(p *Python, o Options, dir string, args, env []string) (*Zygote, error) {
	z, err := startZygote(p, o, dir, args, env)
	if err != nil {
		return nil, fmt.Errorf("starting a Python process: %w", err)
	}
	return z, nil
}

func startZygote(p *Python, o Options, dir string, args, env []string) (*Zygote, error) {
	state, err := zygoteState(p, o)
	if err != nil {
		return nil, err
	}
	theirState, ourState, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirState.Close()
	defer ourState.Close()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "zygote"), os.NewFile(uintptr(pair[1]), "master")
	defer ours.Close() // conn is a copy
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	process, err := os.StartProcess(selfExe, args, &os.ProcAttr{
		Dir: dir, Env: append(env[:len(env):len(env)], zygoteVariable+"=1"),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, theirs, theirState},
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	theirState.Close() // so that writing fails if the process has ended
	z := &Zygote{PID: process.Pid, process: process, conn: conn.(*net.UnixConn)}
	if _, err := ourState.Write(state); err != nil {
		z.Close()
		return nil, err
	}
	return z, nil
}

// zygoteState is what a zygote begins with.
func zygoteState(p *Python, o Options) (bridge.Record, error) {
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
		{"options", string(options)}, {"name", programName()}, {"master", strconv.Itoa(os.Getpid())}, {"sources", string(flatSources())},
	} {
		state = state.Append(pair[0], pair[1])
	}
	return state, nil
}

// programName is what this program is called: selfExe would have the kernel call it
// exe.
func programName() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return filepath.Base(path)
}

// selfExe is this program, also when its file was replaced since.
const selfExe = "/proc/self/exe"

// maxPacket bounds an answer; the kernel takes packets of about 200 KiB.
const maxPacket = 256 << 10

// Ask sends a request and returns its answer, within a limit. files go along with
// it and stay the caller's. An exception there is an *Error. It may be called from
// any goroutine. A process that passes the limit is ended, after it has written its
// stack to stderr; from then on the error is an ErrZygote.
func (z *Zygote) Ask(request map[string]any, limit time.Duration, files ...uintptr) (json.RawMessage, error) {
	request = maps.Clone(request)
	request["limit"] = limit.Seconds()
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
		z.err = z.broken(err, limit)
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

// broken ends a process with which nothing more can be done, and says why.
func (z *Zygote) broken(cause error, limit time.Duration) error {
	if errors.Is(cause, os.ErrDeadlineExceeded) {
		z.Kill()
		return fmt.Errorf("%w (%d) was ended: it had not answered within %v; stderr has its stack", ErrZygote, z.PID, limit)
	}
	return fmt.Errorf("%w (%d) has ended: was it killed, or short of memory? (%v)", ErrZygote, z.PID, cause)
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

// Kill ends the process at once, also while it is asked something. Those it has
// forked go on.
func (z *Zygote) Kill() { _ = z.process.Kill() } // it may have ended

// Close lets the process end, once it has answered what it was asked. Those it has
// forked go on.
func (z *Zygote) Close() {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.err == nil {
		z.err = fmt.Errorf("%w (%d) is not needed any more", ErrZygote, z.PID)
		z.conn.Close()
	}
	_ = z.process.Release() // of its descriptor; again does no harm
}
