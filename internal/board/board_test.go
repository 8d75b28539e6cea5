//go:build linux

package board

import (
	"os"
	"syscall"
	"testing"
)

// sit returns a worker's seat, as another process would map it.
func sit(t *testing.T, b *Board) (*Seat, int) {
	t.Helper()
	n := b.Take()
	fd, err := syscall.Dup(b.FD())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Sit(os.NewFile(uintptr(fd), "board"), n)
	if err != nil {
		t.Fatal(err)
	}
	return s, n
}

func open(s *Seat, connections int) {
	for range connections {
		s.Opened()
	}
}

func TestLeave(t *testing.T) {
	b, err := New()
	if err != nil {
		t.Fatal(err)
	}
	one, first := sit(t, b)
	two, second := sit(t, b)
	check := func(what string, ones, twos bool) {
		t.Helper()
		if first, second := one.Leave() == 0, two.Leave() == 0; first != ones || second != twos {
			t.Errorf("%s: they take the next connection: %t and %t, want %t and %t", what, first, second, ones, twos)
		}
	}
	open(one, 5)
	check("the other does not accept", true, true)
	one.Begin(2)
	two.Begin(2)
	check("the other has fewer connections", false, true)
	open(two, 5)
	check("as many", true, true)
	if before := one.Elsewhere(); before != 5 {
		t.Errorf("the other has opened %d connections, want 5", before)
	}
	two.Closed()
	check("the other has one less", false, true)
	open(two, 1)
	if now := one.Elsewhere(); now != 6 {
		t.Errorf("the other has opened %d connections, want 6", now)
	}
	two.Busy.Add(1)
	check("a thread is free", true, true)
	two.Busy.Add(1)
	check("no thread is free", true, false)
	open(one, 100)
	check("a free thread counts more than connections", true, false)
	one.Busy.Add(2)
	one.Waiting.Add(1)
	check("fewer requests wait", false, true)
	two.Stuck.Add(1)
	check("one of two threads is stuck", false, true)
	two.Stuck.Add(1)
	check("all are", true, false)
	if got := two.Leave(); got != leaveLong {
		t.Errorf("one whose threads are stuck leaves a connection for %v, want %v", got, leaveLong)
	}
	two.Stuck.Add(-1)
	two.End()
	check("the other has ended, and leaves it to this one", true, false)
	b.Free(second)
	if n := b.Take(); n != second {
		t.Errorf("got seat %d after %d was free", n, second)
	}
	if two.open.Load() != 0 || two.Busy.Load() != 0 {
		t.Error("the next one finds the tally of the one before")
	}
	b.Free(first)
	check("all are gone", true, true)
}

func TestSeats(t *testing.T) {
	b, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= seats; n++ {
		if got := b.Take(); got != n {
			t.Fatalf("seat %d is numbered %d", n, got)
		}
	}
	if n := b.Take(); n != 0 {
		t.Errorf("got seat %d of a full board", n)
	}
	b.Free(0)
	if s := Alone(); s.Leave() != 0 || s.Shared() {
		t.Error("a process without others leaves connections to them")
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Sit(file, 0); err == nil {
		t.Errorf("there is a seat 0: %v", s)
	}
}
