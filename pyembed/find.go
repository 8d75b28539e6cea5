package pyembed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/internal/unpacked"
)

// The versions that one binary serves (the stable ABI from the oldest on).
const (
	oldestMinor = 10
	newestMinor = 14
)

// Python is an interpreter that can be embedded.
type Python struct {
	Executable string // the venv's own, if it is one
	Library    string // path of its libpython, or a name for the dynamic linker
	Version    string // "3.13.0"
	Prefix     string // sys.prefix: the venv
	BasePrefix string // sys.base_prefix: the installation
}

// probe is what an interpreter says of itself.
type probe struct {
	Executable string   `json:"executable"`
	Version    [3]int   `json:"version"`
	Name       string   `json:"name"`
	Prefix     string   `json:"prefix"`
	BasePrefix string   `json:"base_prefix"`
	Shared     bool     `json:"shared"`
	NoGIL      bool     `json:"no_gil"` // a free-threaded build (PEP 703)
	Names      []string `json:"names"`
	Folders    []string `json:"folders"`
}

// probeScript runs without site (-S), which saves half its time; -I keeps the
// current folder from shadowing the standard library. The library is the one that the
// interpreter itself has mapped, where there is /proc and the interpreter is no static
// one: sysconfig and json would be the most of the script's time (25 ms of CPU instead
// of 12).
const probeScript = `
import os, sys
try:
    from _json import encode_basestring_ascii as quote
except ImportError:
    from json.encoder import encode_basestring_ascii as quote

def mapped():
    try:
        with open("/proc/self/maps", "rb") as maps:
            paths = {os.fsdecode(line[line.index(b"/"):].rstrip(b"\n")) for line in maps if b"/libpython3." in line}
    except OSError:
        return []
    return [p for p in paths if os.path.basename(p) != "libpython3.so" and os.path.exists(p)]

prefix = sys.prefix
home = os.path.dirname(os.path.dirname(os.path.abspath(sys.executable)))
if os.path.exists(os.path.join(home, "pyvenv.cfg")):
    prefix = home
library = mapped()
if len(library) == 1:
    folders, names = [os.path.dirname(library[0])], [os.path.basename(library[0])]
    shared = True
else:
    from sysconfig import get_config_var as v
    real = os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))
    folders = [v("LIBDIR"), real + "/lib", sys.base_prefix + "/lib", v("LIBPL"),
        v("LIBDIR") and v("MULTIARCH") and os.path.join(v("LIBDIR"), v("MULTIARCH"))]
    names = [v("INSTSONAME"), v("LDLIBRARY")]
    shared = bool(v("Py_ENABLE_SHARED"))

def strings(all):
    return "[" + ", ".join(quote(s) for s in all if s) + "]"

print('{"executable": %s, "version": %s, "name": %s, "prefix": %s, "base_prefix": %s, "shared": %s, "no_gil": %s, "names": %s, "folders": %s}' % (
    quote(sys.executable), list(sys.version_info[:3]), quote(sys.implementation.name), quote(prefix), quote(sys.base_prefix),
    "true" if shared else "false", "true" if "t" in sys.abiflags else "false", strings(names), strings(folders)))
`

const probeTime = 20 * time.Second

// Find chooses an interpreter and finds its library. python is a path or a name
// on PATH; when "", the order is the one that is packed with this program (see
// `gowsgi build`), the virtual environment that this program is installed in or linked
// from (as gunicorn's script has it), VIRTUAL_ENV, a folder .venv in dir, python3 and
// python on PATH.
func Find(ctx context.Context, python, dir string) (*Python, error) {
	if python == "" {
		if packed, err := packed(); packed != nil || err != nil {
			return packed, err
		}
	}
	executable, why, err := choose(python, dir)
	if err != nil {
		return nil, err
	}
	p, err := ask(ctx, executable)
	if err != nil {
		return nil, fmt.Errorf("asking %s (%s): %w", executable, why, err)
	}
	if p.Name != "cpython" {
		return nil, fmt.Errorf("%w: %s (%s) is %s, not CPython", ErrUnsupported, executable, why, p.Name)
	}
	if v := p.Version; v[0] != 3 || v[1] < oldestMinor || v[1] > newestMinor {
		return nil, fmt.Errorf("%w: %s (%s) is Python %d.%d.%d; gowsgi serves 3.%d to 3.%d: name another with --python",
			ErrUnsupported, executable, why, v[0], v[1], v[2], oldestMinor, newestMinor)
	}
	if p.NoGIL {
		return nil, fmt.Errorf("%w: %s (%s) is a free-threaded build of Python %d.%d.%d; gowsgi relies on the GIL: "+
			"name one that has it with --python, and use --workers for more cores",
			ErrUnsupported, executable, why, p.Version[0], p.Version[1], p.Version[2])
	}
	library, err := p.library()
	if err != nil {
		return nil, fmt.Errorf("%s (%s): %w", executable, why, err)
	}
	return &Python{
		Executable: p.Executable, Library: library,
		Version: fmt.Sprintf("%d.%d.%d", p.Version[0], p.Version[1], p.Version[2]),
		Prefix:  p.Prefix, BasePrefix: p.BasePrefix,
	}, nil
}

