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
func packedConfig() string {
	b, _ := unpacked.Here() // packedArgs has looked at the error
	if b == nil {
		return ""
	}
	path := b.Path(unpacked.App + "/gunicorn.conf.py")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// refusePython: the packages that are packed fit the packed interpreter alone.
func refusePython(v *settings.Values) error {
	if b, _ := unpacked.Here(); b != nil && v.IsSet("python") {
		return errors.New("--python: this file brings its own, " + b.Python.Version)
	}
	return nil
}

// onlyFile is the path of a program of one file, for its successor; "": it is none.
func onlyFile() string {
	if b, _ := unpacked.Here(); b == nil {
		return ""
	}
	return os.Getenv(unpacked.FileVariable)
}
