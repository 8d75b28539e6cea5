package queue

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func take(t *testing.T, q *Queue, b *Batch) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if !q.Take(ctx, b) {
		return nil
	}
	got := []string{}
	for m := range b.All {
		got = append(got, string(m))
	}
	return got
}

func TestMessagesInOrder(t *testing.T) {
	q, b := New(100), &Batch{}
	q.Put([]byte("a"), []byte("b"))
	q.Put([]byte("c"))
	if got := take(t, q, b); strings.Join(got, " ") != "ab c" || b.Len() != 2 || string(b.Bytes()) != "abc" {
		t.Errorf("got %q", got)
	}
	q.Put([]byte("d"))
	if got := take(t, q, b); strings.Join(got, " ") != "d" {
		t.Errorf("then %q", got)
	}
}

func TestFullQueueDrops(t *testing.T) {
	q, b := New(10), &Batch{}
	for range 5 {
		q.Put([]byte("abc"))
	}
	if got := take(t, q, b); len(got) != 3 || b.Dropped != 2 {
		t.Errorf("%d messages, %d dropped", len(got), b.Dropped)
	}
	q.Put([]byte("longer than all"))
	if got := take(t, q, b); len(got) != 0 || b.Dropped != 1 {
		t.Errorf("a message longer than the queue: %q, %d dropped", got, b.Dropped)
	}
	q.Put([]byte("abc"))
	if got := take(t, q, b); len(got) != 1 || b.Dropped != 0 {
		t.Errorf("after that: %q, %d dropped", got, b.Dropped)
	}
}

func TestClose(t *testing.T) {
	q, b := New(10), &Batch{}
	q.Put([]byte("a"))
	q.Close()
	q.Put([]byte("b"))
	if got := take(t, q, b); len(got) != 1 || got[0] != "a" {
		t.Errorf("got %q", got)
	}
	if q.Take(context.Background(), b) {
		t.Error("a closed, empty queue gives something")
	}
}

func TestTakeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if New(10).Take(ctx, &Batch{}) {
		t.Error("something from nothing")
	}
}

// TestConcurrentPuts: nothing is lost or mixed, and room is given back after a burst.
func TestConcurrentPuts(t *testing.T) {
	const each = 2000
	q := New(64 << 20)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range each {
				q.Put(fmt.Appendf(nil, "%d:", g), fmt.Appendf(nil, "%d", i))
			}
		})
	}
	go func() { all.Wait(); q.Close() }()
	next := map[string]int{}
	b := &Batch{}
	for got := take(t, q, b); got != nil; got = take(t, q, b) {
		for _, m := range got {
			g, i, _ := strings.Cut(m, ":")
			if i != fmt.Sprint(next[g]) {
				t.Fatalf("of %s came %s, want %d", g, i, next[g])
			}
			next[g]++
		}
	}
	for _, n := range next {
		if n != each {
			t.Errorf("messages: %v", next)
		}
	}
}

func TestLossesAreSummedUp(t *testing.T) {
	var reports []int
	l := Losses{Report: func(n int) { reports = append(reports, n) }}
	l.Add(0)
	for range 5 {
		l.Add(2)
	}
	l.Flush()
	l.Flush()
	if fmt.Sprint(reports) != "[2 8]" {
		t.Errorf("reports %v", reports)
	}
}
