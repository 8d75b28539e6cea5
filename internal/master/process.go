package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// process is what the master holds of a worker.
type process struct {
	line    *net.UnixConn
	read    chan struct{} // closed when the line has ended
	failure *message      // set before read is closed
	deadBy  time.Time     // killed then; zero: not told to go yet
	started time.Time
	heard   time.Time // when it last said anything
	beat    Beat      // the last one, but Wait is the longest of beats
	beats   int       // since the last tick
	reopen  bool      // it is to get SIGUSR1 as soon as it serves
}

// spawn starts a worker; false: it could not.
func (m *Master) spawn(g *generation, number int) bool {
	m.age++
	w := &worker{age: m.age, generation: number, place: m.fleet.place(number), seat: m.board.Take()}
	m.spawns[w.place]++
	line, theirs, err := newLine()
	if err != nil {
		m.board.Free(w.seat)
		m.failed(w, &BootError{Code: 1, Text: err.Error()}, true)
		return false
	}
	now := time.Now()
	w.process = process{line: line, read: make(chan struct{}), started: now, heard: now}
	m.fleet.workers = append(m.fleet.workers, w)
	if g.Spawn == nil {
		pid, err := m.fork(g, theirs)
		theirs.Close()
		return m.started(w, g, pid, err)
	}
	g.pending++
	request := SpawnRequest{Age: w.age, Workers: m.fleet.wanted(), Line: theirs, Listeners: slices.Clone(g.listeners)}
	before, done := g.spawned, make(chan struct{})
	g.spawned = done
	go func() {
		if before != nil {
			<-before
		}
		pid, err := g.Spawn(request)
		close(done)
		theirs.Close()
		m.post(func() {
			g.pending--
			if !m.started(w, g, pid, err) {
				g.broken = true
			}
			m.reap() // what was left while pending
		})
	}()
	return true
}

// remove forgets a worker that has ended.
func (m *Master) remove(w *worker) {
	m.fleet.remove(w)
	m.board.Free(w.seat)
}

// newLine makes a line to a worker. Its two ends are not inherited by others.
func newLine() (ours *net.UnixConn, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("making the line to a worker: %w", err)
	}
	f := os.NewFile(uintptr(pair[0]), "worker")
	defer f.Close() // ours is a copy
	theirs = os.NewFile(uintptr(pair[1]), "master")
	c, err := net.FileConn(f)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("making the line to a worker: %w", err)
	}
	return c.(*net.UnixConn), theirs, nil
}

// fork starts this program anew with the same arguments.
func (m *Master) fork(g *generation, line *os.File) (pid int, err error) {
	files := append([]uintptr{0, 1, 2}, g.listeners...)
	return syscall.ForkExec(thisProgram(), m.Args, &syscall.ProcAttr{
		Dir:   m.folder(),
		Env:   append(slices.Clone(m.Env), workerVariable+"="+strconv.Itoa(len(g.listeners))),
		Files: append(files, line.Fd()),
		Sys:   &syscall.SysProcAttr{Credential: g.Credential},
	})
}

// folder is where the master was started, by name: it may be a link that a new
// release has moved. "": it is not there any more.
func (m *Master) folder() string {
	if _, err := os.Stat(m.dir); err != nil {
		return ""
	}
	return m.dir
}

const self = "/proc/self/exe"

// thisProgram is the file that runs: if another has taken its place, the old one,
// which the kernel still has, since a worker must speak its master's language.
func thisProgram() string {
	path, err := os.Executable()
	if err != nil {
		return self
	}
	there, err := os.Stat(path)
	if err != nil {
		return self
	}
	if running, err := os.Stat(self); err == nil && !os.SameFile(there, running) {
		return self
	}
	return path
}

