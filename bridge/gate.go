package bridge

import (
	"syscall"
	"time"
)

// The gate decides how many executors are in the application at a time. With a GIL,
// threads that all want to compute cost more than one that does. So the gate is narrow
// at first: one executor enters, and another only when that has been inside with one
// request for a tick or two and does not compute. Where that happens often the ticks
// would cost more than the threads' fight for the GIL: the gate is opened, and now and
// then tried narrow again.
//
// The ticks also look after parked connections while no executor does.
const (
	gateTick   = time.Millisecond
	gateSlow   = 4 * time.Millisecond  // from tick to tick when nothing is amiss: a tick costs some 45 us
	gateAlone  = 16 * time.Millisecond // the same where nobody waits to be let in: with 4 ms ticks Go's sysmon takes 7 % of a core
	gateStale  = 5                     // ticks after which one that computes is not counted any more: it may do without the GIL
	gatePeriod = 20 * time.Millisecond
	gateStalls = 2 // ticks in a period that were spent waiting at the narrow gate: then it is opened

	gateRetry     = time.Second // after which an open gate is tried narrow
	gateRetryMost = 16 * time.Second
	gateUsed      = 0.7 // of a core: a process that uses less has no threads that fight for the GIL

	gateLook = 100 * time.Millisecond // from look to look whether a narrow gate is needed
	gateCalm = 0.3                    // of a core: with less it is opened, since then its ticks cost more than the requests
)

// Locked is an Executor that shares a lock such as Python's GIL with the others. Running
// tells whether its thread computes now, or would if it had a core; any goroutine may
// call it. known is false where that cannot be told, or the threads compute side by
// side: then there is no gate.
type Locked interface {
	Running() (running, known bool)
}

// gate is a Pool's; its lock guards it.
type gate struct {
	locked bool // the executors need a gate
	narrow bool
	inside int // executors that are counted: one more may not enter while the gate is narrow

	timer  *time.Timer
	armed  bool
	pause  time.Duration // to the next tick
	polls  int           // the pool's at the last tick
	served int64         // likewise

	stalls int
	since  time.Time     // when stalls was 0
	retry  time.Time     // when an open gate is to be tried narrow
	wait   time.Duration // the time to the next retry
	used   time.Duration // what the process had computed when that began, or at the last look
	looked time.Time     // whether it is needed
}

// gated is what the gate knows of an executor.
type gated struct {
	counted bool
	stuck   bool   // for a tick and more: the seat counts it
	ticked  uint64 // the number of its request at the last tick
	ticks   int    // for how many it is inside with that
}

// admits tells whether one more may enter, beside those who are about to be woken.
func (g *gate) admits(waking int) bool {
	return !g.narrow || g.inside+waking == 0
}

// count and uncount keep the number of those inside; p.mu is held.
func (p *Pool) count(s *slot) {
	if !s.counted {
		s.counted = true
		p.gate.inside++
	}
}

func (p *Pool) uncount(s *slot) (done *Exchange) {
	if s.counted {
		s.counted = false
		p.gate.inside--
	}
	p.unstick(s)
	done, s.x = s.x, nil
	return done
}

// unstick is for an executor that is back, or given up; p.mu is held.
func (p *Pool) unstick(s *slot) {
	if s.stuck {
		s.stuck = false
		p.seat.Stuck.Add(-1)
	}
}

// taken tells whether every executor has a request, and there are other processes that
// ticks should tell of those that are stuck; p.mu is held.
func (p *Pool) taken() bool {
	return p.seat.Shared() && p.polling == 0 && len(p.idle) == 0 && len(p.slots) > 0
}

// gateFor begins with the gate when the second executor that needs one comes; p.mu is
// held.
func (p *Pool) gateFor(e Executor) {
	l, ok := e.(Locked)
	if ok {
		_, ok = l.Running()
	}
	p.gate.locked = ok // all are of one kind
	p.gate.narrow = ok && len(p.slots) > 1
}

// startTicks is called when a request may have to wait for a tick; p.mu is held.
func (p *Pool) startTicks() {
	g := &p.gate
	if g.armed {
		return
	}
	g.armed = true
	g.polls = p.polls
	if g.timer == nil {
		g.pause = gateSlow
		g.timer = time.AfterFunc(g.pause, p.tick)
		return
	}
	g.timer.Reset(g.pause)
}

