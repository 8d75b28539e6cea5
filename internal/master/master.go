package master

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/internal/board"
	"github.com/hashicorp/go-hclog"
)

// Master starts workers and ends with them. Set the fields, then call Run, once in
// a process: it reaps every child. Only while Begin runs it leaves those that it
// does not know to others.
type Master struct {
	// Begin reads the configuration: at the start, where its error ends the master (a
	// *BootError says with which code), and at each reload, where it leaves the old
	// workers serving. It may take its time; two calls do not overlap.
	Begin func(reload bool) (*Generation, error)
	Args  []string // of this program, its name first: for workers and for a successor
	Env   []string // likewise
	Log   hclog.Logger
	// Program is the file that a successor is started from; "": this program's.
	Program string
	// Serving is called once, when every worker accepts.
	Serving func(what string)
	// Stopping is called once, before the workers are told: from here on nothing more
	// is accepted. The numbers are those of other masters with the same listeners, 0
	// where there is none: the sockets' files are still theirs then.
	Stopping func(successor, predecessor int)
	// Reopen is called at SIGUSR1, before the workers get it; nil: nothing is.
	Reopen func()

	Daemon      bool   // a WINCH is meant: it cannot come from a terminal
	Predecessor int    // what Predecessor returned
	Promoted    func() // called once when the predecessor has ended

	fleet       fleet
	board       *board.Board // nil: the system has none
	generations map[int]*generation
	endings     []<-chan struct{} // of generations whose End was or will be called
	age         int               // of the newest worker
	spawns      map[int]int       // how many workers have had each place
	told        *int              // the last that was said to be the number of workers
	dir         string            // where the master was started
	events      chan func()       // what the loop is to do
	over        chan struct{}     // closed when the loop has ended
	ticked      time.Time
	failures    int       // workers that did not last, within forgotten of each other
	failedAt    time.Time // the last of them
	unserved    int       // workers that did not come to serve, since one did
	notBefore   time.Time // no worker is started until then
	beginning   bool      // Begin runs
	again       bool      // a reload was asked for when it could not begin
	what        string    // the last worker's own description
	saved       saved
	upgrading   bool // a successor is about to be started
	successor   int  // the process of a new master, 0: none
	stopping    bool
	beginBy     time.Time // when stopping: a Begin that runs on is left then
	result      error
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
	defer signal.Stop(signals)
	children := make(chan os.Signal, 1) // one stands for any number
	signal.Notify(children, syscall.SIGCHLD)
	defer signal.Stop(children)
	m.events, m.over = make(chan func()), make(chan struct{})
	defer close(m.over)
	m.generations, m.spawns = map[int]*generation{}, map[int]int{}
	m.dir, _ = os.Getwd() // one that is gone is no reason not to start
	m.ticked = time.Now()
	shared, err := board.New()
	if err != nil {
		m.Log.Debug("the workers will not know of each other", "cause", err)
	}
	m.board = shared
	m.begin(false)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		m.settle()
		if m.stopping && len(m.fleet.workers) == 0 && (!m.beginning || time.Now().After(m.beginBy)) {
			m.end()
			return m.result
		}
		timer.Reset(m.pause())
		select {
		case s := <-signals:
			m.signalled(s.(syscall.Signal))
		case <-children:
			m.reap()
		case do := <-m.events:
			do()
		case <-timer.C:
		}
	}
}

// post has the loop do something, unless it has ended.
func (m *Master) post(do func()) {
	select {
	case m.events <- do:
	case <-m.over:
	}
}

// settle does what the fleet decides, and what is due.
func (m *Master) settle() {
	now := time.Now()
	m.killLate(now)
	if now.Sub(m.ticked) >= tick {
		m.tick(now)
	}
	if !m.stopping {
		m.arrange(now)
	}
	m.endGenerations()
}

