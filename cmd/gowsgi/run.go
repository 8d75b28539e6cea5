package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/internal/accesslog"
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
		Flags: append(serveFlags(), pythonFlags()...), OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			cfg, err := runConfig(c)
			if err != nil {
				return err
			}
			return serve(cfg, newLogger(cfg.logLevel, stderr))
		},
	}
}

// serve listens, loads the application, and serves it until a signal says stop.
func serve(cfg *config, log hclog.Logger) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	listeners, err := listen(cfg.binds)
	if err != nil {
		return &exitError{code: exitConfig, err: err}
	}
	in, app, stopped, err := loadUnlessStopped(cfg, signals)
	if err != nil || stopped {
		return err
	}
	srv := &bridge.Server{
		Pool: bridge.NewPool(cfg.pool), Prepare: cfg.rules.Prepare,
		Log: log, Limits: cfg.limits, Name: "gowsgi", Proxy: cfg.proxy, Debug: cfg.debug,
	}
	if cfg.accessLog != "" {
		access, err := accesslog.Open(cfg.accessLog)
		if err != nil {
			return &exitError{code: exitConfig, err: err}
		}
		srv.Access = access
	}
	ended := make(chan error, len(listeners)+1)
	executors := make(chan error, 1)
	go func() { executors <- in.Serve(srv.Pool, app, reportTo(log)) }()
	for _, l := range listeners {
		go func() { ended <- srv.Serve(l) }()
	}
	logStart(log, cfg, in.Python, listeners)
	select {
	case s := <-signals:
		return stop(cfg, log, srv, in, executors, signals, s.(syscall.Signal))
	case err := <-executors:
		return fmt.Errorf("starting the threads: %w", err)
	case err := <-ended:
		return fmt.Errorf("accepting connections: %w", err)
	}
}

// loadUnlessStopped imports the application, which may take its time; a signal in
// between ends the process at once, as nothing has been promised yet.
func loadUnlessStopped(cfg *config, signals <-chan os.Signal) (in *pyembed.Interpreter, app pyembed.App, stopped bool, err error) {
	loaded := make(chan struct{})
	go func() {
		in, app, err = loadApp(context.Background(), cfg)
		close(loaded)
	}()
	select {
	case <-loaded:
		return in, app, false, err
	case <-signals:
		return nil, 0, true, nil
	}
}

func listen(binds []string) ([]net.Listener, error) {
	var all []net.Listener
	for _, bind := range binds {
		address, err := bindAddress(bind)
		if err != nil {
			return nil, err
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			hint := ""
			if errors.Is(err, syscall.EADDRINUSE) {
				hint = ": another process serves there; stop it, or choose a port with --bind"
			}
			return nil, fmt.Errorf("cannot listen on %s: %w%s", bind, err, hint)
		}
		all = append(all, l)
	}
	return all, nil
}

// bindAddress reads HOST:PORT; as with gunicorn the port may be missing (8000), and
// HOST may be, which means every interface.
func bindAddress(bind string) (string, error) {
	if strings.Contains(bind, "://") || strings.HasPrefix(bind, "unix:") {
		return "", fmt.Errorf("--bind %s: this version listens on HOST:PORT only", bind)
	}
	whole := bind
	if strings.HasPrefix(bind, "[") && strings.HasSuffix(bind, "]") || !strings.Contains(bind, ":") {
		whole += ":8000"
	}
	host, port, err := net.SplitHostPort(whole)
	if err != nil {
		return "", fmt.Errorf("--bind %s: it must be HOST:PORT (an IPv6 host in brackets)", bind)
	}
	if strings.HasPrefix(bind, "[") {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", fmt.Errorf("--bind %s: what is in brackets must be an IPv6 address", bind)
		}
	}
	if port == "" {
		port = "8000"
	}
	return net.JoinHostPort(host, port), nil
}

func logStart(log hclog.Logger, cfg *config, p *pyembed.Python, listeners []net.Listener) {
	urls := make([]string, len(listeners))
	for i, l := range listeners {
		urls[i] = "http://" + l.Addr().String()
	}
	log.Info("serving "+cfg.app+" on "+strings.Join(urls, ", "),
		"version", python.Version(), "python", p.Version, "prefix", p.Prefix, "threads", cfg.threads, "pid", os.Getpid())
}

// closeTime bounds what the application's exit handlers may take, after the
// requests are done.
const closeTime = 10 * time.Second

// stop lets what runs finish: TERM and INT within --graceful-timeout, QUIT and any
// second signal at once.
func stop(cfg *config, log hclog.Logger, srv *bridge.Server, in *pyembed.Interpreter,
	executors <-chan error, signals <-chan os.Signal, first syscall.Signal) error {
	log.Info("stopping", "signal", first.String(), "connections", srv.Connections(), "graceful_timeout", cfg.graceful)
	ctx, cancel := context.WithTimeout(context.Background(), cfg.graceful)
	defer cancel()
	if first == syscall.SIGQUIT {
		cancel()
	}
	go func() {
		if s, ok := <-signals; ok {
			log.Warn("stopping at once", "signal", s.String())
			cancel()
		}
	}()
	err := srv.Shutdown(ctx)
	srv.Pool.Stop()
	if err != nil {
		log.Warn("some requests did not finish", "requests", srv.Pool.Stats().Busy, "cause", err)
		return nil // Python may still be running them: the process ends without it
	}
	select {
	case <-executors:
	case <-ctx.Done():
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
