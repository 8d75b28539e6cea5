package bridge

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/internal/board"
)

// TestBacklogOptions: connections that waited in the backlog before the listener was
// served send small pieces at once too.
func TestBacklogOptions(t *testing.T) {
	l := listenLocal(t)
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fl := newFDListener(l, board.Alone(), true)
	defer fl.Close()
	fd, _, err := fl.acceptFD()
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if on, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY); err != nil || on == 0 {
		t.Errorf("TCP_NODELAY is %d, %v", on, err)
	}
}

// seats returns those of two processes.
func seats(t *testing.T) (own, other *board.Seat) {
	t.Helper()
	b, err := board.New()
	if err != nil {
		t.Fatal(err)
	}
	sit := func() *board.Seat {
		fd, err := syscall.Dup(b.FD())
		if err != nil {
			t.Fatal(err)
		}
		seat, err := board.Sit(os.NewFile(uintptr(fd), "board"), b.Take())
		if err != nil {
			t.Fatal(err)
		}
		seat.Begin(1)
		return seat
	}
	return sit(), sit()
}

// TestLeaving: a connection is left to who has less to do, but taken when nobody does,
// as when that process is stopped, or when the listener closes.
func TestLeaving(t *testing.T) {
	own, other := seats(t)
	own.Opened()
	l := listenLocal(t)
	fl := newFDListener(l, own, true)
	defer fl.Close()
	dial := func() {
		t.Helper()
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
	}
	accept := func() <-chan error {
		done := make(chan error, 1)
		go func() {
			fd, _, err := fl.acceptFD()
			if err == nil {
				syscall.Close(fd)
			}
			done <- err
		}()
		return done
	}
	begin := time.Now()
	dial()
	if err := <-accept(); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(begin); waited < 5*time.Millisecond {
		t.Errorf("it was not left to the other: taken after %v", waited)
	}

	// While the other accepts, this one never takes any.
	own.Stuck.Add(1) // so that it is left for 100 ms, which is longer than this test has no core
	done := accept()
	stop, accepting := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(accepting)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				other.Opened() // it might have been the one that is left
				other.Closed()
			}
		}
	}()
	dial()
	select {
	case err := <-done:
		t.Errorf("took one although the other accepts: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	close(stop)
	<-accepting
	if err := <-done; err != nil {
		t.Errorf("took none when the other had stopped: %v", err)
	}

	done = accept()
	dial()
	time.Sleep(10 * time.Millisecond)
	fl.SetDeadline(time.Now().Add(time.Millisecond))
	if err := <-done; err != nil {
		t.Errorf("what was left is lost when the listener closes: %v", err)
	}
	if _, _, err := fl.acceptFD(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a listener whose time is over: %v", err)
	}
}
