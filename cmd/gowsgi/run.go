package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/internal/accesslog"
	"github.com/gowsgi/gowsgi/internal/listen"
	"github.com/gowsgi/gowsgi/internal/master"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/gowsgi/gowsgi/python"
	"github.com/hashicorp/go-hclog"
	"github.com/urfave/cli/v2"
)

func runCommand(_, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "serve an application",
		ArgsUsage: "MODULE[:ATTRIBUTE]",
		Description: "MODULE is what you would import; ATTRIBUTE the application in it, or a call\n" +
			"that makes one: myapp:app, myapp:create_app(), myapp:create_app(\"prod\").\n" +
			"Without one it is `application`, else `app`.",
		Flags: flagsOf(), OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			link, err := master.Join(listen.FromFD)
			if err != nil {
				return err
			}
			l, err := newLeader() // before --env changes the environment
			if err != nil {
				return err
			}
			cfg, err := commandConfig(c)
			if err != nil {
				return l.failed(err)
			}
			l.cfg, l.log = cfg, newLogger(cfg.logLevel, stderr)
			if link != nil {
				return work(l.cfg, link, l.log)
			}
			return l.run()
		},
	}
}

// prepare is bridge.Server's function that reads a request.
type prepare = func(*bridge.Request, *bridge.Exchange) error

// place is where an application is served.
type place struct {
	log       hclog.Logger
	pool      *bridge.Pool
	listeners []net.Listener
	signals   <-chan os.Signal
	prepare   func(prepare) prepare // nil: as it is
	serving   func(*pyembed.Python) // called when requests are accepted
	stopping  func()                // called when no more are
}

// serve loads the application, and serves it until a signal says stop.
func (p *place) serve(cfg *config) error {
	in, app, stopped, err := p.loadUnlessStopped(cfg)
	if err != nil || stopped {
		return err
	}
	srv := &bridge.Server{
		Pool: p.pool, Prepare: cfg.rules.Prepare,
		AllowUWSGI: cfg.allowUWSGI.ContainsPeer,
		Log:        p.log, Limits: cfg.limits, Name: "gowsgi", Proxy: cfg.proxy, TLS: cfg.tls, Debug: cfg.debug,
	}
	if p.prepare != nil {
		srv.Prepare = p.prepare(srv.Prepare)
	}
	if cfg.accessLog != "" {
		access, err := accesslog.Open(cfg.accessLog)
		if err != nil {
			return &exitError{code: exitConfig, err: err}
		}
		srv.Access = access
	}
	ended := make(chan error, len(p.listeners)+1)
	executors := make(chan error, 1)
	go func() { executors <- in.Serve(srv.Pool, app, reportTo(p.log)) }()
	protocols := listen.Protocols(cfg.binds, len(p.listeners), cfg.protocol)
	for i, l := range p.listeners {
		serve := srv.Serve
		if protocols[i] == listen.UWSGI {
			serve = srv.ServeUWSGI
		}
		go func() { ended <- serve(l) }()
	}
	p.serving(in.Python)
	select {
	case s := <-p.signals:
		p.stopping()
		return p.stop(cfg, srv, in, executors, s.(syscall.Signal))
	case err := <-executors:
		return fmt.Errorf("starting the threads: %w", err)
	case err := <-ended:
		return fmt.Errorf("accepting connections: %w", err)
	}
}

// loadUnlessStopped imports the application, which may take its time; a signal in
// between ends the process at once, as nothing has been promised yet.
func (p *place) loadUnlessStopped(cfg *config) (in *pyembed.Interpreter, app pyembed.App, stopped bool, err error) {
	loaded := make(chan struct{})
	go func() {
		in, app, err = loadApp(context.Background(), cfg, cfg.multiProcess())
		close(loaded)
	}()
	select {
	case <-loaded:
		return in, app, false, err
	case <-p.signals:
		return nil, 0, true, nil
	}
}

// logStart is the one line that says what runs where. python is a version and a prefix.
func logStart(log hclog.Logger, cfg *config, py string, urls []string, more ...any) {
	version, prefix, _ := strings.Cut(py, " ")
	args := []any{"version", python.Version(), "python", version, "prefix", prefix, "threads", cfg.threads}
	log.Info("serving "+cfg.app+" on "+strings.Join(urls, ", "), append(args, more...)...)
}

// closeTime bounds what the application's exit handlers may take, after the
// requests are done.
const closeTime = 10 * time.Second

// ends waits for the threads to end, until ctx says so; idle ones need a moment
// however quick the stop is to be.
func ends(ctx context.Context, executors <-chan error) bool {
	select {
	case <-executors:
		return true
	case <-ctx.Done():
	}
	select {
	case <-executors:
		return true
	case <-time.After(200 * time.Millisecond):
		return false
	}
}

// stop lets what runs finish: TERM within --graceful-timeout, QUIT and any second
// signal at once.
func (p *place) stop(cfg *config, srv *bridge.Server, in *pyembed.Interpreter, executors <-chan error, first syscall.Signal) error {
	log := p.log
	log.Info("stopping", "signal", first.String(), "connections", srv.Connections(), "graceful_timeout", cfg.graceful)
	ctx, cancel := context.WithTimeout(context.Background(), cfg.graceful)
	defer cancel()
	if first == syscall.SIGQUIT {
		cancel()
	}
	go func() {
		if s, ok := <-p.signals; ok {
			log.Warn("stopping at once", "signal", s.String())
			cancel()
		}
	}()
	err := srv.Shutdown(ctx)
	srv.Pool.Stop()
	busy := srv.Pool.Stats().Busy
	if busy > 0 || errors.Is(err, context.DeadlineExceeded) {
		log.Warn("some requests did not finish", "requests", busy, "cause", err)
	}
	if busy > 0 {
		return nil // Python may still be running them: the process ends without it
	}
	if !ends(ctx, executors) {
		log.Warn("the application is still busy after its last answer; leaving it")
		return nil
	}
	closed := make(chan error, 1)
	go func() { closed <- in.Close(int(first)) }()
	select {
	case err := <-closed:
		if err != nil {
			log.Error("the application's exit handlers failed", "error", err)
		}
		log.Info("stopped")
	case <-time.After(closeTime):
		log.Warn("the application's exit handlers take too long; leaving them", "limit", closeTime)
	}
	return nil
}
