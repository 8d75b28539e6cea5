package http1

import (
	"fmt"
	"strings"
	"testing"
)

// fuzzCut makes a place to cut at from whatever number the fuzzer chose.
func fuzzCut(cut uint16, length int) int { return int(cut) % (length + 1) }

// FuzzHead: no panic; the same outcome however the bytes arrive and whatever
// follows them; an accepted head, written down from its parts, parses to itself,
// whatever was permitted.
func FuzzHead(f *testing.F) {
	for _, rows := range [][]headRow{lineRows, fieldRows, hostRows, framingRows} {
		for _, row := range rows {
			f.Add([]byte(row.in), uint16(len(row.in)/2), uint16(len(row.in)-1), uint8(0))
		}
	}
	for _, group := range permitRows {
		for _, row := range group.rows {
			f.Add([]byte(row.in), uint16(len(row.in)/2), uint16(len(row.in)-1), uint8(0xff))
		}
	}
	f.Add([]byte(tenFields), uint16(7), uint16(300), uint8(0))
	f.Fuzz(func(t *testing.T, in []byte, a, b uint16, permits uint8) {
		// Below the defaults, so that the fuzzer meets the limits.
		lim := Limits{RequestLine: 300, Fields: 12, FieldSize: 400, Permit: fuzzPermit(permits)}
		s := string(in)
		first, second := fuzzCut(a, len(s)), fuzzCut(b, len(s))
		whole := feed(lim, s)
		if got := feed(lim, s, min(first, second), max(first, second)); got != whole {
			t.Fatalf("cut at %d and %d: %s, at once: %s", first, second, got, whole)
		}
		if got := feed(lim, s, byteByByte(len(s))...); got != whole {
			t.Fatalf("byte by byte: %s, at once: %s", got, whole)
		}
		var p Parser
		p.Reset(lim)
		n, err := p.Parse(in)
		if n < 0 || n > len(in) || n > lim.MaxHead() || n > 0 && err != nil {
			t.Fatalf("took %d of %d: %v", n, len(in), err)
		}
		if n == 0 {
			if err == nil && len(in) >= lim.MaxHead() {
				t.Fatalf("wants more than MaxHead")
			}
			return
		}
		if got := feed(lim, s[:n]); got != whole {
			t.Fatalf("without what follows: %s, with it: %s", got, whole)
		}
		again := writeHead(&p.Head)
		// Nothing of the other switches is left in it: a strict server behind this
		// one would read the same.
		lim.Permit = Permit{AnyMethod: lim.Permit.AnyMethod}
		if got, want := feed(lim, again), fmt.Sprintf("took %d %s", len(again), describe(&p.Head)); got != want {
			t.Fatalf("written again: %s, at first: %s", got, want)
		}
		checkHead(t, &p.Head)
	})
}

func fuzzPermit(bits uint8) Permit {
	return Permit{
		HeaderSpaces: bits&1 != 0, Folding: bits&2 != 0, AnyMethod: bits&4 != 0, AnyVersion: bits&8 != 0, CasefoldMethod: bits&16 != 0,
	}
}

func writeHead(h *Head) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.%d\r\n", h.Method, h.Target, h.Minor)
	for _, f := range h.Fields {
		fmt.Fprintf(&b, "%s:%s\r\n", f.Name, f.Value)
	}
	return b.String() + "\r\n"
}

// checkHead holds what no layer above may ever have to check again.
func checkHead(t *testing.T, h *Head) {
	t.Helper()
	if h.Chunked && (h.ContentLength >= 0 || h.Minor == 0) || h.ContentLength < -1 {
		t.Fatalf("ambiguous framing: %s", describe(h))
	}
	if h.Minor > 0 && h.Host == nil || strings.ContainsAny(string(h.Host), " /?#@\\\"<>\t\r\n\x00") {
		t.Fatalf("bad host: %s", describe(h))
	}
	if connect := string(h.Method) == "CONNECT"; connect != (len(h.Path) == 0) ||
		!connect && h.Path[0] != '/' && string(h.Path) != "*" {
		t.Fatalf("bad path: %s", describe(h))
	}
	if h.HasQuery != (h.Query != nil) {
		t.Fatalf("bad query: %s", describe(h))
	}
	for _, f := range h.Fields {
		if strings.ContainsAny(string(f.Name), ": \t\r\n\x00") || len(f.Name) == 0 {
			t.Fatalf("bad name %q", f.Name)
		}
		v := string(f.Value)
		if strings.Trim(v, " \t") != v || strings.ContainsAny(v, "\r\n\x00\x7f\x1b") {
			t.Fatalf("bad value %q", f.Value)
		}
	}
}

// FuzzChunked: no panic; the same outcome however the bytes arrive; what is
// accepted, written as one plain chunk, decodes to the same body.
func FuzzChunked(f *testing.F) {
	for _, row := range chunkRows {
		f.Add([]byte(row.in), uint16(len(row.in)/2), uint16(len(row.in)-1))
	}
	f.Fuzz(func(t *testing.T, in []byte, a, b uint16) {
		lim := ChunkedLimits{SizeLine: 64, Extensions: 100, Trailer: 200, TrailerFields: 4}
		s := string(in)
		first, second := fuzzCut(a, len(s)), fuzzCut(b, len(s))
		whole := dechunk(lim, s)
		if got := dechunk(lim, s, min(first, second), max(first, second)); got != whole {
			t.Fatalf("cut at %d and %d: %s, at once: %s", first, second, got, whole)
		}
		if got := dechunk(lim, s, byteByByte(len(s))...); got != whole {
			t.Fatalf("byte by byte: %s, at once: %s", got, whole)
		}
		var n int
		var body string
		if _, err := fmt.Sscanf(whole, "took %d %q", &n, &body); err != nil {
			return
		}
		if got := dechunk(lim, s[:n]); got != whole {
			t.Fatalf("without what follows: %s, with it: %s", got, whole)
		}
		again := noMore
		if body != "" {
			again = fmt.Sprintf("%x\r\n%s\r\n%s", len(body), body, noMore)
		}
		if got, want := dechunk(lim, again), fmt.Sprintf("took %d %q", len(again), body); got != want {
			t.Fatalf("written again: %s, want %s", got, want)
		}
	})
}