// started takes what starting a worker gave; false: nothing.
func (m *Master) started(w *worker, g *generation, pid int, err error) bool {
	switch {
	case err != nil:
		w.process.line.Close()
		m.remove(w)
		if w.phase != draining && !m.stopping {
			boot := &BootError{Code: 1, Text: fmt.Sprintf("starting a worker: %v", err)}
			errors.As(err, &boot)
			m.failed(w, boot, true)
		}
		return false
	case !slices.Contains(m.fleet.workers, w): // it took too long
		w.process.line.Close()
		_ = syscall.Kill(pid, syscall.SIGKILL) // not reaped yet: reap leaves it while a Spawn is under way
		return true
	}
	w.pid, w.process.heard = pid, time.Now()
	m.Log.Debug("started a worker", "worker", pid)
	go m.listen(w, g.Settings)
	if w.phase == draining {
		m.kill(w, syscall.SIGTERM)
	}
	return true
}

// listen sends a worker its settings and passes on what it says, until its line
// ends.
func (m *Master) listen(w *worker, settings []byte) {
	defer close(w.process.read)
	defer w.process.line.Close()
	_ = w.process.line.SetWriteDeadline(time.Now().Add(settingsLimit))
	// The board goes with the first bytes, which the kernel takes whole.
	var rights []byte
	if w.seat != 0 {
		rights = syscall.UnixRights(m.board.FD())
	}
	_, _, err := w.process.line.WriteMsgUnix(fmt.Appendf(nil, "%d %d ", w.place, w.seat), rights, nil)
	if err == nil {
		_, err = w.process.line.Write(fmt.Appendf(nil, "%s\n", settings))
	}
	if err != nil {
		return // it has ended, or will when it misses the settings
	}
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
		m.post(func() { m.happened(w, msg) })
	}
}

// happened takes a worker's word.
func (m *Master) happened(w *worker, msg message) {
	w.process.heard = time.Now()
	switch {
	case w.phase == draining:
	case msg.Kind == kindAlive && msg.Beat != nil:
		b := *msg.Beat
		if w.process.beats > 0 {
			b.Wait = max(b.Wait, w.process.beat.Wait)
		}
		w.process.beat = b
		w.process.beats++
	case msg.Kind == kindReady:
		w.to(serving)
		m.unserved = 0
		w.process.started = time.Now()
		m.what = msg.Text
		m.Log.Debug("a worker serves", "worker", w.pid)
		if w.process.reopen {
			m.kill(w, syscall.SIGUSR1)
		}
	case msg.Kind == kindSpent:
		m.Log.Info("replacing a worker that "+msg.Text, "worker", w.pid)
		w.spent = true
	case msg.Kind == kindChanged:
		m.changed(msg)
	case msg.Kind == kindBroken:
		m.broken(w, msg)
	case msg.Kind == kindDraining:
		w.to(draining)
		w.process.deadBy = time.Now().Add(m.of(w).Grace)
	}
}

// ended passes on that a worker has ended, after what it has said. A child that it
// forked may hold its line open: nothing more is taken from it.
func (m *Master) ended(w *worker, status syscall.WaitStatus) {
	_ = w.process.line.CloseRead() // leaves what has arrived; fails on a closed one, which is fine
	<-w.process.read
	m.post(func() {
		g := m.of(w)
		m.remove(w)
		m.lost(w, status)
		m.hook(g, call{name: ChildExit, args: Child{PID: w.pid, Age: w.age}})
	})
}

// reap collects what has ended: workers, a successor, and as a subreaper or the
// container's first process orphans too. While Begin runs, it may wait for programs
// that it has started, and while a worker is being started, nobody knows its number:
// then only what is known is collected.
func (m *Master) reap() {
	pending := m.beginning
	for _, g := range m.generations {
		pending = pending || g.pending > 0
	}
	if !pending {
		for m.wait(-1) {
		}
		return
	}
	for _, w := range m.fleet.workers {
		if w.pid != 0 && !w.reaped {
			m.wait(w.pid)
		}
	}
	if m.successor != 0 {
		m.wait(m.successor)
	}
}

// wait collects a process that has ended, -1 for any; false: there is none.
func (m *Master) wait(which int) bool {
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(which, &status, syscall.WNOHANG, nil)
	switch {
	case err == syscall.EINTR:
		return m.wait(which)
	case err != nil || pid <= 0:
		return false
	case pid == m.successor:
		m.successorEnded(status)
		return true
	}
	if w := m.fleet.find(pid); w != nil {
		w.reaped = true
		go m.ended(w, status)
	}
	return true
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
	if w.pid != 0 && !w.reaped {
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
