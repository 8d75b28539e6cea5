package master

import (
	"maps"
	"slices"
	"time"
)

// Report is a worker as the master knows it.
type Report struct {
	Place   int // as Link.Place
	PID     int
	Serving bool
	Started time.Time // when it began to serve, or to start
	Spawns  int       // workers that have had this place, this one included
	Beat    Beat      // the last one; zero before the first
}

// reportLimit bounds the wait for a master that is busy.
const reportLimit = time.Second

// Report returns the workers that stay, by their places; nil if the master does not
// answer in time, or has ended. It may be called from any goroutine, once Begin was.
func (m *Master) Report() []Report {
	answer := make(chan []Report, 1)
	limit := time.NewTimer(reportLimit)
	defer limit.Stop()
	select {
	case m.events <- func() { answer <- m.report() }:
		return <-answer
	case <-m.over:
	case <-limit.C:
	}
	return nil
}

func (m *Master) report() []Report {
	generation := m.fleet.current
	if generation == 0 {
		generation = m.fleet.next
	}
	places := map[int]Report{}
	for _, w := range m.fleet.of(generation) {
		_, taken := places[w.place] // by one that is being replaced
		if w.pid == 0 || taken && w.phase != serving {
			continue
		}
		places[w.place] = Report{
			Place: w.place, PID: w.pid, Serving: w.phase == serving, Started: w.process.started,
			Spawns: m.spawns[w.place], Beat: w.process.beat,
		}
	}
	return slices.SortedFunc(maps.Values(places), func(a, b Report) int { return a.Place - b.Place })
}
