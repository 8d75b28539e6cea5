package reload

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// folder is one that holds watched files. Folders are watched rather than files,
// since editors put a new file in the old one's place.
type folder struct {
	by    means
	files []*file
}

func (w *Watcher) openNotify() {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		w.warn(err)
		return
	}
	w.notify, w.addFolder = notify, notify.Add
}

// cover has a file's folders watched, as far as they can be: the one it lies in,
// and the one of the file that it links to.
func (w *Watcher) cover(f *file) {
	if w.notify == nil {
		return
	}
	places, ok := realPlaces(f.path)
	f.by = uncovered
	if ok {
		f.by = events
	}
	for _, place := range places {
		if !slices.Contains(w.names[place], f) {
			w.names[place] = append(w.names[place], f)
		}
		f.by = min(f.by, w.watchFolder(filepath.Dir(place), f))
	}
}

// realPlaces returns the paths, without links on the way, of a file and of what it
// links to; and whether events at those tell all. fsnotify knows a folder by one
// path, whichever links lead to it.
func realPlaces(path string) (places []string, whole bool) {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return nil, false // the folder is not there
	}
	places = []string{filepath.Join(dir, filepath.Base(path))}
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return places, true // it may come
	case info.Mode()&os.ModeSymlink == 0:
		return places, !info.IsDir() // its folder's events do not tell what is made in it
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return places, false
	}
	return append(places, target), true
}

// watchFolder has a folder of a file's watched, and tells how its changes will be
// noticed.
func (w *Watcher) watchFolder(dir string, f *file) means {
	d := w.folders[dir]
	if d == nil {
		d = &folder{}
		if w.engine == Auto && isRemote(dir) {
			d.by = looks
		}
		w.folders[dir] = d
	}
	if !slices.Contains(d.files, f) {
		d.files = append(d.files, f)
	}
	if d.by != uncovered {
		return d.by
	}
	switch err := w.addFolder(dir); {
	case err == nil:
		d.by = events
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENOMEM):
		d.by = looks
		w.warn(err)
	default: // it is gone, and may come back
	}
	return d.by
}

// uncover takes note that a folder is gone or another now, and so are those in it.
func (w *Watcher) uncover(dir string) {
	for path, d := range w.folders {
		if d.by != events || path != dir && !strings.HasPrefix(path, dir+"/") {
			continue
		}
		_ = w.notify.Remove(path) // it may be gone from there, which is what this is about
		d.by = uncovered
		for _, f := range d.files {
			f.by = uncovered
		}
	}
}

// warn says once that changes take longer to be noticed, and why.
func (w *Watcher) warn(err error) {
	if w.warned {
		return
	}
	w.warned = true
	w.log.Warn("the kernel cannot watch all files: looking at the others once a second (see fs.inotify.max_user_watches and max_user_instances)", "error", err)
}
