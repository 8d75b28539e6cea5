package reload

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/hashicorp/go-hclog"
)

const (
	patience = 5 * time.Second
	// quick is how often tests look; silence is how long nothing must come.
	quick   = 30 * time.Millisecond
	silence = 250 * time.Millisecond
)

// write writes a file, with its folders.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// age makes a file old, so that a save in the same tick of the clock still shows.
func age(t *testing.T, path string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(path, old, old))
}

func watch(t *testing.T, o Options) *Watcher {
	t.Helper()
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Every == 0 {
		o.Every = quick
	}
	w, err := Watch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// done returns when the watcher has done all it was asked for so far.
func done(w *Watcher) { w.Add(time.Time{}); w.Add(time.Time{}) }

// next returns the next change.
func next(t *testing.T, w *Watcher) Change {
	t.Helper()
	select {
	case c := <-w.Changes():
		return c
	case <-time.After(patience):
		t.Fatal("nothing was noticed")
	}
	return Change{}
}

func expect(t *testing.T, w *Watcher, path string) {
	t.Helper()
	if c := next(t, w); c.Path != path {
		t.Errorf("changed: %s, want %s", c.Path, path)
	}
}

func expectSilence(t *testing.T, w *Watcher) {
	t.Helper()
	select {
	case c := <-w.Changes():
		t.Errorf("%s was reported", c.Path)
	case <-time.After(silence):
	}
}

// ways are how programs save; each changes the file at path.
var ways = map[string]func(t *testing.T, path string){
	"in place": func(t *testing.T, path string) { write(t, path, "new") },
	"same size": func(t *testing.T, path string) {
		text, err := os.ReadFile(path)
		must(t, err)
		write(t, path, strings.ToUpper(string(text)))
	},
	"by rename": func(t *testing.T, path string) {
		write(t, path+".new", "new")
		must(t, os.Rename(path+".new", path))
	},
	"as vim does": func(t *testing.T, path string) {
		must(t, os.Rename(path, path+"~"))
		write(t, path, "new")
		must(t, os.Remove(path+"~"))
	},
	"deleted and made anew": func(t *testing.T, path string) {
		must(t, os.Remove(path))
		time.Sleep(2 * settleTime)
		write(t, path, "new")
	},
	"touched": func(t *testing.T, path string) { must(t, os.Chtimes(path, time.Now(), time.Now())) },
	"an older one put there": func(t *testing.T, path string) {
		write(t, path+".old", "older")
		old := time.Now().Add(-2 * time.Hour)
		must(t, os.Chtimes(path+".old", old, old))
		must(t, os.Rename(path+".old", path))
	},
	"another link": func(t *testing.T, path string) {
		write(t, path+".target", "new")
		must(t, os.Symlink(path+".target", path+".link"))
		must(t, os.Rename(path+".link", path))
	},
	"with its folder": func(t *testing.T, path string) {
		dir := filepath.Dir(path)
		must(t, os.RemoveAll(dir))
		time.Sleep(2 * settleTime)
		write(t, path, "new")
	},
	"its folder exchanged": func(t *testing.T, path string) {
		dir := filepath.Dir(path)
		write(t, filepath.Join(dir+".new", filepath.Base(path)), "new")
		must(t, os.Rename(dir, dir+".old"))
		must(t, os.Rename(dir+".new", dir))
	},
}

func TestWaysToSave(t *testing.T) {
	for _, engine := range []Engine{Notify, Poll} {
		for name, save := range ways {
			t.Run(string(engine)+" "+name, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "src", "app.py")
				write(t, path, "one")
				age(t, path)
				w := watch(t, Options{Engine: engine})
				w.Add(time.Time{}, path)
				done(w)
				save(t, path)
				expect(t, w, path)
				expectSilence(t, w) // once
				// And again: what is watched now is the new file.
				time.Sleep(20 * time.Millisecond) // the file system's clock
				write(t, path, "three")
				expect(t, w, path)
			})
		}
	}
}

// TestAFolderAboveIsExchanged: the folders in it are others then, too.
func TestAFolderAboveIsExchanged(t *testing.T) {
	project := filepath.Join(t.TempDir(), "project")
	top, deep := filepath.Join(project, "app.py"), filepath.Join(project, "a", "b", "deep.py")
	for _, dir := range []string{project, project + ".new"} {
		write(t, filepath.Join(dir, "app.py"), "one")
		write(t, filepath.Join(dir, "a", "b", "deep.py"), "one")
	}
	age(t, top)
	w := watch(t, Options{Engine: Notify})
	w.Add(time.Time{}, top, deep)
	done(w)
	must(t, os.Rename(project, project+".old"))
	must(t, os.Rename(project+".new", project))
	next(t, w) // the exchange itself
	expectSilence(t, w)
	write(t, deep, "changed")
	expect(t, w, deep)
}

