package bridge

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// lent is memory that is spoiled when it is returned.
type lent struct {
	p        []byte
	returned atomic.Int32
}

func newLent(n int) *lent {
	l := &lent{p: make([]byte, n)}
	for i := range l.p {
		l.p[i] = byte(i % 251)
	}
	return l
}

func (l *lent) Return() {
	clear(l.p)
	l.returned.Add(1)
}

// TestLoans: a loan is returned once, as soon as nobody reads the bytes any more.
func TestLoans(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(x *Exchange, l *lent) error
		want error
		late bool // Release returns it
	}{
		{"the next part is asked for", func(x *Exchange, l *lent) error {
			err := x.RespondLent(okHead(), l.p, l, false)
			p := x.Next()
			if &p.Body[0] != &l.p[0] || l.returned.Load() != 0 || p.Last {
				t.Errorf("the first part: %d bytes, last %t", len(p.Body), p.Last)
			}
			_ = x.Write([]byte("more"), true)
			if p := x.Next(); string(p.Body) != "more" || !p.Last {
				t.Errorf("the second part: %q, last %t", p.Body, p.Last)
			}
			return err
		}, nil, false},
		{"small pieces around it", func(x *Exchange, l *lent) error {
			_ = x.Respond(okHead(), []byte("a"), false)
			err := x.WriteLent(l.p, l, true)
			if p := x.Next(); string(p.Body) != "a" || p.Last {
				t.Errorf("the first part: %q, last %t", p.Body, p.Last)
			}
			if p := x.Next(); &p.Body[0] != &l.p[0] || !p.Last {
				t.Errorf("the second part: %d bytes, last %t", len(p.Body), p.Last)
			}
			x.Leave(ErrComplete)
			return err
		}, nil, false},
		{"the client has left with it", func(x *Exchange, l *lent) error {
			err := x.RespondLent(okHead(), l.p, l, false)
			x.Next()
			x.Leave(ErrGone)
			return err
		}, nil, false},
		{"the client has left without it", func(x *Exchange, l *lent) error {
			err := x.RespondLent(okHead(), l.p, l, true)
			x.Leave(ErrGone)
			return err
		}, nil, false},
		{"the client had left", func(x *Exchange, l *lent) error {
			_ = x.Respond(okHead(), nil, false)
			x.Leave(ErrGone)
			return x.WriteLent(l.p, l, true)
		}, ErrGone, false},
		{"abandoned", func(x *Exchange, l *lent) error {
			x.abandon(ErrTimeout)
			return x.RespondLent(okHead(), l.p, l, true)
		}, ErrGone, false},
		{"no body", func(x *Exchange, l *lent) error {
			x.NoBody = true
			return x.RespondLent(okHead(), l.p, l, true)
		}, ErrNoBody, false},
		{"never taken", func(x *Exchange, l *lent) error {
			return x.RespondLent(okHead(), l.p, l, true)
		}, nil, true},
		{"taken last", func(x *Exchange, l *lent) error {
			err := x.RespondLent(okHead(), l.p, l, true)
			x.Next()
			return err
		}, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, l := held(), newLent(LendFrom)
			if err := tt.do(x, l); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if got := l.returned.Load(); (got == 0) != tt.late {
				t.Errorf("returned %d times before the end", got)
			}
			x.Release()
			x.Release()
			if got := l.returned.Load(); got != 1 {
				t.Errorf("returned %d times", got)
			}
		})
	}
}

// TestLentAnswers: large pieces go out whole to a client that takes its time, whoever
// sends them, and are not touched after they were returned.
func TestLentAnswers(t *testing.T) {
	const piece = 700_000 // more than a socket takes at once
	var given, back atomic.Int32
	give := func() (*lent, Loan) {
		given.Add(1)
		l := newLent(piece)
		return l, loanFunc(func() { l.Return(); back.Add(1) })
	}
	want := newLent(piece).p
	h := start(t, func(x *Exchange) {
		l, loan := give()
		if x.Record.Lookup("path") == "/whole" {
			_ = x.RespondLent(okHead(), l.p, loan, true)
			return
		}
		err := x.RespondLent(okHead(), l.p, loan, false)
		for i := 0; i < 3 && err == nil; i++ {
			err = x.Write([]byte("small"), false)
			if err == nil {
				l, loan := give()
				err = x.WriteLent(l.p, loan, i == 2)
			}
		}
	})
	c := h.dial()
	for round := range 12 {
		path, method, whole := "/whole", "GET", bytes.Clone(want)
		switch round % 3 {
		case 1:
			path = "/pieces"
			for range 3 {
				whole = append(append(whole, "small"...), want...)
			}
		case 2:
			method, whole = "HEAD", nil
		}
		c.send(request(method + " " + path + " HTTP/1.1"))
		time.Sleep(time.Millisecond) // the socket fills
		res, err := http.ReadResponse(c.r, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Equal(got, whole) {
			t.Fatalf("round %d, %s %s: %d bytes, %v; want %d", round, method, path, len(got), err, len(whole))
		}
	}
	gone := h.dial()
	gone.send(get("/pieces"))
	gone.Close()
	eventually(t, "all loans to be returned", func() bool {
		return h.srv.Pool.Stats().Served == 13 && given.Load() == back.Load()
	})
}

type loanFunc func()

func (f loanFunc) Return() { f() }

// hammerPiece is one of hammerExecutor's: now and then one that is lent.
func hammerPiece(r *rand.Rand, start int) (p []byte, l Loan) {
	p = make([]byte, r.IntN(highWater/3))
	if r.IntN(4) == 0 {
		p = make([]byte, LendFrom+r.IntN(highWater))
		l = loanFunc(func() { clear(p) })
	}
	for i := range p {
		p[i] = byte(start + i)
	}
	return p, l
}
