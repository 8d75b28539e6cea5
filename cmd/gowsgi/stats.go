package main

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/internal/master"
	"github.com/gowsgi/gowsgi/internal/stats"
	"github.com/gowsgi/gowsgi/internal/touch"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/gowsgi/gowsgi/python"
)

// figures is what a worker counts for --stats.
type figures struct {
	access   bridge.AccessLogger // for the server
	recorder *stats.Recorder     // nil: nobody asks
}

func newFigures(cfg *config, access bridge.AccessLogger) *figures {
	f := &figures{access: access}
	if cfg.stats != "" {
		f.recorder = stats.NewRecorder(access)
		f.access = f.recorder
	}
	return f
}

// report is what goes to the master with a beat.
func (f *figures) report() json.RawMessage {
	if f.recorder == nil {
		return nil
	}
	text, err := json.Marshal(f.recorder.Figures())
	if err != nil {
		return nil // numbers always are JSON
	}
	return text
}

func (f *figures) reporter(next pyembed.Reporter) pyembed.Reporter {
	if f.recorder == nil {
		return next
	}
	return func(x *bridge.Exchange, err error) {
		f.recorder.Raised()
		next(x, err)
	}
}

// tellStats starts the server of --stats, or another where a reload has changed
// that. While there is a predecessor it is that one's.
func (l *leader) tellStats(cfg *config) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cfg.stats == l.statsAt || l.predecessor != 0 {
		return nil
	}
	var listener *stats.Listener
	if cfg.stats != "" {
		var err error
		if listener, err = stats.Listen(cfg.stats, cfg.dir); err != nil {
			return err
		}
	}
	if l.stats != nil {
		l.stats.Close()
	}
	l.stats, l.statsAt = listener, cfg.stats
	if listener == nil {
		return nil
	}
	go listener.Serve(func() *stats.Server { return l.statsOf(l.master.Report()) })
	return nil
}

func (l *leader) endStats() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stats != nil {
		l.stats.Close()
	}
}

// statsOf turns what the master knows into uWSGI's words.
func (l *leader) statsOf(reports []master.Report) *stats.Server {
	s := &stats.Server{Version: "gowsgi-" + python.Version()}
	l.mu.Lock()
	g := l.current
	l.mu.Unlock()
	if g == nil {
		return s
	}
	cfg := g.cfg
	for _, url := range g.sockets.urls(cfg) {
		proto, name, _ := strings.Cut(url, ":")
		s.Sockets = append(s.Sockets, stats.Socket{Name: strings.TrimPrefix(name, "//"), Proto: proto, Backlog: cfg.backlog})
	}
	apps := []stats.App{{}}
	if cfg.rules.Mounts != nil {
		apps = nil
		for _, m := range cfg.rules.Mounts {
			apps = append(apps, stats.App{Mount: m.Path})
		}
	}
	for _, r := range reports {
		w := stats.Worker{
			ID: r.Place, PID: r.PID, Serving: r.Serving, Threads: cfg.threads, Busy: r.Beat.Busy, RSS: r.Beat.RSS,
			Started: r.Started, Spawns: r.Spawns,
		}
		_ = json.Unmarshal(r.Beat.Figures, &w.Figures) // none before the first beat
		w.Apps = apps
		s.Load += r.Beat.Busy + r.Beat.Waiting
		s.Waiting += r.Beat.Waiting
		s.Workers = append(s.Workers, w)
	}
	return s
}

// touchInterval is how often --touch-reload looks, as often as uWSGI.
const touchInterval = time.Second

// watchTouched reloads when one of --touch-reload's files is touched; it ends the
// watch of the generation before.
func (l *leader) watchTouched(cfg *config) {
	if l.untouch != nil {
		close(l.untouch)
		l.untouch = nil
	}
	if len(cfg.touched) == 0 {
		return
	}
	l.untouch = make(chan struct{})
	go touch.Watch(cfg.touched, touchInterval, l.untouch, func(file string) {
		l.log.Info("a file was touched: reloading", "file", file)
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP) // this process takes it
	})
}