// TestLinks: the file is saved where it really is, whatever path leads there.
func TestLinks(t *testing.T) {
	for _, engine := range []Engine{Notify, Poll} {
		t.Run(string(engine), func(t *testing.T) {
			dir := t.TempDir()
			real := filepath.Join(dir, "real", "app.py")
			write(t, real, "one")
			age(t, real)
			must(t, os.MkdirAll(filepath.Join(dir, "links"), 0o755))
			must(t, os.Symlink(real, filepath.Join(dir, "links", "app.py")))
			must(t, os.Symlink(filepath.Join(dir, "real"), filepath.Join(dir, "folder")))
			for _, path := range []string{
				real, filepath.Join(dir, "links", "app.py"), filepath.Join(dir, "folder", "app.py"),
			} {
				w := watch(t, Options{Engine: engine})
				w.Add(time.Time{}, path)
				done(w)
				time.Sleep(20 * time.Millisecond)
				write(t, real, "to "+path)
				expect(t, w, path)
			}
			// Several paths to one file: one change, by the first name.
			w := watch(t, Options{Engine: engine})
			w.Add(time.Time{}, real, filepath.Join(dir, "folder", "app.py"))
			done(w)
			time.Sleep(20 * time.Millisecond)
			write(t, real, "all")
			expect(t, w, filepath.Join(dir, "folder", "app.py"))
			expectSilence(t, w)
		})
	}
}

// TestSavesAtOnceAreOneChange, and the one who takes it late hears of the newest.
func TestSavesAtOnceAreOneChange(t *testing.T) {
	dir := t.TempDir()
	w := watch(t, Options{Engine: Notify})
	var paths []string
	for i := range 100 {
		path := filepath.Join(dir, fmt.Sprint(i%7), fmt.Sprintf("m%02d.py", i))
		write(t, path, "")
		age(t, path)
		paths = append(paths, path)
	}
	w.Add(time.Time{}, paths...)
	done(w)
	for _, path := range paths {
		write(t, path, "saved")
	}
	newest := time.Now().Add(time.Minute).Truncate(time.Second)
	must(t, os.Chtimes(paths[33], newest, newest))
	if c := next(t, w); c.Path != paths[33] || !c.Modified.Equal(newest) {
		t.Errorf("changed: %v, want %s", c, paths[33])
	}
	expectSilence(t, w)
}

// TestSavesWithoutEnd: that more come does not put the first off for ever.
func TestSavesWithoutEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.py")
	write(t, path, "")
	age(t, path)
	w := watch(t, Options{Engine: Notify})
	w.Add(time.Time{}, path)
	done(w)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(settleTime / 5):
				write(t, path, time.Now().String())
			}
		}
	}()
	expect(t, w, path)
	close(stop)
	<-stopped
}

// TestOthersAreNothing: neighbours, caches, editors' files, a file that is only read.
func TestOthersAreNothing(t *testing.T) {
	for _, engine := range []Engine{Notify, Poll} {
		t.Run(string(engine), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.py")
			write(t, path, "one")
			w := watch(t, Options{Engine: engine, Extra: []string{filepath.Join(dir, "**/*")}})
			w.Add(time.Time{}, path)
			done(w)
			for _, other := range []string{".app.py.swp", "app.py~", "4913", "#app.py#", "__pycache__/app.cpython-313.pyc", ".git/index"} {
				write(t, filepath.Join(dir, other), "x")
				time.Sleep(2 * quick)
				write(t, filepath.Join(dir, other), "xx")
			}
			_, err := os.ReadFile(path)
			must(t, err)
			must(t, os.Chmod(path, 0o600))
			must(t, os.Rename(path, path+"~"))
			must(t, os.Rename(path+"~", path)) // back again: as it was
			expectSilence(t, w)
			must(t, os.Remove(path)) // gone is not changed: the new one may come
			expectSilence(t, w)
		})
	}
}

// TestFilesThatAreMissing count as changed when they come, wherever.
func TestFilesThatAreMissing(t *testing.T) {
	for _, engine := range []Engine{Notify, Poll} {
		for _, name := range []string{"new.py", "new/__init__.py", "a/b/c.py"} {
			t.Run(string(engine)+" "+name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), name)
				w := watch(t, Options{Engine: engine})
				w.Add(time.Time{}, path)
				expectSilence(t, w)
				write(t, path, "")
				expect(t, w, path)
			})
		}
	}
}

