package gowsgi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi"
	"github.com/gowsgi/gowsgi/pyembed"
)

// module makes a module with an application, of a name that no other test has had:
// Python keeps what it has imported.
func module(t *testing.T, text string) (c gowsgi.Config, file string) {
	t.Helper()
	dir, name := t.TempDir(), fmt.Sprint("module", time.Now().UnixNano())
	file = filepath.Join(dir, name+".py")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c = config(name + ":app")
	c.Dir = dir
	return c, file
}

// TestTwoApps: two applications, loaded one after the other, and one of them twice.
func TestTwoApps(t *testing.T) {
	mux := http.NewServeMux()
	for prefix, spec := range map[string]string{"/site": "webapp:app", "/made": `webapp:factory("first")`, "/again": `webapp:factory("second")`} {
		c := config(spec)
		c.Prefix = prefix
		app, _ := load(t, c)
		mux.Handle(prefix+"/", app)
	}
	c, file := module(t, `
def app(environ, start_response):
    start_response("200 OK", [])
    return [__file__.encode()]
`)
	c.PythonPath, c.Threads, c.Python = []string{"testdata"}, 0, ""
	app, _ := load(t, c)
	mux.Handle("/", app)
	mux.HandleFunc("GET /go", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "go") })
	for path, want := range map[string]string{
		"/site/hello": "hello", "/made/x": "first /made /x", "/again/x": "second /again /x", "/else": file, "/go": "go",
	} {
		if got := record(mux, at(path)); got.body != want {
			t.Errorf("%s: %s %q, want %q", path, got.Status, got.body, want)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	functions(t)
	clash := t.TempDir()
	if err := os.WriteFile(filepath.Join(clash, "webapp.py"), []byte("app = print\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(change func(c *gowsgi.Config)) gowsgi.Config {
		c := config("webapp:app")
		change(&c)
		return c
	}
	for _, tt := range []struct {
		c    gowsgi.Config
		want string
		is   error
		exit int // of a pyembed.Error
	}{
		{config(""), "Config.App is empty", nil, 0},
		{config("no_such_module:app"), "loading no_such_module:app: there is no module 'no_such_module'", nil, 3},
		{config("webapp:broken_factory()"), "RuntimeError: not today", nil, 3},
		{config("webapp:missing"), "no attribute 'missing'", nil, 4},
		{config("webapp:app("), "neither an attribute nor a call", nil, 4},
		{with(func(c *gowsgi.Config) { c.Dir = clash }), "is hidden by " + abs("testdata/webapp.py"), nil, 4},
		{with(func(c *gowsgi.Config) { c.Prefix = "x" }), "Config.Prefix", nil, 0},
		{with(func(c *gowsgi.Config) { c.ForwardedAllowIPs = "x" }), "Config.ForwardedAllowIPs", nil, 0},
		{with(func(c *gowsgi.Config) { c.Threads = threads + 1 }), "with 4 threads, not 5", gowsgi.ErrProcess, 0},
		{with(func(c *gowsgi.Config) { c.Queue = 1 }), "with a queue of 2048, not 1", gowsgi.ErrProcess, 0},
		{with(func(c *gowsgi.Config) { c.QueueTimeout = time.Second }), "with a queue timeout of 30s, not 1s", gowsgi.ErrProcess, 0},
		{with(func(c *gowsgi.Config) { c.Python = "/no/such/python" }), "/no/such/python", pyembed.ErrNoPython, 0},
	} {
		_, err := gowsgi.Load(t.Context(), tt.c)
		if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%+v: %v, want %q", tt.c, err, tt.want)
		}
		var raised *pyembed.Error
		if errors.As(err, &raised) != (tt.exit != 0) || tt.exit != 0 && raised.ExitCode != tt.exit {
			t.Errorf("%v: %+v, want exit code %d", err, raised, tt.exit)
		}
	}
	if _, err := gowsgi.Import(t.Context(), config(""), "no_such_module"); err == nil || !strings.Contains(err.Error(), "importing no_such_module: ModuleNotFoundError") {
		t.Error(err)
	}
	// What the process has may be said again.
	c := config("webapp:app")
	c.Queue, c.QueueTimeout = 2048, 30*time.Second
	load(t, c)
}

// TestLoadContext: Load waits no longer than its context, also for another Load.
func TestLoadContext(t *testing.T) {
	functions(t)
	goOn := filepath.Join(t.TempDir(), "go-on")
	slow, _ := module(t, fmt.Sprintf(`
import os, time

for _ in range(20_000):
    if os.path.exists(%q):
        break
    time.sleep(0.001)

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"slow"]
`, goOn))
	for _, c := range []gowsgi.Config{slow, config("webapp:app")} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := gowsgi.Load(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", c.App, err)
		}
		cancel()
	}
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	app, _ := load(t, slow)
	if got := record(app, at("/")); got.body != "slow" {
		t.Errorf("%+v", got)
	}
}

