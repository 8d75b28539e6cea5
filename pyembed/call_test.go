package pyembed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
)

func functions(t testing.TB) *Module {
	t.Helper()
	w, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return w.m
}

// TestCallValues: what goes in comes back, whichever CPython it is.
func TestCallValues(t *testing.T) {
	m := functions(t)
	for _, row := range valueRows {
		v, err := m.Call(t.Context(), "echo", row.v, Kwargs{"k": row.v})
		want := []any{[]any{row.back}, map[string]any{"k": row.back}}
		got, ok := v.([]any)
		if err != nil || !ok || len(got) != 2 {
			t.Errorf("%s: %#v, %v", row.name, v, err)
			continue
		}
		list, _ := got[0].([]any)
		dict, _ := got[1].(map[string]any)
		if len(list) != 1 || len(dict) != 1 || !same(list[0], row.back) || !same(dict["k"], row.back) {
			t.Errorf("%s: %#v, want %#v", row.name, v, want)
		}
	}
	v, err := m.Call(t.Context(), "types", nil, true, 1, 1.5, "a", []byte("a"), []int{1}, map[string]int{}, time.Now(), time.Second)
	want := []any{"NoneType", "bool", "int", "float", "str", "bytes", "list", "dict", "datetime", "timedelta"}
	if err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := m.Call(t.Context(), "Counter.add", 1, Kwargs{"b": 2}); err != nil || v != int64(3) {
		t.Errorf("%v, %v", v, err)
	}
	v, err = m.Call(t.Context(), "repeat", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2024, 1, 2, 3, 4, 5, 0, east))
	if want := "datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)" +
		"datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(seconds=9000)))"; err != nil || v != want {
		t.Errorf("%v, %v", v, err)
	}
}

