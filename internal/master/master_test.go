package master

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 15 * time.Second

// program is a master that a test has started.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	plan string
	log  string
	addr string
	done chan struct{}
}

func start(t *testing.T, p testPlan) *program {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	prog := &program{t: t, plan: filepath.Join(dir, "plan"), log: filepath.Join(dir, "log"), done: make(chan struct{})}
	prog.set(p)
	log, err := os.Create(prog.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	prog.cmd = exec.Command(os.Args[0], "-test.run=none")
	prog.cmd.Env = append(os.Environ(), planVariable+"="+prog.plan)
	prog.cmd.Stdout, prog.cmd.Stderr = log, log
	prog.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := prog.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = prog.cmd.Wait() // the tests look at ProcessState
		close(prog.done)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-prog.cmd.Process.Pid, syscall.SIGKILL) // its group, and nothing else
		<-prog.done
		if t.Failed() {
			t.Logf("the program said:\n%s", prog.text())
		}
	})
	prog.addr = prog.wait(`listening on (\S+)`)[1]
	return prog
}

func (p *program) set(plan testPlan) {
	p.t.Helper()
	if plan.Grace == 0 {
		plan.Grace = 5 * time.Second
	}
	text, err := json.Marshal(plan)
	if err == nil {
		err = os.WriteFile(p.plan+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(p.plan+".new", p.plan)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) text() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// wait waits until the log matches, and returns the match.
func (p *program) wait(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	var found []string
	p.until(pattern, func() bool { found = re.FindStringSubmatch(p.text()); return found != nil })
	return found
}

func (p *program) until(what string, probe func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); !probe(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ask has one worker do something, and returns its pid and release.
func (p *program) ask(what string) (pid int, release string) {
	p.t.Helper()
	c, err := net.DialTimeout("tcp", p.addr, patience)
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintln(c, what)
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	number, release, _ := strings.Cut(strings.TrimSpace(line), " ")
	if pid, err = strconv.Atoi(number); err != nil {
		p.t.Fatal(err)
	}
	return pid, release
}

// end waits for the program's end and returns its code.
func (p *program) end() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// children returns the processes below one.
func children(t *testing.T, pid int) []int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have ended since
		for _, word := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, n)
		}
	}
	return all
}

// workers waits until there are so many.
func (p *program) workers(n int) []int {
	p.t.Helper()
	var all []int
	p.until(fmt.Sprintf("%d workers", n), func() bool {
		all = children(p.t, p.cmd.Process.Pid)
		return len(all) == n
	})
	return all
}

// lines returns the log's lines that match.
func (p *program) lines(pattern string) []string {
	return regexp.MustCompile("(?m)"+pattern).FindAllString(p.text(), -1)
}

func (p *program) expect(pattern string, times int) {
	p.t.Helper()
	if got := p.lines(pattern); len(got) != times {
		p.t.Errorf("%q %d times, want %d: %q", pattern, len(got), times, got)
	}
}

func TestLife(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one"})
	p.wait("^serving test program")
	pids := p.workers(2)
	if pid, release := p.ask("who"); !slices.Contains(pids, pid) || release != `"one"` {
		t.Errorf("answer from %d %s, the workers are %v", pid, release, pids)
	}
	p.signal(syscall.SIGTERM)
	if code := p.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	want := []string{
		`hook nworkers_changed of one: {"new":2,"old":null}`, "hook when_ready of one: null",
		"stopping successor=0 predecessor=0",
		`hook child_exit of one`, `hook child_exit of one`, "hook on_exit of one: null", "end of one", "stopped: <nil>",
	}
	if got := p.lines(`^(hook child_exit of one|hook.*|end of.*|stopp.*)`); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for i, pid := range pids {
		p.expect(fmt.Sprintf(`child_exit of one: {"pid":%d,"age":[12]}`, pid), 1)
		p.expect(fmt.Sprintf(`"age":%d}`, i+1), 1)
	}
}

func TestReload(t *testing.T) {
	p := start(t, testPlan{Workers: 1, Release: "one"})
	p.wait("^serving")
	old := p.workers(1)
	p.set(testPlan{Workers: 2, Release: "two"})
	p.signal(syscall.SIGHUP)
	p.wait("reloaded: workers=2")
	p.wait("^end of one")
	if pids := p.workers(2); slices.Contains(pids, old[0]) {
		t.Errorf("the old worker %v is still there: %v", old, pids)
	}
	for range 5 {
		if _, release := p.ask("who"); release != `"two"` {
			t.Errorf("release %s", release)
		}
	}
	p.wait(`hook nworkers_changed of two: {"new":2,"old":1}`)
	p.expect("hook when_ready", 1)
	p.expect("^serving", 1)
	p.expect("child_exit of one", 1)
	p.signal(syscall.SIGTERM)
	if p.end(); len(p.lines("^end of")) != 2 || len(p.lines("on_exit of two")) != 1 {
		t.Errorf("ends %q", p.lines("^(end of|hook on_exit).*"))
	}
}

