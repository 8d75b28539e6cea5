package bridge

import "time"

// One thread that reads, computes and sends takes the least CPU. But where an
// application computes for long and a core is free, requests a second are won by an
// assistant, a goroutine that reads requests and sends the executors' answers while
// they compute: Flask's hello world 17,100 instead of 15,900, for 80 us of CPU a request
// instead of 76. So while an executor is busy all the time, it is weighed which is
// better.
const (
	overlapSamples = 64 // ticks

	overlapBusy   = 0.8                   // of the samples, at least, in which an executor computed
	overlapFrom   = 30 * time.Microsecond // a request takes at least: of a shorter one the hand-over is the larger part
	overlapBelow  = 20 * time.Microsecond // then it ends
	overlapFree   = 0.2                   // cores, at least, that nobody wanted
	overlapBeyond = 0.3                   // more than there are that somebody wanted: then it ends
)

// overlap is a pool's; its lock guards it.
type overlap struct {
	on      bool
	decided bool // once, at least

	since    time.Time
	served   int64
	samples  int
	busy     int // samples in which an executor computed
	runnable int // threads of all processes that had a core or wanted one, in all samples
}

// weigh takes a sample with each tick of a pool whose executors are busy.
func (p *Pool) weigh() {
	o := &p.overlap
	if !p.gate.locked || !p.gate.narrow && len(p.slots) > 1 {
		*o = overlap{} // they are many, or wait for something else
		return
	}
	runnable, cores := p.load()
	if cores == 0 {
		return
	}
	if o.samples == 0 {
		o.since, o.served = time.Now(), p.served.Load()
	}
	o.samples++
	o.runnable += runnable - 1 // this thread
	for _, s := range p.slots {
		if s.counted && s.x != nil {
			if running, _ := s.executor.(Locked).Running(); running {
				o.busy++
			}
			break
		}
	}
	if o.samples < overlapSamples {
		return
	}
	took := time.Since(o.since)
	request := took / time.Duration(max(1, p.served.Load()-o.served))
	o.on, o.decided = o.decide(request, float64(cores)), true
	if o.on && !p.assisted {
		p.assisted = true
		go p.assist()
	}
	o.samples, o.busy, o.runnable = 0, 0, 0
}

func (o *overlap) decide(request time.Duration, cores float64) bool {
	n := float64(o.samples)
	wanted := float64(o.runnable) / n
	switch {
	case float64(o.busy) < overlapBusy*n:
		return false
	case o.on:
		return request >= overlapBelow && wanted <= cores+overlapBeyond
	}
	return request >= overlapFrom && wanted <= cores-overlapFree
}

// assist is the assistant's life.
func (p *Pool) assist() {
	var e events
	var room [len(events{})]*conn
	n := 0
	for {
		p.mu.Lock()
		if p.interrupted > 0 {
			if p.set.called(e[:n]) {
				p.set.interrupt() // that was for an executor, too
			}
			p.back.Wait() // else this wait would be the one that is interrupted, again
		}
		kept := p.handed
		p.handed, p.spare = p.spare[:0], kept
		over := !p.overlap.on || p.stopped
		p.dozes, p.called = len(kept) == 0 && !over, false
		if over && len(kept) == 0 {
			p.assisted = false
			p.closeSet()
			p.mu.Unlock()
			return
		}
		set, dozes := p.set, p.dozes
		p.mu.Unlock()
		p.sendLate(kept)
		if n = 0; over {
			continue // more may have been handed on
		}
		n = set.wait(&e, len(e), dozes)
		p.take(p.arrived(room[:0], &e, n, false), false)
		p.mu.Lock()
		p.dozes = false
		p.mu.Unlock()
	}
}

// handOn gives the assistant kept answers; p.mu is held.
func (p *Pool) handOn(kept []*conn) {
	p.handed = append(p.handed, kept...)
	p.callAssistant()
}

// callAssistant ends its wait; p.mu is held.
func (p *Pool) callAssistant() {
	if p.dozes && !p.called {
		p.called = true
		p.set.interrupt()
	}
}