// tick lets in who has to wait no longer.
func (p *Pool) tick() {
	p.mu.Lock()
	g := &p.gate
	late, amiss := p.lookInside()
	switch {
	case amiss:
		g.pause = gateTick
	case len(p.slots) == 1 && p.overlap.decided && len(late) == 0:
		g.pause = min(2*g.pause, gateAlone)
	default:
		g.pause = min(2*g.pause, gateSlow)
	}
	if p.set != nil {
		p.weigh()
	}
	var others []chan struct{}
	if g.adapt(time.Now(), p.queue.len() > 0) {
		others, p.idle = p.idle, nil // to wait beside each other
	}
	work := p.queue.len()
	set := p.set
	unwatched := p.unwatched()
	if unwatched {
		work = max(work, 1)
	}
	// One that is outside for a moment, between two requests, comes in again by itself.
	// Another woken in its place would take a millisecond to come, and all would wait.
	served := p.served.Load()
	moves := g.narrow && !amiss && served != g.served
	g.served = served
	wakes := 0
	for !moves && wakes < work && len(p.idle) > p.waking && g.admits(p.waking) {
		p.waking++
		wakes++
	}
	tend := unwatched && wakes == 0 && len(others) == 0 && p.polls == g.polls
	if tend {
		g.pause = min(g.pause, gateSlow)
	}
	g.polls = p.polls
	g.armed = unwatched || p.queue.len() > 0 && len(p.idle) > 0 || p.keeps() || p.taken()
	p.tending = tend
	pause := g.pause
	if g.armed && !tend {
		g.timer.Reset(pause)
	}
	p.mu.Unlock()
	p.sendLate(late)
	for _, wake := range others {
		wake <- struct{}{}
	}
	for range wakes {
		p.wake()
	}
	if tend {
		p.tend(set)
		g.timer.Reset(pause)
	}
}

// tend queues what has come on parked connections while no executor looks.
func (p *Pool) tend(set *set) {
	var e events
	var room [len(events{})]*conn
	for {
		n := set.wait(&e, len(e), false)
		p.take(p.arrived(room[:0], &e, n, false), false)
		if n < len(e) {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tending = false
	if p.interrupted > 0 || p.called {
		set.interrupt() // that may have come here
	}
	p.closeSet()
}

// lookInside stops counting those who have been inside for too long; it returns the
// connections whose answers they have kept, and whether any waits for something.
func (p *Pool) lookInside() (late []*conn, amiss bool) {
	closed := p.gate.locked && (p.gate.narrow || len(p.slots) == 1)
	for _, s := range p.slots {
		if s.ticked != s.number {
			s.ticked, s.ticks = s.number, 0
			continue
		}
		if s.x == nil {
			continue
		}
		s.ticks++
		if !s.stuck && !s.lost {
			s.stuck = true
			p.seat.Stuck.Add(1)
		}
		s.x.detach()
		late = append(late, s.late.kept...)
		s.late.kept = s.late.kept[:0]
		if !closed || !s.counted {
			continue
		}
		if s.ticks <= gateStale {
			if running, _ := s.executor.(Locked).Running(); running {
				continue
			}
		}
		amiss = true
		s.late.from = s.number + lateCalm
		s.counted = false
		p.gate.inside--
		p.gate.stalls++
	}
	return late, amiss
}

// adapt opens the gate or tries it narrow; it returns whether it was opened. waits: a
// request does.
func (g *gate) adapt(now time.Time, waits bool) (opened bool) {
	switch {
	case !g.locked:
		return false
	case g.narrow && g.stalls >= gateStalls:
		g.narrow = false
		g.wait = min(max(2*g.wait, gateRetry), gateRetryMost)
		g.retry, g.used = now.Add(g.wait), computed()
		return true
	case g.narrow && now.Sub(g.looked) > gateLook:
		return g.calm(now, waits)
	case g.narrow && now.Sub(g.since) > gatePeriod:
		if g.stalls == 0 && now.Sub(g.since) < 2*gatePeriod {
			g.wait /= 2
		}
		g.since, g.stalls = now, 0
	case !g.narrow && !now.Before(g.retry):
		used := computed()
		g.narrow = float64(used-g.used) > gateUsed*float64(g.wait+now.Sub(g.retry))
		g.retry, g.used = now.Add(g.wait), used
		g.since, g.stalls, g.pause = now, 0, gateTick
	}
	return false
}

// calm opens a narrow gate while there is little to do; it returns whether it did. A
// longer time than from look to look says nothing: there were requests at its end only.
// Where one waits there is much to do, but others have the cores.
func (g *gate) calm(now time.Time, waits bool) (opened bool) {
	took, before := now.Sub(g.looked), g.used
	g.looked, g.used = now, computed()
	if waits || took > 2*gateLook || float64(g.used-before) > gateCalm*float64(took) {
		return false
	}
	g.narrow = false
	g.wait = gateLook
	g.retry = now.Add(g.wait)
	return true
}

// computed is for how long this process has used a core.
func computed() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
