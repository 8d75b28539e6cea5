package main

import (
	"errors"
	"fmt"
	"io"
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
	"github.com/urfave/cli/v2"
)

func processFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "workers", Aliases: []string{"w"}, Value: 1, EnvVars: []string{"WEB_CONCURRENCY"},
			Usage: "`N` processes that run the application, under a master from 2 on"},
		&cli.IntFlag{Name: "max-requests", Usage: "replace a worker that has served `N` requests; 0 for never"},
		&cli.IntFlag{Name: "max-requests-jitter", Usage: "up to `N` requests more, by chance, so that workers are not replaced at the same time"},
		&cli.StringFlag{Name: "umask", Value: "0", Usage: "the `MASK` of the file mode of unix sockets, such as 0o007"},
		&cli.StringFlag{Name: "pid", Aliases: []string{"p"}, Usage: "write the process's number to `FILE`"},
	}
}

// processes is how many processes serve, and what they leave in the file system.
type processes struct {
	workers     int
	maxRequests int
	jitter      int
	umask       int
	pidFile     string
}

func processConfig(c *cli.Context) (processes, error) {
	p := processes{
		workers: c.Int("workers"), maxRequests: c.Int("max-requests"),
		jitter: c.Int("max-requests-jitter"), pidFile: c.String("pid"),
	}
	if p.workers < 1 || p.workers > 1000 {
		return p, fmt.Errorf("--workers %d: it must be from 1 to 1000", p.workers)
	}
	for _, name := range []string{"max-requests", "max-requests-jitter"} {
		if c.Int(name) < 0 {
			return p, fmt.Errorf("--%s %d: it must not be negative", name, c.Int(name))
		}
	}
	mask, err := strconv.ParseUint(c.String("umask"), 0, 9)
	if err != nil {
		return p, fmt.Errorf("--umask %s: it must be a file mode, such as 0o007", c.String("umask"))
	}
	p.umask = int(mask)
	return p, nil
}

// underMaster tells whether a master is needed: one process has nobody to replace it.
func (p processes) underMaster() bool { return p.workers > 1 || p.maxRequests > 0 }

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
	p := &place{
		log: log, listeners: link.Listeners, signals: signals, multiProcess: true,
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
