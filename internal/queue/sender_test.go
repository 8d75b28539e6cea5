package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: l, DisableTime: true})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func receive(t *testing.T, c net.PacketConn) string {
	t.Helper()
	buf := make([]byte, 1<<16)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, _, err := c.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestSenderJoinsWhatIsQueued(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	hold := make(chan struct{})
	var l logged
	s := &Sender{What: "it", Join: 10, Log: l.logger(), Dial: func(context.Context) (net.Conn, error) {
		<-hold
		return net.Dial("udp", server.LocalAddr().String())
	}}
	s.Start(1000)
	s.Put([]byte("first"))
	eventually(t, "the first batch", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.ends) == 0 })
	for i := range 5 {
		s.Put(fmt.Appendf(nil, "msg%d", i))
	}
	s.Put([]byte("longer than a packet"))
	close(hold)
	for _, want := range []string{"first", "msg0\nmsg1", "msg2\nmsg3", "msg4", "longer than a packet"} {
		if got := receive(t, server); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	s.Close()
	if l.String() != "" {
		t.Errorf("logged: %s", &l)
	}
}

// TestSenderConnectsAgain: a server that ends and comes back misses at most what was
// on its way, and the log tells once.
func TestSenderConnectsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	listen := func() net.PacketConn {
		os.Remove(path)
		c, err := net.ListenPacket("unixgram", path)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var l logged
	s := &Sender{What: "it", Log: l.logger(), Dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unixgram", path)
	}}
	s.Start(1000)
	defer s.Close()
	s.Put([]byte("early"))
	eventually(t, "a warning", func() bool { return strings.Contains(l.String(), "it cannot be reached") })
	server := listen()
	if got := receive(t, server); got != "early" {
		t.Errorf("got %q", got)
	}
	server.Close()
	server = listen()
	defer server.Close()
	s.Put([]byte("late"))
	if got := receive(t, server); got != "late" {
		t.Errorf("got %q", got)
	}
	eventually(t, "the good news", func() bool { return strings.Contains(l.String(), "[INFO]  it can be reached again") })
	if n := strings.Count(l.String(), "\n"); n != 2 {
		t.Errorf("%d lines: %s", n, &l)
	}
}

// TestSenderNeverWaits: nobody there, and much to say.
func TestSenderNeverWaits(t *testing.T) {
	var l logged
	var attempts atomic.Int32
	s := &Sender{What: "it", Log: l.logger(), Dial: func(context.Context) (net.Conn, error) {
		attempts.Add(1)
		return nil, errors.New("nobody")
	}}
	s.Start(1000)
	began := time.Now()
	for range 10_000 {
		s.Put(make([]byte, 100))
	}
	eventually(t, "an attempt", func() bool { return s.outage.Load() })
	s.Close()
	<-s.done
	if took := time.Since(began); took > 900*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	if attempts.Load() > 2 {
		t.Errorf("%d attempts", attempts.Load())
	}
	text := l.String()
	if strings.Count(text, "cannot be reached; trying again: error=nobody") != 1 || !strings.Contains(text, "messages were dropped: count=") {
		t.Errorf("logged: %s", text)
	}
	if n := strings.Count(text, "\n"); n > 3 {
		t.Errorf("%d lines: %s", n, text)
	}
}

// TestSenderSeesTheEndOfAStream: the first write after the other side has gone would
// succeed, and be lost.
func TestSenderSeesTheEndOfAStream(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	var l logged
	var open atomic.Pointer[net.TCPConn]
	s := &Sender{What: "it", Log: l.logger(), Dial: func(context.Context) (net.Conn, error) {
		c, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			return nil, err
		}
		open.Store(c.(*net.TCPConn))
		return Watched(c), nil
	}}
	s.Start(1000)
	defer s.Close()
	for _, m := range []string{"one", "two", "three"} {
		s.Put([]byte(m))
		c, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 10)
		n, err := c.Read(buf)
		if err != nil || string(buf[:n]) != m {
			t.Errorf("got %q (%v), want %q", buf[:n], err, m)
		}
		c.Close()
		eventually(t, "the close", func() bool { return open.Load().SetDeadline(time.Now()) != nil })
	}
}
