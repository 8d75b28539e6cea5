// Package queue is a bounded queue of messages between goroutines that must not
// wait, such as those that serve requests, and one that may, since it writes to a
// socket or a pipe. Nothing of what the messages mean may enter.
package queue

import (
	"context"
	"sync"
	"time"
)

// Queue is safe for concurrent use by any number of goroutines that put and one
// that takes.
type Queue struct {
	limit int // bytes
	wake  chan struct{}

	mu      sync.Mutex
	data    []byte
	ends    []int
	dropped int
	closed  bool
}

// New returns a queue that holds up to limit bytes.
func New(limit int) *Queue {
	return &Queue{limit: limit, wake: make(chan struct{}, 1)}
}

// Put adds a message, given in parts, which are copied. It never waits: a message
// that finds no room is dropped and counted, one after Close is lost.
func (q *Queue) Put(parts ...[]byte) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	q.mu.Lock()
	switch {
	case q.closed:
	case len(q.data)+n > q.limit:
		q.dropped++
	default:
		for _, p := range parts {
			q.data = append(q.data, p...)
		}
		q.ends = append(q.ends, len(q.data))
	}
	q.mu.Unlock()
	q.signal()
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Close ends the queue: what is in it can still be taken.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

// Batch is messages taken at once, and how many were dropped before them.
type Batch struct {
	data    []byte
	ends    []int
	Dropped int
}

// Take waits for messages and gives the batch those that there are, in place of
// what it held. It returns false when the queue is closed and empty, or ctx ends.
func (q *Queue) Take(ctx context.Context, b *Batch) bool {
	for {
		q.mu.Lock()
		if len(q.ends) > 0 || q.dropped > 0 {
			q.data, b.data = trim(b.data), q.data
			q.ends, b.ends = b.ends[:0], q.ends
			q.dropped, b.Dropped = 0, q.dropped
			q.mu.Unlock()
			return true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return false
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return false
		}
	}
}

// keep is how many bytes of room a queue keeps when it was fuller than that.
const keep = 64 << 10

func trim(b []byte) []byte {
	if cap(b) > keep {
		return nil
	}
	return b[:0]
}

// All calls yield for each message, in order.
func (b *Batch) All(yield func(message []byte) bool) {
	start := 0
	for _, end := range b.ends {
		if !yield(b.data[start:end]) {
			return
		}
		start = end
	}
}

// Len returns how many messages there are.
func (b *Batch) Len() int { return len(b.ends) }

// Bytes returns all messages in one piece.
func (b *Batch) Bytes() []byte { return b.data }

// reportEvery is how often losses are reported, at most: who reads them knows after
// the first.
const reportEvery = time.Minute

// Losses sums up what was lost, and tells of it now and then. It is for one goroutine.
type Losses struct {
	Report func(lost int)

	lost int
	next time.Time
}

// Add counts n more, and reports them unless it did so shortly before.
func (l *Losses) Add(n int) {
	l.lost += n
	if now := time.Now(); l.lost > 0 && now.After(l.next) {
		l.next = now.Add(reportEvery)
		l.Flush()
	}
}

// Flush reports what was not reported yet.
func (l *Losses) Flush() {
	if l.lost > 0 {
		l.Report(l.lost)
		l.lost = 0
	}
}
