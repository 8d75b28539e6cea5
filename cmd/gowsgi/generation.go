package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/internal/master"
	"github.com/gowsgi/gowsgi/internal/service"
	"github.com/gowsgi/gowsgi/internal/settings"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/hashicorp/go-hclog"
	"github.com/urfave/cli/v2"
)

// Bounds of what a configuration file's code may take.
const (
	configTime = time.Minute      // to run the file
	hookTime   = time.Minute      // a hook, but on_starting and on_reload
	exitTime   = 12 * time.Second // atexit's functions, which it bounds itself
	forkTime   = 30 * time.Second // pre_fork and the fork
	importTime = time.Hour        // the application with --preload, and what begins: as long as it takes
)

// command is what the master was started with: what a reload does not change.
type command struct {
	app      string           // "": the configuration file names it
	defaults *settings.Values // from the environment
	typed    *settings.Values // from the command line and GUNICORN_CMD_ARGS
	env      []string         // as it was at the start
}

func newCommand(c *cli.Context, env []string) (*command, error) {
	if c.NArg() > 1 {
		return nil, fmt.Errorf("one application at a time: %q is too many", c.Args().Slice()[1:])
	}
	cmd := &command{app: c.Args().First(), env: env}
	var err error
	if cmd.typed, err = withEnvironmentArgs(c); err != nil {
		return nil, err
	}
	if err = refusePython(cmd.typed); err != nil {
		return nil, err
	}
	cmd.defaults, err = settings.Environment(os.LookupEnv)
	return cmd, err
}

// generation is what workers are started with until the next reload.
type generation struct {
	cfg      *config
	app      string
	values   *settings.Values
	hooks    []string // that the configuration file has
	warnings []string
	python   *pyembed.Python // nil: each worker looks for it
	zygote   *pyembed.Zygote // nil: workers are plain processes
}

// workerSettings is what a worker reads first on its line.
type workerSettings struct {
	App    string           `json:"app"`
	Values *settings.Values `json:"values"`
	Python *pyembed.Python  `json:"python,omitempty"`
	Dir    string           `json:"dir"` // where the master was started
}

// read makes a generation of the settings, and of the configuration file if there is
// one: that takes a Python of its own, a zygote.
func (cmd *command) read() (*generation, error) {
	g := &generation{app: cmd.app, values: cmd.defaults.Over(cmd.typed)}
	if err := cmd.fill(g); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func (cmd *command) fill(g *generation) error {
	path, given := g.values.String("config"), cmd.typed.IsSet("config")
	if path != "" && !given && !strings.HasPrefix(path, "python:") {
		if _, err := os.Stat(path); err != nil { // gunicorn's default, which need not be there
			if path, err = packedConfig(); err != nil {
				return err
			}
		}
	}
	if path != "" {
		if err := cmd.startZygote(g); err != nil {
			return err
		}
		file, err := g.readConfig(path)
		if err != nil {
			return err
		}
		if file.IsSet("python") {
			return fmt.Errorf("%s: the interpreter that runs this file cannot be named in it: use --python", file.Where("python"))
		}
		g.values = cmd.defaults.Over(file).Over(cmd.typed)
	}
	if g.app == "" {
		g.app = g.values.String("wsgi_app")
	}
	if g.app == "" {
		return errors.New("no application: say which, as in `gowsgi run myapp:app`, or set wsgi_app in the configuration file")
	}
	var err error
	if g.warnings, err = g.values.Problems(); err != nil {
		return err
	}
	if g.cfg, err = newConfig(g.app, g.values); err != nil {
		return err
	}
	g.warnings = append(g.warnings, g.cfg.warnings...)
	return nil
}

// prepare makes the generation ready for its first worker: with --preload the
// application is imported here.
func (cmd *command) prepare(g *generation, reload bool) error {
	preload := g.values.Bool("preload_app") && !g.cfg.reload.on || g.values.Bool("check_config")
	if preload && g.zygote == nil {
		if err := cmd.startZygote(g); err != nil {
			return err
		}
	}
	if g.zygote == nil {
		return nil
	}
	if err := g.configure(); err != nil {
		return err
	}
	if preload {
		if _, err := g.zygote.Ask(map[string]any{"do": "load", "app": g.app}, importTime); err != nil {
			return bootError(g.app, err)
		}
	}
	if reload {
		return g.hook("on_reload", nil, importTime)
	}
	return g.hook("on_starting", nil, importTime)
}

func (cmd *command) startZygote(g *generation) error {
	py, err := pyembed.Find(context.Background(), g.values.String("python"), g.values.String("chdir"))
	if err != nil {
		return err
	}
	g.python = py
	options := pyembed.Options{Argv: os.Args[:1], ErrorFD: 2, OwnedSignals: ownedSignals, Reload: g.values.Bool("reload")}
	g.zygote, err = pyembed.StartZygote(py, options, os.Args, cmd.env)
	return err
}

// readConfig runs the configuration file and returns what it sets.
func (g *generation) readConfig(path string) (*settings.Values, error) {
	known := map[string]settings.Kind{}
	for i := range settings.All {
		known[settings.All[i].Name] = settings.All[i].Kind
	}
	answer, err := g.zygote.Ask(map[string]any{"do": "config", "config": path, "known": known}, configTime)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration %s: %w", path, err)
	}
	var read struct {
		Settings map[string]any `json:"settings"`
		Hooks    []string       `json:"hooks"`
	}
	if err := json.Unmarshal(answer, &read); err != nil {
		return nil, fmt.Errorf("the configuration %s: %w", path, err)
	}
	v := &settings.Values{}
	for _, name := range slices.Sorted(maps.Keys(read.Settings)) {
		s := settings.Lookup(name)
		if s == nil {
			return nil, fmt.Errorf("%s: there is no setting %s", path, name)
		}
		if err := v.Set(s, read.Settings[name], name+" in "+path); err != nil {
			return nil, err
		}
	}
	for _, name := range read.Hooks {
		if s := settings.Lookup(name); s != nil {
			if err := v.Set(s, true, name+" in "+path); err != nil {
				return nil, err
			}
		}
	}
	g.hooks = read.Hooks
	return v, nil
}

