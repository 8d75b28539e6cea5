package onefile

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// What is left out by default: a name at any depth, or with a slash a path.
var (
	usualAlways = []string{"__pycache__", "*.pyc", "*.pyo"}
	usualApp    = slices.Concat(usualAlways, []string{
		".git", ".hg", ".svn", ".venv", "node_modules", ".tox", ".nox", ".cache", ".idea", ".vscode", ".DS_Store",
		".mypy_cache", ".pytest_cache", ".ruff_cache", ".env",
	})
	usualPython = slices.Concat(usualAlways, []string{
		"site-packages", "dist-packages", "sitecustomize.py", "EXTERNALLY-MANAGED", "test", "tests", "idlelib", "tkinter", "_tkinter*",
		"turtle.py", "turtledemo", "ensurepip", "venv", "lib2to3", "pydoc_data", "_pyrepl", "__phello__", "config-*", "*.a",
		"_test*", "_ctypes_test*", "_xxtestfuzz*", "xxlimited*", "xxsubtype*",
	})
	usualPackages = slices.Concat(usualAlways, []string{"/bin", "direct_url.json"})
)

// CheckPattern tells whether a pattern can be used.
func CheckPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || strings.Trim(pattern, "/") == "" {
		return fmt.Errorf("%q is no pattern", pattern)
	}
	return nil
}

// matches tells whether a pattern fits a path. One without a slash fits the last name
// of it, any other the whole; ** is any number of folders.
func matches(pattern, rel string) bool {
	if trimmed := strings.TrimSuffix(pattern, "/"); !strings.Contains(trimmed, "/") {
		ok, _ := path.Match(trimmed, path.Base(rel))
		return ok
	}
	return matchParts(strings.Split(strings.Trim(pattern, "/"), "/"), strings.Split(rel, "/"))
}

func matchParts(pattern, names []string) bool {
	if len(pattern) == 0 {
		return len(names) == 0
	}
	if pattern[0] == "**" {
		return matchParts(pattern[1:], names) || len(names) > 0 && matchParts(pattern, names[1:])
	}
	if len(names) == 0 {
		return false
	}
	ok, _ := path.Match(pattern[0], names[0])
	return ok && matchParts(pattern[1:], names[1:])
}

func anyMatches(patterns []string, rel string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, rel) })
}

// walk goes through a folder. Links are followed: what they lead to may not come along.
type walk struct {
	exclude, keep []string
	usual         []string
	also          func(path string, dir bool) bool // nil: nothing more is left out
	found         func(rel, path string, exec bool)
	empty         func(rel string) // nil: empty folders do not count
	out           []string         // what was left out
}

func (w *walk) run(root string) error { return w.folder(root, "", nil) }

// folder goes through a folder; above are those that it is in, without links.
func (w *walk) folder(dir, rel string, above []string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if slices.Contains(above, real) {
		return fmt.Errorf("%s is a link to a folder that it is in: leave it out with --exclude", dir)
	}
	above = append(above[:len(above):len(above)], real)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) == 0 && rel != "" && w.empty != nil {
		w.empty(rel)
	}
	for _, e := range entries {
		if err := w.entry(filepath.Join(dir, e.Name()), path.Join(rel, e.Name()), above); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(file, rel string, above []string) error {
	if w.leaves(file, rel) {
		w.out = append(w.out, rel)
		return nil
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return fmt.Errorf("%w: leave it out with --exclude", err)
	case info.IsDir():
		return w.folder(file, rel, above)
	case !info.Mode().IsRegular(): // a socket or the like
		w.out = append(w.out, rel)
		return nil
	}
	w.found(rel, file, info.Mode()&0o111 != 0)
	return nil
}

func (w *walk) leaves(file, rel string) bool {
	if anyMatches(w.exclude, rel) {
		return true
	}
	if anyMatches(w.keep, rel) {
		return false
	}
	info, err := os.Stat(file)
	isDir := err == nil && info.IsDir()
	return anyMatches(w.usual, rel) || w.also != nil && w.also(file, isDir)
}
