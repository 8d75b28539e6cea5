package bridge

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// soon and late are a deadline that is to pass in a test and one that is not.
const (
	soon = 50 * time.Millisecond
	late = patience
)

// TestDeadlines: what a client gets that does not send in time.
func TestDeadlines(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*Limits)
		send string
		want []string
	}{
		{"nothing on a new connection", func(l *Limits) { l.HeadTime = soon }, "", []string{"EOF"}},
		{"half a head", func(l *Limits) { l.HeadTime = soon }, "GET / HT", []string{"408 ...", "EOF"}},
		{"half a second head", func(l *Limits) { l.HeadTime, l.IdleTime = soon, soon }, get("/") + "GET / HT",
			[]string{`200 length=5 "hello"`, "408 ...", "EOF"}},
		{"idle between requests", func(l *Limits) { l.IdleTime = soon }, get("/"), []string{`200 length=5 "hello"`, "EOF"}},
		{"half a body", func(l *Limits) { l.ReadTime = soon }, request("POST / HTTP/1.1", "Content-Length: 9") + "body", []string{"408 ...", "EOF"}},
		{"half a chunk", func(l *Limits) { l.ReadTime = soon }, request("POST / HTTP/1.1", "Transfer-Encoding: chunked") + "9\r\nbody", []string{"408 ...", "EOF"}},
		{"body after Expect", func(l *Limits) { l.ReadTime = soon },
			request("POST / HTTP/1.1", "Content-Length: 9", "Expect: 100-continue"), []string{"100", "408 ...", "EOF"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, hello, limits(func(l *Limits) { l.HeadTime, l.IdleTime, l.ReadTime = late, late, late; tt.set(l) })).dial()
			c.send(tt.send)
			var got []string
			for len(got) == 0 || got[len(got)-1] != "EOF" {
				got = append(got, c.answer("GET"))
			}
			if !same(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestBodyRate: bytes that come one by one, each in time, are too slow together.
func TestBodyRate(t *testing.T) {
	for _, framing := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
		t.Run(framing, func(t *testing.T) {
			called := false
			c := start(t, func(x *Exchange) { called = true; hello(x) }, limits(func(l *Limits) {
				l.ReadTime, l.BodyRate = 300*time.Millisecond, 100
			})).dial()
			c.send(request("POST / HTTP/1.1", framing) + "3e8\r\n"[:5*strings.Count(framing, "chunked")])
			stop := time.After(10 * soon)
			for answered := false; !answered; {
				select {
				case <-stop:
					t.Fatal("20 bytes a second were taken for ten times as long as allowed")
				default:
					_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
					_, err := c.r.Peek(1)
					if answered = err == nil; !answered {
						c.send("x")
					}
				}
			}
			_ = c.SetReadDeadline(time.Now().Add(10 * soon))
			if got := c.answers(); !strings.HasPrefix(got[0], "408") || called {
				t.Errorf("got %q, the application called: %t", got, called)
			}
		})
	}
}

// TestShortLimitsHoldForEachRequest: a limit below a second is for each wait, not
// for the connection.
func TestShortLimitsHoldForEachRequest(t *testing.T) {
	const limit, pause = 400 * time.Millisecond, 600 * time.Millisecond
	for _, tt := range []struct {
		name string
		set  func(*Limits)
		pace func(c *client)
	}{
		{"write", func(l *Limits) { l.WriteTime = limit }, func(c *client) {
			c.send(get("/"))
			c.answer("GET")
			time.Sleep(pause)
			c.send(get("/"))
		}},
		{"idle", func(l *Limits) { l.IdleTime = limit }, func(c *client) {
			for range 2 { // twice half the limit, and a request between
				c.send(get("/"))
				c.answer("GET")
				time.Sleep(limit * 6 / 10)
			}
			c.send(get("/"))
		}},
		{"read", func(l *Limits) { l.ReadTime, l.BodyRate = limit, 0 }, func(c *client) {
			c.send(request("POST / HTTP/1.1", "Content-Length: 4"))
			for range 4 {
				time.Sleep(limit * 6 / 10)
				c.send("x")
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := start(t, hello, limits(tt.set)).dial()
			tt.pace(c)
			c.want("GET", `200 length=5 "hello"`)
		})
	}
}

// TestServerWithoutLimits: Server's comment says that Limits may be left at zero.
func TestServerWithoutLimits(t *testing.T) {
	c := start(t, hello, func(s *Server, _ *poolSetting) { s.Limits = Limits{} }).dial()
	c.send(get("/"))
	c.want("GET", `200 length=5 "hello"`)
}

// TestStalledClient: a client that takes nothing ends the answer for the executor
// within the write deadline, however much there is to say.
func TestStalledClient(t *testing.T) {
	left := make(chan error, 1)
	h := start(t, func(x *Exchange) {
		piece := make([]byte, 32<<10)
		err := x.Respond(okHead(), piece, false)
		for range 100_000 { // 3 GB: more than any buffer
			if err == nil {
				err = x.Write(piece, false)
			}
		}
		left <- err
	}, limits(func(l *Limits) { l.WriteTime = 2 * soon }))
	c := h.dial()
	if err := c.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	c.send(get("/"))
	if err := receive(t, left, "the executor to learn of it"); !errors.Is(err, ErrGone) {
		t.Errorf("Write: %v, want ErrGone", err)
	}
}

// TestStalledClientDoesNotTakeACutAnswerForWhole: an answer whose end is the end
// of the connection must not end orderly when it was given up.
func TestStalledClientDoesNotTakeACutAnswerForWhole(t *testing.T) {
	left := make(chan struct{})
	h := start(t, func(x *Exchange) {
		piece := make([]byte, 32<<10)
		err := x.Respond(okHead(), piece, false)
		for err == nil {
			err = x.Write(piece, false)
		}
		close(left)
	}, limits(func(l *Limits) { l.WriteTime = 2 * soon }))
	c := h.dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	receive(t, left, "the executor to learn of it")
	eventually(t, "the connection to end", func() bool { return h.srv.Connections() == 0 })
	if got := c.answers(); !strings.HasSuffix(got[0], "RESET") && got[len(got)-1] != "RESET" {
		t.Errorf("an answer of %d bytes without end ended with %q", len(got[0]), got[len(got)-1])
	}
}

// TestGoneClient: the same for a client that closes.
func TestGoneClient(t *testing.T) {
	left, started := make(chan error, 1), make(chan struct{})
	h := start(t, func(x *Exchange) {
		piece := make([]byte, 32<<10)
		err := x.Respond(okHead(), piece, false)
		close(started)
		for err == nil {
			err = x.Write(piece, false)
		}
		left <- err
	})
	c := h.dial()
	c.send(get("/"))
	<-started
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := receive(t, left, "the executor to learn of it"); !errors.Is(err, ErrGone) {
		t.Errorf("Write: %v, want ErrGone", err)
	}
}

// TestToCloseAnswerFails: HTTP/1.0 clients know a body's end by the connection's:
// a failed one must end with a reset, also when the client had sent more.
func TestToCloseAnswerFails(t *testing.T) {
	for name, send := range map[string]string{
		"alone":           "GET / HTTP/1.0\r\n\r\n",
		"more was sent":   "GET / HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
		"keep-alive sent": strings.Repeat("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 2),
	} {
		t.Run(name, func(t *testing.T) {
			fail := make(chan struct{})
			c := start(t, func(x *Exchange) {
				_ = x.Respond(okHead(), []byte("ab"), false)
				<-fail
				x.Fail(ErrFailed)
			}).dial()
			c.send(send)
			if head, err := c.r.Peek(len("HTTP/1.1 200 OK")); err != nil || string(head) != "HTTP/1.1 200 OK" {
				t.Fatalf("%q, %v", head, err)
			}
			close(fail)
			if got := c.answers()[0]; !strings.HasSuffix(got, "RESET") {
				t.Errorf("got %q, want RESET at its end", got)
			}
		})
	}
}

// TestHighWater: the executor waits for the client once the exchange holds enough,
// so that memory is bounded whatever the size of the answer.
func TestHighWater(t *testing.T) {
	const piece, pieces = 20 << 10, 1000
	peak := make(chan int, 1)
	c := start(t, func(x *Exchange) {
		data, most := make([]byte, piece), 0
		_ = x.Respond(withLength(okHead(), piece*pieces), data, false)
		for i := 1; i < pieces; i++ {
			_ = x.Write(data, i == pieces-1)
			x.mu.Lock()
			most = max(most, len(x.pending))
			x.mu.Unlock()
		}
		peak <- most
	}).dial()
	c.send(get("/"))
	n, err := io.CopyN(io.Discard, c.r, piece*pieces)
	if err != nil {
		t.Fatalf("%v after %d bytes", err, n)
	}
	if most := receive(t, peak, "the executor"); most >= highWater+piece {
		t.Errorf("the exchange held %d bytes, its limit is %d and a piece", most, highWater)
	}
}

// TestQueueFull: one request runs, one waits, the third is refused.
func TestQueueFull(t *testing.T) {
	entered, release := make(chan struct{}, 2), make(chan struct{})
	h := start(t, func(x *Exchange) {
		entered <- struct{}{}
		<-release
		hello(x)
	}, pool(PoolLimits{Queue: 1}, 1))
	running, waiting, refused := h.dial(), h.dial(), h.dial()
	running.send(get("/"))
	receive(t, entered, "the first request")
	waiting.send(get("/"))
	eventually(t, "the second to wait", func() bool { return h.srv.Pool.Stats().Waiting == 1 })
	if got := h.srv.Pool.Stats(); got != (PoolStats{Busy: 1, Waiting: 1}) {
		t.Errorf("stats %+v", got)
	}

	refused.send(get("/"))
	head, err := refused.r.Peek(1)
	for err == nil && !strings.Contains(string(head), "\r\n\r\n") {
		head, err = refused.r.Peek(len(head) + 1)
	}
	if !strings.Contains(string(head), "\r\nRetry-After: 1\r\n") {
		t.Errorf("no Retry-After in %q (%v)", head, err)
	}
	refused.want("GET", `503 length=24 "503 Service Unavailable\n"`)
	refused.send(get("/")) // the connection is as good as before
	refused.want("GET", `503 length=24 "503 Service Unavailable\n"`)

	close(release)
	running.want("GET", `200 length=5 "hello"`)
	waiting.want("GET", `200 length=5 "hello"`)
	eventually(t, "the counters", func() bool { return h.srv.Pool.Stats() == (PoolStats{Served: 2, Refused: 2}) })
}

func TestQueueTimeout(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	h := start(t, func(x *Exchange) {
		entered <- struct{}{}
		<-release
		hello(x)
	}, pool(PoolLimits{Queue: 9, Wait: soon}, 1))
	running, waiting := h.dial(), h.dial()
	running.send(get("/"))
	receive(t, entered, "the first request")
	waiting.send(get("/"))
	waiting.want("GET", `503 length=24 "503 Service Unavailable\n"`)
	close(release)
	running.want("GET", `200 length=5 "hello"`)
	eventually(t, "the counters", func() bool { return h.srv.Pool.Stats() == (PoolStats{Served: 1, Timeouts: 1}) })
}