// TestCallOddResults: what Python has and Go has not.
func TestCallOddResults(t *testing.T) {
	m := functions(t)
	for name, want := range map[string]any{
		"tuple":      []any{int64(1), []any{int64(2), "b"}},
		"subclasses": []any{int64(3), "t", 1.5, []any{int64(1), int64(2)}, true},
		"mapping":    map[string]any{"a": int64(1), "b": "b"},
		"key":        map[string]any{"k": int64(1)},
		"set":        []any{int64(1)},
		"range":      []any{int64(0), int64(1), int64(2)},
		"bytes":      []any{[]byte("a"), []byte("bc"), []byte("ace")},
		"array":      []any{1.0, 2.0},
		"scalar":     int64(2),
		"date":       time.Date(2024, 1, 2, 3, 4, 5, 6000, time.FixedZone("", -3600)),
		"text":       "\xed\xa0\x80",
		"large":      bigInt("10000000000000000000000000000000000000000"),
		"deque":      []any{int64(1), int64(2)},
		"keys":       []any{"a"},
		"no":         nil,
	} {
		if got, err := m.Call(t.Context(), "odd", name); err != nil || !same(got, want) {
			t.Errorf("%s: %#v, %v; want %#v", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"int as key": "a dict for Go has str as keys, not int", "decimal": "decimal.Decimal has no counterpart",
		"inner": "builtins.object has no counterpart", "naive": "has a time zone", "day": "datetime.date has no counterpart",
		"dots": "builtins.ellipsis has no counterpart", "generator": "generator has no counterpart", "complex": "complex has no counterpart",
	} {
		var raised *Error
		if _, err := m.Call(t.Context(), "odd", name); !errors.As(err, &raised) || raised.Type != "builtins.TypeError" || !strings.Contains(raised.Message, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := m.Call(t.Context(), "ring"); err == nil || !strings.Contains(err.Error(), "RecursionError") {
		t.Errorf("ring: %v", err)
	}
}

func TestCallErrors(t *testing.T) {
	w, m := embedded(t), functions(t)
	_, err := m.Call(t.Context(), "fails", "no such thing")
	var raised *Error
	if !errors.As(err, &raised) || raised.Type != "builtins.LookupError" || raised.Message != "no such thing" {
		t.Fatalf("%#v", err)
	}
	if want := "calling functions.fails: LookupError: no such thing"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if !strings.HasPrefix(raised.Traceback, "Traceback (most recent call last):\n  File") ||
		!strings.Contains(raised.Traceback, "functions.py\", line ") || strings.Contains(raised.Traceback, "calls.py") {
		t.Errorf("traceback %s", raised.Traceback)
	}
	for function, want := range map[string]string{
		"missing":         "AttributeError: module 'functions' has no attribute 'missing'",
		"Counter.missing": "AttributeError: ",
		"variable":        "TypeError: ",
		"thread.":         "AttributeError: ",
		"leaves":          "SystemExit: 3",
		"":                "AttributeError: ",
	} {
		if _, err := m.Call(t.Context(), function); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", function, err)
		}
	}
	if _, err := m.Call(t.Context(), "thread", 1); err == nil || !strings.Contains(err.Error(), "TypeError: thread() takes 0") {
		t.Errorf("too many arguments: %v", err)
	}
	if _, err := m.Call(t.Context(), "echo", 1, make(chan int)); err == nil || !strings.Contains(err.Error(), "argument 2: a chan int") {
		t.Errorf("a channel: %v", err)
	}
	if _, err := m.Call(t.Context(), "echo", Kwargs{"a": t}); err == nil || !strings.Contains(err.Error(), `keyword arguments: ["a"]: `) {
		t.Errorf("a pointer to a struct: %v", err)
	}
	if err := w.loads["import"]; err == nil || err.Error() != "importing no_such_module: ModuleNotFoundError: No module named 'no_such_module'" {
		t.Errorf("import: %v", err)
	}
	if errs := w.reported(""); len(errs) > 0 {
		t.Errorf("the server was told of %v", errs)
	}
	if got, want := call(t, m, "set_variable"), []any{"unset", "set"}; !reflect.DeepEqual(got, want) { // of its own context
		t.Errorf("%v", got)
	}
}

func call(t *testing.T, m *Module, function string, args ...any) any {
	t.Helper()
	v, err := m.Call(t.Context(), function, args...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestCallContext: a caller does not wait longer than its context, for a thread or
// for the function.
func TestCallContext(t *testing.T) {
	w, m := embedded(t), functions(t)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	served := w.pool.Stats().Served
	if _, err := m.Call(over, "thread"); !errors.Is(err, context.Canceled) || w.pool.Stats().Served != served {
		t.Errorf("over before: %v", err)
	}
	goOn := filepath.Join(t.TempDir(), "go on")
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := m.Call(ctx, "wait_for", goOn)
		left <- err
	}()
	for end := time.Now().Add(patience); call(t, m, "count_waiting") != int64(1); {
		if time.Now().After(end) {
			t.Fatal("the function does not run")
		}
	}
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("while it runs: %v", err)
	}
	if got := call(t, m, "count_waiting"); got != int64(1) {
		t.Errorf("%v run, want the one that was left", got)
	}
	w.waitBusy(t, 1)

	var all sync.WaitGroup
	for range sharedThreads - 1 {
		all.Go(func() { call(t, m, "wait_for", goOn) })
	}
	w.waitBusy(t, sharedThreads)
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := m.Call(ctx, "fails", "it ran"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("in the queue: %v", err)
	}
	if got := w.pool.Stats().Waiting; got != 0 {
		t.Errorf("%d still wait", got)
	}
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	w.waitBusy(t, 0)
}

// waitBusy returns when that many threads are in Python.
func (w *world) waitBusy(t *testing.T, n int64) {
	t.Helper()
	for end := time.Now().Add(patience); w.pool.Stats().Busy != n; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("%d threads are busy, want %d", w.pool.Stats().Busy, n)
		}
	}
}

// TestCallHammer: calls, requests and contexts that end, at once.
func TestCallHammer(t *testing.T) {
	w, m := embedded(t), functions(t)
	calls := 1000
	if testing.Short() {
		calls = 100
	}
	var all sync.WaitGroup
	for caller := range 8 {
		r := rand.New(rand.NewPCG(uint64(caller), 1))
		all.Go(func() {
			for i := range calls {
				switch r.IntN(5) {
				case 0:
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(300))*time.Microsecond)
					if v, err := m.Call(ctx, "Counter.add", i, Kwargs{"b": 1}); err == nil && v != int64(i+1) || err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v, %v", v, err)
					}
					cancel()
				case 1:
					w.hammerOne(t, hammerKinds[r.IntN(4)])
				case 2:
					big := strings.Repeat("x", r.IntN(1<<17))
					if v, err := m.Call(context.Background(), "Counter.add", big, "y"); err != nil || v != big+"y" {
						t.Errorf("%d bytes, %v", len(big), err)
					}
				default:
					if v, err := m.Call(context.Background(), "Counter.add", caller, i); err != nil || v != int64(caller+i) {
						t.Errorf("%v, %v", v, err)
					}
				}
			}
		})
	}
	all.Wait()
}

