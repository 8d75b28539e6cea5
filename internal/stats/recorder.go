package stats

import (
	"sync"

	"github.com/gowsgi/gowsgi/bridge"
)

// Figures are what a worker has done since it began to serve.
type Figures struct {
	Requests   int64 `json:"requests"`
	Exceptions int64 `json:"exceptions"` // that the application has raised
	Timeouts   int64 `json:"timeouts"`   // requests that were given up: uWSGI's harakiri
	TX         int64 `json:"tx"`         // bytes of answers, their framing not counted
	Running    int64 `json:"running"`    // microseconds of all requests together
	AvgRT      int64 `json:"avg_rt"`     // microseconds: half by the last request, a quarter by the one before...
}

// Recorder counts what a worker does. It is a bridge.AccessLogger. Safe for
// concurrent use.
type Recorder struct {
	next bridge.AccessLogger // nil: there is no access log

	mu sync.Mutex
	f  Figures
}

// NewRecorder returns a recorder that passes requests on to an access log; nil: there
// is none.
func NewRecorder(next bridge.AccessLogger) *Recorder { return &Recorder{next: next} }

// Log implements bridge.AccessLogger.
func (r *Recorder) Log(e *bridge.AccessEntry) {
	took := e.Took.Microseconds()
	r.mu.Lock()
	r.f.Requests++
	r.f.TX += e.Bytes
	if e.Head != nil {
		r.f.TX += int64(len(e.Head.Lines))
	} else if e.Status == 504 { // the server's own answer
		r.f.Timeouts++
	}
	r.f.Running += took
	r.f.AvgRT = (r.f.AvgRT + took) / 2
	if r.f.Requests == 1 {
		r.f.AvgRT = took
	}
	r.mu.Unlock()
	if r.next != nil {
		r.next.Log(e)
	}
}

// Raised counts an exception of the application's.
func (r *Recorder) Raised() {
	r.mu.Lock()
	r.f.Exceptions++
	r.mu.Unlock()
}

// Figures returns what was counted.
func (r *Recorder) Figures() Figures {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.f
}
