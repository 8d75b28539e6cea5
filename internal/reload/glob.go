package reload

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	wild      = "*?["
	recursive = "**"
)

// pattern is a path that stands for any number of files, from a folder on.
type pattern struct{ base, text string }

// IsPattern tells whether a path in Options.Extra stands for any number of files.
func IsPattern(path string) bool { return strings.ContainsAny(path, wild) }

// isReadable tells whether a pattern is well formed.
func isReadable(text string) bool {
	_, err := filepath.Match(goPattern(text), "")
	return err == nil
}

// goPattern writes a pattern of Python's as one of package filepath: what negates
// is [!...] there, and a backslash stands for itself.
func goPattern(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), "[!", "[^")
}

// search finds what the patterns match, again and again, since files may come.
func (w *Watcher) search() {
	for {
		started := time.Now()
		var found []string
		for _, p := range w.patterns {
			found = append(found, p.glob()...)
		}
		w.Add(time.Time{}, found...)
		select {
		case <-w.done:
			return
		case <-time.After(max(w.every, searchShare*time.Since(started))):
		}
	}
}

// glob returns the files that match, read as Python's glob.glob(text,
// recursive=True) does: ** is any number of folders, and what begins with a dot is
// matched only by what does so too. Unlike there, ** does not follow links to
// folders, which may go in circles.
func (p pattern) glob() []string {
	paths := []string{p.base}
	for part := range strings.SplitSeq(strings.TrimPrefix(filepath.Clean(p.text), "/"), "/") {
		var next []string
		for _, dir := range paths {
			next = append(next, step(dir, part)...)
		}
		slices.Sort(next)
		paths = slices.Compact(next) // a/**/**/b reaches the same folders twice
	}
	return slices.DeleteFunc(paths, func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.Mode().IsRegular() || isTemporary(filepath.Base(path))
	})
}

// step returns what one part of a pattern matches in a folder.
func step(dir, part string) []string {
	switch {
	case part == recursive:
		return below(dir)
	case !IsPattern(part):
		return []string{filepath.Join(dir, part)}
	}
	var found []string
	for _, entry := range entries(dir) {
		name := entry.Name()
		hidden := strings.HasPrefix(name, ".") && !strings.HasPrefix(part, ".")
		if ok, _ := filepath.Match(goPattern(part), name); ok && !hidden {
			found = append(found, filepath.Join(dir, name))
		}
	}
	return found
}

// below returns a folder and all that is in it, less what is hidden, caches and
// links to folders.
func below(dir string) []string {
	found := []string{dir}
	for _, entry := range entries(dir) {
		path := filepath.Join(dir, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), "."), entry.Name() == "__pycache__":
		case entry.IsDir():
			found = append(found, below(path)...)
		case entry.Type()&os.ModeSymlink == 0 || !isFolder(path):
			found = append(found, path)
		}
	}
	return found
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// entries lists a folder; nothing if it is none.
func entries(dir string) []os.DirEntry {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	return list
}

// isTemporary tells the names of what editors keep beside a file while they write.
func isTemporary(name string) bool {
	return strings.HasSuffix(name, "~") || strings.HasPrefix(name, "#") ||
		slices.Contains([]string{".swp", ".swo", ".swx", ".tmp", ".pyc"}, filepath.Ext(name)) || name == "4913" // vim's
}
