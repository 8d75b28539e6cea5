package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gowsgi/gowsgi/internal/logs"
	"github.com/gowsgi/gowsgi/internal/master"
	"github.com/gowsgi/gowsgi/internal/service"
	"github.com/gowsgi/gowsgi/internal/stats"
	"github.com/hashicorp/go-hclog"
)

// scale returns the bounds of the number of workers; they are the same unless
// --max-workers is given.
func (p processes) scale() (least, most int, err error) {
	least, most = p.workers, p.workers
	if p.minWorkers > 0 {
		least = p.minWorkers
	}
	if p.maxWorkers > 0 {
		most = p.maxWorkers
	}
	switch {
	case p.minWorkers > 0 && p.maxWorkers == 0:
		return 0, 0, errors.New("--min-workers: it needs --max-workers too")
	case least > p.workers || p.workers > most:
		return 0, 0, fmt.Errorf("--workers %d: it must be from --min-workers %d to --max-workers %d", p.workers, least, most)
	}
	return least, most, nil
}

// leader is the master's process: it holds the listeners, and no Python.
type leader struct {
	cmd            *command
	env            []string // as it was at the start, for workers and for a successor
	stdout, stderr io.Writer

	predecessor int // the master that this one takes over from; 0: none
	pass        string
	detached    *service.Detached // nil: no daemon

	logs *logs.Logs
	log  hclog.Logger // nil: not open yet

	mu      sync.Mutex // of what follows: a generation may be read while the master stops
	pid     *service.PIDFile
	current *generation
	alive   map[*generation]bool // those that have not ended, the current one too
	stopped bool                 // files are not needed any more

	master  *master.Master
	stats   *stats.Listener // nil: none
	statsAt string          // where it is
	untouch chan struct{}   // ends --touch-reload; nil: there is none
}

// newLeader takes what the environment tells a master.
func newLeader(stdout, stderr io.Writer) (*leader, error) {
	l := &leader{stdout: stdout, stderr: stderr, pid: &service.PIDFile{}, alive: map[*generation]bool{}}
	var err error
	if l.predecessor, l.pass, err = master.Predecessor(); err != nil {
		return nil, err
	}
	if l.detached, err = service.Detach(); err != nil {
		return nil, err
	}
	l.env = os.Environ()
	return l, nil
}

// note tells who waits for the start, or reads the log.
func (l *leader) note(text string) {
	if l.log == nil {
		fmt.Fprintf(l.stderr, "gowsgi: %s\n", text)
		return
	}
	l.log.Warn(text)
}

// run serves until it is told to stop; as a daemon it has another process do that.
func (l *leader) run() error {
	first, err := l.cmd.read()
	if err != nil {
		return err
	}
	l.current = first
	switch {
	case first.values.Bool("print_config"), first.values.Bool("check_config"):
		return l.check(first)
	case first.cfg.daemon && l.detached == nil && l.predecessor == 0:
		first.close()
		code, text, err := service.Daemon{Args: os.Args, Env: l.env, Keep: first.cfg.keepOutput}.Start()
		if err == nil && code != exitOK {
			err = &exitError{code: code, err: errors.New(text)}
		}
		return err
	}
	return l.lead(first)
}

// check is --check-config, and --print-config, which implies it as gunicorn's does.
func (l *leader) check(g *generation) error {
	defer g.end()
	if g.values.Bool("print_config") {
		if err := printConfig(l.stdout, g.values); err != nil {
			return err
		}
	}
	if err := l.cmd.prepare(g, true); err != nil {
		return &exitError{code: exitConfig, err: err} // gunicorn's code, whatever it is
	}
	return nil
}

// failed tells a daemon's error to the command that has started it, and the log:
// its stderr leads nowhere.
func (l *leader) failed(err error) error {
	if err == nil {
		return nil
	}
	code, text := failure(err)
	l.detached.Failed(code, text)
	if l.log != nil && l.current.cfg.daemon {
		l.log.Error("cannot serve", "cause", text)
	}
	return err
}

