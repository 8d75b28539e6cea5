package master

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Master starts workers and ends with them. Set the fields, then call Run, once in
// a process: it reaps every child.
type Master struct {
	Workers int
	Files   []*os.File // listeners, for the workers to inherit
	Args    []string   // of each worker, the program's name first
	Env     []string
	Grace   time.Duration // from telling a worker to drain to killing it
	Log     hclog.Logger
	Serving func(what string) // called once, when every worker accepts
	// Stopping is called once, before the workers are told: from here on nothing
	// more is accepted.
	Stopping func()

	listeners []uintptr
	fleet     fleet
	events    chan event
	failures  int       // workers that did not last, within forgotten of each other
	failedAt  time.Time // the last of them
	notBefore time.Time // no worker is started until then
	booted    bool      // every worker has served once
	again     bool      // a reload was asked for before that
	what      string    // the last worker's own description
	saved     saved
	stopping  bool
	result    error
}

// event is what happened to a worker: it said something, or ended.
type event struct {
	worker  *worker
	message message
	ended   bool
	status  syscall.WaitStatus
}

// BootError is why no worker can serve. Text is what the worker would have printed.
type BootError struct {
	Code int
	Text string
}

func (e *BootError) Error() string { return e.Text }

// CodeCrash ends a master whose workers die before they serve without a word:
// gunicorn's code for workers that fail to boot.
const CodeCrash = 3

const (
	maxFailures = 5                      // boots in a row that fail, with nobody serving
	firstPause  = 100 * time.Millisecond // doubled with each
	longPause   = 10 * time.Second
	young       = time.Second     // who dies within it has not proved anything
	forgotten   = time.Minute     // failures further apart have nothing to do with each other
	quickLimit  = 3 * time.Second // from SIGQUIT to SIGKILL
)

// names of the signals that a master takes; their String is "stopped (tty input)".
var names = map[syscall.Signal]string{
	syscall.SIGTERM: "SIGTERM", syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT",
	syscall.SIGHUP: "SIGHUP", syscall.SIGTTIN: "SIGTTIN", syscall.SIGTTOU: "SIGTTOU",
	syscall.SIGUSR1: "SIGUSR1", syscall.SIGUSR2: "SIGUSR2", syscall.SIGWINCH: "SIGWINCH",
}

// Run returns nil when it was told to stop, and a *BootError when no worker can
// serve.
func (m *Master) Run() error {
	signals := make(chan os.Signal, 32)
	for s := range names {
		signal.Notify(signals, s)
	}
	children := make(chan os.Signal, 1) // one stands for any number
	signal.Notify(children, syscall.SIGCHLD)
	m.events = make(chan event)
	m.fleet = fleet{want: m.Workers, current: 1, last: 1}
	for _, f := range m.Files {
		m.listeners = append(m.listeners, f.Fd())
		// Fd made it blocking, and it is one for all processes.
		if err := syscall.SetNonblock(int(m.listeners[len(m.listeners)-1]), true); err != nil {
			return fmt.Errorf("preparing a listener: %w", err)
		}
	}
	timer := time.NewTimer(0)
	for {
		m.settle()
		if m.stopping && len(m.fleet.workers) == 0 {
			return m.result
		}
		timer.Reset(m.pause())
		select {
		case s := <-signals:
			m.signalled(s.(syscall.Signal))
		case <-children:
			m.reap()
		case e := <-m.events:
			m.happened(e)
		case <-timer.C:
		}
	}
}

// settle does what the fleet decides and kills who was told to go in vain.
func (m *Master) settle() {
	now := time.Now()
	for _, w := range m.fleet.workers {
		if d := w.process.deadBy; !d.IsZero() && now.After(d) {
			m.Log.Error("a worker does not end; killing it", "worker", w.pid)
			w.process.deadBy = now.Add(longPause)
			m.kill(w, syscall.SIGKILL)
		}
	}
	if m.stopping {
		return
	}
	if !m.booted && m.fleet.count(serving) >= m.fleet.want {
		m.booted, m.failures = true, 0
		m.Serving(m.what)
		if m.again {
			m.reload()
		}
	}
	p := m.fleet.decide()
	for _, w := range p.retire {
		m.Log.Debug("telling a worker to drain", "worker", w.pid)
		m.tell(w, syscall.SIGTERM, m.Grace)
	}
	if p.turned {
		m.Log.Info("reloaded", "workers", m.fleet.want)
	}
	if now.Before(m.notBefore) {
		return
	}
	for range p.spawn {
		if err := m.spawn(p.generation); err != nil {
			m.failed(&BootError{Code: 1, Text: err.Error()}, true)
			return
		}
	}
}

