package bridge

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gowsgi/gowsgi/internal/board"
)

// Executor runs requests in an application, one at a time, always on one thread.
type Executor interface {
	// Execute runs x in the application and delivers the answer through it. It
	// returns when the application is done with x, its close() included, and
	// must not panic: whatever goes wrong is an answer.
	Execute(x *Exchange)
}

// Pool is the bounded queue between fronts and executors: first come, first
// served; the executor that became idle last is woken first, since its caches
// are the warm ones. Executors also serve parked connections, without the queue.
//
// Locks are taken in this order: a Server's, its Pool's, an Exchange's, a connection's.
// Only what does not wait is done under a Pool's.
type Pool struct {
	limits PoolLimits

	mu      sync.Mutex
	queue   ring
	slots   []*slot         // of the executors
	idle    []chan struct{} // of executors that wait, as a stack
	waking  int             // executors without work that a Submit is about to wake
	stopped bool
	sweep   *time.Timer // armed while the queue holds something
	armed   bool
	gate    gate

	set         *set // parked connections; nil: none are
	polling     int  // executors that wait in the set
	interrupted int  // of those, who will come back for the queue
	polls       int  // waits in the set that have ended

	overlap  overlap
	load     func() (runnable, cores int)
	assisted bool      // there is an assistant
	dozes    bool      // it waits in the set
	called   bool      // it is to wake up
	tending  bool      // a tick looks into the set
	back     sync.Cond // an executor's wait in the set has ended
	handed   []*conn   // whose answers it is to send
	spare    []*conn   // its last ones', for reuse

	seat     *board.Seat // counts what runs and what waits
	served   atomic.Int64
	refused  atomic.Int64
	timeouts atomic.Int64
}

// PoolLimits bounds what waits for a thread.
type PoolLimits struct {
	Queue int           // requests; one more is refused at once
	Wait  time.Duration // the longest wait; 0: no limit
}

// PoolStats are a pool's gauges (Busy, Waiting) and counters since its start.
type PoolStats struct {
	Busy, Waiting, Served, Refused, Timeouts int64
}

// Oldest returns how long the first in the queue has waited; 0 if none waits, or
// waits are not limited.
func (p *Pool) Oldest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.queue.first(); x != nil && !x.queued.IsZero() {
		return time.Since(x.queued)
	}
	return 0
}

// NewPool returns a pool without executors: each enters with Run.
func NewPool(l PoolLimits) *Pool {
	p := &Pool{limits: l, load: machineLoad, seat: board.Alone()}
	p.back.L = &p.mu
	p.sweep = time.AfterFunc(time.Hour, p.expire)
	p.sweep.Stop()
	return p
}

// Share has the pool count on a seat, which other processes see: its servers leave
// connections to those that have less to do. Call it before the pool is used.
func (p *Pool) Share(seat *board.Seat) { p.seat = seat }

// Stats returns the pool's figures; each is exact, their sum need not be.
func (p *Pool) Stats() PoolStats {
	return PoolStats{
		Busy: p.seat.Busy.Load(), Waiting: p.seat.Waiting.Load(), Served: p.served.Load(),
		Refused: p.refused.Load(), Timeouts: p.timeouts.Load(),
	}
}

// Submit hands x to an executor, now or when one is free. On an error (ErrQueueFull,
// ErrStopped) nothing will happen to x; otherwise it ends with a last part or an
// error, ErrQueueTimeout among them. An x that is answered already needs none.
func (p *Pool) Submit(x *Exchange) error {
	if x.Answered() {
		return nil
	}
	p.mu.Lock()
	free := p.polling-p.interrupted > p.waking || len(p.idle) > p.waking && p.gate.admits(p.waking)
	if err := p.enqueue(x, free); err != nil {
		p.mu.Unlock()
		return err
	}
	switch {
	case free:
		p.waking++
	case len(p.idle) > 0:
		p.startTicks()
	}
	p.mu.Unlock()
	if free {
		p.wake()
	}
	return nil
}

