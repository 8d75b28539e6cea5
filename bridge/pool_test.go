package bridge

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// outcome runs an exchange through a pool as a front does.
func outcome(p *Pool, x *Exchange) error {
	defer x.Release()
	if err := p.Submit(x); err != nil {
		return err
	}
	return x.Next().Err
}

func TestPoolOrder(t *testing.T) {
	p := NewPool(PoolLimits{Queue: 100})
	var order []string
	for i := range 40 { // past one growth of the ring
		x := NewExchange()
		x.Record = x.Record.Append("n", string(rune('a'+i)))
		if err := p.Submit(x); err != nil {
			t.Fatal(err)
		}
	}
	p.Stop()
	p.Run(app(func(x *Exchange) {
		order = append(order, x.Record.Lookup("n"))
		hello(x)
	}))
	for i, n := range order {
		if n != string(rune('a'+i)) {
			t.Fatalf("order %q", order)
		}
	}
	if len(order) != 40 {
		t.Errorf("%d ran after Stop, want all 40 that were queued", len(order))
	}
	if err := p.Submit(NewExchange()); !errors.Is(err, ErrStopped) {
		t.Errorf("Submit after Stop: %v", err)
	}
	p.Stop() // twice is once
}

// TestPoolLeavesWhatIsAnswered: no executor is needed for it.
func TestPoolLeavesWhatIsAnswered(t *testing.T) {
	p := NewPool(PoolLimits{Queue: 1})
	p.Stop() // nor does it matter that none will come
	x := NewExchange()
	defer x.Release()
	if x.Answered() {
		t.Error("a new exchange is answered")
	}
	if err := x.Respond(Head{Status: 200, Lines: []byte("200 OK\r\n"), ContentLength: -1}, []byte("a file"), true); err != nil {
		t.Fatal(err)
	}
	if err := p.Submit(x); err != nil || !x.Answered() || p.Stats().Waiting != 0 {
		t.Errorf("%v, %+v", err, p.Stats())
	}
	if part := x.Next(); part.Head.Status != 200 || string(part.Body) != "a file" || !part.Last {
		t.Errorf("%+v", part)
	}
}

// TestPoolWakesTheLastIdle executor first.
func TestPoolWakesTheLastIdle(t *testing.T) {
	checkGoroutines(t)
	p := NewPool(PoolLimits{Queue: 1})
	var executors sync.WaitGroup
	ran := make(chan int, 1)
	for i := range 3 {
		executors.Go(func() { p.Run(app(func(x *Exchange) { ran <- i; hello(x) })) })
		eventually(t, "the executor to be idle", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.idle) == i+1
		})
	}
	for range 5 {
		if err := outcome(p, NewExchange()); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, ran, "an executor"); got != 2 {
			t.Errorf("executor %d ran, want the one that was idle last", got)
		}
		eventually(t, "the executor to be idle again", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.idle) == 3
		})
	}
	p.Stop()
	executors.Wait()
}

func TestPoolLimits(t *testing.T) {
	p := NewPool(PoolLimits{Queue: 2, Wait: soon})
	for range 2 {
		if err := p.Submit(NewExchange()); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Submit(NewExchange()); !errors.Is(err, ErrQueueFull) {
		t.Errorf("third: %v", err)
	}
	eventually(t, "both to time out", func() bool { return p.Stats() == PoolStats{Refused: 1, Timeouts: 2} })
	if err := outcome(p, NewExchange()); !errors.Is(err, ErrQueueTimeout) { // the timer works a second time
		t.Errorf("fourth: %v", err)
	}
}

func TestPoolOldest(t *testing.T) {
	p := NewPool(PoolLimits{Queue: 2, Wait: time.Minute})
	if got := p.Oldest(); got != 0 {
		t.Errorf("an empty queue's is %v", got)
	}
	for range 2 {
		if err := p.Submit(NewExchange()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := p.Oldest(); got < 40*time.Millisecond || got > 10*time.Second {
		t.Errorf("the oldest of two waits for %v", got)
	}
}

// TestPoolHammer: submitters, executors, timeouts and Stop at once. Each exchange
// has exactly one outcome, and the counters add up.
func TestPoolHammer(t *testing.T) {
	checkGoroutines(t)
	for _, tt := range []struct {
		name string
		l    PoolLimits
	}{
		{"plenty", PoolLimits{Queue: 1000}},
		{"tight", PoolLimits{Queue: 2}},
		{"impatient", PoolLimits{Queue: 50, Wait: 100 * time.Microsecond}},
		{"no queue", PoolLimits{Queue: 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := NewPool(tt.l)
			var executed, ok, full, timeout, stopped atomic.Int64
			var executors, fronts sync.WaitGroup
			for i := range 3 {
				r := rand.New(rand.NewPCG(uint64(i), 1))
				executors.Go(func() {
					p.Run(app(func(x *Exchange) {
						executed.Add(1)
						for end := time.Now().Add(time.Duration(r.IntN(100)) * time.Microsecond); time.Now().Before(end); {
							pause(r)
						}
						hello(x)
					}))
				})
			}
			const submitters, each = 8, 400
			for range submitters {
				fronts.Go(func() {
					for range each {
						switch err := outcome(p, NewExchange()); {
						case err == nil:
							ok.Add(1)
						case errors.Is(err, ErrQueueFull):
							full.Add(1)
						case errors.Is(err, ErrQueueTimeout):
							timeout.Add(1)
						case errors.Is(err, ErrStopped):
							stopped.Add(1)
						default:
							t.Error(err)
						}
					}
				})
			}
			fronts.Go(func() {
				for ok.Load() < submitters*each/8 && full.Load()+timeout.Load() < submitters*each/2 {
					time.Sleep(time.Millisecond)
				}
				p.Stop()
			})
			fronts.Wait()
			executors.Wait()
			if sum := ok.Load() + full.Load() + timeout.Load() + stopped.Load(); sum != submitters*each {
				t.Errorf("%d outcomes of %d", sum, submitters*each)
			}
			want := PoolStats{Served: executed.Load(), Refused: full.Load(), Timeouts: timeout.Load()}
			if got := p.Stats(); got != want || executed.Load() != ok.Load() {
				t.Errorf("stats %+v, want %+v; %d answered", got, want, ok.Load())
			}
			t.Logf("ok %d, full %d, timeout %d, stopped %d", ok.Load(), full.Load(), timeout.Load(), stopped.Load())
		})
	}
}

func TestRing(t *testing.T) {
	var r ring
	var model []*Exchange
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		if rnd.IntN(2) == 0 && len(model) < 100 {
			x := &Exchange{}
			r.push(x)
			model = append(model, x)
		} else {
			var want *Exchange
			if len(model) > 0 {
				want, model = model[0], model[1:]
			}
			if r.first() != want || r.pop() != want {
				t.Fatal("not first in, first out")
			}
		}
		if r.len() != len(model) {
			t.Fatalf("len %d, want %d", r.len(), len(model))
		}
	}
}
