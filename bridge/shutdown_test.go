package bridge

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// shutdown starts a Shutdown and returns when it has told every connection.
func (h *harness) shutdown(ctx context.Context) <-chan error {
	result := make(chan error, 1)
	h.down.Do(func() {
		go func() { result <- h.srv.Shutdown(ctx) }()
		eventually(h.t, "the drain", h.srv.draining.Load)
		h.srv.mu.Lock() // held while the connections are told
		defer h.srv.mu.Unlock()
	})
	return result
}

func (h *harness) wantShutdown(result <-chan error, want error) {
	h.t.Helper()
	if err := receive(h.t, result, "Shutdown to return"); !errors.Is(err, want) {
		h.t.Errorf("Shutdown: %v, want %v", err, want)
	}
	if want == nil && h.srv.Connections() != 0 {
		h.t.Errorf("%d connections are open after Shutdown", h.srv.Connections())
	}
}

func TestShutdownClosesIdleConnections(t *testing.T) {
	h := start(t, hello)
	c := h.dial()
	c.send(get("/"))
	c.want("GET", `200 length=5 "hello"`)
	result := h.shutdown(context.Background())
	c.want("GET", "EOF")
	h.wantShutdown(result, nil)
	if nc, err := net.Dial("tcp", h.addr); err == nil {
		nc.Close()
		t.Error("the listener still accepts")
	}
}

func TestShutdownFinishesWhatRuns(t *testing.T) {
	for name, answer := range map[string]app{
		`200 length=5 close "hello"`:  hello,
		`200 chunked close "ab"`:      stream(okHead(), "a", "b"),
		`500 length=26 close "500 In`: func(x *Exchange) { x.Fail(ErrFailed) },
	} {
		t.Run(name, func(t *testing.T) {
			entered, release := make(chan struct{}), make(chan struct{})
			h := start(t, func(x *Exchange) {
				close(entered)
				<-release
				answer(x)
			})
			c := h.dial()
			c.send(get("/"))
			<-entered
			result := h.shutdown(context.Background())
			select {
			case err := <-result:
				t.Fatalf("Shutdown did not wait: %v", err)
			case <-time.After(soon):
			}
			close(release)
			if got := c.answer("GET"); !strings.HasPrefix(got, name) {
				t.Errorf("got %s", got)
			}
			c.want("GET", "EOF")
			h.wantShutdown(result, nil)
		})
	}
}

// TestShutdownCuts what is left at its deadline.
func TestShutdownCuts(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := start(t, func(x *Exchange) {
		close(entered)
		<-release
		hello(x)
	})
	running, slow := h.dial(), h.dial()
	slow.send("POST / HTTP/1.1\r\n")
	running.send(get("/"))
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	result := h.shutdown(ctx)
	cancel()
	h.wantShutdown(result, context.Canceled)
	running.want("GET", "RESET")
	if got := slow.answers(); got[len(got)-1] != "EOF" && got[len(got)-1] != "RESET" {
		t.Errorf("the slow client got %q", got)
	}
	close(release)
}

// TestShutdownServesWhatTheKernelHolds: a request that was sent before Shutdown on
// a kept connection is answered.
func TestShutdownServesWhatTheKernelHolds(t *testing.T) {
	h := start(t, hello, pool(PoolLimits{Queue: 100}, 2))
	clients := make([]*client, 50)
	for i := range clients {
		clients[i] = h.dial()
		clients[i].send(get("/"))
		clients[i].want("GET", `200 length=5 "hello"`)
	}
	for _, c := range clients {
		c.send(get("/"))
	}
	result := h.shutdown(context.Background())
	for i, c := range clients {
		// The answer may have been on its way before the drain: then it does not say close.
		if got := c.answer("GET"); got != `200 length=5 close "hello"` && got != `200 length=5 "hello"` {
			t.Errorf("client %d got %s", i, got)
		}
		c.want("GET", "EOF")
	}
	h.wantShutdown(result, nil)
}

// TestLastLook is the same with the order forced: the wait for a request is ended
// by the drain, and the request lies in the kernel at that moment.
func TestLastLook(t *testing.T) {
	l := &gatedListener{Listener: listenLocal(t), gate: make(chan struct{}), waits: make(chan struct{}, 9)}
	h := start(t, hello, func(_ *Server, p *poolSetting) { p.listener = l })
	c := h.dial()
	c.send(get("/"))
	c.want("GET", `200 length=5 "hello"`)
	receive(t, l.waits, "the connection to be idle")
	c.send(get("/"))
	result := h.shutdown(context.Background())
	close(l.gate)
	c.want("GET", `200 length=5 close "hello"`)
	c.want("GET", "EOF")
	h.wantShutdown(result, nil)
}

// gatedListener hands out connections whose second and later reads wait for the
// gate and then report a passed deadline, whatever the kernel holds.
type gatedListener struct {
	net.Listener
	gate, waits chan struct{}
}

func (l *gatedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gatedConn{TCPConn: nc.(*net.TCPConn), l: l}, nil
}

type gatedConn struct {
	*net.TCPConn
	l     *gatedListener
	reads int
}

func (c *gatedConn) Read(p []byte) (int, error) {
	if c.reads++; c.reads == 1 {
		return c.TCPConn.Read(p)
	}
	c.l.waits <- struct{}{}
	<-c.l.gate
	return 0, os.ErrDeadlineExceeded
}

