package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/internal/logs"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/hashicorp/go-hclog"
)

// ownedSignals are those the server acts on, and SIGURG, by which Go's runtime
// preempts goroutines.
var ownedSignals = []string{"SIGTERM", "SIGINT", "SIGQUIT", "SIGURG"}

// loadApp starts Python and imports the application. Its errors carry exit codes.
// py is nil where nobody has looked for an interpreter yet; Python's loggers get what
// l, which may be nil, has for them. With r an application that does not load has a
// stand-in.
func loadApp(ctx context.Context, cfg *config, py *pyembed.Python, l *logs.Logs, r *reloader) (*pyembed.Interpreter, pyembed.App, error) {
	if py == nil {
		var err error
		if py, err = pyembed.Find(ctx, cfg.python, cfg.dir); err != nil {
			return nil, 0, &exitError{code: exitConfig, err: err}
		}
	}
	options := pyembed.Options{
		Dir: cfg.dir, PythonPath: cfg.pythonPath, Argv: []string{os.Args[0]},
		ErrorFD: 2, Threads: cfg.threads, MultiProcess: cfg.multiProcess(), OwnedSignals: ownedSignals,
		Reload: r != nil, UWSGI: cfg.uwsgiModule(os.Getppid()),
	}
	if l != nil {
		options.ErrorFD = l.ErrorFD()
		var err error
		if options.Logs, err = l.ForPython(); err != nil {
			return nil, 0, &exitError{code: exitConfig, err: err}
		}
	}
	in, err := pyembed.Start(py, options)
	if err != nil {
		return nil, 0, &exitError{code: exitConfig, err: fmt.Errorf("starting Python %s: %w", py.Version, err)}
	}
	if l != nil {
		l.UsePython()
	}
	if err := in.Hook("post_fork"); err != nil {
		return nil, 0, hookError("post_fork", exitBoot, err)
	}
	first, err := cfg.loadAll(in)
	if err != nil {
		if first, err = r.standIn(in, err); err != nil {
			return nil, 0, err
		}
	}
	if err := in.Hook("post_worker_init"); err != nil {
		return nil, 0, hookError("post_worker_init", exitBoot, err)
	}
	return in, first, nil
}

// hookError is that a hook of the configuration file failed; code is for where Python
// gives none.
func hookError(name string, code int, err error) error {
	code = exitCode(err, code)
	if !errors.As(err, new(*pyembed.Error)) { // which names it
		err = fmt.Errorf("the hook %s: %w", name, err)
	}
	return &exitError{code: code, err: err}
}

// exitCode is what Python wants the process to end with, if it says so.
func exitCode(err error, otherwise int) int {
	var raised *pyembed.Error
	if errors.As(err, &raised) && raised.ExitCode != 0 {
		return raised.ExitCode
	}
	return otherwise
}

// bootError is that an application did not load, with its exit code.
func bootError(app string, err error) error {
	return &exitError{code: exitCode(err, exitBoot), err: fmt.Errorf("cannot load the application %q: %w", app, err)}
}

// reportTo logs what applications raise.
func reportTo(log hclog.Logger) pyembed.Reporter {
	return func(x *bridge.Exchange, err error) {
		args := append([]any{"error", err.Error()}, requestArgs(x.Record)...)
		var raised *pyembed.Error
		if errors.As(err, &raised) {
			args = append(args, "traceback", raised.Traceback)
		}
		log.Error("the application failed", args...)
	}
}

// requestArgs says in the log which request it was.
func requestArgs(r bridge.Record) []any {
	return []any{"method", r.Lookup("REQUEST_METHOD"), "uri", r.Lookup("RAW_URI"), "peer", r.Lookup("REMOTE_ADDR")}
}
