package bridge

import (
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// by hand is a server whose executors the test plays: next by next, and tick by tick.
type byHand struct {
	*harness
	p *Pool
}

func startByHand(t *testing.T, settings ...setting) *byHand {
	t.Helper()
	h := start(t, hello, append([]setting{pool(PoolLimits{Queue: 100}, 0)}, settings...)...)
	p := h.srv.Pool
	eventually(t, "the set", func() bool { return p.parks() })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate.armed = true // as if, so that no tick comes
	p.gate.timer = time.AfterFunc(time.Hour, p.tick)
	p.gate.timer.Stop()
	return &byHand{h, p}
}

// connect returns a parked connection, and its client.
func (h *byHand) connect() (*conn, *client) {
	h.t.Helper()
	h.srv.mu.Lock()
	before := len(h.srv.conns)
	old := map[*conn]struct{}{}
	for c := range h.srv.conns {
		old[c] = struct{}{}
	}
	h.srv.mu.Unlock()
	client := h.dial()
	eventually(h.t, "the connection", func() bool { return h.srv.Connections() == before+1 })
	h.srv.mu.Lock()
	defer h.srv.mu.Unlock()
	for c := range h.srv.conns {
		if _, ok := old[c]; !ok {
			eventually(h.t, "it to be parked", func() bool { return h.p.holds(c, true) })
			return c, client
		}
	}
	h.t.Fatal("no connection")
	return nil, nil
}

// holds tells whether c is parked, or not.
func (p *Pool) holds(c *conn, parked bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return c.parked == parked
}

// executor joins as one that the test plays.
func (h *byHand) executor(e Executor) *slot {
	s := &slot{executor: e, wake: make(chan struct{}, 1)}
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	h.p.slots = append(h.p.slots, s)
	h.t.Cleanup(func() { h.p.leave(s) })
	return s
}

// serve has s serve the next request; it returns what next is to be called with.
func (h *byHand) serve(s *slot, back *conn, waits, keep bool) (*conn, bool) {
	h.t.Helper()
	x, c := h.p.next(s, back, waits)
	x.mayWait = keep
	hello(x)
	waits = c.waits(x)
	if waits != keep {
		h.t.Fatalf("the answer waits: %t, want %t", waits, keep)
	}
	if !waits && !c.finish(x) {
		h.t.Fatal("the connection has gone to a goroutine")
	}
	return c, waits
}

const helloAnswer = `200 length=5 "hello"`

// queued puts a request without a connection into the queue.
func (h *byHand) queued() {
	h.t.Helper()
	x := NewExchange()
	if err := h.p.Submit(x); err != nil {
		h.t.Fatal(err)
	}
	x.Release() // whoever serves it holds it too
}

// TestLateAnswerIsTakenOver by a tick when its executor is about to keep it: then the
// connection is not the executor's any more.
func TestLateAnswerIsTakenOver(t *testing.T) {
	h := startByHand(t)
	s := h.executor(app(hello))
	c, client := h.connect()
	client.send(get("/"))
	back, waits := h.serve(s, nil, false, true)
	h.p.mu.Lock()
	h.p.lookInside()
	h.p.lookInside() // the second time it is the same request
	h.p.mu.Unlock()
	client.want("GET", helloAnswer)
	h.queued()
	h.p.next(s, back, waits)
	if !h.p.holds(c, false) || len(s.late.kept) > 0 {
		t.Error("the executor has the connection, beside a goroutine")
	}
	client.send(get("/"))
	eventually(t, "the goroutine to read", func() bool { return h.p.Stats().Waiting == 1 })
	h.serveQueue(s)
	client.want("GET", helloAnswer)
}

// serveQueue serves what waits, as a front's.
func (h *byHand) serveQueue(s *slot) {
	for h.p.Stats().Waiting > 0 {
		x, _ := h.p.next(s, nil, false)
		hello(x)
	}
	h.p.mu.Lock()
	done := h.p.uncount(s)
	h.p.mu.Unlock()
	if done != nil {
		done.Release()
	}
}

// TestHandOnForgetsNobody: when kept answers go to the assistant, what has come on the
// executor's connection meanwhile is read all the same.
func TestHandOnForgetsNobody(t *testing.T) {
	h := startByHand(t)
	s := h.executor(app(hello))
	_, first := h.connect()
	c, second := h.connect()
	first.send(get("/"))
	back, waits := h.serve(s, nil, false, true)
	h.queued()
	second.send(get("/"))
	eventually(t, "the second request to be queued", func() bool { h.p.tend(h.p.set); return h.p.Stats().Waiting == 2 })
	h.queued()
	h.p.next(s, back, waits)
	h.p.mu.Lock()
	s.late.since = time.Now().Add(time.Hour)
	h.p.mu.Unlock()
	back, waits = h.serve(s, nil, false, false)
	if back != c {
		t.Fatal("another connection")
	}
	second.want("GET", helloAnswer)
	second.send(get("/"))
	h.p.mu.Lock()
	h.p.assisted = true
	s.late.since = time.Now().Add(-time.Second)
	c.again = true // the event has come, to another
	h.p.mu.Unlock()
	h.p.next(s, back, waits)
	h.p.mu.Lock()
	h.p.assisted = false
	handed := h.p.handed
	h.p.handed = nil
	waiting := h.p.queue.len()
	h.p.mu.Unlock()
	if len(handed) != 1 || waiting != 1 {
		t.Errorf("%d answers were handed on, want 1; %d requests wait, want the second client's", len(handed), waiting)
	}
	h.p.sendLate(handed)
	first.want("GET", helloAnswer)
	back, _ = h.serve(s, nil, false, false)
	second.want("GET", helloAnswer)
	h.p.repark(back)
}

// TestWhatATickReadsIsServed by an executor that has begun to wait meanwhile.
func TestWhatATickReadsIsServed(t *testing.T) {
	h := startByHand(t)
	c, client := h.connect()
	if !h.p.claim(c, time.Time{}) {
		t.Fatal("it is not parked")
	}
	h.executors.Go(func() { h.p.Run(app(hello)) })
	eventually(t, "the executor to wait", func() bool {
		h.p.mu.Lock()
		defer h.p.mu.Unlock()
		return h.p.polling == 1
	})
	client.send(get("/"))
	eventually(t, "the executor to have seen the event", func() bool {
		h.p.mu.Lock()
		defer h.p.mu.Unlock()
		return c.again && h.p.polling == 1
	})
	h.p.take([]*conn{c}, false)
	client.want("GET", helloAnswer)
}

// TestTendPassesInterruptsOn: a tick that looks into the set takes no executor's call.
func TestTendPassesInterruptsOn(t *testing.T) {
	h := startByHand(t)
	for name, waits := range map[string]*bool{"executor": nil, "assistant": &h.p.called} {
		h.p.mu.Lock()
		set := h.p.set
		if waits != nil {
			*waits = true
		} else {
			h.p.polling, h.p.interrupted = 1, 1
		}
		set.interrupt()
		h.p.mu.Unlock()
		h.p.tend(set)
		var e events
		if n := set.wait(&e, len(e), false); n != 1 {
			t.Errorf("%s: %d events, want its call", name, n)
		}
		h.p.mu.Lock()
		h.p.polling, h.p.interrupted, h.p.called = 0, 0, false
		h.p.mu.Unlock()
	}
}

// TestAssistantPassesInterruptsOn, once: it would be the next to be interrupted, and go
// round until the executor is quicker.
func TestAssistantPassesInterruptsOn(t *testing.T) {
	h := startByHand(t)
	p := h.p
	ended := make(chan struct{})
	looks := func() (n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.polls
	}
	p.mu.Lock()
	p.overlap.on, p.assisted = true, true
	p.mu.Unlock()
	go func() { defer close(ended); p.assist() }()
	eventually(t, "the assistant to wait", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.dozes })
	time.Sleep(soon) // in the set
	p.mu.Lock()
	p.polling, p.interrupted = 1, 1
	p.set.interrupt()
	p.mu.Unlock()
	eventually(t, "the assistant to be interrupted", func() bool { return looks() > 0 })
	time.Sleep(soon)
	if n := looks(); n != 1 {
		t.Errorf("it was interrupted %d times", n)
	}
	var e events
	n := p.set.wait(&e, len(e), false)
	if !p.set.called(e[:n]) {
		t.Error("the executor is not interrupted")
	}
	p.arrived(nil, &e, n, true)
	eventually(t, "the assistant to wait again", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.dozes })
	p.Stop()
	receive(t, ended, "the assistant to end")
}