func TestImport(t *testing.T) {
	m := functions(t)
	if m.Name() != "webapp" {
		t.Error(m.Name())
	}
	v, err := m.Call(t.Context(), "json.dumps", map[string]any{"b": []int{1, 2}, "a": nil}, pyembed.Kwargs{"sort_keys": true})
	if err != nil || v != `{"a": null, "b": [1, 2]}` {
		t.Errorf("%v, %v", v, err)
	}
	var raised *pyembed.Error
	if _, err := m.Call(t.Context(), "broken_factory"); !errors.As(err, &raised) || raised.Type != "builtins.RuntimeError" {
		t.Error(err)
	}
}

func init() {
	scenarios["shutdown"] = scenarioShutdown
	scenarios["nothing to shut down"] = func() {
		fmt.Println(gowsgi.Shutdown(context.Background()))
		_, err := gowsgi.Load(context.Background(), config("webapp:app"))
		fmt.Println(errors.Is(err, gowsgi.ErrShutdown))
	}
	scenarios["signals"] = scenarioSignals
	scenarios["no library"] = scenarioNoLibrary
}

// scenarioShutdown: Python's exit handlers run, requests are over before, and no more
// come.
func scenarioShutdown() {
	ctx := context.Background()
	c := config("webapp:app")
	c.OnError = func(*http.Request, error) {}
	app := must(gowsgi.Load(ctx, c))
	m := must(gowsgi.Import(ctx, config(""), "webapp"))
	file := os.Getenv("GOWSGI_TEST_FILE")
	must(m.Call(ctx, "exit_file", file))
	got := make(chan reply, 1)
	go func() { got <- record(app, httptest.NewRequest("GET", "/gate?down", nil)) }()
	for app.Stats().Busy == 0 {
		time.Sleep(time.Millisecond)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	fmt.Println(gowsgi.Shutdown(short))
	fmt.Println(record(app, httptest.NewRequest("GET", "/hello", nil)).StatusCode)
	_, err := m.Call(ctx, "go_on", "down")
	fmt.Println(err) // too late: nothing of Python is to be had any more
	// The gate opens by itself, in time.
	fmt.Println((<-got).body)
	fmt.Println(gowsgi.Shutdown(ctx))
	_, err = os.Stat(file)
	fmt.Println("exit handlers:", err)
	_, err = gowsgi.Load(ctx, config("webapp:app"))
	fmt.Println(err)
	fmt.Println(gowsgi.Shutdown(ctx))
}

func TestShutdown(t *testing.T) {
	got := child(t, "shutdown", "GOWSGI_TEST_FILE="+filepath.Join(t.TempDir(), "exited"), "GOWSGI_TEST_GATE=1")
	want := `context deadline exceeded
503
calling webapp.go_on: the server is stopping
through
<nil>
exit handlers: <nil>
loading webapp:app: this process's Python has ended
<nil>
`
	if _, got, _ = strings.Cut(got, "never run\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := child(t, "nothing to shut down"); got != "<nil>\ntrue\n" {
		t.Errorf("%q", got)
	}
}

// scenarioSignals: what Python sets, at import or later, leaves Go's handlers alone.
func scenarioSignals() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGALRM)
	app := must(gowsgi.Load(context.Background(), config("webapp:app")))
	m := must(gowsgi.Import(context.Background(), config(""), "signal"))
	for range 20 {
		record(app, httptest.NewRequest("GET", "/hello", nil))
	}
	must(0, syscall.Kill(os.Getpid(), syscall.SIGUSR1))
	fmt.Println(<-signals)
	must(m.Call(context.Background(), "alarm", 1)) // a signal of Python's own making is Go's as well
	fmt.Println(<-signals)
}

func TestSignals(t *testing.T) {
	got := child(t, "signals")
	contains(t, "output", got, "webapp.py", "sets a handler for SIGUSR1, which the Go program owns: it is never run")
	if !strings.HasSuffix(got, "\nuser defined signal 1\nalarm clock\n") {
		t.Error(got)
	}
}

// scenarioNoLibrary: a Python that cannot start leaves nothing to be had.
func scenarioNoLibrary() {
	c := config("webapp:app")
	c.Python = "/bin/true"
	_, err := gowsgi.Load(context.Background(), c)
	fmt.Println(errors.Is(err, pyembed.ErrNoPython))
	_, err = gowsgi.Load(context.Background(), config("webapp:app"))
	fmt.Println(err)
}

// TestNoPython: a Python that is none can be followed by one that is.
func TestNoPython(t *testing.T) {
	if got := child(t, "no library"); !strings.HasSuffix(got, "<nil>\n") || !strings.HasPrefix(got, "true\n") {
		t.Error(got)
	}
}
