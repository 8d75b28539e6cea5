package bridge

import (
	"encoding/binary"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gowsgi/gowsgi/bridge/uwsgi"
	"github.com/hashicorp/go-hclog"
)

// FuzzUWSGIConn: a whole connection over a fake socket, as FuzzConn. What is a whole
// packet and its whole body reaches the application, once; all else is refused; either
// has one well-formed answer, and nothing follows.
func FuzzUWSGIConn(f *testing.F) {
	post := []string{"REQUEST_METHOD=POST", "PATH_INFO=/a%", "HTTP_X_Y=z", "CONTENT_LENGTH=5"}
	for _, in := range []string{
		getPacket(), getPacket() + getPacket(), packet(0, post...) + "hello", packet(0, post...) + "hell", packet(30, "REQUEST_METHOD=HEAD"),
		packet(100), packet(100, "A=b") + "x", packet(0), packet(5), get("/"), "\x00\x05\x00\x00\x09\x00ABC",
		packet(0, append(post, "CONTENT_LENGTH=4")...) + "hello", packet(0, append(post, "CONTENT_LENGTH=")...) + "hello",
		packet(0, "REQUEST_METHOD=POST", "CONTENT_LENGTH=-1"), packet(0, "REQUEST_METHOD=CONNECT"), packet(0, "PATH_INFO=/"),
	} {
		f.Add([]byte(in), uint16(len(in)/2), uint8(3), uint8(0))
		f.Add([]byte(in), uint16(len(in)), uint8(200), uint8(8))
	}
	var now atomic.Pointer[fuzzRun]
	pool := NewPool(PoolLimits{Queue: 1})
	go pool.Run(app(func(x *Exchange) { now.Load().execute(x) }))
	f.Cleanup(pool.Stop)
	f.Fuzz(func(t *testing.T, in []byte, first uint16, step, mode uint8) {
		if len(in) > 32<<10 {
			return
		}
		r := &fuzzRun{modes: []byte{mode}}
		now.Store(r)
		srv := &Server{Pool: pool, Prepare: r.prepare, Log: hclog.NewNullLogger(), Name: "s"}
		srv.Limits.BodyMemory, srv.Limits.Packet = 1<<30, 1000
		nc := &fakeConn{t: t, in: in, next: 1 + int(first), step: 1 + int(step)}
		c := newConn(srv, nc, Endpoint{})
		c.uwsgi = true
		srv.done.Add(1)
		c.serve()

		want, pings := readPacket(string(in))
		if pings {
			if nc.out.String() != "\x64\x00\x00\x01" || len(r.prepared) > 0 {
				t.Fatalf("a ping's answer is %q", nc.out.String())
			}
			return
		}
		if (want != nil) != (len(r.prepared) == 1) || int(r.executed.Load()) != len(r.prepared) {
			t.Fatalf("%d prepared, %d executed, want %+v", len(r.prepared), r.executed.Load(), want)
		}
		var answers []fuzzAnswer
		switch {
		case want != nil:
			if head, body := r.prepared[0][0], r.prepared[0][1]; !strings.HasPrefix(head, want.method+" ") || body != want.body {
				t.Fatalf("%q with body %q, want %+v", head, body, want)
			}
			answers = append(answers, answerTo(want, mode))
			// No answer names the connection, so that it looks kept unless the body needs its end.
			answers[0].keep = mode%fuzzModes != fuzzStream && mode%fuzzModes != fuzzFailLate || answers[0].head
		case len(in) > 0:
			answers = append(answers, fuzzAnswer{status: 400, framingUnknown: true, keep: true})
		}
		if len(answers) > 0 && strings.HasPrefix(string(in), "HEAD ") {
			answers[0].head = true // HTTP on this port: refused, but without a body
		}
		checkAnswers(t, nc, answers)
	})
}

// readPacket is a slow reading of the protocol: the request, if it is a whole one, or
// whether it is a ping.
func readPacket(in string) (q *refRequest, ping bool) {
	if len(in) < 4 || len(in) < 4+int(binary.LittleEndian.Uint16([]byte(in[1:3]))) || binary.LittleEndian.Uint16([]byte(in[1:3])) > 1000 {
		return nil, false
	}
	size := int(binary.LittleEndian.Uint16([]byte(in[1:3])))
	vars, rest := in[4:4+size], in[4+size:]
	var p uwsgi.Packet
	for len(vars) > 0 {
		var pair [2][]byte
		for i := range pair {
			if len(vars) < 2 || len(vars) < 2+int(vars[0])+int(vars[1])<<8 {
				return nil, false
			}
			n := int(vars[0]) + int(vars[1])<<8
			pair[i], vars = []byte(vars[2:2+n]), vars[2+n:]
		}
		if len(pair[0]) == 0 {
			return nil, false
		}
		p.Vars = append(p.Vars, uwsgi.Var{Name: pair[0], Value: pair[1]})
	}
	switch in[0] {
	case 100:
		return nil, true
	case 0, 30:
	default:
		return nil, false
	}
	var r Request
	if r.FromPacket(&p) != nil || int64(len(rest)) < r.BodyLength {
		return nil, false
	}
	return &refRequest{method: string(r.Method), body: rest[:max(r.BodyLength, 0)]}, false
}