func (l *leader) lead(first *generation) error {
	opened, err := logs.Open(l.logsConfig(first))
	if err != nil {
		return err
	}
	defer opened.Close()
	l.logs, l.log = opened, opened.Error()
	m := &master.Master{
		Begin: func(reload bool) (*master.Generation, error) {
			defer l.cmd.done()
			g := first
			if reload {
				var err error
				if g, err = l.cmd.read(); err != nil {
					return nil, asBootError(err)
				}
			}
			made, err := l.begin(g, reload)
			if err != nil {
				g.close()
				l.forget(g)
				return nil, asBootError(err)
			}
			return made, nil
		},
		Args: os.Args, Env: withoutListenFDs(l.env), Log: l.log, Daemon: first.cfg.daemon, Program: onlyFile(),
		Predecessor: l.predecessor, Promoted: l.promoted,
		Serving: l.serving, Stopping: l.stopping, Reopen: l.reopen,
	}
	l.master = m
	defer l.leave()
	defer l.endStats()
	err = m.Run()
	var boot *master.BootError
	if errors.As(err, &boot) {
		return &exitError{code: boot.Code, err: err}
	}
	l.log.Info("stopped")
	return err
}

// logsConfig is the master's part of a generation's logs.
func (l *leader) logsConfig(g *generation) logs.Config {
	c := g.cfg.logs
	c.Stdout, c.Stderr, c.Master = l.stdout, l.stderr, true
	if a := g.account; a != nil {
		c.Owner = &logs.Owner{UID: a.UID, GID: a.GID}
	}
	return c
}

func asBootError(err error) error {
	code, text := failure(err)
	return &master.BootError{Code: code, Text: text}
}

// begin makes workers of a generation possible: by listening, then by what its Python
// has to do. What is the master's own changes when they serve.
func (l *leader) begin(g *generation, reload bool) (*master.Generation, error) {
	for _, w := range g.warnings {
		if !reload || !slices.Contains(l.serves().warnings, w) { // once is enough
			l.log.Warn(w)
		}
	}
	if g.cfg.reload.on && !reload {
		l.log.Warn("--reload is for development: clients see the traceback of an application that does not load")
	}
	least, most, err := g.cfg.scale()
	if err != nil {
		return nil, err
	}
	if err := l.open(g, reload); err != nil {
		return nil, err
	}
	if err := l.cmd.prepare(g, g.imports()); err != nil {
		return nil, err
	}
	if err := l.tellStats(g.cfg); err != nil {
		return nil, err
	}
	name := map[bool]string{false: "on_starting", true: "on_reload"}[reload]
	stop := l.cmd.noteLater("the hook " + name)
	err = g.hook(name, nil, importTime)
	stop()
	if err != nil {
		return nil, err
	}
	made := &master.Generation{
		Files: g.sockets.files(), Pass: g.sockets.pass(),
		Workers: g.cfg.workers, MinWorkers: least, MaxWorkers: most, Timeout: g.cfg.timeout,
		Grace: g.cfg.graceful + closeTime + time.Second, Credential: g.account.Credential(),
		Serves: func() { l.turn(g) },
		End: func() {
			l.forget(g)
			g.end()
		},
	}
	l.watchTouched(g.cfg)
	if made.Settings, err = g.forWorkers(l.cmd.dir); err != nil {
		return nil, err
	}
	made.Hook = func(name string, args any) {
		countWorkers(l.logs, name, args)
		g.told(l.log, name, args)
	}
	if g.zygote != nil {
		made.Spawn = g.spawn()
	}
	return made, nil
}

// open opens what workers need root for, or the master's environment: the sockets,
// and the logs, which are made with their owner.
func (l *leader) open(g *generation, reload bool) error {
	l.mu.Lock()
	l.alive[g] = true
	before := l.current
	l.mu.Unlock()
	opened, err := l.openAfter(before, g, reload)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.stopped {
		opened.close()
		opened.remove()
		return errors.New("told to stop")
	}
	g.sockets = opened
	return err
}

func (l *leader) openAfter(before, g *generation, reload bool) (sockets, error) {
	switch {
	case !reload:
		if err := l.writePID(g); err != nil {
			return nil, err
		}
		if l.predecessor != 0 {
			return inheritSockets(g.cfg.binds, l.pass)
		}
		return openSockets(g)
	case before.sockets.passed() && !slices.Equal(before.cfg.binds, g.cfg.binds):
		l.log.Warn("the addresses have changed, but the sockets are those that this process was given", "bind", g.cfg.binds)
	}
	if err := l.tryLogs(before, g); err != nil {
		return nil, err
	}
	return before.sockets.change(g)
}

func (l *leader) writePID(g *generation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return errors.New("told to stop")
	}
	pid, err := service.WritePID(l.pidPath(g), g.cfg.dir)
	if err == nil {
		l.pid = pid
	}
	return err
}

