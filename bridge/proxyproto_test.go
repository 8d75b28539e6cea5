package bridge

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxyMode takes those versions from anybody.
func proxyMode(v1, v2 bool) *ProxyProtocol {
	return &ProxyProtocol{V1: v1, V2: v2, Allow: func(Endpoint) bool { return true }}
}

// whoAsks sets a server up to answer with the request's path, the client, and who
// spoke for it ("-" for nobody).
func whoAsks(p *ProxyProtocol) setting {
	return func(s *Server, _ *poolSetting) {
		s.Proxy = p
		s.Prepare = func(r *Request, x *Exchange) error {
			client, via := r.Peer.Addr, "-" // a port that nobody told is another each time
			if r.Proxy.Addr != "" {
				client, via = r.Peer.Addr+" "+r.Peer.Port, r.Proxy.Addr
			}
			x.Record = x.Record[:0].Append("who", fmt.Sprintf("%s %s %s", r.Path, client, via))
			return nil
		}
	}
}

func tellWho(x *Exchange) { _ = x.Respond(okHead(), []byte(x.Record.Lookup("who")), true) }

// proxyV2Header makes a version 2 header by hand, with two IP addresses or without.
func proxyV2Header(command, family byte, from, to string, more ...byte) string {
	var b []byte
	if from != "" {
		src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
		b = append(append(b, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, src.Port()), dst.Port())
	}
	b = append(b, more...)
	head := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, family)
	return string(append(binary.BigEndian.AppendUint16(head, uint16(len(b))), b...))
}

const (
	v2Local, v2Proxy = 0, 1
	v2Unspec, v2TCP4 = 0x00, 0x11
	v2TCP6, v2UDP4   = 0x21, 0x12
	v2Unix           = 0x31
)

// padding is a type-length-value of n bytes that says nothing (PP2_TYPE_NOOP).
func padding(n int) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0x04}, uint16(n-3)), make([]byte, n-3)...)
}

const (
	v1TCP4 = "PROXY TCP4 198.51.100.1 192.0.2.1 4711 80\r\n"
	v1TCP6 = "PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n"
)

var v2IPv4 = proxyV2Header(v2Proxy, v2TCP4, "198.51.100.1:4711", "192.0.2.1:80")

func ok(text string) string { return fmt.Sprintf("200 length=%d %q", len(text), text) }