// TestReloadWithOtherListeners: those that nobody needs any more are closed.
func TestReloadWithOtherListeners(t *testing.T) {
	p := start(t, testPlan{Workers: 1, Release: "one"})
	p.wait("^serving")
	before := p.addr
	p.set(testPlan{Workers: 1, Release: "two", Rebind: true, BootFails: true})
	p.signal(syscall.SIGHUP)
	p.wait("the reload failed")
	p.wait("^end of two")
	dropped := p.lines(`^listening on \S+`)[1]
	p.set(testPlan{Workers: 1, Release: "three", Rebind: true})
	p.signal(syscall.SIGHUP)
	p.wait("^end of one")
	for _, addr := range []string{before, strings.TrimPrefix(dropped, "listening on ")} {
		if c, err := net.DialTimeout("tcp", addr, patience); err == nil {
			c.Close()
			t.Errorf("somebody still listens on %s", addr)
		}
	}
	p.addr = strings.TrimPrefix(p.lines(`^listening on \S+`)[2], "listening on ")
	if _, release := p.ask("who"); release != `"three"` {
		t.Errorf("release %s", release)
	}
}

func TestReloadThatFails(t *testing.T) {
	p := start(t, testPlan{Workers: 1, Release: "one"})
	p.wait("^serving")
	old := p.workers(1)
	p.set(testPlan{BeginFails: "a syntax error in the file"})
	p.signal(syscall.SIGHUP)
	p.wait(`the reload failed.*cause="a syntax error`)
	p.set(testPlan{Workers: 1, Release: "two", BootFails: true})
	p.signal(syscall.SIGHUP)
	p.wait(`the reload failed.*cause="it cannot serve"`)
	p.wait("^end of two")
	p.set(testPlan{Workers: 0, Release: "three"})
	p.signal(syscall.SIGHUP)
	p.wait(`the reload failed.*at least one worker`)
	p.wait("^end of three")
	if got := p.workers(1); !slices.Equal(got, old) {
		t.Errorf("workers %v, before %v", got, old)
	}
	p.expect("^end of one", 0)
	p.set(testPlan{Workers: 1, Release: "four"})
	p.signal(syscall.SIGHUP)
	p.wait("^end of one")
	if _, release := p.ask("who"); release != `"four"` {
		t.Errorf("release %s", release)
	}
}

func TestStartThatFails(t *testing.T) {
	for name, tt := range map[string]struct {
		plan testPlan
		code int
		text string
	}{
		"the configuration": {testPlan{BeginFails: "no such setting"}, 7, "no such setting"},
		"the workers":       {testPlan{Workers: 3, BootFails: true}, 5, "it cannot serve"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, tt.plan)
			if code := p.end(); code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			p.expect("^boot error: "+tt.text, 1)
		})
	}
}