// enqueue puts x into the queue; an executor that is free takes it even if none may
// wait. p.mu is held.
func (p *Pool) enqueue(x *Exchange, free bool) error {
	if p.stopped {
		return ErrStopped
	}
	if !free && p.queue.len() >= p.limits.Queue {
		p.refused.Add(1)
		return ErrQueueFull
	}
	x.holds.Add(1)
	if p.limits.Wait > 0 {
		x.queued = time.Now()
		if !p.armed {
			p.armed = true
			p.sweep.Reset(p.limits.Wait)
		}
	}
	p.queue.push(x)
	p.seat.Waiting.Add(1)
	return nil
}

// wake starts an executor without work on what there is. It lets the goroutines that
// can run now go first: their requests then wait in the queue when the executor starts,
// and one change of threads, which costs more than a small request, serves all.
func (p *Pool) wake() {
	runtime.Gosched()
	p.mu.Lock()
	p.waking--
	p.rouse()
}

// rouse is wake without ado; it unlocks p.mu.
func (p *Pool) rouse() {
	n := len(p.idle)
	switch {
	case p.queue.len() == 0 && (p.set == nil || p.polling > 0):
		p.mu.Unlock() // somebody was quicker
	case p.polling > p.interrupted:
		p.interrupted++
		p.set.interrupt()
		p.mu.Unlock()
	case n > 0:
		wake := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		wake <- struct{}{}
	default:
		p.mu.Unlock()
	}
}

// Run lets e serve requests until Stop was called and the queue is empty. It
// returns on the goroutine that called it, which is e's thread. It returns true
// when Watch or GiveUp has given e up meanwhile: others may have its place.
func (p *Pool) Run(e Executor) (lost bool) {
	s := &slot{executor: e, wake: make(chan struct{}, 1)}
	p.mu.Lock()
	p.slots = append(p.slots, s)
	p.gateFor(e)
	p.mu.Unlock()
	var back *conn
	late := false
	for {
		x, c := p.next(s, back, late)
		if x == nil {
			return p.leave(s)
		}
		e.Execute(x)
		p.seat.Busy.Add(-1)
		p.served.Add(1)
		back, late = nil, c != nil && c.waits(x)
		if c != nil && (late || c.finish(x)) {
			back = c
		}
	}
}

// leave is the end of an executor.
func (p *Pool) leave(s *slot) (lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots = slices.DeleteFunc(p.slots, func(one *slot) bool { return one == s })
	p.closeSet()
	if p.unwatched() {
		p.startTicks()
	}
	return s.lost
}

// next ends what s has served, parks its connection back, or keeps it if its answer is
// late, and returns the next request, with its connection if it is served inline; nil
// when there will be none. One lock does for all.
func (p *Pool) next(s *slot, back *conn, late bool) (*Exchange, *conn) {
	for {
		p.mu.Lock()
		done := p.uncount(s)
		arrived := s.arrived[:0]
		switch {
		case back == nil:
		case late:
			if back.waits(done) { // else a tick has handed it over meanwhile
				s.late.keep(back)
			}
			back = nil
		case !p.parkHeld(back):
			arrived = append(arrived, back)
		}
		var kept []*conn
		switch due := p.due(s); {
		case due && p.assisted && p.queue.len() > 0:
			p.handOn(s.late.kept)
			s.late.kept = s.late.kept[:0]
		case due:
			kept = s.late.kept
			s.late.kept, s.spare = s.spare[:0], kept
		}
		do, x := read, (*Exchange)(nil)
		if len(kept) == 0 && len(arrived) == 0 {
			do, x = p.choose(s)
		}
		var inline *conn
		if x != nil {
			inline = x.inline
		}
		set, how := p.set, p.manner()
		p.passOn()
		p.mu.Unlock()
		if done != nil {
			done.Release()
		}
		if back != nil && back.srv.draining.Load() {
			back.drainParked()
		}
		back = nil
		switch do {
		case serve:
			return x, inline
		case poll:
			arrived = p.arrived(arrived, &s.events, p.await(set, &s.events, how), true)
		case idle:
			<-s.wake
		case end:
			return nil, nil
		}
		p.sendLate(kept)
		p.take(arrived, true)
		s.arrived = arrived
	}
}

