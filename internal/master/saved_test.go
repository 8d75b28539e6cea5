package master

import (
	"slices"
	"testing"
)

// saveAndReload has workers tell of a save, and waits for the n-th reload's end.
func (p *program) saveAndReload(what string, n int) {
	p.t.Helper()
	for range 5 {
		p.ask(what)
	}
	p.until("a reload", func() bool { return len(p.lines("reloaded: workers=2")) == n })
	p.workers(2) // the old ones, to whom nobody listens any more, have ended
}

// TestChanged: a save that every worker tells of is one reload, the file's next save
// is another.
func TestChanged(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one"})
	p.wait("^serving")
	old := p.workers(2)
	p.saveAndReload("saved", 1)
	p.saveAndReload("saved again", 2)
	for range 5 {
		p.ask("saved again") // the new workers
	}
	for _, pid := range p.workers(2) {
		if slices.Contains(old, pid) {
			t.Errorf("worker %d is still there", pid)
		}
	}
	p.expect("reloading: /srv/app.py changed", 2)
	p.expect("^begin reload=true", 2)
}

// TestBroken: the error is logged once a generation, whoever tells of it.
func TestBroken(t *testing.T) {
	p := start(t, testPlan{Workers: 2})
	p.wait("^serving")
	for n, what := range []string{"", "saved", "saved again"} {
		if n > 0 {
			p.saveAndReload(what, n)
		}
		for range 5 {
			p.ask("broken")
		}
		p.until("the error", func() bool { return len(p.lines("SyntaxError: here")) > n })
	}
	p.expect("SyntaxError: here", 3)
}