// configure tells the zygote what the settings came to.
func (g *generation) configure() error {
	_, err := g.zygote.Ask(map[string]any{
		"do": "settings", "settings": g.values.Complete(), "app": g.app,
		"options": map[string]any{
			"chdir": g.cfg.dir, "pythonpath": g.cfg.pythonPath, "threads": g.cfg.threads,
			"multiprocess": g.cfg.multiProcess(), "env": g.values.List("raw_env"),
		},
	}, configTime)
	return err
}

// hook runs one of the configuration file's functions, if it has that; args are as
// gowsgi.zygote takes them.
func (g *generation) hook(name string, args map[string]any, limit time.Duration) error {
	if g.zygote == nil || !slices.Contains(g.hooks, name) {
		return nil
	}
	all := map[string]any{"pid": os.Getpid()}
	maps.Copy(all, args)
	_, err := g.zygote.Ask(map[string]any{"do": "hook", "name": name, "args": all}, limit)
	if err == nil {
		return nil
	}
	return &exitError{code: exitCode(err, exitConfig), err: fmt.Errorf("the hook %s: %w", name, err)}
}

// told passes on what the master tells of its workers.
func (g *generation) told(log hclog.Logger, name string, args any) {
	fields := map[string]any{}
	switch args := args.(type) {
	case master.NWorkers:
		fields["new"], fields["old"] = args.New, args.Old
	case master.Child:
		fields["worker"] = args
	}
	if err := g.hook(name, fields, hookTime); err != nil {
		_, text := failure(err)
		log.Error("a hook failed", "hook", name, "cause", text)
	}
}

// reopen opens the log files anew that the zygote has.
func (g *generation) reopen(log hclog.Logger) {
	if g.zygote == nil {
		return
	}
	if _, err := g.zygote.Ask(map[string]any{"do": "reopen"}, hookTime); err != nil {
		log.Error("the configuration file's Python cannot open its logs anew", "error", err)
	}
}

// spawn makes a worker of the zygote.
func (g *generation) spawn(account *service.Account) func(master.SpawnRequest) (pid int, err error) {
	return func(r master.SpawnRequest) (int, error) {
		request := map[string]any{"do": "fork", "age": r.Age, "num_workers": g.cfg.workers, "pid": os.Getpid()}
		if account != nil {
			request["account"] = map[string]any{"uid": account.UID, "gid": account.GID, "groups": account.Groups}
		}
		answer, err := g.zygote.Ask(request, forkTime, append([]uintptr{r.Line.Fd()}, r.Listeners...)...)
		if err != nil {
			return 0, err
		}
		var made struct {
			PID int `json:"pid"`
		}
		if err := json.Unmarshal(answer, &made); err != nil || made.PID <= 0 {
			return 0, fmt.Errorf("forking a worker: odd answer %q", answer)
		}
		return made.PID, nil
	}
}

// forWorkers is what each worker reads first: the settings.
func (g *generation) forWorkers() ([]byte, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("finding out where this is: %w", err)
	}
	return json.Marshal(workerSettings{App: g.app, Values: g.values, Python: g.python, Dir: dir})
}

// end lets the zygote run its exit functions.
func (g *generation) end() {
	_, _ = g.zygote.Ask(map[string]any{"do": "exit"}, exitTime) // it may have ended
	g.close()
}

func (g *generation) close() {
	if g.zygote != nil {
		g.zygote.Close()
	}
}
