package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/internal/reload"
	"github.com/gowsgi/gowsgi/internal/settings"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/hashicorp/go-hclog"
)

// reloading is what --reload asks for.
type reloading struct {
	on     bool
	engine reload.Engine
	extra  []string // files and patterns beside the application's own
}

// newReloading reads the settings. Its warnings are files that are not there: they
// are waited for.
func newReloading(v *settings.Values) (r reloading, warnings []string) {
	r = reloading{
		on: v.Bool("reload"), engine: reload.Engine(v.String("reload_engine")), extra: v.List("reload_extra_files"),
	}
	if !r.on {
		return r, nil
	}
	for _, path := range r.extra {
		if _, err := os.Stat(path); err != nil && !reload.IsPattern(path) {
			warnings = append(warnings, fmt.Sprintf("%s: there is no %s yet", v.Where("reload_extra_files"), path))
		}
	}
	if v.Bool("preload_app") {
		warnings = append(warnings, v.Where("preload_app")+" is ignored: --reload has the workers import the application, so that they can show why it does not load")
	}
	if path := v.String("config"); path != "" && !strings.HasPrefix(path, "python:") {
		r.extra = append(r.extra[:len(r.extra):len(r.extra)], strings.TrimPrefix(path, "file:"))
	}
	return r, warnings
}

// reloader is --reload in a worker: it watches the files that its application is
// made of, and has another one served where that does not load. A nil one is that of
// a worker without --reload: it does nothing.
type reloader struct {
	log     hclog.Logger
	master  reloadMaster
	watcher *reload.Watcher
	begun   time.Time // before the application's files were read
	known   int       // of the application's files, all watched
	end     chan struct{}
}

// reloadMaster hears of what happens; it decides what to do.
type reloadMaster interface {
	Changed(path string, modified time.Time)
	Broken(text string)
}

// start watches the files that are named, relative ones from dir on.
func (r reloading) start(to reloadMaster, dir string, log hclog.Logger) (*reloader, error) {
	if !r.on {
		return nil, nil
	}
	watcher, err := reload.Watch(reload.Options{Engine: r.engine, Extra: r.extra, Dir: dir, Log: log})
	if err != nil {
		return nil, fmt.Errorf("--reload: %w", err)
	}
	return &reloader{log: log, master: to, watcher: watcher, begun: time.Now(), end: make(chan struct{})}, nil
}

// standIn returns an application that shows why the real one did not load; cause
// itself where no save would mend it.
func (r *reloader) standIn(in *pyembed.Interpreter, cause error) (pyembed.App, error) {
	if r == nil {
		return 0, cause
	}
	app, err := in.Load("gowsgi.reload:failing_app()")
	if err != nil {
		return 0, cause
	}
	_, text := failure(cause)
	r.master.Broken(text)
	return app, nil
}

// follow passes changes on to the master until stop. in.Watch must have been called.
func (r *reloader) follow(in *pyembed.Interpreter) {
	if r == nil {
		return
	}
	r.learn(in, r.begun)
	go func() {
		for {
			select {
			case <-r.end:
				return
			case c := <-r.watcher.Changes():
				r.master.Changed(c.Path, c.Modified)
			}
		}
	}()
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-r.end:
				return
			case <-tick.C:
				r.learn(in, time.Time{}) // what was imported meanwhile
			}
		}
	}()
}

// answerTime is how long Python is waited for; it is asked again a second later.
const answerTime = 10 * time.Second

// learn asks Python for the files that are not known yet.
func (r *reloader) learn(in *pyembed.Interpreter, since time.Time) {
	known := strconv.Itoa(r.known)
	text, err := in.Aside(answerTime, "new_files", &known)
	var files []string
	if err == nil {
		err = json.Unmarshal([]byte(text), &files)
	}
	if err != nil {
		r.log.Debug("asking for the application's files", "error", err)
		return
	}
	r.known += len(files)
	if len(files) > 0 {
		r.watcher.Add(since, files...)
	}
}

// stop ends the watching: this worker's files are not its master's concern any more.
func (r *reloader) stop() {
	if r == nil {
		return
	}
	close(r.end)
	r.watcher.Close()
}