// TestWaitApart: who waits so is in nobody's way, the collector of garbage's neither, and
// wakes up.
func TestWaitApart(t *testing.T) {
	s := newSet()
	defer s.close()
	for range 100 {
		brought := make(chan int)
		go func() {
			var e events
			n := s.waitApart(&e, 1)
			for n == 0 { // a signal
				n = s.waitApart(&e, 1)
			}
			brought <- n
		}()
		runtime.GC()
		s.interrupt()
		if n := receive(t, brought, "the wait to end"); n != 1 {
			t.Fatalf("it brought %d events", n)
		}
	}
}

// TestMannerOfWaits: executors wait apart only while most of them wait.
func TestMannerOfWaits(t *testing.T) {
	for _, c := range []struct {
		executors, waiting int
		narrow             bool
		want               manner
	}{
		{1, 1, false, alone},
		{16, 1, true, alone},
		{16, 8, false, beside},
		{16, 9, false, apart},
		{2, 2, false, apart},
	} {
		p := NewPool(PoolLimits{Queue: 1})
		p.slots, p.polling, p.gate.narrow = make([]*slot, c.executors), c.waiting, c.narrow
		if got := p.manner(); got != c.want {
			t.Errorf("%d of %d, narrow %t: %d, not %d", c.waiting, c.executors, c.narrow, got, c.want)
		}
	}
}