// packed returns the interpreter of a program of one file; nil where it is none.
func packed() (*Python, error) {
	b, err := unpacked.Here()
	if b == nil || err != nil {
		return nil, err
	}
	prefix := b.Path("")
	return &Python{
		Executable: b.Path(b.Python.Executable), Library: b.Path(unpacked.Library), Version: b.Python.Version,
		Prefix: prefix, BasePrefix: prefix,
	}, nil
}

// AppFolder returns the absolute path of a folder with Python code. In a program of one
// file (see `gowsgi build`) a relative one lies in what is packed with it.
func AppFolder(dir string) (string, error) {
	b, err := unpacked.Here()
	if err != nil {
		return "", err
	}
	if b != nil && !filepath.IsAbs(dir) {
		return filepath.Join(b.Path(unpacked.App), dir), nil
	}
	return filepath.Abs(dir)
}

// choose returns the interpreter and, for messages, why it is this one.
func choose(python, dir string) (executable, why string, err error) {
	if python != "" {
		path, err := exec.LookPath(python)
		if err != nil && !errors.Is(err, exec.ErrDot) {
			return "", "", fmt.Errorf("%w: --python %s: %w", ErrNoPython, python, err)
		}
		path, err = filepath.Abs(path)
		return path, "--python", err
	}
	for _, program := range programs() {
		if path := beside(program); path != "" {
			return path, "the virtual environment of " + program, nil
		}
	}
	if env := os.Getenv("VIRTUAL_ENV"); env != "" {
		path := filepath.Join(env, "bin", "python")
		if _, err := os.Stat(path); err != nil {
			return "", "", fmt.Errorf("%w: VIRTUAL_ENV is %s, which has no bin/python: activate another or unset it", ErrNoPython, env)
		}
		return path, "VIRTUAL_ENV", nil
	}
	local, err := filepath.Abs(filepath.Join(dir, ".venv", "bin", "python"))
	if err != nil {
		return "", "", err
	}
	if _, err := os.Stat(local); err == nil {
		return local, ".venv", nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("looking for a virtual environment: %w", err)
	}
	for _, name := range []string{"python3", "python"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, "PATH", nil
		}
	}
	return "", "", fmt.Errorf("%w: neither VIRTUAL_ENV, nor %s, nor python3 on PATH: name one with --python", ErrNoPython, local)
}

// programs returns where this program is: as it was called, which may be a link in
// a virtual environment, and where it lies.
func programs() []string {
	var all []string
	if called, err := exec.LookPath(os.Args[0]); err == nil {
		if called, err = filepath.Abs(called); err == nil {
			all = append(all, called)
		}
	}
	if self, err := os.Executable(); err == nil {
		all = append(all, self)
	}
	return all
}

// beside returns the interpreter of the virtual environment in whose bin folder a
// program lies; "" when it lies elsewhere.
func beside(program string) string {
	bin := filepath.Dir(program)
	if _, err := os.Stat(filepath.Join(filepath.Dir(bin), "pyvenv.cfg")); err != nil {
		return ""
	}
	path := filepath.Join(bin, "python")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func ask(ctx context.Context, executable string) (*probe, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, executable, "-I", "-S", "-c", probeScript)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return nil, fmt.Errorf("%w: it does not run: %w", ErrNoPython, err)
	}
	p := &probe{}
	if err := json.Unmarshal(out, p); err != nil {
		return nil, fmt.Errorf("%w: it is no Python: %w", ErrNoPython, err)
	}
	return p, nil
}

// library returns the path of the shared library.
func (p *probe) library() (string, error) {
	var tried []string
	for _, name := range p.Names {
		if !strings.Contains(name, ".so") && !strings.HasSuffix(name, ".dylib") {
			continue // libpython3.x.a
		}
		for _, folder := range p.Folders {
			path := filepath.Join(folder, name)
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
			tried = append(tried, path)
		}
	}
	short := fmt.Sprintf("%d.%d", p.Version[0], p.Version[1])
	if !p.Shared {
		return "", fmt.Errorf("%w: it was built without --enable-shared. "+
			"Take one that has it: the python%s and libpython%s packages of Debian or Ubuntu, uv's or conda's Python, "+
			"or pyenv with PYTHON_CONFIGURE_OPTS=--enable-shared", ErrNoLibrary, short, short)
	}
	return "", fmt.Errorf("%w: there is none of %s. On Debian or Ubuntu: apt install libpython%s",
		ErrNoLibrary, strings.Join(tried, ", "), short)
}