// killLate kills who was told to go in vain.
func (m *Master) killLate(now time.Time) {
	for _, w := range m.fleet.workers {
		d := w.process.deadBy
		if d.IsZero() || now.Before(d) {
			continue
		}
		if w.pid == 0 {
			m.Log.Error("a worker was not even started in time; leaving it", "age", w.age)
			m.remove(w) // started kills it if it still comes
			continue
		}
		m.Log.Error("a worker does not end; killing it", "worker", w.pid)
		w.process.deadBy = now.Add(longPause)
		m.kill(w, syscall.SIGKILL)
	}
}

// arrange starts and ends workers as the fleet decides.
func (m *Master) arrange(now time.Time) {
	p := m.fleet.decide()
	for _, w := range p.retire {
		m.Log.Debug("telling a worker to drain", "worker", w.pid)
		m.tell(w, syscall.SIGTERM, m.of(w).Grace)
	}
	if p.turned {
		m.turned()
		return
	}
	if p.spawn == 0 || now.Before(m.notBefore) {
		return
	}
	g := m.generations[p.generation]
	if g.broken {
		m.begin(true)
		return
	}
	for range p.spawn {
		if !m.spawn(g, p.generation) {
			return
		}
	}
}

// of returns the generation that a worker belongs to.
func (m *Master) of(w *worker) *generation { return m.generations[w.generation] }

// turned follows the moment when a new generation has become the current one.
func (m *Master) turned() {
	g := m.generations[m.fleet.current]
	m.failures = 0
	if g.Serves != nil {
		g.Serves()
	}
	if m.fleet.current == 1 {
		m.Serving(m.what)
		m.hook(g, call{name: WhenReady})
	} else {
		m.Log.Info("reloaded", "workers", m.fleet.want)
		m.number(g)
	}
	if m.again {
		m.reload()
	}
}

// pause is how long nothing needs doing.
func (m *Master) pause() time.Duration {
	next := m.ticked.Add(tick)
	if m.notBefore.After(time.Now()) && m.notBefore.Before(next) {
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
		if m.stopping {
			m.stop(syscall.SIGQUIT, nil)
			return
		}
		m.stop(syscall.SIGTERM, nil)
	case syscall.SIGINT, syscall.SIGQUIT:
		m.stop(syscall.SIGQUIT, nil)
	case syscall.SIGHUP:
		m.reload()
	case syscall.SIGTTIN:
		m.resize(m.fleet.wanted() + 1)
	case syscall.SIGTTOU:
		m.resize(m.fleet.wanted() - 1)
	case syscall.SIGUSR1:
		m.reopen()
	case syscall.SIGUSR2:
		m.upgrade()
	case syscall.SIGWINCH:
		m.windDown()
	}
}

// begin has the configuration read.
func (m *Master) begin(reload bool) {
	if m.beginning {
		return
	}
	m.beginning = true
	go func() {
		g, err := m.Begin(reload)
		m.post(func() { m.begun(g, err) })
	}()
}

// begun takes what Begin has returned.
func (m *Master) begun(read *Generation, err error) {
	m.beginning = false
	defer m.reap() // what was left to others
	if err == nil && (m.stopping || m.again && m.fleet.current != 0) {
		m.discard(read)
		m.reload()
		return
	}
	var g *generation
	if err == nil {
		if g, err = newGeneration(read); err != nil {
			m.discard(read)
		}
	}
	if err != nil {
		var boot *BootError
		if !errors.As(err, &boot) {
			boot = &BootError{Code: 1, Text: err.Error()}
		}
		m.noGeneration(boot)
		return
	}
	want := g.Workers
	if g.scales() {
		want = g.scale.bound(max(want, m.fleet.want)) // a reload under load keeps what the load needs
	}
	m.generations[m.fleet.begin(want)] = g
	if m.fleet.current == 0 {
		m.number(g)
	}
}

// noGeneration decides what it means that the configuration cannot be read.
func (m *Master) noGeneration(err *BootError) {
	switch {
	case m.stopping:
	case m.fleet.current == 0:
		m.stop(syscall.SIGQUIT, err)
	case m.again:
		m.reload()
	default:
		m.Log.Error("the reload failed; the old workers go on serving", "cause", err.Text)
		if m.generations[m.fleet.current].broken {
			m.slow()
			m.giveUp(err)
		}
	}
}

