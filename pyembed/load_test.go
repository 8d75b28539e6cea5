package pyembed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
)

// loadRow is a spec and what Load says of it.
type loadRow struct {
	spec      string
	code      int    // 0: it loads
	message   string // a part of the error's
	traceback string // a part, "" for none
}

var loadRows = []loadRow{
	{"embedapp:app", 0, "", ""},
	{"embedapp", 0, "", ""},
	{`embedapp:factory("hi")`, 0, "", ""},
	{`embedapp:factory("hi", end="?")`, 0, "", ""},
	{"no_such_module:app", 3, "there is no module 'no_such_module'", ""},
	{"raises:app", 3, "ZeroDivisionError: at import", "raise ZeroDivisionError"},
	{"needs:app", 3, "no_such_dependency", "import no_such_dependency"},
	{"embedapp:failing_factory()", 3, "no application today", "raise ValueError"},
	{"embedapp:missing", 4, "no attribute 'missing'", ""},
	{"embedapp:not_callable", 4, "int", ""},
	{"embedapp:factory()", 4, "factory", ""},
	{"embedapp:factory(", 4, "factory(", ""},
	{":app", 4, "no module", ""},
	{"", 4, "no module", ""},
}

func loadSpecs() []string {
	var all []string
	for _, row := range loadRows {
		all = append(all, row.spec)
	}
	return all
}

func TestLoad(t *testing.T) {
	w := embedded(t)
	for _, row := range loadRows {
		err := w.loads[row.spec]
		if row.code == 0 {
			if err != nil {
				t.Errorf("%s: %v", row.spec, err)
			}
			continue
		}
		var raised *Error
		if !errors.As(err, &raised) {
			t.Errorf("%s: %v is no *Error", row.spec, err)
			continue
		}
		if raised.ExitCode != row.code || !strings.Contains(raised.Message, row.message) {
			t.Errorf("%s: exit code %d, %q; want %d, %q", row.spec, raised.ExitCode, raised.Message, row.code, row.message)
		}
		if row.traceback != "" && !strings.Contains(raised.Traceback, row.traceback) {
			t.Errorf("%s: no %q in the traceback\n%s", row.spec, row.traceback, raised.Traceback)
		}
		if strings.Contains(raised.Traceback, "gowsgi/apps") {
			t.Errorf("%s: the traceback shows the server's own frames\n%s", row.spec, raised.Traceback)
		}
	}
}

func TestInfo(t *testing.T) {
	w := embedded(t)
	var info struct {
		Version, Executable, Prefix string
		Path, Threads               []string
	}
	if err := json.Unmarshal([]byte(w.info), &info); err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	p := w.in.Python
	if info.Version != p.Version || info.Prefix != p.Prefix || info.Executable != p.Executable {
		t.Errorf("the interpreter says %+v, Find said %+v", info, p)
	}
	if len(info.Path) == 0 || info.Path[0] != dir {
		t.Errorf("sys.path begins with %q, want %s", info.Path, dir)
	}
}

func TestSecondStart(t *testing.T) {
	w := embedded(t)
	if _, err := Start(w.in.Python, testOptions(1)); !errors.Is(err, ErrStarted) {
		t.Errorf("got %v", err)
	}
}

// TestErrorText: one line, without builtins.
func TestErrorText(t *testing.T) {
	for want, in := range map[string]string{
		"ValueError: a b": `{"type": "builtins.ValueError", "message": "a\nb"}`,
		"m.E":             `{"type": "m.E", "message": ""}`,
		"plain text":      "plain text",
		`{"type": 3}`:     `{"type": 3}`,
		"{":               "{",
	} {
		if got := parseError(in).Error(); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Scenarios run in processes of their own: see child.
var scenarios = map[string]func(){
	"no folder":     scenarioNoFolder,
	"no library":    func() { scenarioLibrary("/nowhere/libpython.so") },
	"other library": func() { scenarioLibrary("libm.so.6") },
	"close":         scenarioClose,
}

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	return v
}

func scenarioNoFolder() {
	o := testOptions(1)
	o.Dir = "/no/such/folder"
	_, err := Start(must(testPython()), o)
	var raised *Error
	fmt.Println(errors.As(err, &raised), err)
}

func scenarioLibrary(path string) {
	p := must(testPython())
	p.Library = path
	_, err := Start(p, testOptions(1))
	fmt.Println(errors.Is(err, ErrNoLibrary), err)
}

func TestStartErrors(t *testing.T) {
	for name, want := range map[string]string{
		"no folder":     "true cannot change to the folder '/no/such/folder'",
		"no library":    "true this Python has no shared library: opening /nowhere/libpython.so: ",
		"other library": "true this Python has no shared library: opening libm.so.6: it is no CPython of a known version: there is no Py_",
	} {
		if got := child(t, name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// serveOne starts an interpreter with one thread and returns a world for it.
func serveOne() (*world, chan error) {
	w := &world{reports: map[string][]error{}, in: must(Start(must(testPython()), testOptions(1))), pool: bridge.NewPool(bridge.PoolLimits{Queue: 9})}
	app := must(w.in.Load("embedapp"))
	served := make(chan error, 1)
	go func() { served <- w.in.Serve(w.pool, app, w.report) }()
	return w, served
}

// scenarioClose: Serve returns after Stop; Close runs the handlers of the signal,
// then those of atexit.
func scenarioClose() {
	in := must(Start(must(testPython()), testOptions(1)))
	app := must(in.Load("exits:app"))
	pool := bridge.NewPool(bridge.PoolLimits{Queue: 9})
	served := make(chan error, 1)
	go func() { served <- in.Serve(pool, app, func(_ *bridge.Exchange, err error) { fmt.Println(err) }) }()
	x := newRequest("1", "GET", "/", "")
	must(0, pool.Submit(x))
	fmt.Println(collect(x, -1).body)
	x.Release()
	pool.Stop()
	must(0, <-served)
	must(0, in.Close(15))
	fmt.Println("closed")
}

func TestClose(t *testing.T) {
	// A warning about the handler comes first.
	if got, want := child(t, "close"), "\nserved\nhandler 15\natexit\nclosed\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// oddExcInfo are values that an application passes by mistake: sys.exc_info()
// outside of an except clause is the first.
var oddExcInfo = []string{
	"(None, None, None)", "(1, 2, 3)", "(ValueError, None, None)", "(ValueError, 'text', 3)", "()", "(1,)", "[1, 2, 3]", "True",
	"(ValueError, ValueError('x'), None)", "(LookupError, ValueError('x'), None)",
}

func scenarioOddExcInfo(value string) {
	w, _ := serveOne()
	for _, q := range []string{"/exc_info_odd", "/list"} {
		x := newRequest("1", "GET", q, value)
		must(0, w.pool.Submit(x))
		r := collect(x, -1)
		x.Release()
		fmt.Println(r.body, errors.Is(r.err, bridge.ErrFailed))
	}
}

// TestOddExcInfo: whatever exc_info is, it is the request that fails.
func TestOddExcInfo(t *testing.T) {
	for i, value := range oddExcInfo {
		t.Run(value, func(t *testing.T) {
			got := child(t, fmt.Sprint("odd exc_info ", i))
			if want := "sent true\nhello false\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func init() {
	for i, value := range oddExcInfo {
		scenarios[fmt.Sprint("odd exc_info ", i)] = func() { scenarioOddExcInfo(value) }
	}
}

func TestFindHonoursContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Find(ctx, fakePython(t, t.TempDir(), "python3", "sleep 60"), ""); !errors.Is(err, ErrNoPython) {
		t.Errorf("got %v", err)
	}
}
