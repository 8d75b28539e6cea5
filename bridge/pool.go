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
// are the warm ones.
type Pool struct {
	limits PoolLimits

	mu      sync.Mutex
	queue   ring
	slots   []*slot         // of the executors
	idle    []chan struct{} // of executors that wait, as a stack
	waking  int             // idle executors that a Submit is about to wake
	stopped bool
	sweep   *time.Timer // armed while the queue holds something
	armed   bool

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
	idle := len(p.idle) > p.waking
	if !idle && p.queue.len() >= p.limits.Queue {
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
	if idle {
		p.waking++
	}
	p.mu.Unlock()
	if idle {
		p.wake()
	}
	return nil
}

// wake starts an idle executor on the queue. It lets the goroutines that can run
// now go first: their requests then wait in the queue when the executor starts,
// and one change of threads, which costs more than a small request, serves all.
func (p *Pool) wake() {
	runtime.Gosched()
	p.mu.Lock()
	p.waking--
	n := len(p.idle)
	if n == 0 || p.queue.len() == 0 {
		p.mu.Unlock()
		return
	}
	wake := p.idle[n-1]
	p.idle = p.idle[:n-1]
	p.mu.Unlock()
	wake <- struct{}{}
}

// Run lets e serve requests until Stop was called and the queue is empty. It
// returns on the goroutine that called it, which is e's thread. It returns true
// when Watch or GiveUp has given e up meanwhile: others may have its place.
func (p *Pool) Run(e Executor) (lost bool) {
	s := &slot{executor: e, wake: make(chan struct{}, 1)}
	p.mu.Lock()
	p.slots = append(p.slots, s)
	p.mu.Unlock()
	for {
		x := p.next(s)
		if x == nil {
			break
		}
		p.busy.Add(1)
		e.Execute(x)
		p.busy.Add(-1)
		p.served.Add(1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots = slices.DeleteFunc(p.slots, func(one *slot) bool { return one == s })
	return s.lost
}

// next ends what s has served and returns the next request, nil when there will be
// none. One lock does for both.
func (p *Pool) next(s *slot) *Exchange {
	for {
		p.mu.Lock()
		done, idle := s.x, false
		s.x = nil
		if !s.lost {
			s.begin(p.queue.pop())
			if idle = s.x == nil && !p.stopped; idle {
				p.idle = append(p.idle, s.wake)
			}
		}
		x := s.x
		p.mu.Unlock()
		if done != nil {
			done.Release()
		}
		if x != nil {
			p.waiting.Add(-1)
			return x
		}
		if !idle {
			return nil
		}
		<-s.wake
	}
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
