package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
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
	configTime = 10 * time.Minute // to run the file, which may wait for other services
	hookTime   = time.Minute      // a hook, but on_starting and on_reload
	exitTime   = 12 * time.Second // atexit's functions, which it bounds itself
	forkTime   = 30 * time.Second // pre_fork and the fork
	importTime = time.Hour        // the application with --preload, and what begins: as long as it takes
	slowTime   = 10 * time.Second // after it the log says what is waited for
)

// command is what the master was started with: what a reload does not change.
type command struct {
	app      string           // "": the configuration file names it
	defaults *settings.Values // from the environment
	typed    *settings.Values // from the command line and GUNICORN_CMD_ARGS
	env      []string         // as it was at the start
	dir      string           // where that was, by name: it may be a link that a new release has moved

	note func(text string) // tells whoever waits

	mu      sync.Mutex
	begun   *pyembed.Zygote // of the generation that is being read; nil: none is
	stopped bool
}

func newCommand(c *cli.Context, env []string, note func(string)) (*command, error) {
	if c.NArg() > 1 {
		return nil, fmt.Errorf("one application at a time: %q is too many", c.Args().Slice()[1:])
	}
	cmd := &command{app: c.Args().First(), env: env, note: note}
	cmd.dir, _ = os.Getwd() // one that is gone is no reason not to start
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

// folder is where new processes start; "": where this one is.
func (cmd *command) folder() string {
	if _, err := os.Stat(cmd.dir); err != nil {
		return ""
	}
	return cmd.dir
}

// stop ends what is being read, so that nobody waits for it, and what would be later.
func (cmd *command) stop() {
	cmd.mu.Lock()
	defer cmd.mu.Unlock()
	cmd.stopped = true
	if cmd.begun != nil {
		cmd.begun.Kill()
	}
}

// done tells that the generation that was read can be used.
func (cmd *command) done() {
	cmd.mu.Lock()
	defer cmd.mu.Unlock()
	cmd.begun = nil
}

// generation is what workers are started with until the next reload.
type generation struct {
	cfg      *config
	app      string
	values   *settings.Values
	hooks    []string // that the configuration file has
	warnings []string
	options  map[string][]string // of uWSGI's, that --ini or --yaml has
	python   *pyembed.Python     // nil: each worker looks for it
	zygote   *pyembed.Zygote     // nil: workers are plain processes
	account  *service.Account
	chown    func(path string) error // of unix sockets
	sockets  sockets
}

// workerSettings is what a worker reads first on its line.
type workerSettings struct {
	App    string           `json:"app"`
	Values *settings.Values `json:"values"`
	Python *pyembed.Python  `json:"python,omitempty"`
	Dir    string           `json:"dir"` // where the master was started
	// Options are uWSGI's, for the module that applications import.
	Options map[string][]string `json:"options,omitempty"`
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
	if err := cmd.readUWSGI(g); err != nil {
		return err
	}
	path := cmd.configPath()
	if g.values.IsSet("ini") || g.values.IsSet("yaml") {
		path = ""
	}
	if path != "" {
		if err := cmd.startZygote(g); err != nil {
			return err
		}
		stop := cmd.noteLater("running the configuration " + path)
		file, err := g.readConfig(path)
		stop()
		if err != nil {
			return err
		}
		if file.IsSet("python") {
			return fmt.Errorf("%s: the interpreter that runs this file cannot be named in it: use --python", file.Where("python"))
		}
		g.values = cmd.defaults.Over(file).Over(cmd.typed)
	}
	if dir := g.values.String("chdir"); dir != "" { // for processes that may be elsewhere
		if err := g.values.Set(settings.Lookup("chdir"), inFolder(cmd.dir, dir), g.values.Where("chdir")); err != nil {
			return err
		}
	}
	problems, err := g.values.Problems() // --paste says more than that there is no application
	if err != nil {
		return err
	}
	g.warnings = append(g.warnings, problems...)
	if g.app == "" {
		g.app = g.values.String("wsgi_app")
	}
	if g.app == "" && len(g.values.List("mounts")) == 0 {
		return errors.New("no application: say which, as in `gowsgi run myapp:app`, or set wsgi_app in the configuration file")
	}
	if g.cfg, err = newConfig(g.app, g.values); err != nil {
		return err
	}
	g.warnings = append(g.warnings, g.cfg.warnings...)
	if g.account, err = service.FindAccount(g.cfg.user, g.cfg.group, g.cfg.initGroups); err != nil {
		return err
	}
	g.chown = g.account.Chown
	if owner := g.cfg.socketOwner; owner != "" {
		if g.chown, err = service.Owner(owner); err != nil {
			return fmt.Errorf("%s: %w", g.values.Where("socket_owner"), err)
		}
	}
	g.cfg.options = g.options
	return nil
}

// configPath returns the configuration file, a relative one as seen from folder, else
// the one that is packed with the application; "" without.
func (cmd *command) configPath() string {
	if path := cmd.typed.String("config"); path != "" && cmd.typed.Has("config") {
		return path
	}
	path := settings.Lookup("config").Default.(string)
	if _, err := os.Stat(inFolder(cmd.folder(), path)); err != nil {
		return packedConfig() // gunicorn's default, which need not be there
	}
	return path
}

// inFolder is a path as seen from a folder.
func inFolder(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// noteLater says what takes so long, unless it is stopped before.
func (cmd *command) noteLater(doing string) (stop func()) {
	timer := time.AfterFunc(slowTime, func() {
		cmd.note(fmt.Sprintf("%s takes more than %v; waiting", doing, slowTime))
	})
	return func() { timer.Stop() }
}

// imports tells whether the application is imported here, once for all workers.
func (g *generation) imports() bool {
	return g.values.Bool("preload_app") && !g.cfg.reload.on
}

// prepare makes the generation ready for its first worker: with load the application
// is imported here.
func (cmd *command) prepare(g *generation, load bool) error {
	if load && g.zygote == nil {
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
	if !load {
		return nil
	}
	defer cmd.noteLater("importing " + g.app)()
	for _, app := range g.cfg.apps {
		if _, err := g.zygote.Ask(map[string]any{"do": "load", "app": app}, importTime); err != nil {
			return bootError(app, err)
		}
	}
	return nil
}

func (cmd *command) startZygote(g *generation) error {
	py, err := pyembed.Find(context.Background(), g.values.String("python"), g.values.String("chdir"))
	if err != nil {
		return err
	}
	g.python = py
	options := pyembed.Options{Argv: os.Args[:1], ErrorFD: 2, OwnedSignals: ownedSignals, Reload: g.values.Bool("reload")}
	if g.zygote, err = pyembed.StartZygote(py, options, cmd.folder(), os.Args, cmd.env); err != nil {
		return err
	}
	cmd.mu.Lock()
	defer cmd.mu.Unlock()
	cmd.begun = g.zygote
	if cmd.stopped {
		g.zygote.Kill()
	}
	return nil
}

// readConfig runs the configuration file and returns what it sets.
func (g *generation) readConfig(path string) (*settings.Values, error) {
	known := map[string]settings.Kind{}
	for i := range settings.All {
		known[settings.All[i].Name] = settings.All[i].Kind
	}
	answer, err := g.zygote.Ask(map[string]any{"do": "config", "config": path, "known": known}, configTime)
	if err != nil {
		if !errors.As(err, new(*pyembed.Error)) { // which names it
			err = fmt.Errorf("running the configuration %s: %w", path, err)
		}
		return nil, &exitError{code: exitCode(err, exitConfig), err: err}
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
			"multiprocess": g.cfg.multiProcess(), "env": g.values.List("raw_env"), "uwsgi": g.cfg.uwsgiModule(os.Getpid()),
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
	return hookError(name, exitConfig, err)
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
func (g *generation) spawn() func(master.SpawnRequest) (pid int, err error) {
	return func(r master.SpawnRequest) (int, error) {
		request := map[string]any{"do": "fork", "age": r.Age, "num_workers": r.Workers, "pid": os.Getpid()}
		if a := g.account; a != nil {
			request["account"] = map[string]any{"uid": a.UID, "gid": a.GID, "groups": a.Groups}
		}
		answer, err := g.zygote.Ask(request, forkTime, append([]uintptr{r.Line.Fd()}, r.Listeners...)...)
		if err != nil {
			return 0, asBootError(&exitError{code: exitCode(err, exitConfig), err: fmt.Errorf("starting a worker: %w", err)})
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
func (g *generation) forWorkers(dir string) ([]byte, error) {
	return json.Marshal(workerSettings{App: g.app, Values: g.values, Python: g.python, Dir: dir, Options: g.options})
}

// end lets the zygote run its exit functions.
func (g *generation) end() {
	if g.zygote != nil {
		_, _ = g.zygote.Ask(map[string]any{"do": "exit"}, exitTime) // it may have ended
	}
	g.close()
}

func (g *generation) close() {
	if g.zygote != nil {
		g.zygote.Close()
	}
}
