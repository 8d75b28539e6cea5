package bridge

import "time"

// Serving inline takes the least CPU. But where an application computes for long and a
// core is free, goroutines can read and write on that while an executor computes, which
// gives more requests a second: Flask's hello world 17,400 instead of 12,250. So while
// the executors are busy all the time, it is weighed which is better.
const (
	overlapSamples = 128 // ticks

	overlapBusy   = 0.8                   // of the samples: an executor computes, and nobody waits for anything else
	overlapFrom   = 40 * time.Microsecond // a request, at least: of a shorter one the hand-over is the larger part
	overlapBelow  = 25 * time.Microsecond // then it ends
	overlapFree   = 0.4                   // cores, at least, that nobody has used
	overlapBeyond = 0.1                   // more than there are that somebody wanted: then it ends
)

// overlap is a pool's; its lock guards it.
type overlap struct {
	on bool

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
		p.overlaps.Store(false)
		return
	}
	runnable, cores := machineLoad()
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
	o.on = o.decide(request, float64(cores))
	p.overlaps.Store(o.on)
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
