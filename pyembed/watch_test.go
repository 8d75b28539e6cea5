package pyembed

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
)

// Executors are lost and interpreters stuck in processes of their own: see child.
func init() {
	scenarios["lost and replaced"] = scenarioLost
	scenarios["lost and back"] = scenarioBack
	scenarios["no spare"] = scenarioNoSpare
	scenarios["GIL kept"] = scenarioGILKept
	scenarios["stuck"] = func() { scenarioStuck("with_the_gil") }
	scenarios["stuck with the application's alarm"] = func() { scenarioStuck("with_the_alarm") }
	scenarios["stuck while asked aside"] = func() { scenarioStuck("with_the_gil", "aside") }
	scenarios["not stuck"] = scenarioNotStuck
	scenarios["fork"] = scenarioFork
}

// stalls is testdata/stalls.py, served and watched.
type stalls struct {
	in     *Interpreter
	pool   *bridge.Pool
	served chan error
}

func serveStalls(threads int) *stalls {
	s := &stalls{in: must(Start(must(testPython()), testOptions(threads))), pool: bridge.NewPool(bridge.PoolLimits{Queue: 99}), served: make(chan error, 1)}
	app := must(s.in.Load("stalls:app"))
	must(0, s.in.Watch())
	go func() {
		s.served <- s.in.Serve(s.pool, app, func(_ *bridge.Exchange, err error) { fmt.Println("raised", err) })
	}()
	return s
}

// ask returns the answer later.
func (s *stalls) ask(path string, seconds float64) <-chan string {
	x := newRequest("1", "GET", path, fmt.Sprint(seconds))
	must(0, s.pool.Submit(x))
	got := make(chan string, 1)
	go func() {
		r := collect(x, -1)
		x.Release()
		if r.err != nil {
			r.body += " " + r.err.Error()
		}
		got <- r.body
	}()
	return got
}

// inPython waits until a request runs in a function of the application.
func (s *stalls) inPython(function string) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, stacks, _ := s.in.Stacks(patience); strings.Contains(stacks, "in "+function+"\n") {
			return
		}
	}
	fmt.Println("no", function)
	os.Exit(1)
}

func (s *stalls) stop() {
	s.pool.Stop()
	must(0, <-s.served)
	fmt.Println("lost", s.in.Lost())
}

func within[T any](c <-chan T) T {
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		fmt.Println("waited in vain")
		os.Exit(1)
		panic("unreachable")
	}
}

// scenarioLost: of four executors three are lost at once, in Python code and in C.
// Their stacks are told apart from the fourth's, and others serve in their place.
func scenarioLost() {
	s := serveStalls(4)
	told := make(chan []bridge.Stall, 9)
	s.ask("events", 0.2)
	one, two, three := s.ask("in_python", 3600), s.ask("/stream/in_c", 3600), s.ask("in_c", 3600)
	s.inPython("in_c")
	s.pool.Watch(time.Second, func(all []bridge.Stall) { told <- all })
	answers := []string{within(one), within(two), within(three)}
	fmt.Println(strings.Join(answers, " | "))
	all := within(told)
	var of []bridge.Executor
	for _, stall := range all {
		of = append(of, stall.Executor)
	}
	own, others, err := s.in.Stacks(5*time.Second, of...)
	must(0, err)
	for i, stall := range all {
		path := stall.Record.Lookup("PATH_INFO")
		function := path[strings.LastIndexByte(path, '/')+1:]
		fmt.Println(path, stall.Client, strings.Count(own[i], "Thread '"), strings.Contains(own[i], "in "+function+"\n"))
	}
	fmt.Println("others", strings.Count(others, "Thread '"), strings.Contains(others, "in events\n"))
	for _, stall := range all {
		working, err := s.in.Replace(stall.Executor)
		fmt.Println("replaced", working, err)
	}
	fmt.Println(within(s.ask("in_c", 0)), within(s.ask("in_python", 0.1)))
	s.stop()
}