func TestProxyProtocol(t *testing.T) {
	auto, none := proxyMode(true, true), (*ProxyProtocol)(nil)
	client, direct := ok("/ 198.51.100.1 4711 127.0.0.1"), ok("/ 127.0.0.1 -")
	bad := []string{"400 ...", "EOF"}
	filled := strings.Repeat("x", 200)
	for _, tt := range []struct {
		name string
		mode *ProxyProtocol
		send string // before the request
		want []string
	}{
		{"v1", auto, v1TCP4, []string{client}},
		{"v1, IPv6", auto, v1TCP6, []string{ok("/ 2001:db8::1 4711 127.0.0.1")}},
		{"v1 alone", proxyMode(true, false), v1TCP4, []string{client}},
		{"v1, the longest", auto, "PROXY TCP6 ffff:f0ff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0 65535 65534\r\n",
			[]string{ok("/ ffff:f0ff:ffff:ffff:ffff:ffff:ffff:ffff 65535 127.0.0.1")}},
		{"v1 UNKNOWN", auto, "PROXY UNKNOWN\r\n", []string{direct}},
		{"v1 UNKNOWN with addresses", auto, "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", []string{direct}},
		{"v2", auto, v2IPv4, []string{client}},
		{"v2 alone", proxyMode(false, true), v2IPv4, []string{client}},
		{"v2, IPv6", auto, proxyV2Header(v2Proxy, v2TCP6, "[2001:db8::1]:4711", "[2001:db8::2]:80"), []string{ok("/ 2001:db8::1 4711 127.0.0.1")}},
		{"v2, IPv4 in IPv6", auto, proxyV2Header(v2Proxy, v2TCP6, "[::ffff:198.51.100.1]:4711", "[::ffff:192.0.2.1]:80"), []string{client}},
		{"v2 LOCAL", auto, proxyV2Header(v2Local, v2Unspec, "", ""), []string{direct}},
		{"v2 LOCAL with addresses", auto, proxyV2Header(v2Local, v2TCP4, "198.51.100.1:4711", "192.0.2.1:80"), []string{direct}},
		{"v2 unspecified", auto, proxyV2Header(v2Proxy, v2Unspec, "", ""), bad}, // left to the receiver
		{"v2 unix", auto, proxyV2Header(v2Proxy, v2Unix, "", "", make([]byte, 216)...), []string{direct}},
		{"v2 UDP", auto, proxyV2Header(v2Proxy, v2UDP4, "198.51.100.1:4711", "192.0.2.1:80"), []string{direct}},
		{"v2, a type-length-value behind", auto, proxyV2Header(v2Proxy, v2TCP4, "198.51.100.1:4711", "192.0.2.1:80", 0x04, 0, 2, 'n', 'o'), []string{client}},
		{"v2, 4000 bytes behind", auto, proxyV2Header(v2Proxy, v2TCP4, "198.51.100.1:4711", "192.0.2.1:80", padding(4000)...), []string{client}},
		{"v2, 4100 bytes behind", auto, proxyV2Header(v2Proxy, v2TCP4, "198.51.100.1:4711", "192.0.2.1:80", padding(4100)...), bad},
		{"v2, the longest", auto, proxyV2Header(v2Proxy, v2TCP4, "198.51.100.1:4711", "192.0.2.1:80", padding(65535-12)...), bad},

		{"absent", auto, "", []string{direct}},
		{"absent, an empty line", auto, "\r\n", []string{direct}},
		{"off", none, "", []string{direct}},
		{"off, v1", none, v1TCP4, bad},
		{"off, v2", none, v2IPv4, bad},
		{"v1 where v2 is wanted", proxyMode(false, true), v1TCP4, bad},
		{"v2 where v1 is wanted", proxyMode(true, false), v2IPv4, bad},
		{"twice", auto, v1TCP4 + v1TCP4, bad},
		{"both", auto, v1TCP4 + v2IPv4, bad},

		{"v1 in lower case", auto, strings.ToLower(v1TCP4), bad},
		{"v1, LF alone", auto, strings.ReplaceAll(v1TCP4, "\r", ""), bad},
		{"v1, no kind", auto, "PROXY \r\n", bad},
		{"v1, another kind", auto, "PROXY UDP4 198.51.100.1 192.0.2.1 4711 80\r\n", bad},
		{"v1, no ports", auto, "PROXY TCP4 198.51.100.1 192.0.2.1\r\n", bad},
		{"v1, more behind", auto, "PROXY TCP4 198.51.100.1 192.0.2.1 4711 80 x\r\n", bad},
		{"v1, two spaces", auto, "PROXY  TCP4 198.51.100.1 192.0.2.1 4711 80\r\n", bad},
		{"v1, no address", auto, "PROXY TCP4 client 192.0.2.1 4711 80\r\n", bad},
		{"v1, IPv6 for IPv4", auto, "PROXY TCP4 2001:db8::1 2001:db8::2 4711 80\r\n", bad},
		{"v1, IPv4 for IPv6", auto, "PROXY TCP6 198.51.100.1 192.0.2.1 4711 80\r\n", bad},
		{"v1, too large a port", auto, "PROXY TCP4 198.51.100.1 192.0.2.1 65536 80\r\n", bad},
		{"v1, octets with zeros", auto, "PROXY TCP4 198.051.100.1 192.0.2.1 4711 80\r\n", bad},
		{"v1, a sign", auto, "PROXY TCP4 198.51.100.1 192.0.2.1 +4711 80\r\n", bad},
		{"v1, too long", auto, "PROXY UNKNOWN " + filled + "\r\n", bad},
		{"v1, too long without end", auto, "PROXY TCP4 " + filled, bad},
		{"v1, 108 bytes", auto, "PROXY UNKNOWN " + filled[:92] + "\r\n", bad},
		{"v1, 107 bytes", auto, "PROXY UNKNOWN " + filled[:91] + "\r\n", []string{direct}},
		{"v2, version 1", auto, strings.Replace(v2IPv4, "\n\x21", "\n\x11", 1), bad},
		{"v2, another command", auto, proxyV2Header(2, v2TCP4, "198.51.100.1:4711", "192.0.2.1:80"), bad},
		{"v2, another family", auto, proxyV2Header(v2Proxy, 0x41, "198.51.100.1:4711", "192.0.2.1:80"), bad},
		{"v2, too short for its addresses", auto, proxyV2Header(v2Proxy, v2TCP4, "", "", 1, 2, 3), bad},
		{"v2, IPv4 in an IPv6 header", auto, proxyV2Header(v2Proxy, v2TCP6, "198.51.100.1:4711", "192.0.2.1:80"), bad},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := start(t, tellWho, whoAsks(tt.mode))
			want := tt.want
			if want[len(want)-1] != "EOF" { // a good start: what is pipelined behind it counts, too
				want = append(want, want[0], "EOF")
			}
			c := h.dial()
			c.send(tt.send + get("/") + get("/"))
			c.halfClose()
			if got := c.answers(); !same(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if logged := strings.Count(h.log.String(), "refused a request"); (want[0][:3] == "400") != (logged == 1) {
				t.Errorf("%d refusals logged:\n%s", logged, h.log)
			}
		})
	}
}

