package onefile

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gowsgi/gowsgi/internal/bundle"
	"github.com/gowsgi/gowsgi/internal/unpacked"
)

// The module carries python-build-standalone's builds, which have a shared libpython
// and run from any folder, and pip.
const (
	pythonModule  = "github.com/kluctl/go-embed-python"
	pythonVersion = "v0.0.0-3.14.6-20260610-1"
)

// FetchPython returns the path of a CPython's executable and that of pip, which come
// from a Go module and are unpacked to a folder below cache, once.
func FetchPython(ctx context.Context, cache string, log io.Writer) (executable, pip string, err error) {
	dir := filepath.Join(cache, "cpython-"+strings.TrimPrefix(pythonVersion, "v0.0.0-"))
	executable, pip = filepath.Join(dir, "python", "bin", "python3"), filepath.Join(dir, "pip")
	if exists(executable) {
		return executable, pip, nil
	}
	fmt.Fprintf(log, "fetching CPython: %s@%s\n", pythonModule, pythonVersion)
	module, err := downloadModule(ctx)
	if err != nil {
		return "", "", fmt.Errorf("fetching CPython: %w; or name one with --python", err)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", "", err
	}
	temp, err := os.MkdirTemp(cache, ".unpacking-")
	if err != nil {
		return "", "", err
	}
	defer os.RemoveAll(temp) // after a rename it is not there
	for name, from := range map[string]string{
		"python": filepath.Join(module, "python", "internal", "data", "linux-"+runtime.GOARCH),
		"pip":    filepath.Join(module, "pip", "internal", "data"),
	} {
		if err := unpackModule(from, filepath.Join(temp, name)); err != nil {
			return "", "", fmt.Errorf("unpacking CPython: %w", err)
		}
	}
	if err := os.Rename(temp, dir); err != nil && !exists(executable) { // or another build was faster
		return "", "", err
	}
	return executable, pip, nil
}

// downloadModule has the go command fetch and check the module, and returns its folder.
func downloadModule(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", pythonModule+"@"+pythonVersion)
	cmd.Dir = os.TempDir() // in the application's folder there may be a go.mod
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	text, err := cmd.Output()
	var got struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(text, &got); jsonErr == nil && got.Error != "" {
		return "", errors.New(got.Error)
	}
	if err != nil {
		return "", said("go mod download", err)
	}
	return got.Dir, nil
}

// said adds to a command's error what it wrote.
func said(command string, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%s: %w: %s", command, err, strings.TrimSpace(string(exit.Stderr)))
	}
	return fmt.Errorf("%s: %w", command, err)
}

