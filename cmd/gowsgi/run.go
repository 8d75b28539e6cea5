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
	"github.com/gowsgi/gowsgi/internal/listen"
	"github.com/gowsgi/gowsgi/internal/logs"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/gowsgi/gowsgi/python"
	"github.com/hashicorp/go-hclog"
	"github.com/urfave/cli/v2"
)

func runCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "run", Aliases: []string{"gunicorn"}, Usage: "serve an application",
		ArgsUsage: "[MODULE[:ATTRIBUTE]]",
		Description: "MODULE is what you would import; ATTRIBUTE the application in it, or a call\n" +
			"that makes one: myapp:app, myapp:create_app(), myapp:create_app(\"prod\").\n" +
			"Without one it is `application`, else `app`. The options are gunicorn's: docs/gunicorn.md.",
		Flags:        append(flagsOf(), &cli.BoolFlag{Name: "version", Aliases: []string{"v"}, Usage: "print the version"}),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				return printVersion(stdout)
			}
			defer keepTerminal()()
			l, err := newLeader(stdout, stderr) // before --env changes the environment
			if err != nil {
				return err
			}
			if l.cmd, err = newCommand(c, withoutListenFDs(l.env), l.note); err != nil {
				return l.failed(err)
			}
			return l.failed(l.run())
		},
	}
}

// prepare is bridge.Server's function that reads a request.
type prepare = func(*bridge.Request, *bridge.Exchange) error

// place is where an application is served.
type place struct {
	log       hclog.Logger
	logs      *logs.Logs
	figures   *figures
	python    *pyembed.Python // nil: to be found
	pool      *bridge.Pool
	listeners []net.Listener
	signals   <-chan os.Signal
	prepare   func(prepare) prepare // nil: as it is
	serving   func(*pyembed.Python) // called just before requests are accepted
	stopping  func()                // called when no more are
	unwell    func(reason string)   // asks to be replaced; the reason goes on with "a worker that"
	reload    *reloader             // nil: the application's files are not watched
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
		Log:        p.log, Access: p.figures.access, Limits: cfg.limits, Name: "gowsgi", Proxy: cfg.proxy, TLS: cfg.tls, Debug: cfg.debug,
	}
	if p.prepare != nil {
		srv.Prepare = p.prepare(srv.Prepare)
	}
	w, err := startWatch(cfg.watch, in, srv.Pool, p.log, p.unwell)
	if err != nil {
		return fmt.Errorf("starting to watch the threads: %w", err)
	}
	defer w.stop()
	ended := make(chan error, len(p.listeners)+1)
	executors := make(chan error, 1)
	go func() { executors <- in.Serve(srv.Pool, app, p.figures.reporter(reportTo(p.log))) }()
	p.serving(in.Python)
	protocols := listen.Protocols(cfg.binds, len(p.listeners), cfg.protocol)
	for i, l := range p.listeners {
		serve := srv.Serve
		if protocols[i] == listen.UWSGI {
			serve = srv.ServeUWSGI
		}
		go func() { ended <- serve(l) }()
	}
	p.reload.follow(in)
	freeBootMemory()
	for {
		select {
		case s := <-p.signals:
			p.stopping()
			return p.stop(cfg, srv, in, w, executors, s.(syscall.Signal))
		case tell := <-w.over:
			p.stopping()
			return p.leave(srv, tell)
		case err := <-executors:
			if err != nil {
				return fmt.Errorf("starting the threads: %w", err)
			}
			executors = nil // every thread is lost: w.over will tell
		case err := <-ended:
			return fmt.Errorf("accepting connections: %w", err)
		}
	}
}

// loadUnlessStopped imports the application, which may take its time; a signal in
// between ends the process at once, as nothing has been promised yet.
func (p *place) loadUnlessStopped(cfg *config) (in *pyembed.Interpreter, app pyembed.App, stopped bool, err error) {
	loaded := make(chan struct{})
	go func() {
		in, app, err = loadApp(context.Background(), cfg, p.python, p.logs, p.reload)
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
	log.Info("serving "+cfg.spec()+" on "+strings.Join(urls, ", "), append(args, more...)...)
}

// closeTime bounds what the application's exit handlers may take, after the
// requests are done.
const closeTime = 10 * time.Second

// leaveTime bounds what error answers take that are under way.
const leaveTime = 2 * time.Second

// leave ends a process whose Python cannot be asked for anything. What has not been
// accepted yet is left to others.
func (p *place) leave(srv *bridge.Server, tell func(running []bridge.Stall)) error {
	for _, l := range p.listeners {
		l.Close() // at once, unlike Shutdown
	}
	tell(srv.Pool.GiveUp(bridge.ErrStuck))
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	_ = srv.Shutdown(ctx)
	return errStuck
}

// stop lets what runs finish: at TERM within --graceful-timeout, at QUIT at once.
func (p *place) stop(cfg *config, srv *bridge.Server, in *pyembed.Interpreter, w *watch, executors <-chan error, first syscall.Signal) error {
	log := p.log
	log.Info("stopping", "signal", first.String(), "connections", srv.Connections(), "graceful_timeout", cfg.graceful)
	ctx, cancel := context.WithTimeout(context.Background(), cfg.graceful)
	defer cancel()
	if first == syscall.SIGQUIT {
		w.hook("worker_int")
		cancel()
	}
	go w.whileStopping()
	go func() {
		for s := range p.signals {
			if s == syscall.SIGQUIT { // a second TERM changes nothing: see Master.windDown
				log.Warn("stopping at once", "signal", s.String())
				cancel()
			}
		}
	}()
	err := srv.Shutdown(ctx)
	srv.Pool.Stop()
	busy := srv.Pool.Stats().Busy - int64(in.Lost())
	if err != nil && busy > 0 || errors.Is(err, context.DeadlineExceeded) {
		log.Warn("some requests did not finish", "requests", busy, "cause", err)
	}
	if err != nil && busy > 0 {
		return nil // Python may still be running them: the process ends without it
	}
	if err := w.rest(ctx, executors); err != nil {
		log.Warn("leaving the application, without its exit handlers", "cause", err)
		return nil
	}
	w.stop()
	p.logs.LeavePython()
	closed := make(chan error, 1)
	go func() { closed <- errors.Join(in.Hook("worker_exit"), in.Close(int(first))) }()
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
