package master

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fleetOf reads "1s 1d 2b*": generation, phase (booting, serving, draining), and
// whether it is spent. The pids are 1, 2, 3...
func fleetOf(text string, want, current, next int) *fleet {
	f := &fleet{want: want, current: current, next: next, nextWant: want, last: max(current, next)}
	for i, word := range strings.Fields(text) {
		f.workers = append(f.workers, &worker{
			pid: i + 1, generation: int(word[0] - '0'),
			phase: phase(strings.IndexByte("bsd", word[1])), spent: strings.HasSuffix(word, "*"),
		})
	}
	return f
}

func (p plan) String() string {
	var pids []int
	for _, w := range p.retire {
		pids = append(pids, w.pid)
	}
	return fmt.Sprintf("spawn %d of %d, retire %v, turned %t", p.spawn, p.generation, pids, p.turned)
}

func TestDecide(t *testing.T) {
	for _, tt := range []struct {
		name, workers       string
		want, current, next int
		plan                string
	}{
		{"nobody yet", "", 2, 1, 0, "spawn 2 of 1, retire [], turned false"},
		{"they boot", "1b 1b", 2, 1, 0, "spawn 0 of 1, retire [], turned false"},
		{"they serve", "1s 1s", 2, 1, 0, "spawn 0 of 1, retire [], turned false"},
		{"one is gone", "1s", 2, 1, 0, "spawn 1 of 1, retire [], turned false"},
		{"one drains", "1s 1d", 2, 1, 0, "spawn 1 of 1, retire [], turned false"},
		{"one more is wanted", "1s 1s", 3, 1, 0, "spawn 1 of 1, retire [], turned false"},
		{"one fewer: the oldest", "1s 1s", 1, 1, 0, "spawn 0 of 1, retire [1], turned false"},
		{"one fewer: who does not serve yet", "1s 1s 1b", 2, 1, 0, "spawn 0 of 1, retire [3], turned false"},

		{"a reload begins", "1s 1s", 2, 1, 2, "spawn 2 of 2, retire [], turned false"},
		{"half of it serves", "1s 1s 2s 2b", 2, 1, 2, "spawn 0 of 2, retire [], turned false"},
		{"it is whole", "1s 1s 2s 2s", 2, 1, 2, "spawn 0 of 2, retire [1 2], turned true"},
		{"one of the new died", "1s 1s 2s", 2, 1, 2, "spawn 1 of 2, retire [], turned false"},
		{"one of the old died meanwhile", "1s 2b 2b", 2, 1, 2, "spawn 0 of 2, retire [], turned false"},
		{"whole, and some drain already", "1d 1s 2s 2s", 2, 1, 2, "spawn 0 of 2, retire [2], turned true"},
		{"an old one that still boots", "1b 1s 2s 2s", 2, 1, 2, "spawn 0 of 2, retire [1 2], turned true"},
		{"fewer are wanted meanwhile", "1s 1s 2s 2b", 1, 1, 2, "spawn 0 of 2, retire [1 2 4], turned true"},
		{"long after", "1d 2s 2s", 2, 2, 0, "spawn 0 of 2, retire [], turned false"},

		{"one is spent", "1s* 1s", 2, 1, 0, "spawn 1 of 1, retire [], turned false"},
		{"its replacement boots", "1s* 1s 1b", 2, 1, 0, "spawn 0 of 1, retire [], turned false"},
		{"its replacement serves", "1s* 1s 1s", 2, 1, 0, "spawn 0 of 1, retire [1], turned false"},
		{"all are spent", "1s* 1s*", 2, 1, 0, "spawn 2 of 1, retire [], turned false"},
		{"all are spent, one replacement", "1s* 1s* 1s 1b", 2, 1, 0, "spawn 0 of 1, retire [1], turned false"},
		{"a spent one died", "1s 1b", 2, 1, 0, "spawn 0 of 1, retire [], turned false"},
		{"spent during a reload", "1s* 1s 2b 2b", 2, 1, 2, "spawn 0 of 2, retire [], turned false"},
		{"nothing is there before the first begins", "", 0, 0, 0, "spawn 0 of 0, retire [], turned false"},
		{"the first generation", "1b", 2, 0, 1, "spawn 1 of 1, retire [], turned false"},
		{"the first generation is whole", "1s 1s", 2, 0, 1, "spawn 0 of 1, retire [], turned true"},
		{"none are wanted", "1s 1b 1s*", 0, 1, 0, "spawn 0 of 1, retire [3 2 1], turned false"},
		{"none are wanted, none are there", "", 0, 1, 0, "spawn 0 of 1, retire [], turned false"},

		{"the new one is spent at once", "1s 2s*", 1, 1, 2, "spawn 1 of 2, retire [1], turned true"},
	} {
		if got := fleetOf(tt.workers, tt.want, tt.current, tt.next).decide().String(); got != tt.plan {
			t.Errorf("%s (%s):\ngot  %s\nwant %s", tt.name, tt.workers, got, tt.plan)
		}
	}
}

