package pyembed

/*
#include "gowsgi.h"
*/
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/internal/unpacked"
	"github.com/gowsgi/gowsgi/python"
)

// Options says how the interpreter is set up; see gowsgi.embed.setup.
type Options struct {
	Dir          string   `json:"chdir,omitempty"`
	PythonPath   []string `json:"pythonpath,omitempty"`
	Argv         []string `json:"argv,omitempty"`
	ErrorFD      int      `json:"error_fd"` // where wsgi.errors goes; stays the caller's
	Threads      int      `json:"threads"`  // how many executors Serve starts
	MultiProcess bool     `json:"multiprocess"`
	OwnedSignals []string `json:"owned_signals"`    // the application must not replace these; "*": any
	Logs         any      `json:"logs,omitempty"`   // see gowsgi.logs.setup
	Reload       bool     `json:"reload,omitempty"` // the application's files are edited all the time
	UWSGI        any      `json:"uwsgi,omitempty"`  // nil: there is no module uwsgi; see gowsgi.uwsgi_compat.install
	// Library is for a Go program of its own: its working folder stays and is not on
	// sys.path (see UseFolders), and the main thread runs no requests, so that
	// whatever else must not run while Serve does may do so.
	Library bool `json:"library,omitempty"`

	// AppDir comes first in sys.path, in place of the current folder. "": the packed
	// application's, if one is packed with this program, else the current folder; with
	// Library neither.
	AppDir string `json:"app_dir,omitempty"`
}

// complete fills in what a program of one file brings with it.
func (o Options) complete() (Options, error) {
	b, err := unpacked.Here()
	if b != nil && o.AppDir == "" && !o.Library {
		o.AppDir = b.Path(unpacked.App)
	}
	return o, err
}

// Interpreter is the process's CPython. Its methods may be called from any
// goroutine, except as each says; they run on its main thread.
type Interpreter struct {
	Python  *Python
	options Options
	main    *thread
	calls   chan func()
	crew    atomic.Pointer[crew]    // of Serve
	lost    atomic.Int64            // executors that were given up and are still in the application
	watcher atomic.Pointer[watcher] // of Watch
	names   sync.Map                // of Python's threads, by the kernel's number (int) and by ident (uint64)
}

var started atomic.Bool

// ErrStarted is returned by a second Start: CPython lives once in a process.
var ErrStarted = errors.New("an interpreter was started in this process before")

// Start opens and initialises CPython on an OS thread of its own, which becomes
// its main thread and lives as long as the process. Errors are *Error when Python
// raised them.
func Start(p *Python, o Options) (*Interpreter, error) {
	if !started.CompareAndSwap(false, true) {
		return nil, ErrStarted
	}
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	o.Threads = max(o.Threads, 1)
	if _, ok := Adopted(); ok {
		return adopt(p, o)
	}
	library := C.CString(p.Library)
	defer C.free(unsafe.Pointer(library))
	if msg := C.pyapi_open(library); msg != nil {
		return nil, fmt.Errorf("%w: opening %s: %s", ErrNoLibrary, p.Library, takeText(msg))
	}
	t, err := newThread(0)
	if err != nil {
		return nil, err
	}
	in := &Interpreter{Python: p, options: o, main: t, calls: make(chan func())}
	done := make(chan error)
	go in.loop(done)
	if err := <-done; err != nil {
		return nil, err
	}
	return in, nil
}

// loop is the life of the main thread.
func (in *Interpreter) loop(done chan<- error) {
	runtime.LockOSThread()
	err := in.init()
	in.identify(in.main, "MainThread")
	done <- err
	for call := range in.calls {
		call()
	}
}

func (in *Interpreter) init() error {
	options, err := json.Marshal(in.options)
	if err != nil {
		return fmt.Errorf("encoding the interpreter's options: %w", err)
	}
	sources := flatSources()
	cProgram, cBoot, cOptions := C.CString(in.Python.Executable), C.CString(python.Bootstrap()), C.CString(string(options))
	defer C.free(unsafe.Pointer(cProgram))
	defer C.free(unsafe.Pointer(cBoot))
	defer C.free(unsafe.Pointer(cOptions))
	var msg *C.char
	if C.gw_init(cProgram, cBoot, (*C.char)(unsafe.Pointer(&sources[0])),
		C.size_t(len(sources)), cOptions, &msg) != 0 {
		return parseError(takeText(msg))
	}
	return nil
}

