package bridge

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// held returns an exchange as it is between Submit and the end: both ends hold it.
func held() *Exchange {
	x := NewExchange()
	x.holds.Store(2)
	return x
}

func TestExchangeParts(t *testing.T) {
	type part struct {
		head, last bool
		body       string
		err        error
	}
	head := okHead()
	for _, tt := range []struct {
		name string
		do   func(x *Exchange)
		want []part
	}{
		{"whole", func(x *Exchange) { _ = x.Respond(head, []byte("ab"), true) }, []part{{true, true, "ab", nil}}},
		{"empty", func(x *Exchange) { _ = x.Respond(head, nil, true) }, []part{{true, true, "", nil}}},
		{"pieces that were not taken go as one", func(x *Exchange) {
			_ = x.Respond(head, []byte("a"), false)
			_ = x.Write([]byte("b"), false)
			_ = x.Write([]byte("c"), true)
		}, []part{{true, true, "abc", nil}}},
		{"failure", func(x *Exchange) { x.Fail(ErrFailed) }, []part{{false, false, "", ErrFailed}}},
		{"failure before the head was taken", func(x *Exchange) {
			_ = x.Respond(head, []byte("a"), false)
			x.Fail(ErrFailed)
		}, []part{{true, false, "a", nil}, {false, false, "", ErrFailed}}}, // whichever is quicker
		{"the first failure counts", func(x *Exchange) {
			x.Fail(ErrQueueTimeout)
			x.Fail(ErrFailed)
		}, []part{{false, false, "", ErrQueueTimeout}}},
		{"HEAD has no body", func(x *Exchange) {
			x.NoBody = true
			if err := x.Respond(head, []byte("a"), false); !errors.Is(err, ErrNoBody) {
				t.Errorf("Respond: %v", err)
			}
			if err := x.Write([]byte("b"), true); !errors.Is(err, ErrNoBody) {
				t.Errorf("Write: %v", err)
			}
		}, []part{{true, true, "", nil}}},
		{"nor has 304", func(x *Exchange) { _ = x.Respond(statusHead("304 Not Modified"), []byte("a"), true) },
			[]part{{true, true, "", nil}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := held()
			tt.do(x)
			for i, want := range tt.want {
				p := x.Next()
				got := part{p.Head != nil, p.Last, string(p.Body), p.Err}
				if got != want {
					t.Errorf("part %d: %+v, want %+v", i, got, want)
				}
			}
			x.Release()
			x.Release()
		})
	}
}

// TestExchangeAfterFailure: bytes given before a failure go out when the head has.
func TestExchangeAfterFailure(t *testing.T) {
	x := held()
	_ = x.Respond(okHead(), []byte("a"), false)
	if string(x.Next().Body) != "a" {
		t.Error("no first part")
	}
	_ = x.Write([]byte("b"), false)
	x.Fail(ErrFailed)
	if p := x.Next(); string(p.Body) != "b" || p.Err != nil {
		t.Errorf("got %q, %v", p.Body, p.Err)
	}
	if p := x.Next(); !errors.Is(p.Err, ErrFailed) {
		t.Errorf("got %+v", p)
	}
}

// TestExchangeBlocks: Write waits from the high-water mark until something is
// taken, or until the front leaves.
func TestExchangeBlocks(t *testing.T) {
	for name, free := range map[string]func(x *Exchange) error{
		"taken": func(x *Exchange) error { x.Next(); return nil },
		"left":  func(x *Exchange) error { x.Leave(ErrGone); return ErrGone },
	} {
		t.Run(name, func(t *testing.T) {
			x := held()
			_ = x.Respond(okHead(), make([]byte, highWater), false)
			wrote := make(chan error, 1)
			go func() { wrote <- x.Write([]byte("more"), true) }()
			select {
			case err := <-wrote:
				t.Fatalf("Write did not wait: %v", err)
			case <-time.After(soon):
			}
			want := free(x)
			if err := receive(t, wrote, "Write to return"); !errors.Is(err, want) {
				t.Errorf("Write: %v, want %v", err, want)
			}
		})
	}
}