// TestDecideNeverGoesBelow: whatever happens in whatever order, decide lets nobody
// go when fewer than wanted would serve, and it comes to rest with what is wanted.
func TestDecideNeverGoesBelow(t *testing.T) {
	for seed := range uint64(3000) {
		f := &fleet{want: 1 + int(seed%4), current: 1, last: 1}
		state := seed*2654435761 + 1
		random := func(n int) int {
			state = state*6364136223846793005 + 1442695040888963407
			return int(state >> 33 % uint64(n))
		}
		act := func() {
			want := f.wanted()
			before, p := f.count(serving), f.decide()
			for _, w := range p.retire {
				w.to(draining)
			}
			if after := f.count(serving); after < min(before, want) {
				t.Fatalf("seed %d: %d serve of %d wanted, before it was %d", seed, after, f.want, before)
			}
			for range p.spawn {
				f.workers = append(f.workers, &worker{generation: p.generation})
			}
		}
		for range 60 {
			act()
			switch w := f.workers[random(len(f.workers))]; random(7) {
			case 0, 1, 2:
				if w.phase == booting {
					w.to(serving)
				}
			case 3:
				w.spent = w.phase == serving
			case 4:
				if w.phase == draining {
					f.remove(w)
				}
			case 5:
				for _, w := range f.abandon() {
					w.to(draining)
				}
				f.begin(1 + random(4))
			case 6:
				f.resize(1 + random(4))
			}
		}
		for range 20 {
			act()
			for _, w := range slices.Clone(f.workers) {
				switch w.phase {
				case booting:
					w.to(serving)
				case draining:
					f.remove(w)
				}
			}
		}
		if len(f.workers) != f.want || f.count(serving) != f.want || f.next != 0 {
			t.Fatalf("seed %d: at rest %d workers, %d serve, %d wanted", seed, len(f.workers), f.count(serving), f.want)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, tt := range []struct {
		workers    string // as fleetOf, with their places
		places     []int
		generation int
		want       int
	}{
		{"", nil, 1, 1},
		{"1s 1s", []int{1, 2}, 1, 3},
		{"1s 1s", []int{2, 3}, 1, 1},
		{"1s 1s", []int{1, 2}, 2, 1},
		{"1s 1s*", []int{1, 2}, 1, 2},
		{"1s 1s* 1b", []int{1, 2, 2}, 1, 3},
		{"1d 1s", []int{1, 2}, 1, 1},
	} {
		f := fleetOf(tt.workers, 2, 1, 0)
		for i, w := range f.workers {
			w.place = tt.places[i]
		}
		if got := f.place(tt.generation); got != tt.want {
			t.Errorf("%s %v: %d, want %d", tt.workers, tt.places, got, tt.want)
		}
	}
}

func TestAbandon(t *testing.T) {
	f := fleetOf("1s 2b 2s", 2, 1, 2)
	if got := f.abandon(); len(got) != 2 || got[0].pid != 2 || got[1].pid != 3 || f.next != 0 || f.current != 1 {
		t.Errorf("gave up %v, %+v", got, f)
	}
	if got := f.abandon(); len(got) != 0 {
		t.Errorf("abandoned %v", got)
	}
	if n := f.begin(5); n != 3 || f.next != 3 {
		t.Errorf("generation %d, next %d, want a new number", n, f.next)
	}
	// The old ones' number comes back with them.
	if f.wanted() != 5 || f.newest() != 3 {
		t.Errorf("wanted %d of %d", f.wanted(), f.newest())
	}
	if f.abandon(); f.wanted() != 2 || f.newest() != 1 {
		t.Errorf("wanted %d of %d after the reload was given up", f.wanted(), f.newest())
	}
}

func TestResize(t *testing.T) {
	f := fleetOf("1s 1s", 2, 1, 0)
	f.begin(4)
	if f.resize(3); f.wanted() != 3 || f.want != 3 {
		t.Errorf("%+v", f)
	}
	f = fleetOf("1s 1s", 2, 1, 0)
	if !f.whole() {
		t.Error("two of two serve")
	}
	f.workers[1].phase = booting
	if f.whole() {
		t.Error("one does not serve yet")
	}
	if f.remove(f.workers[1]); f.whole() {
		t.Error("one is gone")
	}
	if f.resize(1); !f.whole() {
		t.Error("one of one serves")
	}
}

func TestPhasesGoForward(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a draining worker served again")
		}
	}()
	(&worker{phase: draining}).to(serving)
}

func TestSlow(t *testing.T) {
	for before, want := range map[int]time.Duration{0: firstPause, 1: 2 * firstPause, 4: 16 * firstPause, 7: longPause, 99: longPause} {
		m := &Master{failures: before, failedAt: time.Now()}
		m.slow()
		if got := time.Until(m.notBefore); got > want || got < want-time.Second/2 || m.failures != before+1 {
			t.Errorf("the failure after %d others: %v, want %v", before, got, want)
		}
	}
	m := &Master{failures: 99, failedAt: time.Now().Add(-2 * forgotten)}
	if m.slow(); m.failures != 1 {
		t.Errorf("failures of long ago count: %d", m.failures)
	}
}

func TestDescribe(t *testing.T) {
	for status, want := range map[syscall.WaitStatus]string{
		0: "exit status 0", 3 << 8: "exit status 3", 9: "signal killed", 0x80 | 11: "signal segmentation fault, core dumped",
	} {
		if got := describe(status); got != want {
			t.Errorf("%#x: %s, want %s", uint32(status), got, want)
		}
	}
}

func TestJoin(t *testing.T) {
	if l, err := Join(nil); l != nil || err != nil {
		t.Errorf("without a master: %v, %v", l, err)
	}
	for _, value := range []string{"", "x", "-1", "900"} {
		t.Setenv(workerVariable, value)
		if _, err := Join(nil); err == nil || !strings.Contains(err.Error(), workerVariable) {
			t.Errorf("%q: error %v", value, err)
		}
	}
}
