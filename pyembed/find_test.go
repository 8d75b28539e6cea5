package pyembed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakePython writes a shell script that stands for an interpreter.
func fakePython(t *testing.T, dir, name, script string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// says is the script of an interpreter that describes itself so; a library is
// beside it in dir.
func says(dir, version string, change ...string) string {
	v := strings.ReplaceAll(version, ".", ", ")
	text := fmt.Sprintf(`{"executable": "%s/python", "version": [%s], "name": "cpython", "prefix": "%s", "base_prefix": "/base",
		"shared": true, "names": ["libpython3.so", "libpython3.a"], "folders": ["%s"]}`, dir, v, dir, dir)
	for i := 0; i+1 < len(change); i += 2 {
		text = strings.ReplaceAll(text, change[i], change[i+1])
	}
	return "cat <<'END'\n" + text + "\nEND"
}

// place makes a folder with an interpreter of that version and its library.
func place(t *testing.T, dir, name, version string) string {
	t.Helper()
	path := fakePython(t, dir, name, says(dir, version))
	if err := os.WriteFile(filepath.Join(dir, "libpython3.so"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFindOrder: --python, VIRTUAL_ENV, .venv, python3 on PATH, python on PATH.
func TestFindOrder(t *testing.T) {
	root := t.TempDir()
	flag := place(t, root+"/flag", "mypython", "3.10.1")
	place(t, root+"/env/bin", "python", "3.10.2")
	place(t, root+"/app/.venv/bin", "python", "3.10.3")
	place(t, root+"/path3", "python3", "3.10.4")
	place(t, root+"/path", "python", "3.10.5")
	for _, tt := range []struct {
		name, python, env, dir, path string
		want                         string
	}{
		{"all", flag, "env", "app", "path3", "3.10.1"},
		{"name on PATH", "mypython", "env", "app", "flag", "3.10.1"},
		{"no flag", "", "env", "app", "path3", "3.10.2"},
		{"no VIRTUAL_ENV", "", "", "app", "path3", "3.10.3"},
		{"no .venv", "", "", "", "path3", "3.10.4"},
		{"python alone", "", "", "", "path", "3.10.5"},
		{"python3 before python", "", "", "", "path:path3", "3.10.4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("VIRTUAL_ENV", under(root, tt.env))
			var dirs []string
			for d := range strings.SplitSeq(tt.path, ":") {
				dirs = append(dirs, under(root, d))
			}
			t.Setenv("PATH", strings.Join(append(dirs, "/usr/bin:/bin/nothing"), ":"))
			if tt.name == "python alone" { // no python3 of the system; the scripts need cat
				cat, err := os.ReadFile("/bin/cat")
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(root+"/path/cat", cat, 0o755); err != nil {
					t.Fatal(err)
				}
				t.Setenv("PATH", root+"/path")
			}
			dir := under(root, tt.dir)
			if dir == "" {
				dir = root
			}
			p, err := Find(context.Background(), tt.python, dir)
			if err != nil {
				t.Fatal(err)
			}
			if p.Version != tt.want || p.BasePrefix != "/base" || filepath.Dir(p.Library) != p.Prefix {
				t.Errorf("%+v, want version %s", p, tt.want)
			}
		})
	}
}

func under(root, name string) string {
	if name == "" {
		return ""
	}
	return filepath.Join(root, name)
}

// TestFindErrors: each is of its kind and says what to do.
func TestFindErrors(t *testing.T) {
	t.Setenv("VIRTUAL_ENV", "")
	for _, tt := range []struct {
		name, script string
		kind         error
		want         []string
	}{
		{"fails", "echo oh no >&2; exit 7", ErrNoPython, []string{"does not run", "exit status 7", "oh no"}},
		{"prints something else", "echo hello", ErrNoPython, []string{"it is no Python"}},
		{"too old", says("", "3.9.18"), ErrUnsupported, []string{"is Python 3.9.18", "3.10 to 3.14", "--python"}},
		{"too new", says("", "3.15.0"), ErrUnsupported, []string{"is Python 3.15.0"}},
		{"Python 4", says("", "4.11.0"), ErrUnsupported, []string{"is Python 4.11.0"}},
		{"PyPy", says("", "3.10.1", "cpython", "pypy"), ErrUnsupported, []string{"is pypy, not CPython"}},
		{"free-threaded", says("", "3.13.1", `"shared"`, `"no_gil": true, "shared"`), ErrUnsupported,
			[]string{"is a free-threaded build of Python 3.13.1", "--workers"}},
		{"static", says("", "3.11.7", "true", "false", "libpython3.so", "libpython3.11.a"), ErrNoLibrary,
			[]string{"--enable-shared", "libpython3.11", "pyenv"}},
		{"library not installed", says("/nowhere", "3.11.7"), ErrNoLibrary, []string{"/nowhere/libpython3.so", "apt install libpython3.11"}},
		// Python 2 has no -I: it says so and gives up.
		{"Python 2", `echo "Unknown option: -I" >&2; exit 2`, ErrNoPython, []string{"Unknown option: -I"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := fakePython(t, t.TempDir(), "py", tt.script)
			_, err := Find(context.Background(), path, "")
			if !errors.Is(err, tt.kind) {
				t.Fatalf("got %v", err)
			}
			for _, w := range append(tt.want, path, "--python") {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("no %q in %v", w, err)
				}
			}
		})
	}
}

func TestFindNothing(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	for name, tt := range map[string]struct{ python, env, want string }{
		"nothing":           {"", "", "name one with --python"},
		"no such name":      {"python9", "", "--python python9"},
		"no such path":      {empty + "/python", "", "--python " + empty},
		"a folder":          {empty, "", "--python " + empty},
		"empty VIRTUAL_ENV": {"", empty, "VIRTUAL_ENV is " + empty},
	} {
		t.Setenv("VIRTUAL_ENV", tt.env)
		if _, err := Find(context.Background(), tt.python, empty); !errors.Is(err, ErrNoPython) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// TestFindReal: the interpreter of the tests, as it says of itself.
func TestFindReal(t *testing.T) {
	p, err := testPython()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.Library); err != nil || !strings.HasPrefix(p.Version, "3.") || !filepath.IsAbs(p.Executable) || p.Prefix == "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestFindAwkward: a path with what JSON and the kernel's maps escape or may confuse.
func TestFindAwkward(t *testing.T) {
	real, err := testPython()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), `a "b" \ c /libpython3.so é`, "python")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	executable, err := filepath.EvalSymlinks(real.Executable)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(executable, path); err != nil {
		t.Fatal(err)
	}
	p, err := Find(context.Background(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	if p.Executable != path || p.Version != real.Version || p.Library != real.Library {
		t.Errorf("%+v is not %+v", p, real)
	}
}

// TestAppFolder: where nothing is packed with the program, folders are from the current one.
func TestAppFolder(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{"": here, "a": filepath.Join(here, "a"), "/a/../b": "/b"} {
		if got, err := AppFolder(dir); err != nil || got != want {
			t.Errorf("%q: %s, %v", dir, got, err)
		}
	}
}
