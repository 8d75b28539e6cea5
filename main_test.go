package gowsgi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi"
	"github.com/gowsgi/gowsgi/pyembed"
)

// These tests run real Python: GOWSGI_TEST_PYTHON, else python3 on PATH; it needs no
// packages. They share one Python, as all of a process does; what ends it runs in a
// child, which is this test binary started anew.
const childVariable = "GOWSGI_TEST_CHILD"

var scenarios = map[string]func(){}

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		scenarios[name]()
		os.Exit(0)
	}
	// Before examples start it by other means.
	if _, err := gowsgi.Import(context.Background(), config(""), "sys"); err != nil {
		fmt.Fprintln(os.Stderr, "no Python for the tests (GOWSGI_TEST_PYTHON names one):", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const (
	threads  = 4
	patience = 30 * time.Second
)

func child(t *testing.T, name string, env ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(append(os.Environ(), childVariable+"="+name), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("scenario %s: %v\n%.3000s", name, err, out)
	}
	return string(out)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// config is for an application in testdata.
func config(app string) gowsgi.Config {
	python := os.Getenv("GOWSGI_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	return gowsgi.Config{App: app, Dir: "testdata", Python: python, Threads: threads}
}

// told is what an application's OnError and Logger got.
type told struct {
	mu     sync.Mutex
	errors []error
	log    strings.Builder
}

func (o *told) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(p)
}

func (o *told) take() []error {
	o.mu.Lock()
	defer o.mu.Unlock()
	errs := o.errors
	o.errors = nil
	return errs
}

func (o *told) logged() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.String()
}

// load loads an application that is closed when the test ends; then all its requests
// must be over.
func load(t testing.TB, c gowsgi.Config) (*gowsgi.App, *told) {
	t.Helper()
	o := &told{}
	if c.OnError == nil {
		c.OnError = func(_ *http.Request, err error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.errors = append(o.errors, err)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(o, nil))
	}
	app, err := gowsgi.Load(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil || app.Stats().Active != 0 {
			t.Errorf("closing: %v, %+v", err, app.Stats())
		}
	})
	return app, o
}

// webapp is testdata/webapp.py.
func webapp(t testing.TB) (*gowsgi.App, *told) {
	t.Helper()
	return load(t, config("webapp:app"))
}

// functions are those of testdata/webapp.py.
func functions(t testing.TB) *pyembed.Module {
	t.Helper()
	m, err := gowsgi.Import(t.Context(), config(""), "webapp")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// count reads one of webapp's counters.
func count(t testing.TB, name string) int64 {
	t.Helper()
	v, err := functions(t).Call(t.Context(), "read_counts")
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)[name].(int64)
}

func goOn(t testing.TB, gate string) {
	t.Helper()
	if _, err := functions(t).Call(t.Context(), "go_on", gate); err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// serve starts a server for h, which ends with the test.
func serve(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// reply is an answer as a client got it.
type reply struct {
	*http.Response
	body string
	err  error // of reading the body
}

func do(t testing.TB, client *http.Client, r *http.Request) reply {
	t.Helper()
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response, string(body), err}
}

func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func get(t testing.TB, s *httptest.Server, path string) reply {
	t.Helper()
	return do(t, s.Client(), request(t, "GET", s.URL+path, nil))
}

// record serves a request without a connection.
func record(h http.Handler, r *http.Request) reply {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return reply{w.Result(), w.Body.String(), nil}
}

// environ serves a request and returns the environ that the application got.
func environ(t testing.TB, h http.Handler, r *http.Request) map[string]any {
	t.Helper()
	got := record(h, r)
	var env map[string]any
	if err := json.Unmarshal([]byte(got.body), &env); err != nil {
		t.Fatalf("%s %q: %v", got.Status, got.body, err)
	}
	return env
}

// descriptors counts this process's.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// checkLeaks fails the test when it ends with more goroutines or descriptors than it
// began with. Python must have been started before.
func checkLeaks(t testing.TB) {
	t.Helper()
	functions(t)
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			g, d := runtime.NumGoroutine(), descriptors(t)
			if g <= goroutines && d <= fds {
				return
			}
			if time.Now().After(end) {
				stacks := make([]byte, 1<<16)
				t.Errorf("goroutines %d, were %d; descriptors %d, were %d\n%s", g, goroutines, d, fds, stacks[:runtime.Stack(stacks, true)])
				return
			}
		}
	})
}

func abs(path string) string { return must(filepath.Abs(path)) }

func contains(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: no %q in %s", what, part, text)
		}
	}
}

func ids(errs []error) string {
	var all []string
	for _, err := range errs {
		all = append(all, fmt.Sprintf("%T %v", err, err))
	}
	return strings.Join(all, " | ")
}
