package onefile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gowsgi/gowsgi/internal/bundle"
	"github.com/gowsgi/gowsgi/internal/unpacked"
)

// Options says what is packed.
type Options struct {
	Spec         string // of the application; "": the program knows
	Program      string // an executable that pyembed is linked to
	Launcher     string // what the file begins with
	Dir          string // the application's folder
	Python       Python
	Requirements []string // files
	Require      []string // single requirements
	Venv         string   // whose packages are taken where no requirements are to be found
	Exclude      []string // patterns
	Keep         []string // patterns, of what is left out by default
	Output       string
	Log          io.Writer // one line a step
}

// Python is the CPython that is packed.
type Python struct {
	Executable string
	Library    string // path of its libpython
	Version    string
	Pip        string // a folder or archive to import pip from; "": its own
}

// The parts of an archive, in its order: what changes less comes first.
const (
	groupSystem   = "system libraries"
	groupPython   = "CPython"
	groupPackages = "packages"
	groupProgram  = "gowsgi"
	groupApp      = "application"
)

var groups = []string{groupSystem, groupPython, groupPackages, groupProgram, groupApp}

// builder is one build.
type builder struct {
	Options
	layout  layout
	stage   string // a folder for what is made
	sources map[string]*bundle.Source
	report  *Report

	interpreter string // the packed dynamic linker
}

// Build builds the file and returns what is in it.
func Build(ctx context.Context, o Options) (*Report, error) {
	if name := filepath.Base(o.Program); strings.HasPrefix(name, "python") {
		return nil, fmt.Errorf("the program is called %s, which is what the packed Python is called: give it another name", name)
	}
	for _, path := range []*string{&o.Dir, &o.Output} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = absolute
	}
	stage, err := os.MkdirTemp("", "gowsgi-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(stage)
	b := &builder{Options: o, stage: stage, sources: map[string]*bundle.Source{}, report: &Report{Python: o.Python.Version}}
	epoch, err := epoch()
	if err != nil {
		return nil, err
	}
	if err := b.collect(ctx); err != nil {
		return nil, err
	}
	return b.report, b.write(ctx, bundle.Index{Program: b.programName(), Interpreter: b.interpreter, Epoch: epoch})
}

// epoch is the time that the files get; 0: that of unpacking. A fixed one by default
// would make static files of every version look the same to browsers.
func epoch() (int64, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("SOURCE_DATE_EPOCH is %q: it must be a number of seconds since 1970", text)
	}
	return n, nil
}

func (b *builder) say(format string, args ...any) {
	fmt.Fprintf(b.Log, format+"\n", args...)
}

func (b *builder) collect(ctx context.Context) error {
	if err := b.addProgram(); err != nil {
		return err
	}
	if err := b.addPython(ctx); err != nil {
		return err
	}
	if err := b.addPackages(ctx); err != nil {
		return err
	}
	b.say("adding the application in %s", b.Dir)
	if err := b.addApp(); err != nil {
		return err
	}
	marker, err := json.Marshal(unpacked.Bundle{
		Spec:   b.Spec,
		Python: unpacked.Python{Version: b.Python.Version, Executable: unpacked.Bin + "/" + b.layout.executable()},
	})
	if err != nil {
		return err
	}
	b.add(&bundle.Source{File: bundle.File{Name: unpacked.Marker}, Group: groupApp, Data: marker})
	if err := b.compile(ctx); err != nil {
		return err
	}
	return b.addLibraries()
}

func (b *builder) add(s *bundle.Source) { b.sources[s.Name] = s }

// addProgram adds the program.
func (b *builder) addProgram() error {
	data, err := os.ReadFile(b.Program)
	if err != nil {
		return err
	}
	data, place, err := relocatable(data)
	if err != nil {
		return fmt.Errorf("%s: %w", b.Program, err)
	}
	b.add(&bundle.Source{File: bundle.File{Name: b.programName(), Exec: true, Place: place}, Group: groupProgram, Data: data})
	return nil
}

func (b *builder) programName() string { return unpacked.Bin + "/" + filepath.Base(b.Program) }

// addApp adds the application's folder.
func (b *builder) addApp() error {
	w := &walk{
		exclude: b.Exclude, keep: b.Keep, usual: usualApp, also: func(path string, dir bool) bool {
			return path == b.Output || dir && exists(filepath.Join(path, "pyvenv.cfg"))
		},
		found: func(rel, path string, exec bool) {
			b.add(&bundle.Source{File: bundle.File{Name: unpacked.App + "/" + rel, Exec: exec}, Group: groupApp, Path: path})
		},
		empty: func(rel string) {
			b.add(&bundle.Source{File: bundle.File{Name: unpacked.App + "/" + rel, Dir: true}, Group: groupApp})
		},
	}
	if err := w.run(b.Dir); err != nil {
		return fmt.Errorf("adding the application: %w", err)
	}
	b.report.leftOut("the application", w.out)
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// write writes the file beside its place, and then gives it its name.
func (b *builder) write(ctx context.Context, index bundle.Index) error {
	sources := b.sorted()
	b.say("packing %d files", len(sources))
	f, err := os.CreateTemp(filepath.Dir(b.Output), "."+filepath.Base(b.Output)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after a rename it is not there
	err = b.writeTo(ctx, f, index, sources)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), b.Output)
}

func (b *builder) writeTo(ctx context.Context, f *os.File, index bundle.Index, sources []*bundle.Source) error {
	launcher, err := os.ReadFile(b.Launcher)
	if err != nil {
		return err
	}
	if !bytes.Contains(launcher, []byte(bundle.Mark)) {
		return fmt.Errorf("%s is none of this version: install both at once", b.Launcher)
	}
	if o, err := readObject(bytes.NewReader(launcher)); o != nil || err != nil {
		return fmt.Errorf("%s is not linked statically", b.Launcher)
	}
	sum := newSum(ctx, f)
	if _, err := sum.Write(launcher); err != nil {
		return err
	}
	if b.report.Content, err = bundle.Write(sum, index, sources); err != nil {
		return err
	}
	b.report.take(sum, len(launcher), sources, b.layout.site)
	return f.Chmod(0o755)
}

func (b *builder) sorted() []*bundle.Source {
	sources := make([]*bundle.Source, 0, len(b.sources))
	for _, s := range b.sources {
		sources = append(sources, s)
	}
	slices.SortFunc(sources, func(x, y *bundle.Source) int {
		if d := slices.Index(groups, x.Group) - slices.Index(groups, y.Group); d != 0 {
			return d
		}
		return strings.Compare(x.Name, y.Name)
	})
	return sources
}
