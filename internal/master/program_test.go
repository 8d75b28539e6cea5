package master

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// The tests start this test binary as a master, which starts it as workers. What it
// is told is in a file, which is read again at each reload.

const (
	planVariable    = "GOWSGI_TEST_PLAN"
	spawnerVariable = "GOWSGI_TEST_SPAWNER"
)

// testPlan is the program's configuration.
type testPlan struct {
	Workers, Min, Max int
	Timeout, Grace    time.Duration
	Release           string        // what the workers tell, by way of their settings
	BeginTakes        time.Duration // how long reading the configuration takes
	BeginFails        string
	BootFails         bool   // of the workers
	Spawn             bool   // workers are started by another process, and adopted
	SpawnFails        bool   // all but the first
	SlowHook          string // the name of one that takes two seconds
	Rebind            bool   // the workers get a new listener
	Daemon            bool
	Reports           bool // what Report returns goes to the log, where it is new
}

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(spawnerVariable) != "":
		os.Exit(spawnerProgram())
	case os.Getenv(workerVariable) != "":
		os.Exit(workerProgram())
	case os.Getenv(planVariable) != "":
		os.Exit(masterProgram())
	}
	os.Exit(m.Run())
}

func readPlan() (p testPlan) {
	text, err := os.ReadFile(os.Getenv(planVariable))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		panic(err)
	}
	return p
}

func masterProgram() int {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: os.Stderr})
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	env := os.Environ()
	old, pass, err := Predecessor()
	if err != nil {
		panic(err)
	}
	var file *os.File
	if old != 0 {
		file = os.NewFile(FirstFD, pass)
		env = os.Environ() // without the variable
	} else {
		file = testListener()
	}
	var spawned atomic.Int64
	var m *Master
	m = &Master{
		Args: os.Args, Env: env, Log: log, Daemon: readPlan().Daemon, Predecessor: old,
		Begin: func(reload bool) (*Generation, error) {
			p := readPlan()
			say("begin reload=%t", reload)
			time.Sleep(p.BeginTakes)
			if p.BeginFails != "" {
				return nil, &BootError{Code: 7, Text: p.BeginFails}
			}
			if p.Rebind {
				file = testListener()
			}
			g := &Generation{
				Files: []*os.File{file}, Pass: "some listener", Workers: p.Workers, MinWorkers: p.Min, MaxWorkers: p.Max,
				Timeout: p.Timeout, Grace: p.Grace, Settings: fmt.Appendf(nil, "%q", p.Release),
				Hook: func(name string, args any) {
					if name == p.SlowHook {
						time.Sleep(2 * time.Second)
					}
					text, _ := json.Marshal(args)
					say("hook %s of %s: %s", name, p.Release, text)
				},
				End: func() { say("end of %s", p.Release) },
			}
			if p.Spawn {
				g.Spawn = func(r SpawnRequest) (int, error) {
					if p.SpawnFails && spawned.Add(1) > int64(p.Workers) {
						return 0, errors.New("the zygote has died")
					}
					return spawnThroughAnother(r)
				}
			}
			return g, nil
		},
		Serving: func(what string) {
			say("serving %s", what)
			if readPlan().Reports {
				go report(m, say)
			}
		},
		Stopping: func(successor, predecessor int) { say("stopping successor=%d predecessor=%d", successor, predecessor) },
		Reopen:   func() { say("the master reopens") },
		Promoted: func() { say("promoted") },
	}
	err = m.Run()
	var boot *BootError
	if errors.As(err, &boot) {
		say("boot error: %s", boot.Text)
		return boot.Code
	}
	say("stopped: %v", err)
	return 0
}

func report(m *Master, say func(string, ...any)) {
	last := ""
	for range time.Tick(20 * time.Millisecond) {
		text := ""
		for _, r := range m.Report() {
			text += fmt.Sprintf(" %d:%d:%t:%d:%s", r.Place, r.PID, r.Serving, r.Spawns, r.Beat.Figures)
		}
		if text != last {
			say("report%s.", text)
		}
		last = text
	}
}

func testListener() *os.File {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(os.Stderr, "listening on %s\n", l.Addr())
	return file
}

// spawnThroughAnother has a process start a worker and end: the worker is an orphan,
// as one that a zygote has forked twice.
func spawnThroughAnother(r SpawnRequest) (int, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), spawnerVariable+"=1")
	cmd.Stderr = os.Stderr
	for _, fd := range r.Listeners {
		copied, err := syscall.Dup(int(fd))
		if err != nil {
			return 0, err
		}
		f := os.NewFile(uintptr(copied), "listener")
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, r.Line)
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}

func spawnerProgram() int {
	os.Unsetenv(spawnerVariable)
	pid, err := syscall.ForkExec(os.Args[0], os.Args, &syscall.ProcAttr{
		Env: append(os.Environ(), workerVariable+"=1"), Files: []uintptr{0, 2, 2, 3, 4},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(pid)
	return 0
}

// workerProgram answers each connection's line: what it is told to do.
func workerProgram() int {
	link, err := Join(func(fd int) (net.Listener, error) {
		f := os.NewFile(uintptr(fd), "listener")
		defer f.Close()
		return net.FileListener(f)
	})
	if err != nil {
		panic(err)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGQUIT)
	reopen := make(chan os.Signal, 4)
	signal.Notify(reopen, syscall.SIGUSR1)
	if readPlan().BootFails {
		link.Failed(5, "it cannot serve")
		return 5
	}
	var wait atomic.Int64
	go func() {
		for range time.Tick(200 * time.Millisecond) {
			link.Alive(Beat{Wait: wait.Load(), RSS: 1, Figures: fmt.Appendf(nil, "%d", link.Place)})
		}
	}()
	go func() {
		for range reopen {
			fmt.Fprintf(os.Stderr, "worker %d reopens\n", os.Getpid())
		}
	}()
	go func() {
		for {
			c, err := link.Listeners[0].Accept()
			if err != nil {
				return
			}
			go answer(c, link, &wait)
		}
	}()
	link.Ready("test program")
	select {
	case <-signals:
	case <-link.Gone():
		fmt.Fprintf(os.Stderr, "worker %d has no master\n", os.Getpid())
	}
	time.Sleep(50 * time.Millisecond) // the answers under way
	return 0
}

func answer(c net.Conn, link *Link, wait *atomic.Int64) {
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return
	}
	switch strings.TrimSpace(line) {
	case "unwell":
		link.Unwell("feels unwell")
	case "wait":
		wait.Store(1000)
	case "spent":
		link.Spent()
	case "saved", "saved again":
		link.Changed("/srv/app.py", time.Unix(0, int64(len(line))))
	case "broken":
		link.Broken("SyntaxError: here")
	}
	fmt.Fprintf(c, "%d %s\n", os.Getpid(), link.Settings)
}
