package bridge

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// locked is a fake executor behind a lock that all share, so the gate is for it.
type locked struct {
	app
	running *atomic.Bool
}

func (l locked) Running() (running, known bool) { return l.running.Load(), true }

// TestGateLetsAllInThatBlock: requests that wait for each other all get in.
func TestGateLetsAllInThatBlock(t *testing.T) {
	const n = 16
	checkGoroutines(t)
	var inside sync.WaitGroup
	inside.Add(n)
	var running atomic.Bool
	p := NewPool(PoolLimits{Queue: n})
	var ended sync.WaitGroup
	for range n {
		ended.Go(func() {
			p.Run(locked{app(func(x *Exchange) {
				inside.Done()
				inside.Wait()
				_ = x.Respond(okHead(), nil, true)
			}), &running})
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
	var served atomic.Int64
	var running atomic.Bool
	p := NewPool(PoolLimits{Queue: n})
	var ended sync.WaitGroup
	for range 4 {
		ended.Go(func() {
			p.Run(locked{app(func(x *Exchange) {
				served.Add(1)
				_ = x.Respond(okHead(), nil, true)
			}), &running})
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

// TestNoGateWithoutAGIL: executors that compute side by side are all let in.
func TestNoGateWithoutAGIL(t *testing.T) {
	p := NewPool(PoolLimits{Queue: 1})
	p.slots = append(p.slots, &slot{})
	if p.gateFor(app(nil)); p.gate.narrow || !p.gate.admits(1000) {
		t.Errorf("%+v", p.gate)
	}
}

// TestGateOpensInCalm: with little to do nobody fights for the GIL.
func TestGateOpensInCalm(t *testing.T) {
	const soon = gateLook + time.Millisecond
	for name, c := range map[string]struct {
		after, used time.Duration
		waits, want bool
	}{
		"calm":            {after: soon, want: true},
		"busy":            {after: soon, used: soon},
		"short of cores":  {after: soon, waits: true},
		"after a silence": {after: 3 * gateLook},
	} {
		now := time.Now()
		g := gate{locked: true, narrow: true, since: now}
		if g.adapt(now, false) {
			t.Errorf("%s: opened at the first look", name)
		}
		g.used -= c.used
		if got := g.adapt(now.Add(c.after), c.waits); got != c.want || g.narrow == got {
			t.Errorf("%s: opened %t, narrow %t", name, got, g.narrow)
		}
		if c.want {
			g.used -= gateLook
			if g.adapt(now.Add(c.after+gateLook), false); !g.narrow {
				t.Errorf("%s: not narrow again with much to do", name)
			}
		}
	}
}

// TestTickLeavesTheGate: a tick wakes nobody in the place of an executor that is outside
// for a moment, between two requests, but does when that does not come back.
func TestTickLeavesTheGate(t *testing.T) {
	p := NewPool(PoolLimits{Queue: 10})
	wake := make(chan struct{}, 1)
	p.mu.Lock()
	p.gate.narrow = true
	p.idle = append(p.idle, wake)
	p.queue.push(NewExchange())
	p.served.Add(1)
	p.gate.armed = true // by hand
	p.gate.timer = time.AfterFunc(time.Hour, func() {})
	p.mu.Unlock()
	p.tick()
	if len(wake) != 0 {
		t.Error("another executor was woken although one serves")
	}
	p.tick()
	if len(wake) != 1 {
		t.Error("no executor was woken although a request waits and none is served")
	}
	p.mu.Lock()
	p.gate.timer.Stop()
	p.mu.Unlock()
}