// pause is how long nothing needs doing.
func (m *Master) pause() time.Duration {
	next := time.Now().Add(time.Minute)
	if m.notBefore.After(time.Now()) {
		next = m.notBefore
	}
	for _, w := range m.fleet.workers {
		if d := w.process.deadBy; !d.IsZero() && d.Before(next) {
			next = d
		}
	}
	return max(time.Until(next), time.Millisecond)
}

func (m *Master) signalled(s syscall.Signal) {
	m.Log.Info("got " + names[s])
	switch s {
	case syscall.SIGTERM:
		if !m.stopping {
			m.stop(syscall.SIGTERM, m.Grace, nil)
			return
		}
		m.stop(syscall.SIGQUIT, quickLimit, nil)
	case syscall.SIGINT, syscall.SIGQUIT:
		m.stop(syscall.SIGQUIT, quickLimit, nil)
	case syscall.SIGHUP:
		m.reload()
	case syscall.SIGTTIN:
		m.fleet.want++
	case syscall.SIGTTOU:
		m.fleet.want = max(1, m.fleet.want-1)
	default: // gunicorn's others: a script that sends them must not end the server
		m.Log.Warn("this version does nothing on " + names[s])
	}
}

// reload starts new workers; settle ends the old ones once all of those serve.
func (m *Master) reload() {
	if m.stopping {
		return
	}
	if !m.booted {
		m.again = true
		return
	}
	m.drop(m.fleet.begin())
	m.notBefore, m.failures = time.Time{}, 0
}

// stop ends the workers; a second call may be quicker than the first.
func (m *Master) stop(s syscall.Signal, limit time.Duration, result error) {
	if !m.stopping {
		m.stopping, m.result = true, result
		m.Stopping()
		for _, f := range m.Files {
			f.Close()
		}
	}
	for _, w := range m.fleet.workers {
		m.tell(w, s, limit)
	}
}

// drop ends workers that never became those that serve.
func (m *Master) drop(workers []*worker) {
	for _, w := range workers {
		m.tell(w, syscall.SIGTERM, m.Grace)
	}
}

func (m *Master) happened(e event) {
	w := e.worker
	switch {
	case e.ended:
		m.fleet.remove(w)
		m.lost(w, e.status)
	case w.phase == draining:
	case e.message.Kind == kindReady:
		w.to(serving)
		w.process.started = time.Now()
		m.what = e.message.Text
		m.Log.Debug("a worker serves", "worker", w.pid)
	case e.message.Kind == kindSpent:
		m.Log.Info("replacing a worker that has served its number of requests", "worker", w.pid)
		w.spent = true
	case e.message.Kind == kindChanged:
		m.changed(e.message)
	case e.message.Kind == kindBroken:
		m.broken(w, e.message)
	case e.message.Kind == kindDraining:
		w.to(draining)
		w.process.deadBy = time.Now().Add(m.Grace)
	}
}

// lost decides what the end of a worker means.
func (m *Master) lost(w *worker, status syscall.WaitStatus) {
	how := describe(status)
	if w.phase == draining || m.stopping {
		m.Log.Debug("a worker has ended", "worker", w.pid, "how", how)
		return
	}
	if w.phase == serving {
		if f := w.process.failure; f != nil {
			how += ": " + f.Text
		}
		m.Log.Error("a worker died; starting another", "worker", w.pid, "how", how)
		if time.Since(w.process.started) < young {
			m.slow()
		}
		return
	}
	if f := w.process.failure; f != nil {
		m.failed(&BootError{Code: f.Code, Text: f.Text}, true)
		return
	}
	m.failed(&BootError{Code: CodeCrash, Text: fmt.Sprintf("worker %d died before it could serve: %s", w.pid, how)}, false)
}

// failed decides what a worker that could not start means: the end at the first
// boot if the reason is known, the end of a reload, else another try.
func (m *Master) failed(err *BootError, known bool) {
	switch {
	case m.fleet.next != 0:
		m.Log.Error("the reload failed; the old workers go on serving", "cause", err.Text)
		m.drop(m.fleet.abandon())
		return
	case !m.booted && known:
		m.stop(syscall.SIGQUIT, quickLimit, err)
		return
	}
	m.slow()
	if m.failures >= maxFailures && m.fleet.count(serving) == 0 {
		m.stop(syscall.SIGQUIT, quickLimit, err)
		return
	}
	m.Log.Error("a worker cannot start; trying again", "cause", err.Text, "in", time.Until(m.notBefore).Round(time.Millisecond))
}

// slow counts a failure and puts the next start off, the longer the more there were.
func (m *Master) slow() {
	now := time.Now()
	if now.Sub(m.failedAt) > forgotten {
		m.failures = 0
	}
	m.failures++
	m.failedAt = now
	m.notBefore = now.Add(min(firstPause<<min(m.failures-1, 10), longPause))
}
