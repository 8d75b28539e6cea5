package master

import "slices"

// phase is how far a worker is in its life. It only goes forward.
type phase int

const (
	booting  phase = iota // started, does not accept yet
	serving               // has said that it accepts
	draining              // was told to go: finishes what it has
)

// worker is one process, as the fleet sees it.
type worker struct {
	pid        int  // 0: it is still being started
	age        int  // 1 for the first that the master has started
	place      int  // from 1: among those of its generation that stay
	seat       int  // on the board; 0: none
	reaped     bool // the number may be another's
	generation int
	phase      phase
	spent      bool // wants to be replaced: it has served enough, or is unwell
	process    process
}

func (w *worker) to(p phase) {
	if p < w.phase {
		panic("master: a worker's phase went back")
	}
	w.phase = p
}

// fleet is the workers, oldest first, and what there should be. Generations are
// numbered from 1; the start and each reload begin the next one.
type fleet struct {
	want     int // workers of the current generation that serve
	current  int // the generation that serves; 0: none yet
	next     int // the one that is starting; 0: none
	nextWant int // its workers
	last     int // the newest number given out
	workers  []*worker
}

// plan is what to do next.
type plan struct {
	spawn      int // workers of generation
	generation int
	retire     []*worker
	turned     bool // the next generation has become the current one
}

// begin starts a new generation, which is to have that many workers. One that is
// starting must have been abandoned before.
func (f *fleet) begin(want int) (generation int) {
	f.last++
	f.next, f.nextWant = f.last, want
	return f.next
}

// newest is the generation that is starting, else the current one.
func (f *fleet) newest() int {
	if f.next != 0 {
		return f.next
	}
	return f.current
}

// wanted is how many workers the newest generation should have.
func (f *fleet) wanted() int {
	if f.next != 0 {
		return f.nextWant
	}
	return f.want
}

// resize changes how many there should be, of whatever generation.
func (f *fleet) resize(want int) {
	f.want = want
	if f.next != 0 {
		f.nextWant = want
	}
}

// abandon gives up the generation that is starting and returns its workers.
func (f *fleet) abandon() (givenUp []*worker) {
	if f.next != 0 {
		givenUp = f.of(f.next)
	}
	f.next = 0
	return givenUp
}

// of returns a generation's workers that were not told to go.
func (f *fleet) of(generation int) []*worker {
	var all []*worker
	for _, w := range f.workers {
		if w.generation == generation && w.phase != draining {
			all = append(all, w)
		}
	}
	return all
}

// decide compares what is with what should be. A worker is told to go only when
// enough others serve: the new generation is whole, or a spent one's replacement
// is there.
func (f *fleet) decide() plan {
	p, want := plan{generation: f.newest()}, f.wanted()
	var boots, serves, spent []*worker
	for _, w := range f.of(p.generation) {
		switch {
		case w.spent:
			spent = append(spent, w)
		case w.phase == serving:
			serves = append(serves, w)
		default:
			boots = append(boots, w)
		}
	}
	p.spawn = max(0, want-len(boots)-len(serves))
	if f.next != 0 && len(serves)+len(spent) >= want {
		for _, w := range f.workers {
			if w.generation != f.next && w.phase != draining {
				p.retire = append(p.retire, w)
			}
		}
		f.current, f.want, f.next, p.turned = f.next, want, 0, true
	}
	p.retire = append(p.retire, take(spent, len(serves)+len(spent)-want)...)
	// Fewer are wanted: first those that do not serve yet, then the oldest.
	slices.Reverse(boots)
	p.retire = append(p.retire, take(append(boots, serves...), len(boots)+len(serves)-want)...)
	return p
}

func take(all []*worker, n int) []*worker {
	return all[:max(0, min(n, len(all)))]
}

// place returns the lowest number that no worker of a generation has that stays. A
// worker that is replaced leaves its number to the one that takes its place.
func (f *fleet) place(generation int) int {
	taken := map[int]bool{}
	for _, w := range f.of(generation) {
		taken[w.place] = taken[w.place] || !w.spent
	}
	place := 1
	for taken[place] {
		place++
	}
	return place
}

// find returns the worker of a process that was not reaped yet.
func (f *fleet) find(pid int) *worker {
	for _, w := range f.workers {
		if w.pid == pid && !w.reaped {
			return w
		}
	}
	return nil
}

func (f *fleet) remove(gone *worker) {
	f.workers = slices.DeleteFunc(f.workers, func(w *worker) bool { return w == gone })
}

// any tells whether a generation has workers, those that drain included.
func (f *fleet) any(generation int) bool {
	return slices.ContainsFunc(f.workers, func(w *worker) bool { return w.generation == generation })
}

// whole tells whether the current generation has all its workers, and no other is
// starting.
func (f *fleet) whole() bool {
	ours := f.of(f.current)
	return f.next == 0 && len(ours) == f.want &&
		!slices.ContainsFunc(ours, func(w *worker) bool { return w.phase != serving })
}

// count returns how many are in a phase.
func (f *fleet) count(p phase) int {
	n := 0
	for _, w := range f.workers {
		if w.phase == p {
			n++
		}
	}
	return n
}