// TestProxyProtocolInPieces: the same header split at any byte, or byte by byte.
func TestProxyProtocolInPieces(t *testing.T) {
	h := start(t, tellWho, whoAsks(proxyMode(true, true)))
	for name, header := range map[string]string{"v1": v1TCP4, "v2": v2IPv4, "absent": "", "absent, like v1": "P", "absent, like v2": "\r\n"} {
		request, want := get("/"), ok("/ 198.51.100.1 4711 127.0.0.1")
		if strings.HasPrefix(name, "absent") {
			want = ok("/ 127.0.0.1 -")
		}
		if header == "P" {
			request = "OST / HTTP/1.1\r\nHost: h\r\n\r\n"
		}
		whole := header + request
		for split := 1; split < min(len(whole), 60); split++ {
			c := h.dial()
			c.send(whole[:split])
			time.Sleep(time.Millisecond) // so that the server reads what is there
			c.send(whole[split:])
			if got := c.answer("GET"); got != want {
				t.Errorf("%s, split at %d: got %s, want %s", name, split, got, want)
			}
			c.Close()
		}
		c := h.dial()
		for i := range len(whole) {
			c.send(whole[i : i+1])
			time.Sleep(100 * time.Microsecond)
		}
		c.want("GET", want)
		c.Close()
	}
}