// TestSince: what was saved while it was read counts.
func TestSince(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.py")
	write(t, path, "")
	at := func(d time.Duration) time.Time { return time.Now().Add(d) }
	for _, tt := range []struct {
		name            string
		modified, since time.Time
		want            bool
	}{
		{"saved after", at(-time.Second), at(-2 * time.Second), true},
		{"saved before", at(-2 * time.Second), at(-time.Second), false},
		{"a clock that is ahead", at(time.Minute), at(-time.Second), false},
		{"whenever", at(-time.Second), time.Time{}, false},
	} {
		must(t, os.Chtimes(path, tt.modified, tt.modified))
		w := watch(t, Options{})
		w.Add(tt.since, path)
		if tt.want {
			expect(t, w, path)
		} else {
			expectSilence(t, w)
		}
		w.Add(at(-time.Hour), path) // known: nothing new
		expectSilence(t, w)
	}
}

// TestExtraFiles: plain ones and patterns, relative ones from the present folder; a
// new match is watched, but not news by itself.
func TestExtraFiles(t *testing.T) {
	for _, engine := range []Engine{Auto, Poll} {
		t.Run(string(engine), func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			plain, page := filepath.Join(dir, "app.toml"), filepath.Join(dir, "templates", "a", "page.html")
			for _, path := range []string{plain, page} {
				write(t, path, "one")
				age(t, path)
			}
			w := watch(t, Options{Engine: engine, Extra: []string{"app.toml", "templates/**/*.html", "nothing/*"}})
			t.Chdir("/")
			time.Sleep(5 * quick)
			write(t, plain, "two")
			expect(t, w, plain)
			write(t, page, "two")
			expect(t, w, page)
			later := filepath.Join(dir, "templates", "b", "later.html")
			write(t, later, "one")
			expectSilence(t, w)
			write(t, later, "two")
			expect(t, w, later)
		})
	}
}

func TestAFolderAsExtraFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "conf.d")
	must(t, os.Mkdir(dir, 0o755))
	age(t, dir)
	w := watch(t, Options{Extra: []string{dir}})
	done(w)
	write(t, filepath.Join(dir, "new.conf"), "")
	expect(t, w, dir)
}

// TestTheKernelsLimit: what is past it is polled, with one warning; the rest is not.
func TestTheKernelsLimit(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	w, err := prepare(Options{Every: quick, Log: hclog.New(&hclog.LoggerOptions{Output: &log})})
	must(t, err)
	asked := 0
	w.addFolder = func(dir string) error {
		if asked++; asked > 1 {
			return syscall.ENOSPC
		}
		return w.notify.Add(dir)
	}
	w.start()
	var paths []string
	for i := range 4 {
		path := filepath.Join(dir, fmt.Sprint(i), "m.py")
		write(t, path, "one")
		age(t, path)
		paths = append(paths, path)
	}
	w.Add(time.Time{}, paths...)
	for _, path := range paths {
		done(w)
		write(t, path, "two")
		expect(t, w, path)
	}
	w.Close()
	if n := strings.Count(log.String(), "[WARN]"); n != 1 || !strings.Contains(log.String(), "max_user_watches") {
		t.Errorf("%d warnings:\n%s", n, log.String())
	}
	if asked != 4 {
		t.Errorf("the kernel was asked %d times for 4 folders", asked)
	}
}

// TestLostEvents: the kernel's queue was full, so anything may have changed.
func TestLostEvents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.py")
	write(t, path, "one")
	age(t, path)
	w, err := prepare(Options{Log: hclog.NewNullLogger()})
	must(t, err)
	w.addFolder = func(string) error { return nil } // no event will come
	w.start()
	t.Cleanup(w.Close)
	w.Add(time.Time{}, path)
	done(w)
	write(t, path, "two")
	expectSilence(t, w)
	w.notify.Errors <- fsnotify.ErrEventOverflow
	expect(t, w, path)
}

func TestOptionsErrors(t *testing.T) {
	for want, o := range map[string]Options{
		"no reload engine": {Engine: "kqueue"},
		"malformed":        {Extra: []string{"templates/[a-"}},
	} {
		if _, err := Watch(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
}

// TestCloseLeavesNothing: no descriptor, no goroutine, whatever it was doing.
func TestCloseLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.py")
	write(t, path, "")
	one := func() {
		w, err := Watch(Options{Every: time.Millisecond, Log: hclog.NewNullLogger(), Extra: []string{filepath.Join(dir, "*")}})
		must(t, err)
		w.Add(time.Time{}, path)
		write(t, path, time.Now().String())
		time.Sleep(time.Millisecond)
		w.Close()
		w.Add(time.Time{}, path) // returns
	}
	one()
	files, goroutines := descriptors(t), runtime.NumGoroutine()
	for range 50 {
		one()
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		t.Errorf("%d goroutines, before %d", now, goroutines)
	}
	if now := descriptors(t); now > files {
		t.Errorf("%d descriptors, before %d", now, files)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/dev/fd")
	must(t, err)
	return len(list)
}