func flatSources() bridge.Record {
	sources := python.Sources()
	names := make([]string, 0, len(sources))
	for name := range sources {
		names = append(names, name)
	}
	sort.Strings(names)
	var rec bridge.Record
	for _, name := range names {
		rec = rec.Append(name, sources[name])
	}
	return rec
}

// do runs f on the main thread and waits for it.
func (in *Interpreter) do(f func()) {
	done := make(chan struct{})
	in.calls <- func() { defer close(done); f() }
	<-done
}

// App is a loaded application: its number among those of the process.
type App int

// Load imports the application that spec names ("module:attribute"; see
// gowsgi.apps.load). The error is an *Error whose ExitCode says what went wrong.
// It must not run while Serve does, but for Options.Library.
func (in *Interpreter) Load(spec string) (App, error) {
	text := C.CString(spec)
	defer C.free(unsafe.Pointer(text))
	var msg *C.char
	var index C.int
	in.do(func() { index = C.gw_load(in.main.c, text, &msg) })
	if index < 0 {
		return -1, parseError(takeText(msg))
	}
	return App(index), nil
}

// UseFolders puts folders, as absolute paths, on sys.path, behind those of earlier
// calls. The module that an application's spec names, or is named itself, is about to
// be imported: an *Error says if the first folder has it but another one of its name is
// in the way. For Options.Library.
func (in *Interpreter) UseFolders(folders []string, module string) error {
	request, err := json.Marshal(map[string]any{"folders": folders, "module": module})
	if err != nil {
		return fmt.Errorf("encoding folders: %w", err)
	}
	text := string(request)
	in.do(func() { _, err = in.main.call("use_folders", &text) })
	return err
}

// Info returns what the interpreter says of itself, as JSON (gowsgi.embed.info).
// It must not run while Serve does.
func (in *Interpreter) Info() (string, error) {
	var text string
	var err error
	in.do(func() { text, err = in.main.call("info", nil) })
	return text, err
}

// Reporter takes an exception that the application raised while serving x.
type Reporter func(x *bridge.Exchange, err error)

// Close runs the handlers that the application set for the signal that ends the
// server (0: none), then atexit's and threading's, and ends CPython. Serve must
// have returned, and Lost be 0. Nothing of the interpreter may be used afterwards.
func (in *Interpreter) Close(signal int) error {
	if err := in.endWatch(); err != nil {
		return err
	}
	var err error
	in.do(func() {
		if signal != 0 {
			number := strconv.Itoa(signal)
			_, err = in.main.call("run_exit_handlers", &number)
		}
		C.gw_finalize(in.main.c)
	})
	return err
}

// Hook runs a hook of the configuration file that gunicorn runs in its workers
// (gowsgi.embed.worker_hook), if there is such. It must not run while Serve does.
func (in *Interpreter) Hook(name string) error {
	request := `{"name": "` + name + `"}`
	var err error
	in.do(func() { _, err = in.main.call("worker_hook", &request) })
	return err
}

// takeText copies a C string and frees it.
func takeText(s *C.char) string {
	if s == nil {
		return "unknown error"
	}
	defer C.free(unsafe.Pointer(s))
	return C.GoString(s)
}

// newThread makes a thread with its outbox's pipe, whose reading goroutine lives
// as long as the process.
func newThread(index int) (*thread, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a thread's pipe: %w", err)
	}
	fd := w.Fd()                      // blocking from here on; C writes to it
	c := C.gw_thread_at(C.int(index)) // a zygote's
	if c == nil {
		c = C.gw_thread_new(C.int(index), C.int(fd))
	}
	if c == nil {
		return nil, fmt.Errorf("no room for thread %d of at most %d", index, C.GW_MAX_THREADS)
	}
	t := &thread{c: c, index: index, notify: w}
	go t.drainOutbox(r)
	return t, nil
}