// TestShutdownLetsANewClientSpeak: who has just connected is about to send.
func TestShutdownLetsANewClientSpeak(t *testing.T) {
	h := start(t, hello)
	c := h.dial()
	eventually(t, "the connection to be accepted", func() bool { return h.srv.Connections() == 1 })
	result := h.shutdown(context.Background())
	c.send(get("/"))
	c.want("GET", `200 length=5 close "hello"`)
	h.wantShutdown(result, nil)
}

// TestShutdownClosesASilentNewClient after a grace, not after the head's time.
func TestShutdownClosesASilentNewClient(t *testing.T) {
	h := start(t, hello)
	c := h.dial()
	eventually(t, "the connection to be accepted", func() bool { return h.srv.Connections() == 1 })
	result := h.shutdown(context.Background())
	c.want("GET", "EOF")
	h.wantShutdown(result, nil)
}

// TestShutdownAndTheBacklog: a connection that Serve accepts after Shutdown has
// begun is drained like the others.
func TestShutdownAndTheBacklog(t *testing.T) {
	l := &lateListener{Listener: listenLocal(t), conns: make(chan net.Conn, 1), began: make(chan struct{}), stop: make(chan struct{})}
	h := start(t, hello, func(_ *Server, p *poolSetting) { p.listener = l })
	<-l.began // before that, Shutdown has nothing to wait for
	c := h.dial()
	nc, err := l.Listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*drainGrace)
	defer cancel()
	result := h.shutdown(ctx)
	l.conns <- nc
	c.send(get("/"))
	c.want("GET", `200 length=5 close "hello"`)
	c.want("GET", "EOF")
	h.wantShutdown(result, nil)
}

// TestShutdownWaitsForTheLastAccept: a connection that Accept has taken is served,
// however late the goroutine that took it goes on.
func TestShutdownWaitsForTheLastAccept(t *testing.T) {
	l := &lateListener{Listener: listenLocal(t), conns: make(chan net.Conn, 1), began: make(chan struct{}), stop: make(chan struct{})}
	h := start(t, hello, func(_ *Server, p *poolSetting) { p.listener = l })
	<-l.began // before that, Shutdown has nothing to wait for
	c := h.dial()
	nc, err := l.Listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.send(get("/"))
	result := h.shutdown(context.Background())
	select {
	case err := <-result:
		t.Fatalf("Shutdown returned %v before Accept did", err)
	case <-time.After(5 * acceptGrace):
	}
	l.conns <- nc
	c.want("GET", `200 length=5 close "hello"`)
	h.wantShutdown(result, nil)
}

// lateListener accepts what it is handed, until its connection was taken after
// Shutdown.
type lateListener struct {
	net.Listener
	conns chan net.Conn
	began chan struct{} // closed by the first Accept
	stop  chan struct{}
	first sync.Once
	once  sync.Once
}

func (l *lateListener) Accept() (net.Conn, error) {
	l.first.Do(func() { close(l.began) })
	select {
	case nc := <-l.conns:
		l.once.Do(func() { close(l.stop) })
		return nc, nil
	case <-l.stop:
		return nil, os.ErrDeadlineExceeded
	}
}

func (l *lateListener) SetDeadline(time.Time) error { return nil }

// TestServeAfterShutdown: there is nothing to serve.
func TestServeAfterShutdown(t *testing.T) {
	h := start(t, hello)
	h.wantShutdown(h.shutdown(context.Background()), nil)
	l := listenLocal(t)
	if err := h.srv.Serve(l); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener was not closed: %v", err)
	}
}

// TestAcceptErrors: what may pass is tried again, a closed listener is told of.
func TestAcceptErrors(t *testing.T) {
	l := &faultyListener{Listener: listenLocal(t)}
	h := start(t, hello, func(_ *Server, p *poolSetting) { p.listener = l })
	c := h.dial()
	c.send(get("/"))
	c.want("GET", `200 length=5 "hello"`)
	if log := h.log.String(); strings.Count(log, "cannot accept") != 3 || !strings.Contains(log, "out of everything") {
		t.Errorf("log:\n%s", log)
	}

	closed := listenLocal(t)
	closed.Close()
	if err := h.srv.Serve(closed); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve of a closed listener: %v", err)
	}
}

type faultyListener struct {
	net.Listener
	faults int
}

func (l *faultyListener) Accept() (net.Conn, error) {
	if l.faults++; l.faults <= 3 {
		return nil, errors.New("out of everything")
	}
	return l.Listener.Accept()
}

// TestUnixSocket: both ends are told as such.
func TestUnixSocket(t *testing.T) {
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan [2]Endpoint, 1)
	start(t, hello, func(s *Server, p *poolSetting) {
		p.listener = l
		s.Prepare = func(r *Request, _ *Exchange) error { ends <- [2]Endpoint{r.Peer, r.Local}; return nil }
	})
	nc, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, get("/")); err != nil {
		t.Fatal(err)
	}
	got := receive(t, ends, "Prepare")
	if want := (Endpoint{Addr: l.Addr().String(), Unix: true}); got[1] != want || got[0] != (Endpoint{Unix: true}) {
		t.Errorf("peer %+v, local %+v", got[0], got[1])
	}
}
