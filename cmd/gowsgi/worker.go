package main

import (
	"encoding/json"
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
	"github.com/gowsgi/gowsgi/internal/logs"
	"github.com/gowsgi/gowsgi/internal/master"
	"github.com/gowsgi/gowsgi/pyembed"
)

// joinMaster returns a worker's line to its master; nil where this process is none.
func joinMaster() (*master.Link, error) {
	text, ok := pyembed.Adopted()
	if !ok {
		return master.Join(listen.FromFD)
	}
	var left struct {
		Line      int                `json:"line"`
		Listeners []int              `json:"listeners"`
		Environ   map[string]*string `json:"environ"` // what Go does not know of
	}
	if err := json.Unmarshal([]byte(text), &left); err != nil {
		return nil, fmt.Errorf("what the zygote has left: %w", err)
	}
	for name, value := range left.Environ {
		var err error
		if value == nil {
			err = os.Unsetenv(name)
		} else {
			err = os.Setenv(name, *value)
		}
		if err != nil {
			return nil, fmt.Errorf("the variable %s, which the configuration file has set: %w", name, err)
		}
	}
	return master.JoinAs(left.Line, left.Listeners, listen.FromFD)
}

// work is a worker: it serves the master's listeners until it is told to go, or
// the master has ended.
func work(link *master.Link, stdout, stderr io.Writer) error {
	err := workWith(link, stdout, stderr)
	if err == nil {
		return nil
	}
	code, text := failure(err)
	link.Failed(code, text)
	return &exitError{code: code, err: err, silent: true}
}

func workWith(link *master.Link, stdout, stderr io.Writer) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGQUIT)
	// A terminal sends these to the whole group: the master's word decides.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGHUP)
	var told workerSettings
	if err := json.Unmarshal(link.Settings, &told); err != nil {
		return fmt.Errorf("the master's settings: %w", err)
	}
	if err := setEnvironment(told.Values); err != nil {
		return err
	}
	cfg, err := newConfig(told.App, told.Values)
	if err != nil {
		return err
	}
	cfg.options, cfg.place = told.Options, link.Place
	cfg.logs.Stdout, cfg.logs.Stderr = stdout, stderr
	l, err := logs.Open(cfg.logs)
	if err != nil {
		return err
	}
	defer l.Close()
	reopenAtSignal(l)
	if cfg.name != "" {
		setProcessName(cfg.name)
	}
	log := l.Error().With("worker", os.Getpid())
	pool := bridge.NewPool(cfg.pool)
	pool.Share(link.Seat)
	figures := newFigures(cfg, l.Access())
	go beat(link, pool, figures)
	var draining atomic.Bool
	go func() {
		<-link.Gone()
		log.Error("the master has died; stopping")
		if !draining.Load() { // a second signal would cut what runs
			signals <- syscall.SIGTERM
		}
	}()
	files, err := cfg.reload.start(link, told.Dir, log)
	if err != nil {
		return err
	}
	p := &place{
		log: log, logs: l, reload: files, figures: figures, python: told.Python, pool: pool, listeners: link.Listeners, signals: signals,
		serving: func(py *pyembed.Python) {
			link.Seat.Begin(cfg.threads)
			link.Ready(py.Version + " " + py.Prefix)
		},
		stopping: func() {
			draining.Store(true)
			link.Seat.End()
			link.Draining()
			files.stop()
		},
		unwell: link.Unwell,
	}
	if cfg.maxRequests > 0 {
		p.prepare = counted(int64(cfg.maxRequests+rand.IntN(cfg.jitter+1)), link.Spent)
	}
	return p.serve(cfg)
}

// beat tells the master once a second that this worker lives, and what it has to
// do. It looks at the queue more often than that: while requests wait for long, any
// look shows about how long.
func beat(link *master.Link, pool *bridge.Pool, f *figures) {
	const looks = 4
	for {
		var wait time.Duration
		for range looks {
			time.Sleep(time.Second / looks)
			wait = max(wait, pool.Oldest())
		}
		s := pool.Stats()
		link.Alive(master.Beat{
			Busy: s.Busy, Waiting: s.Waiting, Wait: wait.Milliseconds(), RSS: residentBytes(), Figures: f.report(),
		})
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
