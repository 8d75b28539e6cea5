package pyembed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
)

// These tests run real Python: GOWSGI_TEST_PYTHON, else python3 on PATH; it needs
// no packages. CPython starts once in a process, so the tests share one
// interpreter (see shared), and what ends or may crash it runs in a child: this
// test binary, started anew (see child).
//
// To hold the edge to all its rules:
//
//	GOEXPERIMENT=cgocheck2 go test -race ./pyembed
const childVariable = "GOWSGI_TEST_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		scenario, ok := scenarios[name]
		if !ok {
			fmt.Fprintln(os.Stderr, "no scenario", name)
			os.Exit(2)
		}
		scenario()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const patience = 30 * time.Second

// child runs a scenario in a process of its own and returns what it printed.
func child(t *testing.T, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.WaitDelay = time.Second // a child of the scenario's may hold the pipe
	out, err := cmd.CombinedOutput()
	if err != nil {
		if len(out) > 3000 {
			out = append(out[:3000], "..."...)
		}
		t.Fatalf("scenario %s: %v\n%s", name, err, out)
	}
	return string(out)
}

func testPython() (*Python, error) {
	name := os.Getenv("GOWSGI_TEST_PYTHON")
	if name == "" {
		name = "python3"
	}
	return Find(context.Background(), name, "")
}

func testOptions(threads int) Options {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		panic(err)
	}
	return Options{Dir: dir, ErrorFD: 2, Threads: threads, OwnedSignals: []string{"SIGTERM"}}
}

const sharedThreads = 8

// world is the interpreter of the tests in this process, serving testdata's
// application, and what loading others gave before.
type world struct {
	in    *Interpreter
	pool  *bridge.Pool
	calls *Caller
	m     *Module // testdata's functions
	info  string
	loads map[string]error // by spec; Load must not run while Serve does
	next  int

	mu      sync.Mutex
	reports map[string][]error // by request id
}

var shared = sync.OnceValues(func() (*world, error) {
	cwd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	py, err := testPython()
	if err != nil {
		return nil, err
	}
	w := &world{loads: map[string]error{}, reports: map[string][]error{}}
	if w.in, err = Start(py, testOptions(sharedThreads)); err != nil {
		return nil, err
	}
	if err := os.Chdir(cwd); err != nil { // setup went to the application's folder
		return nil, err
	}
	for _, spec := range loadSpecs() {
		_, w.loads[spec] = w.in.Load(spec)
	}
	app, err := w.in.Load("embedapp")
	if err != nil {
		return nil, err
	}
	if w.info, err = w.in.Info(); err != nil {
		return nil, err
	}
	w.pool = bridge.NewPool(bridge.PoolLimits{Queue: 1000})
	if w.calls, err = w.in.NewCaller(w.pool, app); err != nil {
		return nil, err
	}
	if w.m, err = w.calls.Import("functions"); err != nil {
		return nil, err
	}
	_, w.loads["import"] = w.calls.Import("no_such_module")
	go func() {
		if err := w.in.Serve(w.pool, app, w.report); err != nil {
			panic(err)
		}
	}()
	return w, nil
})

func (w *world) report(x *bridge.Exchange, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := x.Record.Lookup("test.id")
	w.reports[id] = append(w.reports[id], err)
}

// reported returns what was reported of a request, and forgets it.
func (w *world) reported(id string) []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := w.reports[id]
	delete(w.reports, id)
	return errs
}

func embedded(t *testing.T) *world {
	t.Helper()
	w, err := shared()
	if err != nil {
		t.Fatalf("no interpreter for the tests (GOWSGI_TEST_PYTHON names one): %v", err)
	}
	return w
}

// reply is an answer as a front got it.
type reply struct {
	head   bridge.Head
	lines  string
	body   string
	pieces int
	err    error
	errors []error // that the application raised
}

// reported returns the messages of the exceptions, with their types.
func (r *reply) reported() string {
	var all []string
	for _, err := range r.errors {
		all = append(all, err.Error())
	}
	return strings.Join(all, " | ")
}

func newRequest(id, method, path, query string) *bridge.Exchange {
	x := bridge.NewExchange()
	x.Record = x.Record.Append("test.id", id).Append("REQUEST_METHOD", method).
		Append("PATH_INFO", path).Append("QUERY_STRING", query)
	x.NoBody = method == "HEAD"
	return x
}

// ask sends a request and returns when the application is done with it, its
// close() included. Requests of one world must not overlap.
func (w *world) ask(t *testing.T, method, path, query string) reply {
	t.Helper()
	w.next++
	id := strconv.Itoa(w.next)
	before := w.pool.Stats().Served
	x := newRequest(id, method, path, query)
	if err := w.pool.Submit(x); err != nil {
		t.Fatal(err)
	}
	r := collect(x, -1)
	x.Release()
	w.waitServed(t, before+1)
	r.errors = w.reported(id)
	return r
}

// waitServed returns when that many requests are done with in Python.
func (w *world) waitServed(t *testing.T, n int64) {
	t.Helper()
	for end := time.Now().Add(patience); w.pool.Stats().Served < n; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("the executor is still busy")
		}
	}
}

// collect takes an answer's parts; with leave >= 0 the client is gone after so many.
func collect(x *bridge.Exchange, leave int) reply {
	var r reply
	var body strings.Builder
	for {
		if r.pieces == leave {
			x.Leave(bridge.ErrGone)
			break
		}
		p := x.Next()
		if p.Head != nil {
			r.head, r.lines = *p.Head, string(p.Head.Lines)
			r.head.Lines = nil
		}
		body.Write(p.Body)
		if f := p.File.File; f != nil {
			_, err := io.Copy(&body, io.NewSectionReader(f, p.File.Offset, p.File.Length))
			r.err = errors.Join(err, f.Close())
		}
		r.pieces++
		if p.Err != nil {
			r.err = p.Err
			x.Leave(bridge.ErrGone)
			break
		}
		if p.Last || x.NoBody { // a front does not wait for more than the head
			x.Leave(bridge.ErrComplete)
			break
		}
	}
	r.body = body.String()
	return r
}

// closed returns how often close() was called so far.
func (w *world) closed(t *testing.T) int {
	t.Helper()
	r := w.ask(t, "GET", "/closed", "")
	n, err := strconv.Atoi(r.body)
	if err != nil {
		t.Fatalf("%+v", r)
	}
	return n
}