// TestSlowBegin: the loop goes on while the configuration is read.
func TestSlowBegin(t *testing.T) {
	p := start(t, testPlan{Workers: 1, Release: "one"})
	p.wait("^serving")
	p.set(testPlan{Workers: 1, Release: "two", BeginTakes: time.Second})
	p.signal(syscall.SIGHUP)
	p.wait("begin reload=true")
	if err := syscall.Kill(p.workers(1)[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait("a worker died; starting another")
	p.signal(syscall.SIGHUP) // what is read now may be older than that
	if _, release := p.ask("who"); release != `"one"` {
		t.Errorf("release %s", release)
	}
	p.wait("reloaded")
	p.expect("begin reload=true", 2)
	p.expect("^end of two", 1) // the first reading
	p.set(testPlan{BeginTakes: time.Hour})
	p.signal(syscall.SIGHUP)
	p.until("another reading", func() bool { return len(p.lines("begin reload=true")) == 3 })
	p.signal(syscall.SIGTERM)
	if code := p.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestHookThatHangs(t *testing.T) {
	p := start(t, testPlan{Workers: 1, Release: "one", SlowHook: "when_ready"})
	p.wait("^serving")
	p.set(testPlan{Workers: 1, Release: "two"})
	p.signal(syscall.SIGHUP)
	p.wait("reloaded")
	p.expect("hook when_ready", 0)
	p.wait("^end of one")
	if got := p.lines("^(hook [a-z_]+|end) of one"); !slices.Equal(got, []string{
		"hook nworkers_changed of one", "hook when_ready of one", "hook child_exit of one", "end of one",
	}) {
		t.Errorf("got %q", got)
	}
}

func TestStuckWorker(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one", Timeout: time.Second})
	p.wait("^serving")
	stopped := p.workers(2)[0]
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	p.wait(fmt.Sprintf("a worker is stuck.*worker=%d", stopped))
	if took := time.Since(since); took < leastSilence-time.Second {
		t.Errorf("after %v it was taken for stuck", took)
	}
	p.wait("a worker died")
	if pids := p.workers(2); slices.Contains(pids, stopped) {
		t.Errorf("%d is still there: %v", stopped, pids)
	}
	p.expect("a worker is stuck", 1)
}

// TestStoppedMaster: while it was stopped itself, it heard nobody.
func TestStoppedMaster(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one", Timeout: time.Second})
	p.wait("^serving")
	before := p.workers(2)
	p.signal(syscall.SIGSTOP)
	time.Sleep(leastSilence + 2*time.Second)
	p.signal(syscall.SIGCONT)
	time.Sleep(2 * time.Second)
	if got := p.workers(2); !slices.Equal(got, before) {
		t.Errorf("workers %v, before %v", got, before)
	}
	p.expect("a worker is stuck", 0)
}

func TestUnwell(t *testing.T) {
	p := start(t, testPlan{Workers: 1, Release: "one"})
	p.wait("^serving")
	for what, said := range map[string]string{"unwell": "that feels unwell", "spent": "that has served its number of requests"} {
		pid, _ := p.ask(what)
		p.wait(fmt.Sprintf("replacing a worker %s: worker=%d", said, pid))
		p.until("another worker", func() bool { return !slices.Contains(p.workers(1), pid) })
	}
	p.expect("a worker died", 0)
}

// TestReport: a worker that is replaced leaves its place to the next, a reload's
// workers begin from 1, and each knows its place.
func TestReport(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one", Reports: true})
	first := p.wait(`^report 1:(\d+):true:1:1 2:(\d+):true:1:2\.$`)
	p.ask("spent")
	p.wait(fmt.Sprintf(`^report (1:%s:true:1:1 2:\d+:true:2:2|1:\d+:true:2:1 2:%s:true:1:2)\.$`, first[1], first[2]))
	p.signal(syscall.SIGHUP)
	p.wait("reloaded: workers=2")
	p.wait(`^report 1:\d+:true:[23]:1 2:\d+:true:[23]:2\.$`)
	p.signal(syscall.SIGTTIN)
	p.wait(`^report 1:\d+:true:\d:1 2:\d+:true:\d:2 3:\d+:true:1:3\.$`)
	for _, line := range p.lines("^report .*") {
		places := regexp.MustCompile(`(\d+):\d+:`).FindAllStringSubmatch(line, -1)
		for i, place := range places {
			if i > 0 && place[1] == places[i-1][1] {
				t.Errorf("a place is there twice: %s", line)
			}
		}
	}
}

func TestScalesWithTheLoad(t *testing.T) {
	p := start(t, testPlan{Workers: 1, Min: 1, Max: 2, Release: "one"})
	p.wait("^serving")
	p.ask("wait")
	p.wait("requests wait: starting more workers: workers=2")
	p.workers(2)
	p.wait(`hook nworkers_changed of one: {"new":2,"old":1}`)
	p.signal(syscall.SIGTTIN) // not above Max
	p.signal(syscall.SIGHUP)  // what the load needs stays
	p.wait("reloaded: workers=2")
	p.signal(syscall.SIGTTOU)
	p.workers(1)
	p.expect(`"new":3`, 0)
}

func TestReopen(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one"})
	p.wait("^serving")
	pids := p.workers(2)
	p.signal(syscall.SIGUSR1)
	p.wait("^the master reopens")
	for _, pid := range pids {
		p.wait(fmt.Sprintf("^worker %d reopens", pid))
	}
	if got := p.workers(2); !slices.Equal(got, pids) {
		t.Errorf("workers %v, before %v", got, pids)
	}
}

func TestSpawn(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one", Spawn: true})
	p.wait("^serving")
	pids := p.workers(2)
	if pid, release := p.ask("who"); !slices.Contains(pids, pid) || release != `"one"` {
		t.Errorf("answer from %d %s, the workers are %v", pid, release, pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait(fmt.Sprintf("a worker died.*worker=%d how=.signal killed", pids[0]))
	p.until("another worker", func() bool { return !slices.Contains(p.workers(2), pids[0]) })
	p.signal(syscall.SIGTERM)
	if code := p.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	p.expect("hook child_exit", 3)
	p.expect("^end of one", 1)
}

// TestSpawnThatFailsLater: a zygote that has died is replaced, with its workers.
func TestSpawnThatFailsLater(t *testing.T) {
	p := start(t, testPlan{Workers: 1, Release: "one", Spawn: true, SpawnFails: true})
	p.wait("^serving")
	p.set(testPlan{Workers: 1, Release: "two"})
	if err := syscall.Kill(p.workers(1)[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait("the zygote has died")
	p.wait("reloaded")
	p.wait("^end of one")
	if _, release := p.ask("who"); release != `"two"` {
		t.Errorf("release %s", release)
	}
}

func TestUpgrade(t *testing.T) {
	p := start(t, testPlan{Workers: 1, Release: "one"})
	p.wait("^serving")
	p.signal(syscall.SIGWINCH)
	p.wait("SIGWINCH is ignored")
	old := p.workers(1)
	p.set(testPlan{Workers: 1, Release: "two"})
	p.signal(syscall.SIGUSR2)
	successor, err := strconv.Atoi(p.wait(`started a new master: pid=(\d+)`)[1])
	if err != nil {
		t.Fatal(err)
	}
	p.until("both to serve", func() bool { return len(p.lines("^serving")) == 2 })
	if got := p.lines("^hook pre_exec.*"); !slices.Equal(got, []string{"hook pre_exec of one: null"}) {
		t.Errorf("got %q", got)
	}
	p.signal(syscall.SIGUSR2)
	p.wait(fmt.Sprintf("SIGUSR2 is ignored: there is a new master already: pid=%d", successor))
	if err := syscall.Kill(successor, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	p.wait("SIGUSR2 is ignored: the old master is still there")

	p.signal(syscall.SIGWINCH)
	p.until("the old workers to end", func() bool { return slices.Equal(children(t, p.cmd.Process.Pid), []int{successor}) })
	for range 3 {
		if _, release := p.ask("who"); release != `"two"` {
			t.Errorf("release %s", release)
		}
	}
	p.signal(syscall.SIGHUP)
	p.until("workers of the old master", func() bool { return len(children(t, p.cmd.Process.Pid)) == 2 })
	p.signal(syscall.SIGWINCH)
	p.until("the old workers to end again", func() bool { return slices.Equal(children(t, p.cmd.Process.Pid), []int{successor}) })

	p.signal(syscall.SIGQUIT)
	if code := p.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	p.expect(fmt.Sprintf("^stopping successor=%d predecessor=0", successor), 1)
	p.wait("^promoted")
	if _, release := p.ask("who"); release != `"two"` {
		t.Errorf("release %s", release)
	}
	if err := syscall.Kill(successor, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wait("^stopping successor=0 predecessor=0")
	p.until("the end of both", func() bool { return len(p.lines("^stopped: <nil>")) == 2 })
	if slices.Contains(old, successor) {
		t.Errorf("%d was a worker", successor)
	}
}

func TestUpgradeThatFails(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one"})
	p.wait("^serving")
	p.set(testPlan{BeginFails: "not on this machine"})
	p.signal(syscall.SIGUSR2)
	p.wait("the new master has ended; this one goes on.*exit status 7")
	p.workers(2)
	// The sockets are both masters'.
	p.wait(fmt.Sprintf("^stopping successor=0 predecessor=%d", p.cmd.Process.Pid))

	// After WINCH nobody would serve.
	p.set(testPlan{Workers: 1, Release: "two"})
	p.signal(syscall.SIGUSR2)
	p.until("both to serve", func() bool { return len(p.lines("^serving")) == 2 })
	all := p.lines(`started a new master: pid=\d+`)
	successor, err := strconv.Atoi(strings.TrimPrefix(all[1], "started a new master: pid="))
	if err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGWINCH)
	p.until("the old workers to end", func() bool { return slices.Equal(children(t, p.cmd.Process.Pid), []int{successor}) })
	if err := syscall.Kill(successor, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	p.workers(2)
	p.ask("who")
	p.signal(syscall.SIGTERM)
	if code := p.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestWindDownOfADaemon(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one", Daemon: true})
	p.wait("^serving")
	p.signal(syscall.SIGWINCH)
	p.workers(0)
	p.wait(`hook nworkers_changed of one: {"new":0,"old":2}`)
	p.signal(syscall.SIGTTIN)
	p.workers(1)
	p.signal(syscall.SIGHUP)
	p.workers(2)
}

func TestKilledMaster(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one"})
	p.wait("^serving")
	pids := p.workers(2)
	p.signal(syscall.SIGKILL)
	for _, pid := range pids {
		p.wait(fmt.Sprintf("^worker %d has no master", pid))
	}
}
