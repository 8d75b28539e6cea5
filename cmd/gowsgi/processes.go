package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gowsgi/gowsgi/internal/listen"
	"github.com/gowsgi/gowsgi/internal/logs"
	"github.com/gowsgi/gowsgi/internal/master"
	"github.com/gowsgi/gowsgi/internal/service"
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

	current atomic.Pointer[generation] // read last
	logs    *logs.Logs
	log     hclog.Logger
	account *service.Account
	urls    []string
	passOn  string // for a successor
	files   []*os.File

	mu      sync.Mutex // a generation may be read while the master stops
	cfg     *config    // of the generation read last
	pid     *service.PIDFile
	sockets *listen.Set
	stopped bool // the sockets' files are not needed any more
}

// newLeader takes what the environment tells a master.
func newLeader(stdout, stderr io.Writer) (*leader, error) {
	l := &leader{stdout: stdout, stderr: stderr, pid: &service.PIDFile{}, sockets: &listen.Set{}}
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

// run serves until it is told to stop; as a daemon it has another process do that.
func (l *leader) run() error {
	first, err := l.cmd.read()
	if err != nil {
		return err
	}
	l.cfg = first.cfg
	switch {
	case first.values.Bool("print_config"):
		first.close()
		return printConfig(l.stdout, first.values)
	case first.values.Bool("check_config"):
		defer first.close()
		return l.cmd.prepare(first, false)
	case l.cfg.daemon && l.detached == nil && l.predecessor == 0:
		first.close()
		code, text, err := service.Daemon{Args: os.Args, Env: l.env, Keep: l.cfg.keepOutput}.Start()
		if err == nil && code != exitOK {
			err = &exitError{code: code, err: errors.New(text)}
		}
		return err
	}
	return l.lead(first)
}

// failed tells a daemon's error to the command that has started it, and the log:
// its stderr leads nowhere.
func (l *leader) failed(err error) error {
	if err == nil {
		return nil
	}
	code, text := failure(err)
	l.detached.Failed(code, text)
	if l.log != nil && l.cfg.daemon {
		l.log.Error("cannot serve", "cause", text)
	}
	return err
}

func (l *leader) lead(first *generation) error {
	var err error
	if l.logs, err = logs.Open(l.logsConfig()); err != nil {
		return err
	}
	defer l.logs.Close()
	l.log = l.logs.Error()
	if l.cfg.name != "" {
		setProcessName(l.cfg.name)
	}
	m := &master.Master{
		Begin: func(reload bool) (*master.Generation, error) {
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
				return nil, asBootError(err)
			}
			return made, nil
		},
		Args: os.Args, Env: withoutListenFDs(l.env), Log: l.log, Daemon: l.cfg.daemon, Program: onlyFile(),
		Predecessor: l.predecessor, Promoted: l.promoted,
		Serving: l.serving, Stopping: l.stopping, Reopen: l.reopen,
	}
	defer l.leave()
	err = m.Run()
	var boot *master.BootError
	if errors.As(err, &boot) {
		return &exitError{code: boot.Code, err: err}
	}
	l.log.Info("stopped")
	return err
}

// logsConfig is the master's part of the logs.
func (l *leader) logsConfig() logs.Config {
	c := l.cfg.logs
	c.Stdout, c.Stderr, c.Master = l.stdout, l.stderr, true
	if l.account != nil {
		c.Owner = &logs.Owner{UID: l.account.UID, GID: l.account.GID}
	}
	return c
}

func asBootError(err error) error {
	code, text := failure(err)
	return &master.BootError{Code: code, Text: text}
}

// begin makes workers of a generation possible: at the start by listening, then by
// what its Python has to do.
func (l *leader) begin(g *generation, reload bool) (*master.Generation, error) {
	l.mu.Lock()
	before := l.cfg
	l.cfg = g.cfg
	l.mu.Unlock()
	for _, w := range g.warnings {
		l.log.Warn(w)
	}
	if g.cfg.reload.on && !reload {
		l.log.Warn("--reload is for development: clients see the traceback of an application that does not load")
	}
	least, most, err := g.cfg.scale()
	if err != nil {
		return nil, err
	}
	if l.account, err = service.FindAccount(g.cfg.user, g.cfg.group, g.cfg.initGroups); err != nil {
		return nil, err
	}
	if err := l.logs.Configure(l.logsConfig()); err != nil {
		return nil, err
	}
	switch {
	case !reload:
		if err := l.listen(); err != nil {
			return nil, err
		}
	case !slices.Equal(before.binds, g.cfg.binds):
		l.log.Warn("the addresses to listen on have changed: that takes a restart", "bind", g.cfg.binds)
	}
	if err := l.cmd.prepare(g, reload); err != nil {
		return nil, err
	}
	made := &master.Generation{
		Files: l.files, Pass: l.passOn,
		Workers: g.cfg.workers, MinWorkers: least, MaxWorkers: most, Timeout: g.cfg.timeout,
		Grace: g.cfg.graceful + closeTime + time.Second, Credential: l.account.Credential(),
	}
	l.current.Store(g)
	if made.Settings, err = g.forWorkers(); err != nil {
		return nil, err
	}
	made.Hook = func(name string, args any) {
		countWorkers(l.logs, name, args)
		g.told(l.log, name, args)
	}
	if g.zygote != nil {
		made.Spawn, made.End = g.spawn(l.account), g.end
	}
	return made, nil
}

// reopen opens the logs anew, the master's and those of the configuration file's
// Python.
func (l *leader) reopen() {
	reopenLogs(l.logs)
	if g := l.current.Load(); g != nil {
		go g.reopen(l.log)
	}
}

// pidPath is gunicorn's: while there is a predecessor, the file with that name is
// its own.
func (l *leader) pidPath() string {
	if l.cfg.pidFile != "" && l.predecessor != 0 {
		return l.cfg.pidFile + ".2"
	}
	return l.cfg.pidFile
}

func (l *leader) listen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return errors.New("told to stop")
	}
	pid, err := service.WritePID(l.pidPath(), l.cfg.dir)
	if err != nil {
		return err
	}
	l.pid = pid
	var sockets *listen.Set
	if l.predecessor != 0 {
		sockets, err = listen.Inherit(l.pass, master.FirstFD)
	} else {
		sockets, err = listen.Open(listen.Options{
			Binds: l.cfg.binds, Dir: l.cfg.dir, Umask: l.cfg.umask, Backlog: l.cfg.backlog,
			ReusePort: l.cfg.reusePort, Chown: l.account.Chown,
		})
	}
	if err != nil {
		return err
	}
	l.sockets = sockets
	l.urls, l.passOn = l.sockets.URLs(l.cfg.scheme()), l.sockets.Pass()
	if l.files, err = l.sockets.Files(); err != nil {
		l.sockets.Remove()
	}
	return err
}

func (l *leader) serving(what string) {
	logStart(l.log, l.cfg, what, l.urls, "workers", l.cfg.workers, "pid", os.Getpid())
	l.notify("READY=1")
	l.detached.Ready()
}

// stopping leaves the sockets' files to another master that serves them.
func (l *leader) stopping(successor, predecessor int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	switch {
	case successor != 0:
		l.notify("MAINPID=" + strconv.Itoa(successor))
		return
	case predecessor == 0:
		l.notify("STOPPING=1")
		l.sockets.Remove()
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
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cfg.pidFile == "" {
		return
	}
	if err := l.pid.Move(l.cfg.pidFile, l.cfg.dir, l.predecessor); err != nil {
		l.log.Error("cannot take over the pid file", "error", err)
	}
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
