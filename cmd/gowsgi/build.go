package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/gowsgi/gowsgi/internal/onefile"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/urfave/cli/v2"
)

func buildCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "build", Usage: "make one executable file of an application, its packages and a CPython",
		ArgsUsage: "MODULE[:ATTRIBUTE]",
		Description: "The file needs neither Python nor a C library where it runs, and takes the options\n" +
			"of `gowsgi run`: docs/onefile.md.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "the `FILE` to write"},
			&cli.StringFlag{Name: "chdir", Usage: "the application's `FOLDER`", Value: "."},
			&cli.StringFlag{Name: "python", Usage: "pack this `PYTHON`, which has a shared library", DefaultText: "CPython 3.14 of python-build-standalone"},
			&cli.StringSliceFlag{Name: "requirements", Aliases: []string{"r"}, Usage: "`FILE` of what to pack: requirements.txt or pyproject.toml; again for more"},
			&cli.StringSliceFlag{Name: "require", Usage: "a `REQUIREMENT` to pack, as pip takes it; again for more"},
			&cli.StringSliceFlag{Name: "exclude", Usage: "leave out what fits this `PATTERN`; again for more"},
			&cli.StringSliceFlag{Name: "keep", Usage: "do not leave out what fits this `PATTERN`; again for more"},
			&cli.StringFlag{Name: "program", Usage: "pack this `PROGRAM`, which was built with gowsgi's Go packages, instead of gowsgi"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print neither steps nor a report"},
		},
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			options, err := buildOptions(ctx, c, stderr)
			if err != nil {
				return err
			}
			report, err := onefile.Build(ctx, options)
			if err != nil || c.Bool("quiet") {
				return err
			}
			return report.Print(stdout, options.Output)
		},
	}
}

// buildOptions is what a command line asks for.
func buildOptions(ctx context.Context, c *cli.Context, log io.Writer) (onefile.Options, error) {
	o := onefile.Options{
		Dir: c.String("chdir"), Output: c.String("output"), Program: c.String("program"), Log: log,
		Requirements: c.StringSlice("requirements"), Require: c.StringSlice("require"),
		Exclude: c.StringSlice("exclude"), Keep: c.StringSlice("keep"),
	}
	if c.Bool("quiet") {
		o.Log = io.Discard
	}
	if runtime.GOOS != "linux" {
		return o, errors.New("only Linux's programs can be built, and only there")
	}
	if o.Output == "" {
		return o, errors.New("where to? Name the file with --output")
	}
	for _, pattern := range append(o.Exclude, o.Keep...) {
		if err := onefile.CheckPattern(pattern); err != nil {
			return o, err
		}
	}
	var err error
	if o.Launcher, err = launcher(); err != nil {
		return o, err
	}
	if o.Program != "" {
		if c.NArg() > 0 {
			return o, fmt.Errorf("%q is too many: what --program names knows its application", c.Args().First())
		}
	} else {
		if o.Spec, err = appArgument(c); err != nil {
			return o, err
		}
		if o.Program, err = os.Executable(); err != nil {
			return o, err
		}
	}
	return o, choosePython(ctx, c.String("python"), &o)
}

// choosePython finds the CPython to pack, and the virtual environment whose packages
// are packed if nothing else says which.
func choosePython(ctx context.Context, python string, o *onefile.Options) error {
	if python == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			cache = os.TempDir()
		}
		if python, o.Python.Pip, err = onefile.FetchPython(ctx, filepath.Join(cache, "gowsgi-build"), o.Log); err != nil {
			return err
		}
	}
	found, err := pyembed.Find(ctx, python, o.Dir)
	if err != nil {
		return err
	}
	o.Python.Executable, o.Python.Library, o.Python.Version = found.Executable, found.Library, found.Version
	for _, venv := range []string{found.Prefix, os.Getenv("VIRTUAL_ENV"), filepath.Join(o.Dir, ".venv")} {
		if _, err := os.Stat(filepath.Join(venv, "pyvenv.cfg")); venv != "" && err == nil {
			o.Venv = venv
			break
		}
	}
	return nil
}

// launcherName is the program that every built file begins with; it lies beside this
// one.
const launcherName = "gowsgi-launcher"

func launcher() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), launcherName)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: `make` and `pip install` put it there, `go install github.com/gowsgi/gowsgi/cmd/...` does too", err)
	}
	return path, nil
}
