package bridge

import (
	"sync"
	"time"
)

// slot is one executor in the pool: the request that it runs, and for how long the
// watchdog has seen nothing come of it. The pool's lock guards all of it.
type slot struct {
	executor Executor
	wake     chan struct{}
	x        *Exchange // nil between requests
	number   uint64    // of x, among those of this executor
	lost     bool      // given up: it may never come back
	gated              // how the gate sees it
	late     delayed
	spare    []*conn // the executor's alone, as what follows
	events   events
	arrived  []*conn

	seen   int64 // x.beats at the last look; unseen before the first
	silent time.Duration
}

const unseen = -1

func (s *slot) begin(x *Exchange) {
	s.x, s.seen, s.silent = x, unseen, 0
	s.number++
}

// Stall is a request that an executor was given up with.
type Stall struct {
	Executor Executor
	Record   Record        // a copy
	Silent   time.Duration // since the application last gave the client anything
	Client   string        // what becomes of the client: one of the following
}

const (
	ClientRefused  = "refused"  // gets an error answer
	ClientCut      = "cut"      // has the head: the connection ends
	ClientAnswered = "answered" // has the whole answer: it was close() that did not end
	ClientGone     = "gone"     // had left before
)

// Watch gives up executors whose application has given their client nothing for
// limit: no hint, no head, no bytes, and after the last of them no end. Time in the
// queue and time in which a slow client makes Write wait do not count. The client
// gets ErrTimeout; then stalled is called on a goroutine of its own, with all that
// were given up at the same time. It may start other executors in their place.
//
// Call Watch once. stop returns when nothing of it runs any more, stalled included.
func (p *Pool) Watch(limit time.Duration, stalled func([]Stall)) (stop func()) {
	end := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		tick := min(max(limit/8, 20*time.Millisecond), time.Second)
		timer := time.NewTimer(tick)
		defer timer.Stop()
		last := time.Now()
		for {
			select {
			case <-end:
				return
			case <-timer.C:
			}
			now := time.Now()
			// Of a longer time this process was stopped, or had no CPU.
			stalls, longest := p.look(min(now.Sub(last), 2*tick), limit)
			last = now
			if len(stalls) > 0 {
				all.Go(func() { stalled(stalls) })
			}
			timer.Reset(min(tick, max(limit-longest, time.Millisecond)))
		}
	})
	return sync.OnceFunc(func() {
		close(end)
		all.Wait()
	})
}

// look counts the time since the last look, gives up what is silent for limit, and
// returns the longest silence of the others.
func (p *Pool) look(elapsed, limit time.Duration) (stalls []Stall, longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slots {
		if s.x == nil || s.lost {
			continue
		}
		beats, blocked := s.x.progress()
		if beats != s.seen || blocked {
			s.seen, s.silent = beats, 0
			continue
		}
		if s.silent += elapsed; s.silent >= limit {
			stalls = append(stalls, p.giveUp(s, ErrTimeout))
			continue
		}
		longest = max(longest, s.silent)
	}
	return stalls, longest
}

// giveUp ends the request; the executor's own hold on it stays until it comes back.
func (p *Pool) giveUp(s *slot, err error) Stall {
	s.lost = true
	p.unstick(s)
	return Stall{
		Executor: s.executor, Record: append(Record(nil), s.x.Record...), Silent: s.silent,
		Client: s.x.abandon(err),
	}
}

// GiveUp ends all requests with err, those that run and those that wait, and takes
// no more. It returns those that ran.
func (p *Pool) GiveUp(err error) []Stall {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop()
	for x := p.queue.pop(); x != nil; x = p.queue.pop() {
		p.seat.Waiting.Add(-1)
		x.Fail(err)
		x.Release()
	}
	var stalls []Stall
	for _, s := range p.slots {
		if s.x != nil && !s.lost {
			stalls = append(stalls, p.giveUp(s, err))
		}
	}
	return stalls
}
