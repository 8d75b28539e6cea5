package onefile

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, root string, files ...string) {
	t.Helper()
	for _, name := range files {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(name), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"tests", "tests", true},
		{"tests", "a/b/tests", true},
		{"tests/", "a/tests", true},
		{"tests", "a/tests/b", false}, // but the walk does not enter a/tests
		{"*.pyc", "a/b.pyc", true},
		{"/bin", "bin", true},
		{"/bin", "a/bin", false},
		{"data/*.bin", "data/a.bin", true},
		{"data/*.bin", "data/a/b.bin", false},
		{"data/*.bin", "more/data/a.bin", false},
		{"**/data/*.bin", "more/data/a.bin", true},
		{"**/data/*.bin", "data/a.bin", true},
		{"a/**/z", "a/z", true},
		{"a/**/z", "a/b/c/z", true},
		{"a/**", "a/b/c", true},
		{"a/**", "b/a", false},
		{"[ab].txt", "x/b.txt", true},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("%s on %s: %t", c.pattern, c.name, got)
		}
	}
	for _, bad := range []string{"", "/", "[", "a/[b"} {
		if CheckPattern(bad) == nil {
			t.Errorf("%q is taken for a pattern", bad)
		}
	}
	if err := CheckPattern("**/*.txt"); err != nil {
		t.Error(err)
	}
}

func TestWalk(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	write(t, root, "app.py", "a/keep.txt", "a/.git/config", ".git/config", "env/pyvenv.cfg", "x/__pycache__/y.pyc", "skip/me", "tests/test.py")
	write(t, other, "deep/file")
	err := errors.Join(
		os.Symlink(other, filepath.Join(root, "linked")), os.Symlink("app.py", filepath.Join(root, "again.py")),
		os.Mkdir(filepath.Join(root, "empty"), 0o755), syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600),
		os.Chmod(filepath.Join(root, "app.py"), 0o755),
	)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	w := &walk{
		exclude: []string{"skip"}, keep: []string{"a/.git"}, usual: usualApp,
		also: func(path string, dir bool) bool { return dir && exists(filepath.Join(path, "pyvenv.cfg")) },
		found: func(rel, _ string, exec bool) {
			if exec {
				rel += "*"
			}
			found = append(found, rel)
		},
		empty: func(rel string) { found = append(found, rel+"/") },
	}
	if err := w.run(root); err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	slices.Sort(w.out)
	if want := "a/.git/config a/keep.txt again.py* app.py* empty/ linked/deep/file tests/test.py"; strings.Join(found, " ") != want {
		t.Errorf("found %s", found)
	}
	if want := ".git env fifo skip x/__pycache__"; strings.Join(w.out, " ") != want {
		t.Errorf("left out %s", w.out)
	}
}

func TestWalkRefuses(t *testing.T) {
	for name, c := range map[string]struct{ link, says string }{
		"circle":   {".", "a folder that it is in"},
		"dangling": {"nowhere", "no such file"},
	} {
		root := t.TempDir()
		if err := os.Symlink(c.link, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		w := &walk{found: func(string, string, bool) {}}
		if err := w.run(root); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "--exclude") {
			t.Errorf("%s: %v", name, err)
		}
		w.exclude = []string{name}
		if err := w.run(root); err != nil {
			t.Errorf("%s, left out: %v", name, err)
		}
	}
}

func TestTidy(t *testing.T) {
	root := t.TempDir()
	write(t, root, "x-1.dist-info/RECORD")
	list := filepath.Join(root, "x-1.dist-info", "RECORD")
	text := "../../bin/x,sha256=a,1\nbin/x,sha256=a,1\nx/__init__.py,sha256=b,2\nx-1.dist-info/direct_url.json,sha256=c,3\nx-1.dist-info/RECORD,,\n"
	if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := tidy(root); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(list)
	if want := "x/__init__.py,sha256=b,2\nx-1.dist-info/RECORD,,\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEpoch(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "315532800": 315532800, "yesterday": -1, "0": -1} {
		t.Setenv("SOURCE_DATE_EPOCH", text)
		if got, err := epoch(); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

// TestNotAProgram: what could not be started where it is unpacked is refused.
func TestNotAProgram(t *testing.T) {
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	for says, data := range map[string][]byte{
		"no program":                []byte("#!/bin/sh\n"),
		"pyembed":                   shell,
		"it is no program that is ": shell[:2],
	} {
		if _, _, err := relocatable(data); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.10q: %v, want %s", data, err, says)
		}
	}
}

// TestRequirementsOrder: what is named wins over what is found.
func TestRequirementsOrder(t *testing.T) {
	dir := t.TempDir()
	b := &builder{Options: Options{Dir: dir, Log: io.Discard}}
	b.layout.Tomllib = true
	b.Python.Executable = filepath.Join(dir, "python")
	// It says what pyproject.toml depends on, or is asked what is installed.
	script := "#!/bin/sh\ncase \"$3\" in *distributions*) echo '[[\"frozen==1\"], [\"local\"]]';; *) cat \"$4\";; esac\n"
	if err := os.WriteFile(b.Python.Executable, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		r, err := b.findRequirements(context.Background())
		if got := strings.Join(append(r.files, r.single...), " "); err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	check("")
	b.Venv = filepath.Join(dir, "venv")
	if err := errors.Join(os.MkdirAll(filepath.Join(b.Venv, "bin"), 0o755), os.Symlink(b.Python.Executable, filepath.Join(b.Venv, "bin", "python"))); err != nil {
		t.Fatal(err)
	}
	check("frozen==1")
	project := filepath.Join(dir, "pyproject.toml")
	for text, want := range map[string]string{"null": "frozen==1", "[]": "", `["flask"]`: "flask"} {
		if err := os.WriteFile(project, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		check(want)
	}
	if err := os.WriteFile(project, []byte(`["flask"]`), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "requirements.txt")
	check(filepath.Join(dir, "requirements.txt"))
	b.Require = []string{"one"}
	check("one")
	b.Requirements = []string{"a.txt", project}
	check("a.txt one flask")
}
