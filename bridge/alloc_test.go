package bridge

import (
	"bytes"
	"net"
	"runtime"
	garbage "runtime/debug"
	"strings"
	"testing"
)

// TestAllocations: the way of a request through this package, and back, makes no
// garbage, whoever serves it. `make test-pure` runs it without the race detector.
func TestAllocations(t *testing.T) {
	if underRace {
		t.Skip("the race detector changes what is allocated; make test-pure runs this")
	}
	small, large, piece := []byte("Hello, World!"), bytes.Repeat([]byte("x"), 1<<20), bytes.Repeat([]byte("z"), 1<<10)
	head := okHead("Content-Type: text/plain")
	post := "POST / HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\nContent-Length: 10240\r\n\r\n" + strings.Repeat("b", 10240)
	for _, tt := range []struct {
		name, ask string
		size      int // of the answer, at least
		end       string
		answer    app
	}{
		{"hello", request("GET / HTTP/1.1", "User-Agent: test", "Accept: */*"), 13, "Hello, World!",
			func(x *Exchange) { _ = x.Respond(head, small, true) }},
		{"body of 10 KB", post, 13, "Hello, World!",
			func(x *Exchange) { _ = x.Respond(head, small, x.Body.Size() == 10240) }},
		{"64 chunks", get("/"), 64 << 10, "\r\n0\r\n\r\n", func(x *Exchange) {
			err := x.Respond(head, piece, false)
			for i := 1; i < 64 && err == nil; i++ {
				err = x.Write(piece, i == 63)
			}
		}},
		{"1 MB", get("/"), 1 << 20, "xxxx", func(x *Exchange) { _ = x.RespondLent(head, large, noLoan{}, true) }},
	} {
		for name, set := range map[string]setting{
			"inline": func(*Server, *poolSetting) {},
			"by a goroutine": func(_ *Server, p *poolSetting) {
				p.listener = struct{ net.Listener }{listenLocal(t)} // package net's connections are not parked
			},
		} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				c := start(t, tt.answer, set).dial()
				got := allocations(t, c, []byte(tt.ask), []byte(tt.end), tt.size)
				t.Logf("%.3f allocations a request", got)
				if got >= 0.5 { // what the runtime makes now and then
					t.Error("there should be none")
				}
			})
		}
	}
}

type noLoan struct{}

func (noLoan) Return() {}

// allocations returns how many a request costs on a kept connection, in the whole
// process. An answer has at least size bytes, and ends with end.
func allocations(t *testing.T, c *client, ask, end []byte, size int) float64 {
	t.Helper()
	const requests = 400
	buf := make([]byte, 2<<20)
	round := func() {
		if _, err := c.TCPConn.Write(ask); err != nil {
			t.Fatal(err)
		}
		n := 0
		for n < size || !bytes.HasSuffix(buf[:n], end) {
			more, err := c.TCPConn.Read(buf[n:])
			if n += more; err != nil {
				t.Fatalf("%d bytes: %v; %q", n, err, buf[:min(n, 300)])
			}
		}
	}
	defer garbage.SetGCPercent(garbage.SetGCPercent(-1)) // it would empty the pools
	for range requests / 4 {
		round()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range requests {
		round()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / requests
}
