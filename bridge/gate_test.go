package bridge

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clocked is a fake executor behind a lock that all share, so the gate is for it.
type clocked struct {
	app
	computed, delayed *atomic.Int64
}

func (c clocked) Clock() (computed, delayed time.Duration, ok bool) {
	return time.Duration(c.computed.Load()), time.Duration(c.delayed.Load()), true
}

// TestGateLetsAllInThatBlock: requests that wait for each other all get in.
func TestGateLetsAllInThatBlock(t *testing.T) {
	const n = 16
	checkGoroutines(t)
	var inside sync.WaitGroup
	inside.Add(n)
	var clock atomic.Int64
	p := NewPool(PoolLimits{Queue: n})
	var ended sync.WaitGroup
	for range n {
		ended.Go(func() {
			p.Run(clocked{app(func(x *Exchange) {
				inside.Done()
				inside.Wait()
				_ = x.Respond(okHead(), nil, true)
			}), &clock, &clock})
		})
	}
	var all []*Exchange
	for range n {
		x := NewExchange()
		if err := p.Submit(x); err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	done := make(chan struct{})
	go func() {
		for _, x := range all {
			x.Next()
			x.Release()
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("some never got in")
	}
	p.Stop()
	ended.Wait()
}

// TestGateIsEmptiedAtStop: what waits at the gate is served when the pool stops.
func TestGateIsEmptiedAtStop(t *testing.T) {
	checkGoroutines(t)
	const n = 100
	var clock, served atomic.Int64
	p := NewPool(PoolLimits{Queue: n})
	var ended sync.WaitGroup
	for range 4 {
		ended.Go(func() {
			p.Run(clocked{app(func(x *Exchange) {
				served.Add(1)
				_ = x.Respond(okHead(), nil, true)
			}), &clock, &clock})
		})
	}
	var all []*Exchange
	for range n {
		x := NewExchange()
		if err := p.Submit(x); err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	p.Stop()
	ended.Wait()
	for _, x := range all {
		x.Release()
	}
	if served.Load() != n {
		t.Errorf("%d of %d were served", served.Load(), n)
	}
}

// TestGateLevel: where the level goes by what a period has shown.
func TestGateLevel(t *testing.T) {
	for _, tt := range []struct {
		name                      string
		level                     int
		inside, computed, delayed time.Duration // in a period of 20 ms
		want                      int
	}{
		{"one computes", 1, 20, 19, 0, 1},
		{"one sleeps", 1, 20, 0, 0, 2},
		{"eight sleep", 8, 160, 2, 0, 16},
		{"all sleep", 64, 1280, 6, 0, 64},
		{"most is sleep, the core is full", 8, 160, 19, 0, 4},
		{"they fight for the GIL", 8, 160, 20, 0, 4},
		{"it has half a core, the other half is somebody else's", 1, 20, 10, 9, 1},
		{"little happens", 1, 2, 2, 0, 1},
		{"half is waiting for a database", 1, 20, 10, 0, 2},
	} {
		now := time.Now()
		var computed, delayed atomic.Int64
		p := &Pool{gate: gate{level: tt.level, since: now.Add(-20 * time.Millisecond), probed: now, inside: tt.inside * time.Millisecond}}
		for range 64 {
			p.slots = append(p.slots, &slot{executor: clocked{nil, &atomic.Int64{}, &atomic.Int64{}}})
		}
		p.slots[0].executor = clocked{nil, &computed, &delayed}
		computed.Store(int64(tt.computed * time.Millisecond))
		delayed.Store(int64(tt.delayed * time.Millisecond))
		if p.adapt(now); p.gate.level != tt.want {
			t.Errorf("%s: from level %d to %d, want %d", tt.name, tt.level, p.gate.level, tt.want)
		}
	}
}

// TestNoGateWithoutAGIL: executors that compute side by side are all let in.
func TestNoGateWithoutAGIL(t *testing.T) {
	p := NewPool(PoolLimits{Queue: 1})
	p.slots = append(p.slots, &slot{})
	if p.gateOpens(app(nil)); p.gate.level != 0 || !p.gate.admits(1000) {
		t.Errorf("%+v", p.gate)
	}
}
