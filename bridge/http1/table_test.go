package http1

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// headRow is one head and what becomes of it: refused with err, or accepted with
// all the words of want in describe's output.
type headRow struct {
	id, rfc string // the section that decides; a bare number is of RFC 9112
	in      string
	err     *Error
	want    string
}

// onLine is a request with that request line, onTarget one with that target,
// onField one with that field line beside Host.
func onLine(line string) string     { return line + "\r\nHost: h\r\n\r\n" }
func onTarget(target string) string { return onLine("GET " + target + " HTTP/1.1") }
func onField(field string) string {
	return "POST / HTTP/1.1\r\nHost: h\r\n" + field + "\r\n\r\n"
}
func onField10(field string) string { return "POST / HTTP/1.0\r\n" + field + "\r\n\r\n" }

// describe writes a head down completely: two heads with the same description are
// the same.
func describe(h *Head) string {
	var b strings.Builder
	fmt.Fprintf(&b, "method=%s target=%s path=%s query=%s/%t authority=%s host=%s minor=%d length=%d chunked=%t keep=%t expect=%t",
		orNil(h.Method), orNil(h.Target), orNil(h.Path), orNil(h.Query), h.HasQuery, orNil(h.Authority), orNil(h.Host),
		h.Minor, h.ContentLength, h.Chunked, h.KeepAlive, h.Expect100)
	for _, f := range h.Fields {
		fmt.Fprintf(&b, " %s:%q", f.Name, f.Value)
	}
	return b.String() + " "
}

func orNil(b []byte) string {
	if b == nil {
		return "nil"
	}
	return string(b)
}

// feed parses in with the buffer growing by the given cuts (offsets, rising) and
// at last the whole, and writes down the outcome. Each call gets a copy, which is
// overwritten afterwards: the parser must not look at old buffers.
func feed(lim Limits, in string, cuts ...int) string {
	var p Parser
	p.Reset(lim)
	var last []byte
	for _, cut := range append(cuts, len(in)) {
		clear(last)
		last = []byte(in[:cut])
		n, err := p.Parse(last)
		if err != nil || n > 0 {
			return outcome(&p.Head, n, err)
		}
	}
	return "more"
}

func outcome(h *Head, n int, err error) string {
	var e *Error
	switch {
	case errors.As(err, &e):
		return "refused " + e.Error()
	case err != nil:
		return "an error of another type: " + err.Error()
	case n == 0:
		return "more"
	}
	return fmt.Sprintf("took %d %s", n, describe(h))
}

func byteByByte(n int) []int {
	cuts := make([]int, n)
	for i := range cuts {
		cuts[i] = i
	}
	return cuts
}

// tryHead runs a row: whole, with more behind it, byte by byte, and (unless it is
// long) cut in two at every place.
func tryHead(t *testing.T, row headRow, lim Limits) {
	t.Helper()
	got := feed(lim, row.in)
	if row.err != nil {
		if want := "refused " + row.err.Error(); got != want {
			t.Errorf("%s (%s): got %s, want %s", row.id, row.rfc, got, want)
		}
	} else {
		if !strings.HasPrefix(got, fmt.Sprintf("took %d ", len(row.in))) {
			t.Errorf("%s (%s): got %s, want it taken whole", row.id, row.rfc, got)
		}
		for _, word := range strings.Fields(row.want) {
			if !strings.Contains(got, " "+word+" ") {
				t.Errorf("%s (%s): got %s, want %s", row.id, row.rfc, got, word)
			}
		}
	}
	if more := feed(lim, row.in+"GET /next HTTP/1.1\r\nHost"); more != got {
		t.Errorf("%s: with bytes behind: %s, without: %s", row.id, more, got)
	}
	if bytewise := feed(lim, row.in, byteByByte(len(row.in))...); bytewise != got {
		t.Errorf("%s: byte by byte: %s, at once: %s", row.id, bytewise, got)
	}
	for cut := 0; cut < len(row.in) && len(row.in) < 600; cut++ {
		if split := feed(lim, row.in, cut); split != got {
			t.Errorf("%s: cut at %d: %s, at once: %s", row.id, cut, split, got)
		}
	}
}

func tryHeads(t *testing.T, rows []headRow) {
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.id] {
			t.Errorf("row id %s is used twice", row.id)
		}
		seen[row.id] = true
		tryHead(t, row, DefaultLimits())
	}
}
