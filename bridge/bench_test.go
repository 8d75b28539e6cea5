package bridge

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// BenchmarkExchange is one hello through pool and executor, without a connection.
func BenchmarkExchange(b *testing.B) {
	p := NewPool(PoolLimits{Queue: 1})
	done := make(chan struct{})
	head := okHead("Content-Type: text/plain")
	body := []byte("Hello, world!")
	go func() {
		defer close(done)
		p.Run(app(func(x *Exchange) { _ = x.Respond(head, body, true) }))
	}()
	b.ReportAllocs()
	for b.Loop() {
		x := NewExchange()
		x.Record = x.Record.Append("REQUEST_METHOD", "GET")
		if err := p.Submit(x); err != nil {
			b.Fatal(err)
		}
		if p := x.Next(); !p.Last {
			b.Fatal("not whole")
		}
		x.Leave(ErrComplete)
		x.Release()
	}
	p.Stop()
	<-done
}

// BenchmarkConnection is one hello over a kept connection on loopback, the
// client's part included.
func BenchmarkConnection(b *testing.B) {
	head := okHead("Content-Type: text/plain")
	body := []byte("Hello, world!")
	srv := &Server{
		Pool: NewPool(PoolLimits{Queue: 1}), Log: hclog.NewNullLogger(), Limits: DefaultLimits(), Name: "gowsgi",
		Prepare: func(r *Request, x *Exchange) error {
			x.Record = x.Record[:0].AppendBytes("REQUEST_METHOD", r.Method)
			return nil
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Pool.Run(app(func(x *Exchange) { _ = x.Respond(head, body, true) }))
	}()
	l := listenLocal(b)
	go func() { _ = srv.Serve(l) }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	ask := []byte("GET / HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	want := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nServer: gowsgi\r\n\r\nHello, world!"
	answer := make([]byte, len(want))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nc.Write(ask); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(nc, answer); err != nil {
			b.Fatal(err)
		}
	}
	if string(answer) != want {
		b.Errorf("got %q", answer)
	}
	nc.Close()
	if err := srv.Shutdown(context.Background()); err != nil {
		b.Error(err)
	}
	srv.Pool.Stop()
	<-done
}