// TestKeptAnswersDoNotWait for an executor that blocks, even if another has nothing to
// do and waits for requests.
func TestKeptAnswersDoNotWait(t *testing.T) {
	h := startByHand(t)
	s := h.executor(app(hello))
	_, client := h.connect()
	client.send(get("/"))
	back, waits := h.serve(s, nil, false, true)
	h.queued()
	h.p.mu.Lock()
	h.p.gate.armed = false // from here on with ticks
	h.p.mu.Unlock()
	h.p.next(s, back, waits)
	h.p.mu.Lock()
	h.p.polling++
	h.p.mu.Unlock()
	client.want("GET", helloAnswer)
	h.p.mu.Lock()
	h.p.polling--
	h.p.mu.Unlock()
}

// TestIdleAtTheGate: while one executor blocks and the other may not enter yet, nobody
// looks at parked connections; then ticks do.
func TestIdleAtTheGate(t *testing.T) {
	h := startByHand(t)
	_, client := h.connect()
	var running atomic.Bool
	s := h.executor(locked{app(hello), &running})
	h.queued()
	x, _ := h.p.next(s, nil, false)
	h.p.mu.Lock()
	h.p.gate.armed = false
	h.p.mu.Unlock()
	h.executors.Go(func() { h.p.Run(locked{app(hello), &running}) })
	client.send(get("/"))
	client.want("GET", helloAnswer)
	hello(x)
	h.serveQueue(s)
}

// TestParkFails where a connection cannot be watched: it stays its holder's.
func TestParkFails(t *testing.T) {
	h := startByHand(t)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, fd := range map[string]int{"cut": -1, "what epoll refuses": int(file.Fd())} {
		c := &conn{srv: h.srv, fd: fd, parkable: true}
		if h.p.park(c) || h.p.claim(c, time.Time{}) || h.p.set.count != 0 {
			t.Errorf("%s: it is parked", name)
		}
	}
}

// TestReusedDescriptor: a connection that was cut does not count beside the one that has
// its descriptor now.
func TestReusedDescriptor(t *testing.T) {
	h := startByHand(t)
	first, _ := h.connect()
	second, client := h.connect()
	h.p.mu.Lock()
	h.p.set.remove(second)
	h.p.set.byFD[second.fd] = first // as if that had been its descriptor, before cut
	h.p.set.count++
	h.p.mu.Unlock()
	if !h.p.park(second) || h.p.set.count != 2 {
		t.Errorf("%d connections are in the set, want 2", h.p.set.count)
	}
	client.halfClose()
	h.p.tend(h.p.set)
	eventually(t, "its end", func() bool { return h.srv.Connections() == 1 })
	if h.p.set.count != 1 {
		t.Errorf("%d connections are in the set, want 1", h.p.set.count)
	}
}

