package bridge

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
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
type Pool struct {
	limits PoolLimits

	mu      sync.Mutex
	queue   ring[*Exchange]
	slots   []*slot         // of the executors
	idle    []chan struct{} // of executors that wait, as a stack
	waking  int             // executors without work that a Submit is about to wake
	stopped bool
	sweep   *time.Timer // armed while the queue holds something
	armed   bool
	gate    gate

	set         *set // parked connections; nil: none are
	ready       ring[*conn]
	readySince  time.Time // when the first of ready came, at the earliest
	polling     int       // executors that wait in the set
	interrupted int       // of those, who will come back for the queue
	polls       int       // waits in the set that have ended
	turn        bool      // the last one taken was of the queue

	busy     atomic.Int64
	waiting  atomic.Int64
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
	p := &Pool{limits: l}
	p.sweep = time.AfterFunc(time.Hour, p.expire)
	p.sweep.Stop()
	return p
}

// Stats returns the pool's figures; each is exact, their sum need not be.
func (p *Pool) Stats() PoolStats {
	return PoolStats{
		Busy: p.busy.Load(), Waiting: p.waiting.Load(), Served: p.served.Load(),
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
	if p.stopped {
		p.mu.Unlock()
		return ErrStopped
	}
	free := p.polling-p.interrupted > p.waking || len(p.idle) > p.waking && p.gate.admits(p.waking)
	if !free && p.queue.len() >= p.limits.Queue {
		p.mu.Unlock()
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
	p.waiting.Add(1)
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
	case p.queue.len() == 0 && p.ready.len() == 0 && (p.set == nil || p.polling > 0):
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
	park := (*conn)(nil)
	for {
		x, c := p.next(s, park)
		park = nil
		switch {
		case x != nil:
			e.Execute(x)
			p.ended()
		case c != nil:
			if p.attend(s, c) {
				park = c
			}
		default:
			return p.leave(s)
		}
	}
}

// leave is the end of an executor.
func (p *Pool) leave(s *slot) (lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots = slices.DeleteFunc(p.slots, func(one *slot) bool { return one == s })
	if p.stopped && len(p.slots) == 0 && p.set != nil {
		for p.ready.len() > 0 { // all were lost
			c := p.ready.pop()
			c.handOver(c.loop)
		}
		p.set.close()
		p.set = nil
	}
	return s.lost
}

// begin notes what s serves; p.ended follows when it has.
func (p *Pool) begin(s *slot, x *Exchange) {
	x.holds.Add(1)
	p.mu.Lock()
	s.begin(x)
	p.mu.Unlock()
	p.busy.Add(1)
}

func (p *Pool) ended() {
	p.busy.Add(-1)
	p.served.Add(1)
}

// next ends what s has served, parks the connection that it has done with, if any, and
// returns what it is to serve next: a request of the queue, or a connection on which
// one has come. Neither: it is to end. One lock does for all.
func (p *Pool) next(s *slot, park *conn) (*Exchange, *conn) {
	arrived, polled := 0, false
	for {
		p.mu.Lock()
		done := p.uncount(s)
		if polled {
			p.arrive(s, arrived)
		}
		if park != nil {
			p.parkHeld(park)
		}
		x, c, wait := p.choose(s)
		more := p.polling > p.interrupted && (p.stopped || p.queue.len()+p.ready.len() > 0)
		if more {
			p.interrupted++
			p.set.interrupt()
		}
		set, most := p.set, p.most()
		p.mu.Unlock()
		if done != nil {
			done.Release()
		}
		if park != nil && park.srv.draining.Load() {
			park.drainParked()
		}
		park, polled = nil, false
		switch wait {
		case serves:
			return x, c
		case polls:
			arrived, polled = set.wait(&s.events, most, true), true
		case idles:
			<-s.wake
		case ends:
			return nil, nil
		}
	}
}

// step is what an executor does next.
type step int

const (
	serves step = iota
	polls
	idles
	ends
)

// choose decides that; p.mu is held.
func (p *Pool) choose(s *slot) (*Exchange, *conn, step) {
	admitted := p.gate.admits(0)
	switch {
	case s.lost:
		return nil, nil, ends
	case p.queue.len() > 0 && (p.stopped || admitted && (p.ready.len() == 0 || !p.turn)):
		p.turn = true
		x := p.queue.pop()
		p.waiting.Add(-1)
		p.busy.Add(1)
		p.count(s)
		s.begin(x)
		if p.set != nil {
			p.startTicks()
		}
		return x, nil, serves
	case p.ready.len() > 0 && (p.stopped || admitted):
		p.turn = false
		p.count(s)
		p.startTicks()
		return nil, p.ready.pop(), serves
	case p.stopped:
		return nil, nil, ends
	case p.set != nil && admitted:
		p.count(s)
		p.polling++
		return nil, nil, polls
	}
	p.idle = append(p.idle, s.wake)
	if p.queue.len() > 0 {
		p.startTicks()
	}
	return nil, nil, idles
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
	if p.polling > p.interrupted {
		p.interrupted++ // who comes back then interrupts the next
		p.set.interrupt()
	}
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
		p.waiting.Add(-1)
		p.timeouts.Add(1)
		x.Fail(ErrQueueTimeout)
		x.Release()
	}
}

// ring is a queue in a slice that grows by doubling.
type ring[T any] struct {
	items []T
	head  int
	count int
}

func (r *ring[T]) len() int { return r.count }

// first returns the zero value when there is none, as pop does.
func (r *ring[T]) first() (first T) {
	if r.count > 0 {
		first = r.items[r.head]
	}
	return first
}

func (r *ring[T]) push(x T) {
	if r.count == len(r.items) {
		grown := make([]T, max(16, 2*len(r.items)))
		n := copy(grown, r.items[r.head:])
		copy(grown[n:], r.items[:r.head])
		r.items, r.head = grown, 0
	}
	r.items[(r.head+r.count)%len(r.items)] = x
	r.count++
}

func (r *ring[T]) pop() T {
	x := r.first()
	if r.count > 0 {
		var none T
		r.items[r.head] = none
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
