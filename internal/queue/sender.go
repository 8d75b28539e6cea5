package queue

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	dialTime  = 5 * time.Second
	writeTime = time.Second
	closeTime = time.Second // for what is queued at the end
	firstWait = time.Second // between attempts to connect
	longWait  = 30 * time.Second
)

// Sender sends messages over a connection that it makes, and makes again when it
// breaks, on a goroutine of its own.
type Sender struct {
	What string // as log lines call the other side
	Dial func(ctx context.Context) (net.Conn, error)
	Join int          // bytes of a packet that messages are joined in, a newline between; 0: each alone
	Log  hclog.Logger // must not lead back to this sender

	*Queue
	conn   net.Conn
	outage atomic.Bool // the last attempt to connect failed
	losses Losses
	cancel context.CancelFunc
	done   chan struct{}
}

// Start begins to send; limit is the queue's, in bytes.
func (s *Sender) Start(limit int) {
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	s.Queue, s.done = New(limit), make(chan struct{})
	s.losses.Report = func(lost int) {
		s.Log.Warn(s.What+" cannot keep up, or be reached: messages were dropped", "count", lost)
	}
	go s.run(ctx)
}

// Close sends what is queued, for a moment at most, if the other side is there.
func (s *Sender) Close() {
	s.Queue.Close()
	if !s.outage.Load() {
		select {
		case <-s.done:
		case <-time.After(closeTime):
		}
	}
	s.cancel()
}

func (s *Sender) run(ctx context.Context) {
	defer close(s.done)
	var b Batch
	for s.Take(ctx, &b) {
		s.losses.Add(b.Dropped)
		var packet []byte
		for m := range b.All {
			switch {
			case s.Join == 0:
				s.send(ctx, m)
				continue
			case len(packet) == 0:
			case len(packet)+1+len(m) > s.Join:
				s.send(ctx, packet)
				packet = packet[:0]
			default:
				packet = append(packet, '\n')
			}
			packet = append(packet, m...)
		}
		if len(packet) > 0 {
			s.send(ctx, packet)
		}
	}
	s.losses.Flush()
	if s.conn != nil {
		s.conn.Close()
	}
}

// send writes one packet; what an old connection does not take, a new one may.
func (s *Sender) send(ctx context.Context, packet []byte) {
	for range 2 {
		if s.conn == nil && !s.connect(ctx) {
			break
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime)) // fails on a closed one, as Write will
		if _, err := s.conn.Write(packet); err == nil {
			return
		}
		s.conn.Close()
		s.conn = nil
	}
	s.losses.Add(1)
}

// connect tries until it has a connection. Meanwhile the queue fills.
func (s *Sender) connect(ctx context.Context) bool {
	for wait := firstWait; ctx.Err() == nil; wait = min(2*wait, longWait) {
		attempt, cancel := context.WithTimeout(ctx, dialTime)
		conn, err := s.Dial(attempt)
		cancel()
		if err == nil {
			if s.outage.Swap(false) {
				s.Log.Info(s.What + " can be reached again")
			}
			s.conn = conn
			return true
		}
		if ctx.Err() == nil && !s.outage.Swap(true) {
			s.Log.Warn(s.What+" cannot be reached; trying again", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return false
}

// Watched closes a stream when the other side does, so that the next write to it
// fails: the kernel would take that, and lose it.
func Watched(c net.Conn) net.Conn {
	go func() {
		_, _ = io.Copy(io.Discard, c) // any end is fine
		c.Close()
	}()
	return c
}
