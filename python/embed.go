// Package python holds the Python side of gowsgi as embedded source.
//
// The binary carries these files because it is often started beside an
// interpreter that has no gowsgi package installed: pyembed runs
// [Bootstrap] with [Sources], and "import gowsgi" then works in the embedded
// interpreter, ahead of any installed copy, so that both halves always have
// the same version. Nothing but the files and their names belongs here.
package python

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

// Files are the modules of the package gowsgi, as gowsgi/NAME.py.
//
//go:embed gowsgi/*.py
var Files embed.FS

const (
	bootstrapFile = "gowsgi/_bootstrap.py"
	versionFile   = "gowsgi/_version.py"
)

// Bootstrap is the source that makes the package importable. It is run in a
// fresh namespace whose one global "_sources" is the dict of [Sources].
func Bootstrap() string { return read(bootstrapFile) }

// Sources maps the name of every module ("gowsgi", "gowsgi.apps") to its
// source. The bootstrap itself is left out: it is not a module.
func Sources() map[string]string {
	names, err := fs.Glob(Files, "gowsgi/*.py")
	if err != nil {
		panic("python: " + err.Error()) // only a malformed pattern fails
	}
	sources := make(map[string]string, len(names))
	for _, name := range names {
		if name == bootstrapFile {
			continue
		}
		module := "gowsgi"
		if base := strings.TrimSuffix(path.Base(name), ".py"); base != "__init__" {
			module += "." + base
		}
		sources[module] = read(name)
	}
	return sources
}

// Version is the version of gowsgi. _version.py is the only place that states
// it; setup.py reads the same line.
func Version() string {
	_, rest, _ := strings.Cut(read(versionFile), `__version__ = "`)
	version, _, _ := strings.Cut(rest, `"`)
	return version
}

func read(name string) string {
	source, err := Files.ReadFile(name)
	if err != nil {
		panic("python: " + err.Error()) // the names above are compiled in
	}
	return string(source)
}