// reload has the configuration read anew, and new workers started with it; arrange
// ends the old ones once all of those serve.
func (m *Master) reload() {
	switch {
	case m.stopping:
	case m.fleet.current == 0 || m.beginning:
		m.again = true
	default:
		m.again = false
		m.abandon()
		m.notBefore, m.failures = time.Time{}, 0
		m.begin(true)
	}
}

// abandon ends the workers of a reload that has not got to serve.
func (m *Master) abandon() {
	for _, w := range m.fleet.abandon() {
		m.tell(w, syscall.SIGTERM, m.of(w).Grace)
	}
}

// resize changes how many workers there should be.
func (m *Master) resize(want int) {
	g := m.generations[m.fleet.newest()]
	if g == nil { // the configuration is still being read: it says how many
		return
	}
	if want = g.scale.bound(want); want != m.fleet.wanted() {
		m.fleet.resize(want)
		m.number(g)
	}
}

// number tells the hook how many workers there should be.
func (m *Master) number(g *generation) {
	want := m.fleet.wanted()
	m.hook(g, call{name: NWorkersChanged, args: NWorkers{New: want, Old: m.told}})
	m.told = &want
}

// reopen has all open their logs anew.
func (m *Master) reopen() {
	if m.Reopen != nil {
		m.Reopen()
	}
	for _, w := range m.fleet.workers {
		if w.phase == booting { // it may not yet be able to take the signal
			w.process.reopen = true
			continue
		}
		m.kill(w, syscall.SIGUSR1)
	}
}

func (m *Master) hook(g *generation, c call) {
	if g.Hook == nil && c.done == nil {
		return
	}
	if !g.hook(c) {
		m.Log.Error("a server hook hangs; it will not hear of what happens", "hook", c.name)
		if c.done != nil {
			close(c.done)
		}
	}
}

// stop ends the workers; a second call may be quicker than the first.
func (m *Master) stop(s syscall.Signal, result error) {
	if !m.stopping {
		m.stopping, m.result, m.beginBy = true, result, time.Now().Add(quickLimit)
		m.Stopping(m.successor, m.Predecessor)
		m.endGenerations()
	}
	for _, w := range m.fleet.workers {
		limit := quickLimit
		if s == syscall.SIGTERM {
			limit = m.of(w).Grace
		}
		m.tell(w, s, limit)
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
		m.Log.Error("a worker died; starting another", "worker", w.pid, "how", how, "memory_mb", w.process.beat.RSS>>20)
		if time.Since(w.process.started) < young {
			m.slow()
		}
		return
	}
	if f := w.process.failure; f != nil {
		m.failed(w, &BootError{Code: f.Code, Text: f.Text}, true)
		return
	}
	m.failed(w, &BootError{Code: CodeCrash, Text: fmt.Sprintf("worker %d died before it could serve: %s", w.pid, how)}, false)
}

// failed decides what a worker that could not start means: the end at the first
// boot if the reason is known, the end of a reload, else another try.
func (m *Master) failed(w *worker, err *BootError, known bool) {
	switch {
	case w.generation == m.fleet.next && m.fleet.current != 0:
		m.Log.Error("the reload failed; the old workers go on serving", "cause", err.Text)
		m.abandon()
		return
	case m.fleet.current == 0 && known:
		m.stop(syscall.SIGQUIT, err)
		return
	}
	m.slow()
	if !m.giveUp(err) {
		m.Log.Error("a worker cannot start; trying again", "cause", err.Text, "in", time.Until(m.notBefore).Round(time.Millisecond))
	}
}

// giveUp stops if it failed too often in a row, with nobody serving.
func (m *Master) giveUp(err *BootError) bool {
	m.unserved++
	if m.unserved < maxFailures || m.fleet.count(serving) > 0 {
		return false
	}
	m.stop(syscall.SIGQUIT, err)
	return true
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
