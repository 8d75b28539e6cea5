package bridge

import "time"

// The gate decides how many executors are in the application at a time. With a GIL,
// threads that all want to compute cost more than one that does: it lets one in, and
// another only when those inside are likely to wait for something else. Two rules:
//
//   - who has been inside with one request for a tick is not counted any more, so
//     that nothing waits for longer behind a request that blocks;
//   - the number of those that are counted, the level, follows what the executors
//     did in the last period: up while they wait rather than compute, down when
//     their computing fills one core.
const (
	gateTick   = time.Millisecond
	gatePeriod = 20 * time.Millisecond
	gateProbe  = 500 * time.Millisecond // after which a lower level is tried

	saturated = 0.85 // of one core: no further thread could compute more
	waiting   = 0.3  // of the time inside spent waiting: another thread has room
)

// Clocked is an Executor whose thread shares a lock such as Python's GIL with the
// others. Clock returns how long the thread has computed, and for how long it could
// have but had no core; any goroutine may call it. ok is false where the threads
// compute side by side: then there is no gate.
type Clocked interface {
	Clock() (computed, delayed time.Duration, ok bool)
}

// gate is a Pool's; its lock guards it.
type gate struct {
	level int // how many fresh ones there may be; 0: no gate
	fresh int // executors inside, for less than a tick

	timer *time.Timer
	armed bool

	ticked, since, probed time.Time     // the last tick, the period's start, the last probe
	inside                time.Duration // of all executors in this period
	computed, delayed     time.Duration // theirs at its start
}

// admits tells whether one more may enter.
func (g *gate) admits(waking int) bool {
	return g.level == 0 || g.fresh+waking < g.level
}

// enter and leave count an executor; p.mu is held.
func (p *Pool) enter(s *slot, x *Exchange) {
	s.begin(x)
	s.number++
	p.gate.fresh++
}

func (p *Pool) leave(s *slot) (done *Exchange) {
	done = s.x
	if done != nil && !s.stale {
		p.gate.fresh--
	}
	s.x, s.stale = nil, false
	return done
}

// gateOpens begins with the gate when the first executor that needs it comes; p.mu
// is held.
func (p *Pool) gateOpens(e Executor) {
	c, ok := e.(Clocked)
	if ok {
		_, _, ok = c.Clock()
	}
	switch {
	case !ok:
		p.gate.level = 0
	case len(p.slots) == 1:
		p.gate.level = 1
		p.gate.timer = time.AfterFunc(time.Hour, p.tick)
		p.gate.timer.Stop()
	}
}

// watchGate starts the ticks, since a request waits although an executor is idle;
// p.mu is held.
func (p *Pool) watchGate() {
	g := &p.gate
	if g.armed || g.level == 0 {
		return
	}
	g.armed = true
	now := time.Now()
	g.ticked, g.since, g.inside = now, now, 0
	g.computed, g.delayed = p.clocks()
	for _, s := range p.slots {
		s.ticked = s.number - 1
	}
	g.timer.Reset(gateTick)
}

func (p *Pool) clocks() (computed, delayed time.Duration) {
	for _, s := range p.slots {
		if c, ok := s.executor.(Clocked); ok {
			cpu, delay, _ := c.Clock()
			computed, delayed = computed+cpu, delayed+delay
		}
	}
	return computed, delayed
}

// tick lets more in where the rules say so, as long as requests wait for that.
func (p *Pool) tick() {
	p.mu.Lock()
	g := &p.gate
	now := time.Now()
	elapsed := now.Sub(g.ticked)
	g.ticked = now
	for _, s := range p.slots {
		if s.x == nil {
			continue
		}
		if !s.lost {
			g.inside += elapsed
		}
		if s.ticked == s.number && !s.stale {
			s.stale = true
			g.fresh--
		}
		s.ticked = s.number
	}
	if now.Sub(g.since) >= gatePeriod {
		p.adapt(now)
	}
	if p.queue.len() == 0 || len(p.idle) == 0 {
		g.armed = false
		p.mu.Unlock()
		return
	}
	n := 0
	for n < p.queue.len() && len(p.idle) > p.waking && g.admits(p.waking) {
		p.waking++
		n++
	}
	g.timer.Reset(gateTick)
	p.mu.Unlock()
	for range n {
		p.wake()
	}
}

// adapt moves the level by what the period that ends now has shown.
func (p *Pool) adapt(now time.Time) {
	g := &p.gate
	computed, delayed := p.clocks()
	used := computed - g.computed + delayed - g.delayed
	period := now.Sub(g.since)
	most := len(p.slots)
	switch {
	case float64(used) > saturated*float64(period):
		g.level = max(1, g.level/2)
		g.probed = now
	case float64(g.inside-used) > waiting*float64(g.inside):
		g.level = min(2*g.level, most)
	}
	if now.Sub(g.probed) > gateProbe {
		g.probed = now
		g.level = max(1, g.level-g.level/8-1)
	}
	g.since, g.inside, g.computed, g.delayed = now, 0, computed, delayed
}