func TestLostExecutors(t *testing.T) {
	got := child(t, "lost and replaced")
	for _, want := range []string{
		" the application took too long | begin the application took too long |  the application took too long\n",
		"/stream/in_c cut 1 true\n", "in_python refused 1 true\n", "\nin_c refused 1 true\n", "others 1 true\n",
		strings.Repeat("replaced 4 <nil>\n", 3), "\ndone done\n", "\nlost 3\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// scenarioBack: what comes back after all does not serve, and Python ends as it should.
func scenarioBack() {
	s := serveStalls(1)
	told := make(chan struct{})
	stop := s.pool.Watch(300*time.Millisecond, func(all []bridge.Stall) {
		fmt.Println(s.in.Replace(all[0].Executor))
		close(told)
	})
	answer := within(s.ask("in_c", 2))
	within(told)
	fmt.Println(answer)
	fmt.Println(within(s.ask("in_c", 0)), s.in.Lost())
	for s.in.Lost() > 0 {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(within(s.ask("in_c", 0)))
	stop()
	s.stop()
	must(0, s.in.Close(0))
	fmt.Println("closed")
}

func TestLostExecutorThatComesBack(t *testing.T) {
	want := "1 <nil>\n the application took too long\ndone 1\ndone\nlost 0\natexit\nclosed\n"
	if got := child(t, "lost and back"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// scenarioNoSpare: there are not more replacements than threads.
func scenarioNoSpare() {
	s := serveStalls(1)
	stop := s.pool.Watch(200*time.Millisecond, func(all []bridge.Stall) {
		working, err := s.in.Replace(all[0].Executor)
		fmt.Println(working, errors.Is(err, ErrNoSpare))
		if working == 0 {
			fmt.Println("given up", len(s.pool.GiveUp(bridge.ErrStuck)))
		}
	})
	one, two, three := s.ask("in_c", 3600), s.ask("in_c", 3600), s.ask("in_c", 0)
	fmt.Println(within(one), within(two), within(three))
	stop()
	fmt.Println("served", within(s.served), s.in.Lost())
}

func TestReplaceIsBounded(t *testing.T) {
	got := child(t, "no spare")
	for _, want := range []string{"1 false\n", "0 true\n", "given up 0\n", "took too long  the application took too long  the application is stuck\n", "served <nil> 2\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// scenarioGILKept: what is asked aside then has a bound, and works again afterwards.
func scenarioGILKept() {
	s := serveStalls(1)
	answer := s.ask("/stream/with_the_gil", 2)
	time.Sleep(500 * time.Millisecond)
	begun := time.Now()
	_, _, err := s.in.Stacks(300 * time.Millisecond)
	fmt.Println(errors.Is(err, ErrNoAnswer), time.Since(begun) < time.Second)
	_, _, err = s.in.Stacks(300 * time.Millisecond) // the first is still there
	fmt.Println(errors.Is(err, ErrNoAnswer))
	fmt.Println(within(answer))
	_, _, err = s.in.Stacks(5 * time.Second)
	fmt.Println(err)
	text := "no such function"
	_, err = s.in.Aside(5*time.Second, text, &text)
	var raised *Error
	fmt.Println(errors.As(err, &raised), raised.Type)
	s.stop()
	must(0, s.in.Close(0))
}

func TestAsideIsBounded(t *testing.T) {
	want := "true true\ntrue\nbegindone\n<nil>\ntrue builtins.AttributeError\nlost 0\natexit\n"
	if got := child(t, "GIL kept"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func scenarioStuck(function string, more ...string) {
	s := serveStalls(2)
	told := make(chan Stuck, 9)
	s.in.WatchStuck(time.Second, func(s Stuck) { told <- s })
	s.ask("/stream/in_c", 3600)
	s.inPython("in_c")
	time.Sleep(500 * time.Millisecond) // the alarm is set
	begun := time.Now()
	s.ask(function, 3600)
	if len(more) > 0 {
		time.Sleep(100 * time.Millisecond)
		_, _, err := s.in.Stacks(100 * time.Millisecond)
		fmt.Println(err)
	}
	stuck := within(told)
	took := time.Since(begun)
	fmt.Println("in time", took > time.Second && took < 5*time.Second, stuck.Silent >= time.Second)
	fmt.Println(stuck.Threads)
	fmt.Println(stuck.Stacks)
	os.Exit(0) // without Python
}

func TestStuck(t *testing.T) {
	for name, wants := range map[string][]string{
		"stuck":                              {"in with_the_gil\n", "in in_c\n", "Thread 0x"},
		"stuck while asked aside":            {"Python does not answer\n", "in with_the_gil\n", "in in_c\n"},
		"stuck with the application's alarm": {"Timeout (0:00:00.300000)!\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := child(t, name)
			for _, want := range append(wants, "in time true true\n", "state=S", "syscall=", "python=MainThread\n", "python=gowsgi-1\n", "python=gowsgi-watch\n") {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in %s", want, got)
				}
			}
			if named := strings.Contains(got, "(gowsgi-1)") && strings.Contains(got, "(MainThread)"); named != !strings.Contains(name, "alarm") {
				t.Errorf("the stacks' names: %s", got)
			}
		})
	}
}

// scenarioNotStuck: C code that keeps the GIL for less than the limit, Python code
// that runs for longer, and a function aside that takes its time.
func scenarioNotStuck() {
	s := serveStalls(2)
	stop := s.in.WatchStuck(1500*time.Millisecond, func(s Stuck) { fmt.Println("stuck", s) })
	for range 4 {
		within(s.ask("with_the_gil", 0.7))
	}
	one, two := s.ask("in_python", 2.5), s.ask("in_python", 2.5)
	within(one)
	within(two)
	stop()
	stop() // twice is once
	s.stop()
	must(0, s.in.Close(0))
}

func TestNotStuck(t *testing.T) {
	if got, want := child(t, "not stuck"), "lost 0\natexit\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// scenarioFork: a child of the application's that uses faulthandler itself.
func scenarioFork() {
	s := serveStalls(1)
	s.in.WatchStuck(2*time.Second, func(s Stuck) { fmt.Println("stuck", s) })
	for range 3 {
		time.Sleep(600 * time.Millisecond) // longer than between two pings: the alarm is set
		fmt.Println(within(s.ask("forking", 9)))
	}
	os.Exit(0)
}

func TestForkWhileWatched(t *testing.T) {
	if underASan {
		t.Skip("the sanitizer's own locks do not survive a fork beside busy threads")
	}
	if got, want := child(t, "fork"), strings.Repeat("7\n", 3); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
