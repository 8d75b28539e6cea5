package pyembed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gowsgi/gowsgi/bridge"
)

// Caller calls Python functions on a pool's executors: a call waits for a thread in
// the pool's queue, among the requests, and costs one crossing. Safe for concurrent
// use.
//
// Nothing of Python comes out: arguments are copied into it and results out of it.
// What may be passed, and what becomes of it:
//
//	Go                                   Python      and back in Go
//	nil, nil pointers                    None        nil
//	bool                                 bool        bool
//	all kinds of int and uint, *big.Int  int         int64; *big.Int if it does not fit
//	float32, float64                     float       float64
//	string (UTF-8)                       str         string
//	[]byte, [N]byte                      bytes       []byte
//	slices and arrays                    list        []any
//	maps with strings as keys            dict        map[string]any
//	time.Time (to the microsecond)       datetime    time.Time
//	time.Duration (the same)             timedelta   time.Duration
//
// Named types count as what they are made of, pointers as what they point to; other
// types are an error. From Python come further: tuples, sets and other sequences as
// []any, bytearray and memoryview as []byte, other mappings as maps, instances of
// subclasses as their base, and what has tolist (numpy's arrays and numbers) as that.
type Caller struct {
	in   *Interpreter
	pool *bridge.Pool
	app  int
}

// NewCaller returns a caller for the pool that Serve is called with, together with
// the application first. It must not be called while Serve runs, but for
// Options.Library.
func (in *Interpreter) NewCaller(pool *bridge.Pool, first App) (*Caller, error) {
	app, err := in.Load("gowsgi.calls:application")
	if err != nil {
		return nil, err
	}
	return &Caller{in: in, pool: pool, app: int(app - first)}, nil
}

// Module is an imported Python module. Safe for concurrent use.
type Module struct {
	caller *Caller
	name   string
}

// Kwargs as a call's last argument are its keyword arguments.
type Kwargs map[string]any

// Import imports a module by its dotted name, on Python's main thread as Load does.
// What it raises is an *Error. It must not run while Serve does, but for
// Options.Library.
func (c *Caller) Import(name string) (*Module, error) {
	var err error
	c.in.do(func() { _, err = c.in.main.call("import_module", &name) })
	if err != nil {
		return nil, fmt.Errorf("importing %s: %w", name, err)
	}
	return &Module{caller: c, name: name}, nil
}

// Name returns the module's dotted name.
func (m *Module) Name() string { return m.name }

// Call calls a function of the module, or what a dotted path names from there
// ("Class.method"), with positional arguments; Kwargs may come last. See Caller for
// what they and the result may be.
//
// What Python raises is an *Error, with its traceback. Without a thread in time there
// is bridge.ErrQueueFull, ErrQueueTimeout or ErrStopped. When ctx ends there is its
// error: at once, whether or not the function has begun; one that has goes on to its
// end on its thread.
func (m *Module) Call(ctx context.Context, function string, args ...any) (any, error) {
	v, err := m.caller.call(ctx, m.name, function, args)
	if err != nil {
		return nil, fmt.Errorf("calling %s.%s: %w", m.name, function, err)
	}
	return v, nil
}

func (c *Caller) call(ctx context.Context, module, function string, args []any) (any, error) {
	request, err := encodeCall(module, function, args)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x := bridge.NewExchange()
	defer x.Release()
	x.App, x.Owner = c.app, calling{}
	if err := x.Body.Fill(bytes.NewReader(request), 0, math.MaxInt64, ""); err != nil {
		return nil, err
	}
	if err := c.pool.Submit(x); err != nil {
		return nil, err
	}
	p, ok := x.NextOr(ctx.Done())
	if !ok {
		if !c.pool.Withdraw(x) {
			x.Leave(bridge.ErrGone)
		}
		return nil, ctx.Err()
	}
	if p.Err != nil {
		var raised *Error
		if errors.As(p.Err, &raised) {
			return nil, raised
		}
		return nil, p.Err
	}
	defer x.Leave(bridge.ErrComplete)
	return decode(p.Body)
}

// encodeCall makes what gowsgi.calls.application reads.
func encodeCall(module, function string, args []any) ([]byte, error) {
	var named Kwargs
	if n := len(args); n > 0 {
		if last, ok := args[n-1].(Kwargs); ok {
			args, named = args[:n-1], last
		}
	}
	var rest encoder
	if err := rest.size(markList, len(args)); err != nil {
		return nil, err
	}
	for i, arg := range args {
		if err := rest.value(arg, maxDepth); err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	if err := rest.value(map[string]any(named), maxDepth); err != nil {
		return nil, fmt.Errorf("keyword arguments: %w", err)
	}
	var e encoder
	const parts = 5
	err := errors.Join(e.size(markTuple, parts), e.text(module), e.text(function))
	e.bool(rest.tagged)
	return append(e.out, rest.out...), err
}

// calling owns the exchange of a call, whose exceptions are its caller's alone.
type calling struct{}

// Released implements bridge.Owner.
func (calling) Released() {}
