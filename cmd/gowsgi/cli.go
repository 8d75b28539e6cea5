package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gowsgi/gowsgi/internal/settings"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/gowsgi/gowsgi/python"
	"github.com/urfave/cli/v2"
)

// Exit codes, gunicorn's.
const (
	exitOK      = 0
	exitConfig  = 1 // bad arguments, no Python, cannot listen
	exitBoot    = 3 // the application failed to import
	exitAppSpec = 4 // the application was not found where the spec says
)

// exitError is an error that ends the process with a code. It is printed unless
// silent.
type exitError struct {
	code   int
	err    error
	silent bool // said already
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// run is the whole program: it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	link, err := joinMaster()
	switch {
	case err != nil:
	case link != nil: // the master has read the command line
		err = work(link, stdout, stderr)
	default:
		err = runCommandLine(args, stdout, stderr)
	}
	if err == nil {
		return exitOK
	}
	code, text := failure(err)
	var exit *exitError
	if !errors.As(err, &exit) || !exit.silent {
		fmt.Fprintf(stderr, "gowsgi: %s\n", text)
	}
	return code
}

func runCommandLine(args []string, stdout, stderr io.Writer) error {
	if filepath.Base(args[0]) == "gunicorn" { // a link by that name
		args = append([]string{args[0], "run"}, args[1:]...)
	}
	args, err := packedArgs(args)
	if err != nil {
		return err
	}
	app := newApp(stdout, stderr)
	return app.Run(gatherFlags(app, args))
}

// failure returns an error's exit code and what to print: the traceback and the
// hint too, which one line cannot say.
func failure(err error) (code int, text string) {
	code, text = exitConfig, err.Error()
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	var py *pyembed.Error
	if !errors.As(err, &py) {
		return code, text
	}
	if py.Traceback != "" {
		text += "\n" + strings.TrimSuffix(py.Traceback, "\n")
	}
	if py.Hint != "" {
		text += "\nhint: " + py.Hint
	}
	return code, text
}

func newApp(stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name:    "gowsgi",
		Usage:   "serve WSGI applications: Flask, Django and every other",
		Version: python.Version(),
		Writer:  stdout, ErrWriter: stderr,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true, // --env A=1,2 is one value
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              usageError,
		Commands: []*cli.Command{
			runCommand(stdout, stderr),
			checkCommand(stdout, stderr),
			buildCommand(stdout, stderr),
			curlCommand(stdout, stderr),
			convertCommand(stdout),
			versionCommand(stdout),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return fmt.Errorf("there is no command %q: did you mean `gowsgi run %s`?", c.Args().First(), c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
}

// usageError keeps cli from printing the whole help in front of one bad flag.
func usageError(c *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%w (`%s --help` lists the options)", err, c.Command.FullName())
}

func versionCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the version",
		Action: func(*cli.Context) error { return printVersion(stdout) },
	}
}

func printVersion(stdout io.Writer) error {
	_, err := fmt.Fprintf(stdout, "gowsgi %s\n", python.Version())
	return err
}

// appArgument returns the application's spec, the one positional argument.
func appArgument(c *cli.Context) (string, error) {
	switch c.NArg() {
	case 1:
		return c.Args().First(), nil
	case 0:
		return "", fmt.Errorf("no application: say which, as in `gowsgi %s myapp:app`", c.Command.Name)
	}
	return "", fmt.Errorf("one application at a time: %q is too many", c.Args().Slice()[1:])
}

// commandConfig is what a command line asks for.
func commandConfig(c *cli.Context) (*config, error) {
	app, err := appArgument(c)
	if err != nil {
		return nil, err
	}
	typed, err := withEnvironmentArgs(c)
	if err != nil {
		return nil, err
	}
	defaults, err := settings.Environment(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	values := defaults.Over(typed)
	if err := setEnvironment(values); err != nil {
		return nil, err
	}
	return newConfig(app, values)
}
