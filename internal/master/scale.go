package master

import "encoding/json"

// Beat is what a worker tells once a second.
type Beat struct {
	Busy    int64 // requests that run
	Waiting int64 // requests that wait for a thread
	Wait    int64 // milliseconds that one has waited at most, since the last beat
	RSS     int64 // bytes of memory; 0: not known

	// Figures are the worker's own, for who asks the master for a Report.
	Figures json.RawMessage `json:",omitempty"`
}

// scaler decides how many workers there should be, from min to max: more while
// requests have to wait, fewer when some worker is always idle.
type scaler struct {
	min, max int
	pressed  int // seconds in a row in which a request waited long
	calm     int // seconds in a row in which none did, and a worker was idle
}

const (
	// longWait, in milliseconds, is above what a burst of small requests takes to
	// be served, and below what users notice.
	longWait   = 100
	pressedFor = 3  // shorter peaks are over before a new worker has imported the application
	calmFor    = 30 // RATIONALE.md, "When are there more workers, when fewer?"
)

// next returns how many there should be. It is to be called once a second while
// all workers serve, with the beats that came in that time.
func (s *scaler) next(want int, beats []Beat) int {
	waited, busy := false, 0
	for _, b := range beats {
		waited = waited || b.Wait >= longWait
		if b.Busy > 0 {
			busy++
		}
	}
	switch {
	case waited:
		s.pressed, s.calm = s.pressed+1, 0
	case len(beats) < want: // one was late, which tells nothing
	case busy < want:
		s.pressed, s.calm = 0, s.calm+1
	default:
		s.pressed, s.calm = 0, 0
	}
	switch {
	case s.pressed >= pressedFor:
		s.pressed = 0
		want += max(1, want/4)
	case s.calm >= calmFor:
		s.calm = 0
		want--
	}
	return s.bound(want)
}

// bound returns the nearest number that is allowed.
func (s *scaler) bound(want int) int { return max(s.min, min(want, s.max)) }
