package http1

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// tenFields is a request as a browser sends it.
const tenFields = "GET /static/app.js?v=12 HTTP/1.1\r\n" +
	"Host: www.example.org\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: https://www.example.org/a/page/of/some/length\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; csrftoken=fedcba9876543210fedcba98\r\n" +
	"Connection: keep-alive\r\n" +
	"Sec-Fetch-Mode: navigate\r\n" +
	"If-None-Match: \"5f2a-61b\"\r\n\r\n"

const threeFields = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: wrk/4.2\r\nAccept: */*\r\n\r\n"

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	var p Parser
	head, body := []byte(tenFields), []byte("5;a=\"b\"\r\nhello\r\n0\r\nETag: x\r\n\r\n")
	bad := []byte("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
	var c Chunked
	once := func() {
		p.Reset(DefaultLimits())
		if n, err := p.Parse(head); n != len(head) || err != nil {
			t.Fatalf("took %d: %v", n, err)
		}
		p.Reset(DefaultLimits())
		if _, err := p.Parse(bad); err == nil {
			t.Fatal("took a bad head")
		}
		c.Reset(DefaultChunkedLimits())
		for src := body; ; {
			n, _, done, err := c.Decode(src)
			if err != nil {
				t.Fatal(err)
			}
			if src = src[n:]; done {
				break
			}
		}
	}
	once()
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("%v allocations a request, want 0", n)
	}
}

// TestHeadFollowsTheBuffer: after the head is complete, Parse points it into the
// buffer that it is given.
func TestHeadFollowsTheBuffer(t *testing.T) {
	var p Parser
	p.Reset(DefaultLimits())
	first := []byte(tenFields)
	n, err := p.Parse(first)
	if n != len(first) || err != nil {
		t.Fatal(n, err)
	}
	want := describe(&p.Head)
	moved := append(bytes.Clone(first), "body"...)
	clear(first)
	if n, err := p.Parse(moved); n != len(first) || err != nil || describe(&p.Head) != want {
		t.Errorf("took %d, %v, %s, want %s", n, err, describe(&p.Head), want)
	}
	_ = append(p.Head.Path, "overwritten"...)
	if string(moved) != tenFields+"body" {
		t.Error("appending to a slice of the head wrote into the buffer")
	}
	p.Reset(DefaultLimits())
	for _, f := range p.Head.Fields[:cap(p.Head.Fields)] {
		if f.Name != nil || f.Value != nil {
			t.Error("Reset keeps hold of the old buffer")
		}
	}
}

func TestFailureIsFinal(t *testing.T) {
	var p Parser
	p.Reset(DefaultLimits())
	bad := "GET / HTTP/1.1\r\nHost : h\r\n"
	for _, in := range []string{bad, bad + "\r\n"} {
		if n, err := p.Parse([]byte(in)); n != 0 || err != error(errFieldSpace) {
			t.Errorf("got %d, %v", n, err)
		}
	}
}

func TestFewerBytesThanBeforePanics(t *testing.T) {
	var p Parser
	p.Reset(DefaultLimits())
	p.Parse([]byte("GET / HTTP/1.1\r\nHo"))
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	p.Parse([]byte("GET /"))
}

func TestLimits(t *testing.T) {
	long := "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\nHost: h\r\nB: " + strings.Repeat("b", 9000) + "\r\n" +
		strings.Repeat("A: b\r\n", 200) + "\r\n"
	small := Limits{RequestLine: 14, Fields: 2, FieldSize: 9}
	get := "GET / HTTP/1.1\r\n"
	for _, row := range []struct {
		lim Limits
		headRow
	}{
		{Limits{}, headRow{"none", "limits", long, nil, ""}},
		{Limits{RequestLine: -1, Fields: -1, FieldSize: -1}, headRow{"negative", "limits", long, nil, ""}},
		{Limits{RequestLine: math.MaxInt, Fields: math.MaxInt, FieldSize: math.MaxInt}, headRow{"huge", "limits", long, nil, ""}},
		{small, headRow{"exact", "limits", get + "Host: h\r\nA:12345\r\n\r\n", nil, ""}},
		{small, headRow{"line", "limits", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", errLineLength, ""}},
		{small, headRow{"line-start", "limits", "GET /a HTTP/1.1\r", errLineLength, ""}},
		{small, headRow{"size", "limits", get + "Host: h\r\nA:123456\r\n\r\n", errFieldSize, ""}},
		{small, headRow{"count", "limits", get + "Host: h\r\nA:\r\nB:\r\n\r\n", errFieldCount, ""}},
		{Limits{FieldSize: 1}, headRow{"empty-line-fits", "limits", "GET / HTTP/1.0\r\n\r\n", nil, ""}},
	} {
		tryHead(t, row.headRow, row.lim)
	}
	if got, want := small.MaxHead(), len("\r\n"+get+"Host: h\r\nA:12345\r\n\r\n"); got != want {
		t.Errorf("MaxHead is %d, want %d", got, want)
	}
	if got := (Limits{RequestLine: 1, Fields: 1}).MaxHead(); got != UnlimitedHead {
		t.Errorf("MaxHead is %d, want %d", got, UnlimitedHead)
	}
}

// TestUnlimitedIsBounded: where a limit is 0, the others hold, and the whole head has
// a bound that is exact.
func TestUnlimitedIsBounded(t *testing.T) {
	line := func(n int) string { return "GET /" + strings.Repeat("a", n-len("GET / HTTP/1.0")) + " HTTP/1.0\r\n" }
	get := line(14)
	room := UnlimitedHead - len(get) - len("\r\n")
	most := UnlimitedHead - 2*len("\r\n")
	def := DefaultLimits()
	noLine, noSize, noFields := def, def, def
	noLine.RequestLine, noSize.FieldSize, noFields.Fields = 0, 0, 0
	field := func(n int) string { return "A:" + strings.Repeat("b", n-len("A:\r\n")) + "\r\n" }
	for _, row := range []struct {
		lim Limits
		headRow
	}{
		{noLine, headRow{"line", "limits", line(most) + "\r\n", nil, ""}},
		{noLine, headRow{"line-past", "limits", line(most+1) + "\r\n", errLineLength, ""}},
		{noLine, headRow{"line-alone", "limits", get + field(8191) + "\r\n", errFieldSize, ""}},
		{noSize, headRow{"size", "limits", get + field(room) + "\r\n", nil, ""}},
		{noSize, headRow{"size-past", "limits", get + field(room+1) + "\r\n", errHeadSize, ""}},
		{noSize, headRow{"size-alone", "limits", line(4095) + "\r\n", errLineLength, ""}},
		{noFields, headRow{"count", "limits", get + strings.Repeat("A:\r\n", MostFields) + "\r\n", nil, ""}},
		{noFields, headRow{"count-past", "limits", get + strings.Repeat("A:\r\n", MostFields+1) + "\r\n", errFieldCount, ""}},
		{noFields, headRow{"count-sum", "limits", get + strings.Repeat(field(8000), 132) + "\r\n", errHeadSize, ""}},
	} {
		got := feed(row.lim, row.in, len(row.in)/3, len(row.in)-1)
		want := fmt.Sprintf("took %d ", len(row.in))
		if row.err != nil {
			want = "refused " + row.err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %.80s, want %s", row.id, got, want)
		}
	}
}

// TestResetKeepsLittle: one head with very many fields is no memory for ever.
func TestResetKeepsLittle(t *testing.T) {
	var p Parser
	p.Reset(Limits{})
	if n, err := p.Parse([]byte("GET / HTTP/1.0\r\n" + strings.Repeat("A:\r\n", 20000) + "\r\n")); n == 0 {
		t.Fatal(err)
	}
	if p.Reset(Limits{}); cap(p.fields) > keepFields || cap(p.Head.Fields) > 2*keepFields {
		t.Errorf("it keeps %d and %d fields", cap(p.fields), cap(p.Head.Fields))
	}
}

// TestByteByByteIsLinear: a quadratic parser takes minutes for this.
func TestByteByByteIsLinear(t *testing.T) {
	in := []byte("GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 1000) + "\r\n")
	var p Parser
	p.Reset(Limits{RequestLine: 2 << 20, Fields: 2000, FieldSize: 2000})
	start := time.Now()
	for i := range in {
		if n, err := p.Parse(in[:i+1]); err != nil || n > 0 && n != len(in) {
			t.Fatal(n, err)
		}
	}
	if len(p.Head.Fields) != 1001 || time.Since(start) > 10*time.Second {
		t.Errorf("%d fields after %v", len(p.Head.Fields), time.Since(start))
	}
}

// TestIPv6 holds validIPv6 against net/netip over addresses made by small edits.
func TestIPv6(t *testing.T) {
	parts := []string{"", "1", "0", "ff", "12345", "g", ":", "::", "1.2.3.4", "01.2.3.4", "256.1.1.1", "1.2.3"}
	check := func(s string) {
		addr, err := netip.ParseAddr(s)
		if want := err == nil && addr.Is6() && addr.Zone() == ""; validIPv6([]byte(s)) != want {
			t.Errorf("validIPv6(%q) is %t, want %t", s, !want, want)
		}
	}
	for n := range 10 {
		base := strings.TrimSuffix(strings.Repeat("a:", n), ":")
		for _, a := range parts {
			for _, b := range parts {
				for _, sep := range []string{"", ":", "::"} {
					check(a + sep + base + sep + b)
					check(base + sep + a + ":" + b)
					check(a + "::" + base + ":" + b)
				}
			}
		}
	}
}

func BenchmarkHead(b *testing.B) {
	for name, in := range map[string]string{"3fields": threeFields, "10fields": tenFields} {
		b.Run(name, func(b *testing.B) {
			var p Parser
			buf := []byte(in)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				p.Reset(DefaultLimits())
				if n, err := p.Parse(buf); n == 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkChunked(b *testing.B) {
	in := []byte(strings.Repeat("1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n", 16) + noMore)
	var c Chunked
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		c.Reset(DefaultChunkedLimits())
		for src := in; ; {
			n, _, done, err := c.Decode(src)
			if err != nil {
				b.Fatal(err)
			}
			if src = src[n:]; done {
				break
			}
		}
	}
}