// passOn has another executor look, if there is more to do; p.mu is held.
func (p *Pool) passOn() {
	switch {
	case p.queue.len() == 0 && !p.stopped:
	case p.polling > p.interrupted:
		p.interrupted++
		p.set.interrupt()
	case p.queue.len() > 0 && len(p.idle) > 0:
		p.startTicks() // they let one in
	}
}

// step is what an executor does next.
type step int

const (
	serve step = iota
	poll
	read
	idle
	end
)

// choose decides that; p.mu is held.
func (p *Pool) choose(s *slot) (step, *Exchange) {
	admitted := p.gate.admits(0)
	switch {
	case s.lost:
		return end, nil
	case p.queue.len() > 0 && (p.stopped || admitted):
		x := p.queue.pop()
		p.seat.Waiting.Add(-1)
		p.seat.Busy.Add(1)
		p.count(s)
		s.begin(x)
		if p.set != nil {
			x.mayWait = p.mayKeep(s)
			if x.mayWait || p.polling == 0 {
				p.startTicks()
			}
		} else if p.taken() {
			p.startTicks()
		}
		return serve, x
	case p.stopped:
		return end, nil
	case p.set != nil && admitted:
		p.count(s)
		p.polling++
		return poll, nil
	}
	p.idle = append(p.idle, s.wake)
	if p.queue.len() > 0 || p.unwatched() {
		p.startTicks()
	}
	return idle, nil
}

// Stop refuses what comes from now on and lets the executors return from Run
// once the queue is empty.
func (p *Pool) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop()
}

// stop is Stop with p.mu held.
func (p *Pool) stop() {
	if p.stopped {
		return
	}
	p.stopped = true
	for _, wake := range p.idle {
		wake <- struct{}{}
	}
	p.idle = nil
	p.passOn()
	p.callAssistant()
}

// expire fails what has waited too long. The queue is in order of arrival, so
// only its front needs looking at.
func (p *Pool) expire() {
	now := time.Now()
	for {
		p.mu.Lock()
		x := p.queue.first()
		if x == nil {
			p.armed = false
			p.mu.Unlock()
			return
		}
		if left := p.limits.Wait - now.Sub(x.queued); left > 0 {
			p.sweep.Reset(left)
			p.mu.Unlock()
			return
		}
		p.queue.pop()
		p.mu.Unlock()
		p.seat.Waiting.Add(-1)
		p.timeouts.Add(1)
		x.Fail(ErrQueueTimeout)
		x.Release()
	}
}

// ring is a queue of exchanges in a slice that grows by doubling.
type ring struct {
	items []*Exchange
	head  int
	count int
}

func (r *ring) len() int { return r.count }

func (r *ring) first() *Exchange {
	if r.count == 0 {
		return nil
	}
	return r.items[r.head]
}

func (r *ring) push(x *Exchange) {
	if r.count == len(r.items) {
		grown := make([]*Exchange, max(16, 2*len(r.items)))
		n := copy(grown, r.items[r.head:])
		copy(grown[n:], r.items[:r.head])
		r.items, r.head = grown, 0
	}
	r.items[(r.head+r.count)%len(r.items)] = x
	r.count++
}

func (r *ring) pop() *Exchange {
	x := r.first()
	if x != nil {
		r.items[r.head] = nil
		r.head = (r.head + 1) % len(r.items)
		r.count--
	}
	return x
}

// remove takes x out, wherever it is; those behind it move up.
func (r *ring) remove(x *Exchange) bool {
	for i := range r.count {
		if r.items[(r.head+i)%len(r.items)] != x {
			continue
		}
		for ; i < r.count-1; i++ {
			r.items[(r.head+i)%len(r.items)] = r.items[(r.head+i+1)%len(r.items)]
		}
		r.items[(r.head+i)%len(r.items)] = nil
		r.count--
		return true
	}
	return false
}
