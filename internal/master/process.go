package master

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// variable tells a process that it is a worker, and how many listeners it has:
// descriptors from 3 on. The line to the master is the one after them.
const variable = "GOWSGI_WORKER"

const firstFD = 3

// message is what a worker tells its master: one line of JSON each.
type message struct {
	Kind string // one of the following
	Code int    `json:",omitempty"` // of failed: the exit code
	Text string `json:",omitempty"` // of failed and broken: what to print; of ready: what it runs; of changed: the file
	At   int64  `json:",omitempty"` // of changed: the file's time
}

const (
	kindReady    = "ready"    // it accepts from now on
	kindFailed   = "failed"   // it cannot serve, and ends
	kindSpent    = "spent"    // it has served enough, and goes on until it is told to go
	kindDraining = "draining" // somebody else told it to go
	kindChanged  = "changed"  // a file of its application was saved
	kindBroken   = "broken"   // it will serve, but only the reason why its application does not load
)

// process is what the master holds of a worker.
type process struct {
	line    net.Conn
	read    chan struct{} // closed when the line has ended
	failure *message      // set before read is closed
	deadBy  time.Time     // killed then; zero: not told to go yet
	started time.Time
}

// spawn starts this program anew with the same arguments.
func (m *Master) spawn(generation int) error {
	syscall.ForkLock.RLock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return fmt.Errorf("making the line to a worker: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "worker"), os.NewFile(uintptr(pair[1]), "master")
	defer theirs.Close()
	defer ours.Close() // line is a copy
	line, err := net.FileConn(ours)
	if err != nil {
		return fmt.Errorf("making the line to a worker: %w", err)
	}
	files := append([]uintptr{0, 1, 2}, m.listeners...)
	pid, err := syscall.ForkExec(program(), m.Args, &syscall.ProcAttr{
		Env:   append(slices.Clone(m.Env), variable+"="+strconv.Itoa(len(m.listeners))),
		Files: append(files, uintptr(pair[1])),
	})
	if err != nil {
		line.Close()
		return fmt.Errorf("starting a worker: %w", err)
	}
	w := &worker{pid: pid, generation: generation}
	w.process = process{line: line, read: make(chan struct{}), started: time.Now()}
	m.fleet.workers = append(m.fleet.workers, w)
	m.Log.Debug("started a worker", "worker", pid)
	go m.listen(w)
	return nil
}

// program is this one's file; after an upgrade in place, the old one, which the
// kernel still has.
func program() string {
	const self = "/proc/self/exe"
	path, err := os.Executable()
	if err != nil {
		return self
	}
	if _, err := os.Stat(path); err != nil {
		return self
	}
	return path
}

// listen passes on what a worker says, until its line ends.
func (m *Master) listen(w *worker) {
	defer close(w.process.read)
	defer w.process.line.Close()
	in := json.NewDecoder(w.process.line)
	for {
		var msg message
		if in.Decode(&msg) != nil {
			return // the process has ended, which is reaped
		}
		if msg.Kind == kindFailed {
			w.process.failure = &msg
			continue
		}
		m.events <- event{worker: w, message: msg}
	}
}

// lastWords bounds the wait for what an ended worker has said: a child that it
// forked may hold its line open.
const lastWords = 200 * time.Millisecond

// ended passes on that a worker has ended, after what it has said.
func (m *Master) ended(w *worker, status syscall.WaitStatus) {
	_ = w.process.line.SetReadDeadline(time.Now().Add(lastWords)) // fails on a closed one, which is fine
	<-w.process.read
	m.events <- event{worker: w, ended: true, status: status}
}

// reap collects what has ended: workers, and as the container's first process
// orphans too.
func (m *Master) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if w := m.fleet.find(pid); w != nil {
			w.reaped = true
			go m.ended(w, status)
		}
	}
}

// tell tells a worker to go, and decides when it is killed if it does not.
func (m *Master) tell(w *worker, s syscall.Signal, limit time.Duration) {
	if w.phase == booting {
		s = syscall.SIGTERM // ends it at once; it may not yet be able to take others
	}
	w.to(draining)
	if d := time.Now().Add(limit); w.process.deadBy.IsZero() || d.Before(w.process.deadBy) {
		w.process.deadBy = d
	}
	m.kill(w, s)
}

func (m *Master) kill(w *worker, s syscall.Signal) {
	if !w.reaped {
		_ = syscall.Kill(w.pid, s) // our child, not reaped: it is there
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		text := "signal " + status.Signal().String()
		if status.CoreDump() {
			text += ", core dumped"
		}
		return text
	}
	return "exit status " + strconv.Itoa(status.ExitStatus())
}

// Link is a worker's line to its master.
type Link struct {
	Listeners []net.Listener
	line      net.Conn
	gone      chan struct{}
}

// Join returns the line to the master if this process was started as a worker,
// else nil. It takes the variable away, so that what the application starts is no
// worker.
func Join(fromFD func(int) (net.Listener, error)) (*Link, error) {
	text, ok := os.LookupEnv(variable)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(variable)
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%s is what a master sets for its workers: unset it", variable)
	}
	syscall.CloseOnExec(firstFD + n)
	f := os.NewFile(uintptr(firstFD+n), "master")
	if f == nil {
		return nil, fmt.Errorf("%s: no descriptor %d", variable, firstFD+n)
	}
	line, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("%s is what a master sets for its workers: unset it: %w", variable, err)
	}
	f.Close()
	l := &Link{line: line, gone: make(chan struct{})}
	for fd := firstFD; fd < firstFD+n; fd++ {
		listener, err := fromFD(fd)
		if err != nil {
			return nil, fmt.Errorf("the master's listener: %w", err)
		}
		l.Listeners = append(l.Listeners, listener)
	}
	go func() {
		var one [1]byte
		for {
			if _, err := line.Read(one[:]); err != nil {
				close(l.gone)
				return
			}
		}
	}()
	return l, nil
}

// Gone is closed when the master has ended, however it did.
func (l *Link) Gone() <-chan struct{} { return l.gone }

// Ready tells that this worker accepts, and what it runs.
func (l *Link) Ready(what string) { l.say(message{Kind: kindReady, Text: what}) }

// Failed tells that this worker cannot serve; the caller ends with the code.
func (l *Link) Failed(code int, text string) {
	l.say(message{Kind: kindFailed, Code: code, Text: text})
}

// Spent asks to be replaced.
func (l *Link) Spent() { l.say(message{Kind: kindSpent}) }

// Draining tells that this worker ends although the master may not have said so.
func (l *Link) Draining() { l.say(message{Kind: kindDraining}) }

func (l *Link) say(m message) {
	text, err := json.Marshal(m)
	if err == nil {
		_, _ = l.line.Write(append(text, '\n')) // a master that is gone shows in Gone
	}
}
