package reload

import (
	"os"
	"path/filepath"
	"time"
)

// file is one that is watched.
type file struct {
	path string // as it was added
	last stamp
	by   means
}

// means is how changes of a file are noticed.
type means int

const (
	uncovered means = iota // by looking, until events can tell
	looks                  // by looking, for good
	events
)

// stamp tells versions of a file apart. The zero value is a file that is not there.
// Inode numbers are not in it: they change by themselves on FUSE and overlayfs.
type stamp struct {
	modified int64
	size     int64
}

// stampOf returns the stamp of what a path leads to.
func stampOf(path string) (s stamp, dir bool) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, false
	}
	return stamp{info.ModTime().UnixNano(), info.Size()}, info.IsDir()
}

// learn adds a file as it is now, and returns nil if it is known already.
func (w *Watcher) learn(path string, since time.Time) *file {
	if path = filepath.Clean(path); w.files[path] != nil {
		return nil
	}
	f := &file{path: path}
	f.last, _ = stampOf(path)
	w.files[path] = f
	modified := time.Unix(0, f.last.modified)
	// A time in the future is no change, however often one looks: it is a clock
	// that is ahead, on another machine.
	if !since.IsZero() && modified.After(since) && !modified.After(time.Now()) {
		w.report(f)
	}
	return f
}

// check compares a file with what it was. One that is gone is still what it was:
// many programs save by removing first, and gunicorn waits for the new one too.
func (w *Watcher) check(f *file) {
	now, _ := stampOf(f.path)
	if now == (stamp{}) || now == f.last {
		return
	}
	f.last = now
	w.report(f)
}

// report keeps the newest change, which all who watch the same files agree on.
func (w *Watcher) report(f *file) {
	c := Change{Path: f.path, Modified: time.Unix(0, f.last.modified)}
	if u := w.unreported; u == nil || c.Modified.After(u.Modified) || c.Modified.Equal(u.Modified) && c.Path < u.Path {
		w.unreported = &c
	}
}