// unpackModule writes what the module's list of files names.
func unpackModule(from, to string) error {
	text, err := os.ReadFile(filepath.Join(from, "files.json"))
	if err != nil {
		return err
	}
	var list struct {
		Files []struct {
			Name    string
			Symlink string
			Perm    fs.FileMode
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, f := range list.Files {
		if !filepath.IsLocal(f.Name) {
			return fmt.Errorf("odd name %q", f.Name)
		}
		target := filepath.Join(to, f.Name)
		switch {
		case f.Perm.IsDir():
			err = os.MkdirAll(target, 0o755)
		case f.Symlink != "":
			err = os.Symlink(f.Symlink, target)
		default:
			err = unpackFile(filepath.Join(from, f.Name), target, f.Perm.Perm())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unpackFile copies a file that may be packed.
func unpackFile(from, to string, mode fs.FileMode) error {
	var in io.Reader
	file, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		if file, err = os.Open(from + ".gz"); err == nil {
			defer file.Close()
			in, err = gzip.NewReader(file)
		}
	} else if err == nil {
		defer file.Close()
		in = file
	}
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// layout is where a CPython has its parts. The names are below its prefix.
type layout struct {
	Stdlib   string   `json:"stdlib"`  // the path of the standard library
	Place    string   `json:"place"`   // its name
	Sites    []string `json:"sites"`   // where packages are looked for
	CacheTag string   `json:"tag"`     // "cpython-314"
	Version  string   `json:"version"` // "3.14"
	Tomllib  bool     `json:"tomllib"` // it can read pyproject.toml
	HasPip   bool     `json:"has_pip"` // it can import pip
	Bundled  string   `json:"bundled"` // pip as ensurepip has it, a wheel; "": it has none
	site     string   // of Sites
}

const layoutScript = `
import glob, importlib.util, json, os, site, sys, sysconfig
prefix = {"installed_base": "/", "installed_platbase": "/", "base": "/", "platbase": "/"}
stdlib = sysconfig.get_path("stdlib")
bundled = sorted(glob.glob(os.path.join(stdlib, "ensurepip", "_bundled", "pip-*.whl")))
print(json.dumps({
    "stdlib": stdlib,
    "place": os.path.relpath(sysconfig.get_path("stdlib", "posix_prefix", prefix), "/"),
    "sites": [os.path.relpath(p, "/prefix") for p in site.getsitepackages(["/prefix"])],
    "tag": sys.implementation.cache_tag,
    "version": "%d.%d" % sys.version_info[:2],
    "tomllib": importlib.util.find_spec("tomllib") is not None,
    "has_pip": importlib.util.find_spec("pip") is not None,
    "bundled": bundled[-1] if bundled else "",
}))
`

func (l layout) executable() string { return "python" + l.Version }

// ask finds out the layout.
func (p Python) ask(ctx context.Context) (layout, error) {
	var l layout
	text, err := p.output(ctx, nil, "-I", "-c", layoutScript)
	if err != nil {
		return l, fmt.Errorf("asking %s: %w", p.Executable, err)
	}
	if err := json.Unmarshal(text, &l); err != nil || len(l.Sites) == 0 {
		return l, fmt.Errorf("asking %s: odd answer %q", p.Executable, text)
	}
	l.site = l.Sites[len(l.Sites)-1]
	return l, nil
}

// output runs the interpreter and returns what it prints.
func (p Python) output(ctx context.Context, input io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, p.Executable, args...)
	cmd.Stdin = input
	cmd.Env = append(cleanEnviron(), "PYTHONHASHSEED=0")
	text, err := cmd.Output()
	if err != nil {
		return nil, said(filepath.Base(p.Executable), err)
	}
	return text, nil
}

// cleanEnviron is the environment without what changes where a Python finds things.
func cleanEnviron() []string {
	var kept []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "PYTHON") && !strings.HasPrefix(pair, "VIRTUAL_ENV=") {
			kept = append(kept, pair)
		}
	}
	return append(kept, "PYTHONNOUSERSITE=1", "PYTHONUTF8=1", "PYTHONDONTWRITEBYTECODE=1")
}

// addPython adds the library and the standard library.
func (b *builder) addPython(ctx context.Context) error {
	var err error
	if b.layout, err = b.Python.ask(ctx); err != nil {
		return err
	}
	b.say("adding CPython %s", b.Python.Version)
	library := filepath.Base(b.Python.Library)
	b.add(&bundle.Source{File: bundle.File{Name: unpacked.Lib + "/" + library, Exec: true}, Group: groupPython, Path: b.Python.Library})
	links := map[string]string{unpacked.Library: library}
	if library == filepath.Base(unpacked.Library) {
		links = map[string]string{}
	}
	for _, name := range []string{b.layout.executable(), "python3", "python"} {
		links[unpacked.Bin+"/"+name] = filepath.Base(b.Program)
	}
	for name, to := range links {
		b.add(&bundle.Source{File: bundle.File{Name: name, Link: to}, Group: groupPython})
	}
	w := &walk{exclude: b.Exclude, keep: b.Keep, usual: usualPython, found: func(rel, path string, exec bool) {
		b.add(&bundle.Source{File: bundle.File{Name: b.layout.Place + "/" + rel, Exec: exec}, Group: groupPython, Path: path})
	}}
	if err := w.run(b.layout.Stdlib); err != nil {
		return fmt.Errorf("adding CPython: %w", err)
	}
	b.report.leftOut("CPython", w.out)
	return nil
}
