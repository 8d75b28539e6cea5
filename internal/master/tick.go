package master

import (
	"slices"
	"syscall"
	"time"
)

const (
	tick = time.Second
	// leastSilence is above what a busy machine may keep a worker from running.
	leastSilence = 5 * time.Second
	abortLimit   = time.Second // from SIGABRT to SIGKILL
)

// tick does what is done once a second.
func (m *Master) tick(now time.Time) {
	late := now.Sub(m.ticked)
	m.ticked = now
	if late > leastSilence/2 {
		// The master itself did not run (it was stopped with ^Z, or the machine was):
		// what the workers have said meanwhile is still to be read.
		for _, w := range m.fleet.workers {
			w.process.heard = now
		}
	}
	if m.stopping {
		return
	}
	m.abortStuck(now)
	m.rescale()
	m.promote()
}

// abortStuck ends workers that say nothing any more: those that were stopped, or
// whose Go runtime hangs. What Python does is not seen here.
func (m *Master) abortStuck(now time.Time) {
	for _, w := range m.fleet.workers {
		limit, silence := m.of(w).Timeout, now.Sub(w.process.heard)
		if limit == 0 || w.phase == draining || w.pid == 0 || w.reaped || !w.process.deadBy.IsZero() || silence <= max(limit, leastSilence) {
			continue
		}
		m.Log.Error("a worker is stuck: nothing was heard from it; ending it", "worker", w.pid, "for", silence.Round(time.Second))
		w.process.deadBy = now.Add(abortLimit)
		m.kill(w, syscall.SIGABRT)
	}
}

// rescale starts and ends workers by what they report.
func (m *Master) rescale() {
	var beats []Beat
	for _, w := range m.fleet.of(m.fleet.current) {
		if w.process.beats > 0 {
			beats = append(beats, w.process.beat)
		}
		w.process.beats = 0
	}
	g := m.generations[m.fleet.current]
	if g == nil || !g.scales() || m.fleet.want == 0 || !m.fleet.whole() {
		return
	}
	before := m.fleet.want
	want := g.scale.next(before, beats)
	switch {
	case want > before:
		m.Log.Info("requests wait: starting more workers", "workers", want)
	case want < before:
		m.Log.Info("workers are idle: ending one", "workers", want)
	}
	m.resize(want)
}

// endGenerations has those end that have nothing to do any more.
func (m *Master) endGenerations() {
	for number, g := range m.generations {
		if !m.stopping && (number == m.fleet.current || number == m.fleet.next) {
			continue
		}
		if !g.closed && g.pending == 0 {
			g.closed = true
			m.closeFiles(g.Generation)
		}
		if !m.stopping && !m.fleet.any(number) { // else end does it, after on_exit
			m.endings = append(m.endings, g.ended)
			close(g.calls)
			delete(m.generations, number)
		}
	}
	m.endings = slices.DeleteFunc(m.endings, func(ended <-chan struct{}) bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
}

// closeFiles closes a generation's listeners, but those that are still needed.
func (m *Master) closeFiles(g *Generation) {
	for _, f := range g.Files {
		needed := false
		for _, number := range []int{m.fleet.current, m.fleet.next} {
			other := m.generations[number]
			needed = needed || other != nil && !m.stopping && slices.Contains(other.Files, f)
		}
		if !needed {
			f.Close() // again does no harm
		}
	}
}

// discard ends a generation that came too late.
func (m *Master) discard(g *Generation) {
	m.closeFiles(g)
	ended := make(chan struct{})
	m.endings = append(m.endings, ended)
	go func() {
		defer close(ended)
		if g.End != nil {
			g.End()
		}
	}()
}

// end is the last of a master's life: the hooks are told, the generations end.
func (m *Master) end() {
	if g := m.generations[m.fleet.newest()]; g != nil {
		m.hook(g, call{name: OnExit})
	}
	for _, g := range m.generations {
		m.endings = append(m.endings, g.ended)
		close(g.calls)
	}
	limit := time.After(hookLimit)
	for _, ended := range m.endings {
		select {
		case <-ended:
		case <-limit:
			m.Log.Error("the server hooks take too long; leaving them", "limit", hookLimit)
			return
		}
	}
}
