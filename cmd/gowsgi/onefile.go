package main

import (
	"errors"
	"os"
	"slices"

	"github.com/gowsgi/gowsgi/internal/settings"
	"github.com/gowsgi/gowsgi/internal/unpacked"
)

// packedArgs makes a one file's command line one of `gowsgi run`: its application was
// chosen when it was built.
func packedArgs(args []string) ([]string, error) {
	b, err := unpacked.Here()
	if b == nil || b.Spec == "" || err != nil {
		return args, err
	}
	if slices.Equal(args[1:], []string{"--version"}) {
		return args, nil
	}
	return append([]string{args[0], "run", b.Spec}, args[1:]...), nil
}

// packedConfig is the configuration file that was packed with the application; "": none.
func packedConfig() (string, error) {
	b, err := unpacked.Here()
	if b == nil || err != nil {
		return "", err
	}
	path := b.Path(unpacked.App + "/gunicorn.conf.py")
	if _, err := os.Stat(path); err != nil {
		return "", nil
	}
	return path, nil
}

// refusePython: the packages that are packed fit the packed interpreter alone.
func refusePython(v *settings.Values) error {
	b, err := unpacked.Here()
	if b == nil || err != nil || !v.IsSet("python") {
		return err
	}
	return errors.New("--python: this file brings its own, " + b.Python.Version)
}

// onlyFile is the path of a program of one file, for its successor; "": it is none.
func onlyFile() string {
	if b, err := unpacked.Here(); b == nil || err != nil {
		return ""
	}
	return os.Getenv(unpacked.FileVariable)
}
