package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/hashicorp/go-hclog"
)

// ownedSignals are those the server acts on, and SIGURG, by which Go's runtime
// preempts goroutines.
var ownedSignals = []string{"SIGTERM", "SIGINT", "SIGQUIT", "SIGURG"}

func newLogger(level hclog.Level, w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "gowsgi", Level: level, Output: w, Color: hclog.AutoColor,
		TimeFormat: "2006-01-02T15:04:05.000Z0700",
	})
}

// loadApp starts Python and imports the application. Its errors carry exit codes;
// the interpreter comes with one that is the application's.
func loadApp(ctx context.Context, cfg *config, multiProcess bool) (*pyembed.Interpreter, pyembed.App, error) {
	py, err := pyembed.Find(ctx, cfg.python, cfg.dir)
	if err != nil {
		return nil, 0, &exitError{code: exitConfig, err: err}
	}
	in, err := pyembed.Start(py, pyembed.Options{
		Dir: cfg.dir, PythonPath: cfg.pythonPath, Argv: []string{os.Args[0]},
		ErrorFD: 2, Threads: cfg.threads, MultiProcess: multiProcess, OwnedSignals: ownedSignals,
		Reload: cfg.reload.on,
	})
	if err != nil {
		return nil, 0, &exitError{code: exitConfig, err: fmt.Errorf("starting Python %s: %w", py.Version, err)}
	}
	app, err := in.Load(cfg.app)
	if err == nil {
		return in, app, nil
	}
	return in, 0, bootError(cfg.app, err)
}

// bootError is that an application did not load, with its exit code.
func bootError(app string, err error) error {
	code := exitBoot
	var raised *pyembed.Error
	if errors.As(err, &raised) && raised.ExitCode != 0 {
		code = raised.ExitCode
	}
	return &exitError{code: code, err: fmt.Errorf("cannot load the application %q: %w", app, err)}
}

// reportTo logs what applications raise.
func reportTo(log hclog.Logger) pyembed.Reporter {
	return func(x *bridge.Exchange, err error) {
		args := []any{
			"error", err.Error(),
			"method", x.Record.Lookup("REQUEST_METHOD"),
			"uri", x.Record.Lookup("RAW_URI"),
			"peer", x.Record.Lookup("REMOTE_ADDR"),
		}
		var raised *pyembed.Error
		if errors.As(err, &raised) {
			args = append(args, "traceback", raised.Traceback)
		}
		log.Error("the application failed", args...)
	}
}