// TestProxyProtocolFromAnybody: who is not allowed gets a 403, in any form, and
// without a header is a client like others.
func TestProxyProtocolFromAnybody(t *testing.T) {
	var mu sync.Mutex
	var asked []Endpoint
	p := &ProxyProtocol{V1: true, V2: true, Allow: func(peer Endpoint) bool {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, peer)
		return false
	}}
	h := start(t, tellWho, whoAsks(p))
	for _, header := range []string{v1TCP4, v2IPv4, "PROXY UNKNOWN\r\n", proxyV2Header(v2Local, v2Unspec, "", ""), "PROXY nonsense\r\n"} {
		c := h.dial()
		c.send(header + get("/"))
		c.halfClose()
		if got := c.answers(); !same(got, []string{"403 ...", "EOF"}) {
			t.Errorf("%q: got %q", header, got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, peer := range asked {
		if peer.Addr != "127.0.0.1" || peer.Port == "" {
			t.Errorf("Allow was asked about %+v", peer)
		}
	}
	if got := strings.Count(h.log.String(), `peer=127.0.0.1 status=403 cause="the PROXY protocol from`); got != 5 || len(asked) != 5 {
		t.Errorf("%d refusals logged, Allow asked %d times:\n%s", got, len(asked), h.log)
	}
	c := h.dial()
	c.send(get("/")) // asks nobody
	c.want("GET", ok("/ 127.0.0.1 -"))
}

// TestProxyProtocolThatDoesNotEnd: bytes that come in time do not lengthen the time
// for the whole.
func TestProxyProtocolThatDoesNotEnd(t *testing.T) {
	for name, begin := range map[string]string{"v1": "PROXY UNKNOWN ", "v2": v2IPv4[:14] + "\x0f\x00"} {
		t.Run(name, func(t *testing.T) {
			h := start(t, tellWho, whoAsks(proxyMode(true, true)), limits(func(l *Limits) { l.HeadTime = 4 * soon }))
			c := h.dial()
			c.send(begin)
			for range 40 { // ten times as long
				_ = c.SetReadDeadline(time.Now().Add(soon))
				if _, err := c.r.Peek(1); err == nil {
					break
				}
				c.send("x")
			}
			_ = c.SetReadDeadline(time.Now().Add(patience))
			c.halfClose()
			if got := c.answers(); !same(got, []string{"408 ...", "EOF"}) {
				t.Errorf("got %q", got)
			}
		})
	}
	t.Run("ends at once", func(t *testing.T) { // the client leaves in the middle
		h := start(t, tellWho, whoAsks(proxyMode(true, true)))
		c := h.dial()
		c.send(v2IPv4[:20])
		c.halfClose()
		if got := c.answers(); !same(got, []string{"400 ...", "EOF"}) {
			t.Errorf("got %q", got)
		}
	})
}

// TestProxyProtocolThenSilence: a connection whose header is followed by nothing
// ends without a word, as one without the header does.
func TestProxyProtocolThenSilence(t *testing.T) {
	h := start(t, tellWho, whoAsks(proxyMode(true, true)), limits(func(l *Limits) { l.HeadTime = 2 * soon }))
	c := h.dial()
	c.send(v1TCP4)
	if got := c.answer("GET"); got != "EOF" {
		t.Errorf("got %q", got)
	}
}

// clientBuffer is an access log of clients' addresses.
type clientBuffer struct {
	mu      sync.Mutex
	clients []string
}

func (b *clientBuffer) Log(e *AccessEntry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clients = append(b.clients, fmt.Sprintf("%d %s", e.Status, e.Request.Peer.Addr))
}

// TestProxyProtocolInLogs: what is refused behind the header came from the client.
func TestProxyProtocolInLogs(t *testing.T) {
	access := &clientBuffer{}
	h := start(t, tellWho, whoAsks(proxyMode(true, true)), func(s *Server, _ *poolSetting) { s.Access = access })
	for _, request := range []string{get("/") + "nonsense\r\n\r\n", "nonsense\r\n\r\n"} {
		c := h.dial()
		c.send(v1TCP4 + request)
		c.halfClose()
		c.answers()
	}
	if got := strings.Count(h.log.String(), "peer=198.51.100.1 status=400"); got != 2 {
		t.Errorf("%d refusals with the client's address:\n%s", got, h.log)
	}
	want := []string{"200 198.51.100.1", "400 198.51.100.1", "400 198.51.100.1"}
	eventually(t, "the access log", func() bool { return h.srv.Connections() == 0 })
	access.mu.Lock()
	defer access.mu.Unlock()
	if fmt.Sprint(access.clients) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", access.clients, want)
	}
}
