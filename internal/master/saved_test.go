package master

import (
	"slices"
	"testing"
)

// TestChanged: a save that every worker tells of is one reload, the file's next save
// is another.
func TestChanged(t *testing.T) {
	p := start(t, testPlan{Workers: 2, Release: "one"})
	p.wait("^serving")
	old := p.workers(2)
	for n, what := range []string{"saved", "saved again"} {
		// What a worker says that is on its way out does not count.
		p.until("the old workers' end", func() bool { return len(p.lines("a worker has ended")) == 2*n })
		for range 5 {
			p.ask(what)
		}
		p.until("a reload", func() bool { return len(p.lines("reloaded: workers=2")) == n+1 })
		p.ask(what) // a worker of the new ones
		p.expect("reloading: /srv/app.py changed", n+1)
	}
	for _, pid := range p.workers(2) {
		if slices.Contains(old, pid) {
			t.Errorf("worker %d is still there", pid)
		}
	}
	p.expect("^begin reload=true", 2)
}

// TestBroken: the error is logged once a generation, whoever tells of it.
func TestBroken(t *testing.T) {
	p := start(t, testPlan{Workers: 2})
	p.wait("^serving")
	for n, what := range []string{"", "saved", "saved again"} {
		if n > 0 {
			p.ask(what)
			p.until("a reload", func() bool { return len(p.lines("reloaded: workers=2")) == n })
			p.workers(2)
		}
		for range 5 {
			p.ask("broken")
		}
		p.ask("nothing")
		p.expect("SyntaxError: here", n+1)
	}
}
