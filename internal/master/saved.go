package master

import "time"

// saved is what the master has heard from workers that watch their files.
type saved struct {
	last   message // of changed
	broken int     // the generation whose error was logged
}

// changed reloads, once for all workers that tell of the same save.
func (m *Master) changed(msg message) {
	if msg == m.saved.last {
		return
	}
	m.saved.last = msg
	m.Log.Info("reloading: " + msg.Text + " changed")
	m.reload()
}

// broken logs why an application does not load, once for a generation.
func (m *Master) broken(w *worker, msg message) {
	if m.saved.broken == w.generation {
		return
	}
	m.saved.broken = w.generation
	m.Log.Error("the application does not load; requests are answered with this until a file is saved", "cause", msg.Text)
}

// Changed tells that a file was saved, and with which time: that tells the save from
// the file's next.
func (l *Link) Changed(path string, modified time.Time) {
	l.say(message{Kind: kindChanged, Text: path, At: modified.UnixNano()}, sayLimit)
}

// Broken tells why the application does not load, although this worker will serve.
func (l *Link) Broken(text string) { l.say(message{Kind: kindBroken, Text: text}, sayLimit) }
