package bridge

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/gowsgi/gowsgi/bridge/http1"
)

func TestBodyFill(t *testing.T) {
	text := strings.Repeat("0123456789", 10_000) // more than a chunk
	lost := errors.New("lost")
	for _, tt := range []struct {
		name          string
		r             io.Reader
		limit, memory int64
		inFile        bool
		status        int
		err           error
	}{
		{name: "empty", r: strings.NewReader(""), memory: 10},
		{name: "in memory", r: strings.NewReader(text), memory: 100_000},
		{name: "byte by byte", r: iotest.OneByteReader(strings.NewReader(text[:50])), memory: 50},
		{name: "end with the last bytes", r: iotest.DataErrReader(strings.NewReader(text)), memory: 100_000},
		{name: "in a file", r: strings.NewReader(text), memory: 99_999, inFile: true},
		{name: "as large as may be", r: strings.NewReader(text), limit: 100_000, memory: 1, inFile: true},
		{name: "too large", r: strings.NewReader(text), limit: 99_999, memory: 1, status: 413},
		{name: "lost", r: io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(lost)), memory: 10, err: lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := NewExchange()
			defer x.Release()
			err := x.Body.Fill(tt.r, tt.limit, tt.memory, t.TempDir())
			var bad *http1.Error
			if errors.As(err, &bad) != (tt.status != 0) || bad != nil && bad.Status != tt.status || tt.status == 0 && !errors.Is(err, tt.err) {
				t.Fatalf("error %v", err)
			}
			if err == nil && (x.Body.File() != nil) != tt.inFile {
				t.Errorf("in a file: %t", x.Body.File() != nil)
			}
		})
	}
	x := NewExchange()
	defer x.Release()
	var bad *http1.Error
	if err := x.Body.Fill(strings.NewReader("abc"), 0, 1, "/nowhere"); !errors.As(err, &bad) || bad.Status != 500 {
		t.Errorf("no folder: %v", err)
	}
}

func TestNextOr(t *testing.T) {
	x := held()
	done := make(chan struct{})
	go func() { _ = x.Respond(okHead(), []byte("a"), false) }()
	if p, ok := x.NextOr(done); !ok || string(p.Body) != "a" || p.Head == nil {
		t.Errorf("%+v, %t", p, ok)
	}
	close(done)
	if p, ok := x.NextOr(done); ok {
		t.Errorf("%+v", p)
	}
	x.Fail(ErrFailed)
	drain(x.ready) // what is there goes before done
	if p, ok := x.NextOr(done); !ok || !errors.Is(p.Err, ErrFailed) {
		t.Errorf("%+v, %t", p, ok)
	}
}

// note is an owner that counts.
type note struct{ released *atomic.Int64 }

func (n note) Released() { n.released.Add(1) }

// TestWithdraw: fronts that go while they wait. Each exchange is executed or was
// withdrawn, and is let go by both ends once.
func TestWithdraw(t *testing.T) {
	checkGoroutines(t)
	p := NewPool(PoolLimits{Queue: 4})
	var executed, answered, withdrawn, gone, refused, released atomic.Int64
	var executors, fronts sync.WaitGroup
	for range 2 {
		executors.Go(func() {
			p.Run(app(func(x *Exchange) {
				executed.Add(1)
				hello(x)
			}))
		})
	}
	const submitters, each = 8, 500
	for i := range submitters {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		fronts.Go(func() {
			for range each {
				x := NewExchange()
				x.Owner = note{&released}
				done := make(chan struct{})
				if err := p.Submit(x); err != nil {
					refused.Add(1)
				} else {
					go func(n int) {
						for range n {
							pause(r)
						}
						close(done)
					}(r.IntN(3))
					switch _, ok := x.NextOr(done); {
					case ok:
						answered.Add(1)
					case p.Withdraw(x):
						withdrawn.Add(1)
					default:
						x.Leave(ErrGone)
						gone.Add(1)
					}
					<-done
				}
				x.Release()
			}
		})
	}
	fronts.Wait()
	p.Stop()
	executors.Wait()
	if got, want := p.Stats(), (PoolStats{Served: executed.Load(), Refused: refused.Load()}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	if executed.Load() != answered.Load()+gone.Load() || executed.Load()+withdrawn.Load()+refused.Load() != submitters*each {
		t.Errorf("executed %d, answered %d, gone %d, withdrawn %d, refused %d",
			executed.Load(), answered.Load(), gone.Load(), withdrawn.Load(), refused.Load())
	}
	if released.Load() != submitters*each {
		t.Errorf("%d released", released.Load())
	}
	t.Logf("answered %d, gone %d, withdrawn %d, refused %d", answered.Load(), gone.Load(), withdrawn.Load(), refused.Load())
}

func TestRingRemove(t *testing.T) {
	var r ring
	var model []*Exchange
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		switch n := rnd.IntN(5); {
		case n < 2 && len(model) < 40:
			x := &Exchange{}
			r.push(x)
			model = append(model, x)
		case n == 2 && len(model) > 0:
			r.pop()
			model = model[1:]
		case n == 3 && len(model) > 0:
			i := rnd.IntN(len(model))
			if !r.remove(model[i]) || r.remove(model[i]) {
				t.Fatal("not removed once")
			}
			model = slices.Delete(model, i, i+1)
		}
		if r.len() != len(model) || len(model) > 0 && r.first() != model[0] {
			t.Fatalf("len %d, want %d", r.len(), len(model))
		}
	}
	for _, want := range model {
		if r.pop() != want {
			t.Fatal("out of order")
		}
	}
	for _, x := range r.items {
		if x != nil {
			t.Fatal("an exchange is still held")
		}
	}
}
