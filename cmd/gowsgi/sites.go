package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gowsgi/gowsgi/internal/settings"
	"github.com/gowsgi/gowsgi/internal/static"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/gowsgi/gowsgi/wsgi"
)

// sites is which applications are served, and as what they find the server.
type sites struct {
	apps      []string // specs, each once: their numbers in the rules
	hasModule bool     // applications can import uwsgi
	options   map[string][]string
	place     int // this worker's; 0 in the master
}

// addSites reads --mount and the options of files that are served.
func (cfg *config) addSites(app string, v *settings.Values) error {
	cfg.hasModule = v.Bool("uwsgi_module")
	if app != "" {
		cfg.apps = []string{app}
	}
	var paths []string
	var numbers []int
	for _, text := range v.List("mounts") {
		path, spec, ok := strings.Cut(text, "=")
		if !ok || spec == "" {
			return fmt.Errorf("%s: %q must be /PATH=MODULE:APP", v.Where("mounts"), text)
		}
		if !slices.Contains(cfg.apps, spec) {
			cfg.apps = append(cfg.apps, spec)
		}
		paths, numbers = append(paths, path), append(numbers, slices.Index(cfg.apps, spec))
	}
	if len(paths) > 0 {
		mounts, err := wsgi.ParseMounts(paths, numbers)
		if err != nil {
			return fmt.Errorf("%s: %w", v.Where("mounts"), err)
		}
		if app != "" && mounts[len(mounts)-1].Path != "" {
			mounts = append(mounts, wsgi.Mount{}) // the application serves the rest
		}
		cfg.rules.Mounts = mounts
	}
	dir := cfg.dir
	if _, inIt := pyembed.Adopted(); inIt {
		dir = "" // the zygote has gone there
	}
	files, err := static.New(v.List("static_map"), v.List("check_static"), v.List("static_index"), v.List("static_safe"), dir)
	if err != nil {
		return err
	}
	if files != nil {
		cfg.rules.Static = files.Answer
	}
	return nil
}

// spec is what is served, for the log.
func (s *sites) spec() string { return strings.Join(s.apps, ", ") }

// loadAll imports the applications; the first has the number that is returned, the
// others those after it.
func (s *sites) loadAll(in *pyembed.Interpreter) (first pyembed.App, err error) {
	for i, spec := range s.apps {
		app, err := in.Load(spec)
		if err != nil {
			return 0, bootError(spec, err)
		}
		if i == 0 {
			first = app
		}
	}
	return first, nil
}

// uwsgiModule is what the module uwsgi says (gowsgi.uwsgi_compat.install); nil where
// there is none.
func (cfg *config) uwsgiModule(master int) any {
	if !cfg.hasModule {
		return nil
	}
	return map[string]any{
		"opt": cfg.options, "worker_id": cfg.place, "master_pid": master, "workers": cfg.workers, "threads": cfg.threads,
		"buffer_size": cfg.limits.Packet, "pidfile": cfg.pidFile,
	}
}