func init() { scenarios["library"] = scenarioLibraryOptions }

// scenarioLibraryOptions prints a line for each thing that a Go program of its own
// relies on.
func scenarioLibraryOptions() {
	before := must(os.Getwd())
	o := testOptions(2)
	o.Dir, o.Library, o.OwnedSignals = "", true, []string{"*"}
	in := must(Start(must(testPython()), o))
	fmt.Println("folder:", must(os.Getwd()) == before)
	pool := bridge.NewPool(bridge.PoolLimits{Queue: 9})
	calls := must(in.NewCaller(pool, 0))
	served := make(chan error, 1)
	go func() { served <- in.Serve(pool, 0, func(_ *bridge.Exchange, err error) { fmt.Println(err) }) }()
	data := must(filepath.Abs("testdata"))
	_, err := calls.Import("functions")
	fmt.Println("not there yet:", err)
	must(0, in.UseFolders([]string{data}, "functions"))
	m := must(calls.Import("functions"))
	fmt.Println(must(m.Call(context.Background(), "thread")))
	app := must(in.Load("embedapp")) // while Serve runs
	x := newRequest("1", "GET", "/list", "")
	x.App = int(app)
	must(0, pool.Submit(x))
	fmt.Println(collect(x, -1).body)
	x.Release()
	other := must(os.MkdirTemp("", "gowsgi-test-"))
	defer os.RemoveAll(other)
	for _, name := range []string{"functions.py", "json.py", "own.py"} {
		must(0, os.WriteFile(filepath.Join(other, name), []byte("def f(): return __file__\n"), 0o600))
	}
	for _, name := range []string{"functions", "json", "own", "own:app", "bad:f("} {
		err := in.UseFolders([]string{other, data}, name)
		fmt.Println(strings.ReplaceAll(strings.ReplaceAll(fmt.Sprint(err), other, "OTHER"), data, "DATA"))
	}
	m = must(calls.Import("own"))
	fmt.Println(must(m.Call(context.Background(), "f")) == filepath.Join(other, "own.py"))
	pool.Stop()
	must(0, <-served)
	must(0, in.Close(0))
	fmt.Println("closed")
}

func TestLibraryOptions(t *testing.T) {
	want := `folder: true
not there yet: importing functions: ModuleNotFoundError: No module named 'functions'
gowsgi-N
hello
the module 'functions' of OTHER is hidden by DATA/functions.py
the module 'json' of OTHER is hidden by STDLIB
<nil>
<nil>
'f(' in 'bad:f(' is neither an attribute nor a call of one
true
closed
`
	got := strings.NewReplacer("gowsgi-1\n", "gowsgi-N\n", "gowsgi-2\n", "gowsgi-N\n").Replace(child(t, "library"))
	lines := strings.SplitAfter(got, "\n")
	for i, line := range lines {
		if at := strings.Index(line, "hidden by "); at > 0 && strings.HasSuffix(line, "json/__init__.py\n") {
			lines[i] = line[:at] + "hidden by STDLIB\n"
		}
	}
	if got := strings.Join(lines, ""); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// BenchmarkCall is one call through C and Python.
func BenchmarkCall(b *testing.B) {
	m := functions(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Call(context.Background(), "Counter.add", 1, 2); err != nil {
			b.Fatal(err)
		}
	}
}