// TestExchangeReuse: nothing of a request is seen in the next one.
func TestExchangeReuse(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	x := held()
	x.NoBody = true
	x.Record = x.Record.Append("a", "b")
	if err := x.Body.write([]byte("body"), 100, ""); err != nil {
		t.Fatal(err)
	}
	x.RespondFile(okHead(), FilePart{File: f, Length: 3})
	x.Leave(ErrGone)
	x.Fail(ErrFailed)
	x.Release()
	x.Release()
	if err := f.Close(); err == nil {
		t.Error("a file that was never taken stays open")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.Record) != 0 || x.Body.Size() != 0 || x.NoBody || x.responded || x.headTaken || x.last || x.err != nil ||
		x.left != nil || len(x.pending) != 0 || x.file.File != nil || len(x.ready) != 0 || len(x.space) != 0 {
		t.Errorf("left over: %+v", x)
	}
}

func TestExchangeGivesLargeBuffersBack(t *testing.T) {
	x := held()
	_ = x.Respond(okHead(), make([]byte, 8*highWater), true)
	x.Next()
	x.Release()
	x.Release()
	if cap(x.taken) > 4*highWater || cap(x.pending) > 4*highWater {
		t.Errorf("keeps %d and %d bytes", cap(x.taken), cap(x.pending))
	}
}

// TestExchangeHammer lets an executor and a front work on each exchange at random
// pace, the front leaving at a random moment. What the front gets is a prefix of
// what the executor gave, and all of it when nobody left or failed.
func TestExchangeHammer(t *testing.T) {
	checkGoroutines(t)
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for range rounds {
		seed := rand.Uint64()
		x := held()
		given := make(chan []byte, 1)
		failed := seed%5 == 0
		go func() {
			defer x.Release()
			given <- hammerExecutor(x, rand.New(rand.NewPCG(seed, 1)), failed)
		}()
		got, whole, left := hammerFront(x, rand.New(rand.NewPCG(seed, 2)))
		x.Release()
		want := receive(t, given, "the executor")
		switch {
		case !bytes.HasPrefix(want, got):
			t.Fatalf("seed %d: the front got %d bytes that are no prefix of the %d given", seed, len(got), len(want))
		case whole && (failed || len(got) != len(want)):
			t.Fatalf("seed %d: %d of %d bytes taken for all (failed: %t)", seed, len(got), len(want), failed)
		case !whole && !left && !failed:
			t.Fatalf("seed %d: neither whole nor left nor failed", seed)
		}
	}
}

func pause(r *rand.Rand) {
	for range r.IntN(3) {
		runtime.Gosched()
	}
}

// hammerExecutor writes up to 12 pieces, past the high-water mark, and returns
// what it gave.
func hammerExecutor(x *Exchange, r *rand.Rand, fail bool) (given []byte) {
	pieces := r.IntN(12)
	piece := func() ([]byte, Loan) {
		p, l := hammerPiece(r, len(given))
		given = append(given, p...)
		return p, l
	}
	pause(r)
	p, l := piece()
	err := x.RespondLent(okHead(), p, l, pieces == 0 && !fail)
	for i := 1; i <= pieces && err == nil; i++ {
		pause(r)
		p, l := piece()
		err = x.WriteLent(p, l, i == pieces && !fail)
	}
	if fail {
		x.Fail(ErrFailed)
	}
	return given
}

func hammerFront(x *Exchange, r *rand.Rand) (got []byte, whole, left bool) {
	leave := r.IntN(12)
	for i := 0; ; i++ {
		pause(r)
		if i == leave {
			x.Leave(ErrGone)
			return got, false, true
		}
		p := x.Next()
		got = append(got, p.Body...)
		if p.Last || p.Err != nil {
			x.Leave(ErrComplete)
			return got, p.Last, false
		}
	}
}

// TestExchangeWriters: the thread and the helper of its write() take turns.
func TestExchangeWriters(t *testing.T) {
	x := held()
	var turn sync.Mutex
	var writers sync.WaitGroup
	_ = x.Respond(okHead(), nil, false)
	for range 2 {
		writers.Go(func() {
			for range 500 {
				turn.Lock()
				_ = x.Write(make([]byte, 1000), false)
				turn.Unlock()
			}
		})
	}
	go func() {
		writers.Wait()
		_ = x.Write(nil, true)
	}()
	total := 0
	for p := x.Next(); ; p = x.Next() {
		total += len(p.Body)
		if p.Last {
			break
		}
	}
	if total != 1_000_000 {
		t.Errorf("got %d bytes", total)
	}
}
