package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
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

// underMaster tells whether a master is needed: one process has nobody to replace it.
func (p processes) underMaster() bool { return p.workers > 1 || p.maxRequests > 0 || p.reload.on }

// notify tells systemd; that it cannot be told is no reason not to serve.
func notify(log hclog.Logger, state string) {
	if err := service.Notify(state); err != nil {
		log.Warn("systemd does not listen", "error", err)
	}
}

// lead is the master: it holds the listeners, and no Python.
func lead(cfg *config, env []string, log hclog.Logger, stderr io.Writer) error {
	pid, err := service.WritePID(cfg.pidFile, cfg.dir)
	if err != nil {
		return err
	}
	defer pid.Remove()
	sockets, err := listen.Open(cfg.binds, cfg.dir, cfg.umask)
	if err != nil {
		return err
	}
	defer sockets.Remove()
	if cfg.reload.on {
		log.Warn("--reload is for development: clients see the traceback of an application that does not load")
	}
	urls := sockets.URLs()
	files, err := sockets.Files()
	if err != nil {
		return err
	}
	m := &master.Master{
		Workers: cfg.workers, Files: files, Args: os.Args, Env: withoutListenFDs(env),
		Grace: cfg.graceful + closeTime + time.Second, Log: log,
		Serving: func(what string) {
			logStart(log, cfg, what, urls, "workers", cfg.workers, "pid", os.Getpid())
			notify(log, "READY=1")
		},
		Stopping: func() {
			notify(log, "STOPPING=1")
			sockets.Remove()
		},
	}
	err = m.Run()
	var boot *master.BootError
	if errors.As(err, &boot) {
		fmt.Fprintf(stderr, "gowsgi: %s\n", strings.TrimSuffix(boot.Text, "\n"))
		return &exitError{code: boot.Code, err: err, silent: true}
	}
	log.Info("stopped")
	return err
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
	var draining atomic.Bool
	go func() {
		<-link.Gone()
		log.Error("the master has died; stopping")
		if !draining.Load() { // a second signal would cut what runs
			signals <- syscall.SIGTERM
		}
	}()
	files, err := cfg.reload.start(link, log)
	if err != nil {
		link.Failed(exitConfig, err.Error())
		return &exitError{code: exitConfig, err: err, silent: true}
	}
	p := &place{
		log: log, listeners: link.Listeners, signals: signals, multiProcess: true, reload: files,
		serving: func(py *pyembed.Python) { link.Ready(py.Version + " " + py.Prefix) },
		stopping: func() {
			draining.Store(true)
			link.Draining()
			if files != nil {
				files.stop()
			}
		},
	}
	if cfg.maxRequests > 0 {
		p.prepare = counted(int64(cfg.maxRequests+rand.IntN(cfg.jitter+1)), link.Spent)
	}
	err = p.serve(cfg)
	if err == nil {
		return nil
	}
	code, text := failure(err)
	link.Failed(code, text)
	return &exitError{code: code, err: err, silent: true}
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
