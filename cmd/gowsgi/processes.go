package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/internal/listen"
	"github.com/gowsgi/gowsgi/internal/master"
	"github.com/gowsgi/gowsgi/internal/service"
	"github.com/gowsgi/gowsgi/pyembed"
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
	cfg *config
	env []string // as it was at the start, for workers and for a successor
	log hclog.Logger

	predecessor int // the master that this one takes over from; 0: none
	pass        string
	detached    *service.Detached // nil: no daemon

	account *service.Account
	pid     *service.PIDFile
	sockets *listen.Set
	urls    []string
	passOn  string // for a successor
	files   []*os.File
}

// newLeader takes what the environment tells a master.
func newLeader() (*leader, error) {
	l := &leader{}
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
	if l.cfg.daemon && l.detached == nil && l.predecessor == 0 {
		code, text, err := service.Daemon{Args: os.Args, Env: l.env, Keep: l.cfg.keepOutput}.Start()
		if err == nil && code != exitOK {
			err = &exitError{code: code, err: errors.New(text)}
		}
		return err
	}
	return l.failed(l.lead())
}

// failed tells a daemon's error to the command that has started it, and the log:
// its stderr leads nowhere.
func (l *leader) failed(err error) error {
	if err == nil {
		return nil
	}
	code, text := failure(err)
	l.detached.Failed(code, text)
	if l.cfg != nil && l.cfg.daemon {
		l.log.Error("cannot serve", "cause", text)
	}
	return err
}

func (l *leader) lead() error {
	least, most, err := l.cfg.scale()
	if err != nil {
		return err
	}
	if l.account, err = service.FindAccount(l.cfg.user, l.cfg.group, l.cfg.initGroups); err != nil {
		return err
	}
	if l.pid, err = service.WritePID(l.pidPath(), l.cfg.dir); err != nil {
		return err
	}
	defer l.pid.Remove()
	if err := l.listen(); err != nil {
		return err
	}
	m := &master.Master{
		Begin: func(bool) (*master.Generation, error) {
			return &master.Generation{
				Files: l.files, Pass: l.passOn,
				Workers: l.cfg.workers, MinWorkers: least, MaxWorkers: most, Timeout: l.cfg.timeout,
				Grace: l.cfg.graceful + closeTime + time.Second, Credential: l.account.Credential(),
			}, nil
		},
		Args: os.Args, Env: withoutListenFDs(l.env), Log: l.log, Daemon: l.cfg.daemon,
		Predecessor: l.predecessor, Promoted: l.promoted,
		Serving: l.serving, Stopping: l.stopping,
	}
	err = m.Run()
	var boot *master.BootError
	if errors.As(err, &boot) {
		return &exitError{code: boot.Code, err: err}
	}
	l.log.Info("stopped")
	return err
}

// pidPath is gunicorn's: while there is a predecessor, the file with that name is
// its own.
func (l *leader) pidPath() string {
	if l.cfg.pidFile != "" && l.predecessor != 0 {
		return l.cfg.pidFile + ".2"
	}
	return l.cfg.pidFile
}

func (l *leader) listen() (err error) {
	if l.predecessor != 0 {
		l.sockets, err = listen.Inherit(l.pass, master.FirstFD)
	} else {
		chown := l.account.Chown
		if l.cfg.socketOwner != "" {
			if chown, err = service.Owner(l.cfg.socketOwner); err != nil {
				return fmt.Errorf("--socket-owner: %w", err)
			}
		}
		l.sockets, err = listen.Open(listen.Options{
			Binds: l.cfg.binds, Dir: l.cfg.dir, Umask: l.cfg.umask, Backlog: l.cfg.backlog,
			ReusePort: l.cfg.reusePort, Mode: l.cfg.socketMode, Chown: chown,
		})
	}
	if err != nil {
		return err
	}
	protocols := listen.Protocols(l.cfg.binds, len(l.sockets.Listeners), l.cfg.protocol)
	l.urls, l.passOn = l.sockets.URLs(protocols), l.sockets.Pass()
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
	switch {
	case successor != 0:
		l.notify("MAINPID=" + strconv.Itoa(successor))
		return
	case predecessor == 0:
		l.notify("STOPPING=1")
		l.sockets.Remove()
	}
}

// promoted takes over what was the predecessor's until now.
func (l *leader) promoted() {
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

// work is a worker: it serves the master's listeners until it is told to go, or
// the master has ended.
func work(cfg *config, link *master.Link, log hclog.Logger) error {
	log = log.With("worker", os.Getpid())
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGQUIT)
	// A terminal sends these to the whole group: the master's word decides.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGHUP)
	pool := bridge.NewPool(cfg.pool)
	go beat(link, pool)
	var draining atomic.Bool
	go func() {
		<-link.Gone()
		log.Error("the master has died; stopping")
		if !draining.Load() { // a second signal would cut what runs
			signals <- syscall.SIGTERM
		}
	}()
	p := &place{
		log: log, pool: pool, listeners: link.Listeners, signals: signals,
		serving: func(py *pyembed.Python) { link.Ready(py.Version + " " + py.Prefix) },
		stopping: func() {
			draining.Store(true)
			link.Draining()
		},
	}
	if cfg.maxRequests > 0 {
		p.prepare = counted(int64(cfg.maxRequests+rand.IntN(cfg.jitter+1)), link.Spent)
	}
	err := p.serve(cfg)
	if err == nil {
		return nil
	}
	code, text := failure(err)
	link.Failed(code, text)
	return &exitError{code: code, err: err, silent: true}
}

// beat tells the master once a second that this worker lives, and what it has to
// do. It looks at the queue more often than that: while requests wait for long, any
// look shows about how long.
func beat(link *master.Link, pool *bridge.Pool) {
	const looks = 4
	for {
		var wait time.Duration
		for range looks {
			time.Sleep(time.Second / looks)
			wait = max(wait, pool.Oldest())
		}
		s := pool.Stats()
		link.Alive(master.Beat{Busy: s.Busy, Waiting: s.Waiting, Wait: wait.Milliseconds(), RSS: residentBytes()})
	}
}

// residentBytes is how much memory this process holds; 0 where the system does not
// say (proc(5), statm).
func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// counted calls spent at the n-th request.
func counted(n int64, spent func()) func(func(*bridge.Request, *bridge.Exchange) error) func(*bridge.Request, *bridge.Exchange) error {
	var served atomic.Int64
	return func(next func(*bridge.Request, *bridge.Exchange) error) func(*bridge.Request, *bridge.Exchange) error {
		return func(r *bridge.Request, x *bridge.Exchange) error {
			if served.Add(1) == n {
				spent()
			}
			return next(r, x)
		}
	}
}
