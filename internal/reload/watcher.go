package reload

import (
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/hashicorp/go-hclog"
)

// Engine is how changes are noticed, by gunicorn's names.
type Engine string

const (
	Auto   Engine = "auto"    // as Notify, but what lies on a network or FUSE is polled
	Poll   Engine = "poll"    // each file's time and size, once a second
	Notify Engine = "inotify" // the kernel tells; what it cannot watch is polled
)

// Options says what to watch, and how.
type Options struct {
	Engine Engine // "" is Auto
	// Extra are further files, and patterns as Python's glob reads them. Relative
	// ones begin in Dir, "" for the current folder.
	Extra []string
	Dir   string
	Log   hclog.Logger
	Every time.Duration // between two looks, and searches for Extra; 0: a second
}

// Change is a file that was saved.
type Change struct {
	Path     string    // as it was added
	Modified time.Time // its time now: tells this change from the file's next
}

// Watcher watches files until it is closed.
type Watcher struct {
	engine   Engine
	log      hclog.Logger
	every    time.Duration
	patterns []pattern
	adds     chan addition
	changes  chan Change
	done     chan struct{}
	running  sync.WaitGroup

	// What follows is the loop's alone.
	files      map[string]*file
	folders    map[string]*folder // by real path
	names      map[string][]*file // by the real paths that events name
	notify     *fsnotify.Watcher  // nil: everything is polled
	addFolder  func(string) error // notify.Add
	warned     bool               // that something is polled
	touched    map[*file]struct{} // an event named them; looked at when it is quiet
	quiet      *time.Timer        // runs while there are any
	touchedAt  time.Time          // the first of them
	unreported *Change            // the newest that nobody has taken yet
}

type addition struct {
	files []string
	since time.Time
}

const (
	// An editor's save is several events, a checkout many: they are one change when
	// no more come for settleTime, or after settleLimit.
	settleTime  = 50 * time.Millisecond
	settleLimit = 500 * time.Millisecond
	// Where looking takes long, as on a network, it may take this part of the time,
	// and so may searching.
	lookShare   = 5
	searchShare = 20
)

// Watch starts watching. The error is a pattern's or an engine's name.
func Watch(o Options) (*Watcher, error) {
	w, err := prepare(o)
	if err == nil {
		w.start()
	}
	return w, err
}

func prepare(o Options) (*Watcher, error) {
	w := &Watcher{
		engine: o.Engine, log: o.Log, every: o.Every,
		adds: make(chan addition), changes: make(chan Change), done: make(chan struct{}),
		files: map[string]*file{}, folders: map[string]*folder{}, names: map[string][]*file{},
		touched: map[*file]struct{}{},
	}
	switch o.Engine {
	case "":
		w.engine = Auto
	case Auto, Poll, Notify:
	default:
		return nil, fmt.Errorf("%q is no reload engine: it must be %s, %s or %s", o.Engine, Auto, Poll, Notify)
	}
	if w.every == 0 {
		w.every = time.Second
	}
	here, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	for _, name := range o.Extra {
		base := here
		if filepath.IsAbs(name) {
			base = "/"
		}
		switch {
		case !IsPattern(name):
			w.learn(filepath.Join(base, name), time.Time{})
		case !isReadable(name):
			return nil, fmt.Errorf("watching %s: the pattern is malformed", name)
		default:
			w.patterns = append(w.patterns, pattern{base, name})
		}
	}
	if w.engine != Poll {
		w.openNotify()
	}
	return w, nil
}

func (w *Watcher) start() {
	w.quiet = time.NewTimer(time.Hour)
	w.quiet.Stop()
	for _, f := range w.files {
		w.cover(f)
		w.check(f)
	}
	w.running.Go(w.loop)
	if len(w.patterns) > 0 {
		w.running.Go(w.search)
	}
}

// Add watches further files; those that are watched already stay as they are. A
// file that is not there counts as changed when it comes. One that was changed
// after since, but before it was added, counts as changed now, unless since is zero.
func (w *Watcher) Add(since time.Time, files ...string) {
	select {
	case w.adds <- addition{files, since}:
	case <-w.done:
	}
}

// Changes brings the newest change since the last one that was received. It is
// never closed.
func (w *Watcher) Changes() <-chan Change { return w.changes }

// Close ends the watching; nothing comes from Changes afterwards.
func (w *Watcher) Close() {
	close(w.done)
	w.running.Wait()
}

func (w *Watcher) loop() {
	look := time.NewTimer(w.every)
	defer look.Stop()
	var told <-chan fsnotify.Event
	lost := make(chan struct{}, 1)
	if w.notify != nil {
		defer w.notify.Close()
		told = w.notify.Events
		go drain(w.notify.Errors, lost)
	}
	for {
		var out chan<- Change
		var change Change
		if w.unreported != nil {
			out, change = w.changes, *w.unreported
		}
		select {
		case <-w.done:
			return
		case a := <-w.adds:
			for _, path := range a.files {
				if f := w.learn(path, a.since); f != nil {
					w.cover(f)
					w.check(f) // it may have been saved between the two
				}
			}
		case e := <-told:
			w.happened(e)
		case <-lost:
			for _, f := range w.files {
				w.touch(f)
			}
		case <-w.quiet.C:
			w.settle()
		case <-look.C:
			started := time.Now()
			w.look()
			look.Reset(max(w.every, lookShare*time.Since(started)))
		case out <- change:
			w.unreported = nil
		}
	}
}

// drain keeps fsnotify from waiting for a reader of its errors, which it does with
// its lock held. Whatever failed, events may have been lost.
func drain(errors <-chan error, lost chan<- struct{}) {
	for range errors {
		select {
		case lost <- struct{}{}:
		default:
		}
	}
}

// look looks at what no event would tell of, and sees whether one might now.
func (w *Watcher) look() {
	for _, f := range w.files {
		before := f.by
		if before == uncovered {
			w.cover(f)
		}
		if before != events {
			w.check(f)
		}
	}
}

// happened takes an event: a file's, or that of a folder that is gone.
func (w *Watcher) happened(e fsnotify.Event) {
	for _, f := range w.names[e.Name] {
		w.touch(f)
	}
	if e.Has(fsnotify.Remove | fsnotify.Rename) {
		w.uncover(e.Name)
	}
}

func (w *Watcher) touch(f *file) {
	if len(w.touched) == 0 {
		w.touchedAt = time.Now()
	}
	w.touched[f] = struct{}{}
	w.quiet.Reset(max(0, min(settleTime, settleLimit-time.Since(w.touchedAt))))
}

func (w *Watcher) settle() {
	for f := range w.touched {
		w.check(f)
		w.cover(f) // a link may have another target
	}
	clear(w.touched)
}