// serves returns the current generation.
func (l *leader) serves() *generation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// tryLogs opens a generation's logs for a moment: until it serves the log is the one
// before.
func (l *leader) tryLogs(before, g *generation) error {
	c := l.logsConfig(g)
	if reflect.DeepEqual(c, l.logsConfig(before)) {
		return nil
	}
	c.Capture = false
	opened, err := logs.Open(c)
	if err != nil {
		return err
	}
	opened.Close()
	return nil
}

// turn makes a generation that serves the master's own.
func (l *leader) turn(g *generation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.current
	l.current = g
	if g.cfg.name != "" {
		setProcessName(g.cfg.name)
	}
	if before == g { // the first
		return
	}
	if err := l.logs.Configure(l.logsConfig(g)); err != nil {
		l.log.Error("the master's logs stay as they were", "error", err)
	}
	if urls := g.sockets.urls(g.cfg); !slices.Equal(before.sockets.urls(before.cfg), urls) {
		l.log.Info("listening on " + strings.Join(urls, ", "))
	}
	if l.predecessor == 0 { // else it may serve them
		before.sockets.without(g.sockets).remove()
	}
	if err := l.movePID(before, g); err != nil {
		l.log.Error("the pid file stays as it was", "error", err)
	}
}

func (l *leader) movePID(before, now *generation) error {
	path := l.pidPath(now)
	switch {
	case path == l.pidPath(before) && before.cfg.dir == now.cfg.dir:
		return nil
	case path == "":
		l.pid.Remove()
		l.pid = &service.PIDFile{}
		return nil
	}
	return l.pid.Move(path, now.cfg.dir, 0)
}

// forget ends what only this generation has needed.
func (l *leader) forget(g *generation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g == l.current { // all ends
		return
	}
	delete(l.alive, g)
	unused := g.sockets.without(l.current.sockets)
	unused.close()
	unused.remove()
}

// reopen opens the logs anew, the master's and those of the configuration files'
// Python.
func (l *leader) reopen() {
	reopenLogs(l.logs)
	l.mu.Lock()
	defer l.mu.Unlock()
	for g := range l.alive {
		go g.reopen(l.log)
	}
}

// pidPath is gunicorn's: while there is a predecessor, the file with that name is
// its own.
func (l *leader) pidPath(g *generation) string {
	if g.cfg.pidFile != "" && l.predecessor != 0 {
		return g.cfg.pidFile + ".2"
	}
	return g.cfg.pidFile
}

func (l *leader) serving(what string) {
	freeBootMemory()
	cfg := l.current.cfg
	logStart(l.log, cfg, what, l.current.sockets.urls(cfg), "workers", cfg.workers, "pid", os.Getpid())
	l.notify("READY=1")
	l.detached.Ready()
}

// stopping leaves the sockets' files to another master that serves them.
func (l *leader) stopping(successor, predecessor int) {
	l.cmd.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	switch {
	case successor != 0:
		l.notify("MAINPID=" + strconv.Itoa(successor))
		return
	case predecessor == 0:
		l.notify("STOPPING=1")
		for g := range l.alive {
			g.sockets.remove()
		}
	}
}

// leave is the last of a master.
func (l *leader) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pid.Remove()
}

// promoted takes over what was the predecessor's until now.
func (l *leader) promoted() {
	if err := l.tellStats(l.takeOver()); err != nil {
		l.log.Error("cannot take over --stats", "error", err)
	}
}

func (l *leader) takeOver() (cfg *config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gone := l.predecessor
	l.predecessor = 0
	cfg = l.current.cfg
	if cfg.pidFile == "" {
		return cfg
	}
	if err := l.pid.Move(cfg.pidFile, cfg.dir, gone); err != nil {
		l.log.Error("cannot take over the pid file", "error", err)
	}
	return cfg
}

// notify tells systemd; that it cannot be told is no reason not to serve.
func (l *leader) notify(state string) {
	if err := service.Notify(state); err != nil {
		l.log.Warn("systemd does not listen", "error", err)
	}
}

// withoutListenFDs: the descriptors that systemd passed are the master's.
func withoutListenFDs(env []string) []string {
	var kept []string
	for _, pair := range env {
		if !strings.HasPrefix(pair, "LISTEN_") {
			kept = append(kept, pair)
		}
	}
	return kept
}