// TestOutOfDescriptors: a connection that goes to a goroutine takes a second descriptor
// for a moment, and gets it although there are no more.
func TestOutOfDescriptors(t *testing.T) {
	text := strings.Repeat("x", 4<<20) // more than a socket takes at once
	h := start(t, func(x *Exchange) { _ = x.Respond(okHead(), []byte(text), true) })
	var clients []*client
	for range 4 {
		clients = append(clients, h.dial())
	}
	eventually(t, "the connections", func() bool { return h.srv.Connections() == 4 })
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	var taken []int
	restore := sync.OnceFunc(func() {
		for _, fd := range taken {
			syscall.Close(fd)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	})
	defer restore()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 256, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	for {
		fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	var all sync.WaitGroup
	for _, c := range clients {
		c.send(get("/"))
	}
	for i, c := range clients {
		all.Go(func() {
			if res, body, err := readAnswer(c); err != nil || res.StatusCode != 200 || len(body) != len(text) {
				t.Errorf("client %d: %d bytes, %v", i, len(body), err)
			}
		})
	}
	all.Wait()
	restore()
}

// TestIdleTimeBegins with the end of a request, however long that took.
func TestIdleTimeBegins(t *testing.T) {
	const idle = 800 * time.Millisecond
	h := start(t, func(x *Exchange) { time.Sleep(3 * idle / 2); hello(x) }, limits(func(l *Limits) { l.IdleTime = idle }))
	c := h.dial()
	for range 2 {
		c.send(get("/"))
		c.want("GET", helloAnswer)
		time.Sleep(idle / 2)
	}
	c.want("GET", "EOF")
}

// TestStopWithParkedConnections: what comes on them is refused, as on others.
func TestStopWithParkedConnections(t *testing.T) {
	for _, executors := range []int{0, 1, 3} {
		h := start(t, hello, pool(PoolLimits{Queue: 100}, executors))
		c := h.dial()
		if executors > 0 {
			c.send(get("/"))
			c.want("GET", helloAnswer)
		} else {
			eventually(t, "the connection", func() bool { return h.srv.Connections() == 1 })
		}
		h.srv.Pool.Stop()
		h.executors.Wait()
		for range 2 {
			c.send(get("/"))
			c.want("GET", `503 length=24 "503 Service Unavailable\n"`)
		}
	}
}

// TestRefusedAreCounted: all that a batch brings beyond the queue.
func TestRefusedAreCounted(t *testing.T) {
	h := startByHand(t, pool(PoolLimits{Queue: 2}, 0))
	var clients []*client
	for range 5 {
		_, c := h.connect()
		c.send(get("/"))
		clients = append(clients, c)
	}
	h.p.tend(h.p.set)
	if s := h.p.Stats(); s.Refused != 3 || s.Waiting != 2 {
		t.Errorf("%+v, want 3 refused and 2 waiting", s)
	}
	h.p.GiveUp(ErrStuck)
	for i, c := range clients {
		if got := c.answer("GET"); got != `503 length=24 "503 Service Unavailable\n"` {
			t.Errorf("client %d got %s", i, got)
		}
	}
}

// TestClosedListener: who closes the listener under Serve leaves no descriptor open.
func TestClosedListener(t *testing.T) {
	checkGoroutines(t)
	l := listenLocal(t)
	s := &Server{Pool: NewPool(PoolLimits{Queue: 1})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	eventually(t, "Serve to accept", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.listeners) == 1 })
	l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err == nil {
		defer nc.Close() // the descriptor that Serve waits with was still open
	}
	if err := receive(t, served, "Serve to return"); err == nil {
		t.Error("no error")
	}
	eventually(t, "the socket to be closed", func() bool {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			nc.Close()
		}
		return err != nil
	})
	s.Pool.Stop()
}
