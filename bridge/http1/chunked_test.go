package http1

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// chunkRow is a chunked body (all of in, when it is accepted) and what becomes of
// it; want is the body, up to the fault where there is one.
type chunkRow struct {
	id, rfc string
	in      string
	err     *Error
	want    string
}

const noMore = "0\r\n\r\n"

var chunkRows = []chunkRow{
	{"empty", "7.1", noMore, nil, ""},
	{"one", "7.1", "5\r\nhello\r\n" + noMore, nil, "hello"},
	{"two", "7.1", "5\r\nhello\r\n6\r\n world\r\n" + noMore, nil, "hello world"},
	{"hex-lower", "7.1", "a\r\n0123456789\r\n" + noMore, nil, "0123456789"},
	{"hex-upper", "7.1", "A\r\n0123456789\r\n" + noMore, nil, "0123456789"},
	{"hex-two", "7.1", "1e\r\n" + strings.Repeat("x", 30) + "\r\n" + noMore, nil, strings.Repeat("x", 30)},
	{"zeros", "7.1", "0005\r\nhello\r\n" + noMore, nil, "hello"},
	{"zeros-last", "7.1", "000\r\n\r\n", nil, ""},
	{"digits-16", "7.1", "0000000000000005\r\nhello\r\n" + noMore, nil, "hello"},
	{"digits-17", "stricter", "00000000000000005\r\nhello\r\n" + noMore, errChunkRange, ""},
	{"data-crlf", "7.1", "4\r\n\r\n\r\n\r\n" + noMore, nil, "\r\n\r\n"},
	{"data-looks-like-end", "7.1", "5\r\n0\r\n\r\n\r\n" + noMore, nil, "0\r\n\r\n"},

	{"size-2^63", "7.1", "8000000000000000\r\n", errChunkRange, ""},
	{"size-2^64-1", "7.1", "ffffffffffffffff\r\n", errChunkRange, ""},
	{"size-2^64+3", "7.1", "10000000000000003\r\nabc\r\n", errChunkRange, ""},
	{"size-empty", "7.1", "\r\nhello\r\n", errChunkSize, ""},
	{"size-0x", "7.1", "0x5\r\nhello\r\n", errChunkSize, ""},
	{"size-plus", "7.1", "+5\r\nhello\r\n", errChunkSize, ""},
	{"size-minus", "7.1", "-5\r\nhello\r\n", errChunkSize, ""},
	{"size-minus-0", "7.1", "-0\r\n\r\n", errChunkSize, ""},
	{"size-underscore", "7.1", "6_0\r\n", errChunkSize, ""},
	{"size-g", "7.1", "g\r\n", errChunkSize, ""},
	{"size-point", "7.1", "5.\r\nhello\r\n", errChunkSize, ""},
	{"size-comma", "7.1", "5,5\r\nhello\r\n", errChunkSize, ""},
	{"size-space-before", "7.1", " 5\r\nhello\r\n", errChunkSize, ""},
	{"size-tab-before", "7.1", "\t5\r\nhello\r\n", errChunkSize, ""},
	{"size-space-behind", "7.1", "5 \r\nhello\r\n", errChunkSize, ""},
	{"size-tab-behind", "7.1", "5\t\r\nhello\r\n", errChunkSize, ""},
	{"size-space-behind-last", "7.1", "0 \r\n\r\n", errChunkSize, ""},
	{"size-space-inside", "7.1", "5 5\r\nhello\r\n", errChunkSize, ""},
	{"size-nul", "7.1", "5\x00\r\nhello\r\n", errChunkSize, ""},
	{"size-latin1", "7.1", "\xb25\r\nhello\r\n", errChunkSize, ""},
	{"size-lf", "2.2", "5\nhello\r\n", errChunkSize, ""},
	{"size-lf-ext", "2.2", "5\n;\r\nhello\r\n", errChunkSize, ""},
	{"size-cr", "2.2", "5\rhello\r\n", errChunkCR, ""},
	{"size-cr-cr-lf", "2.2", "5\r\r\nhello\r\n", errChunkCR, ""},
	{"size-missing-ext", "7.1", ";a\r\nhello\r\n", errChunkSize, ""},
	{"size-missing-space-ext", "7.1", " ;a=b\r\nhello\r\n", errChunkSize, ""},

	{"data-short-crlf", "7.1", "6\r\nhello\r\n" + noMore, errChunkEnd, "hello\r"},
	{"data-long", "7.1", "4\r\nhello\r\n" + noMore, errChunkEnd, "hell"},
	{"data-lf", "7.1", "5\r\nhello\n" + noMore, errChunkEnd, "hello"},
	{"data-cr-only", "7.1", "5\r\nhello\r0\r\n\r\n", errChunkEnd, "hello"},
	{"data-no-end", "7.1", "5\r\nhello0\r\n\r\n", errChunkEnd, "hello"},
	{"data-space-end", "7.1", "5\r\nhello \r\n0\r\n\r\n", errChunkEnd, "hello"},

	{"ext", "7.1.1", "5;a\r\nhello\r\n" + noMore, nil, "hello"},
	{"ext-value", "7.1.1", "5;a=b\r\nhello\r\n" + noMore, nil, "hello"},
	{"ext-many", "7.1.1", "5;a;b=c;d\r\nhello\r\n" + noMore, nil, "hello"},
	{"ext-last-chunk", "7.1.1", "5\r\nhello\r\n0;a=b\r\n\r\n", nil, "hello"},
	{"ext-spaces", "7.1.1", "5 ; a\t=  b ;c\r\nhello\r\n" + noMore, nil, "hello"},
	{"ext-quoted", "7.1.1", "5;a=\"b c;\xe9\t\"\r\nhello\r\n" + noMore, nil, "hello"},
	{"ext-quoted-empty", "7.1.1", "5;a=\"\"\r\nhello\r\n" + noMore, nil, "hello"},
	{"ext-quoted-escape", "7.1.1", "5;a=\"\\\"\\\\\";b\r\nhello\r\n" + noMore, nil, "hello"},
	{"ext-empty", "7.1.1", "5;\r\nhello\r\n", errChunkExt, ""},
	{"ext-empty-first", "7.1.1", "5;;a\r\nhello\r\n", errChunkExt, ""},
	{"ext-empty-last", "7.1.1", "5;a;\r\nhello\r\n", errChunkExt, ""},
	{"ext-no-name", "7.1.1", "5;=b\r\nhello\r\n", errChunkExt, ""},
	{"ext-no-value", "7.1.1", "5;a=\r\nhello\r\n", errChunkExt, ""},
	{"ext-two-values", "7.1.1", "5;a=b=c\r\nhello\r\n", errChunkExt, ""},
	{"ext-space-at-end", "7.1.1", "5;a \r\nhello\r\n", errChunkExt, ""},
	{"ext-space-after-value", "7.1.1", "5;a=b \r\nhello\r\n", errChunkExt, ""},
	{"ext-two-words", "7.1.1", "5;a b\r\nhello\r\n", errChunkExt, ""},
	{"ext-value-two-words", "7.1.1", "5;a=b c\r\nhello\r\n", errChunkExt, ""},
	{"ext-quoted-open", "7.1.1", "5;a=\"b\r\nhello\r\n", errChunkExt, ""},
	{"ext-quoted-escape-cr", "7.1.1", "5;a=\"\\\r\nhello\r\n", errChunkExt, ""},
	{"ext-quoted-lf", "7.1.1", "5;a=\"\n\"\r\nhello\r\n", errChunkExt, ""},
	{"ext-quoted-nul", "7.1.1", "5;a=\"\x00\"\r\nhello\r\n", errChunkExt, ""},
	{"ext-quoted-then-token", "7.1.1", "5;a=\"b\"c\r\nhello\r\n", errChunkExt, ""},
	{"ext-quote-in-token", "7.1.1", "5;a=b\"c\"\r\nhello\r\n", errChunkExt, ""},
	{"ext-lf", "2.2", "5;a\nhello\r\n", errChunkExt, ""},
	{"ext-cr", "2.2", "5;a\rb\r\nhello\r\n", errChunkCR, ""},
	{"ext-cr-in-value", "2.2", "5;a=b\rc\r\nhello\r\n", errChunkCR, ""},
	{"ext-nul", "7.1.1", "5;a\x00\r\nhello\r\n", errChunkExt, ""},
	{"ext-latin1", "7.1.1", "5;\xe9\r\nhello\r\n", errChunkExt, ""},

	{"trailer", "7.1.2", "0\r\nA: b\r\n\r\n", nil, ""},
	{"trailers", "7.1.2", "2\r\nhi\r\n0\r\nVary: *\r\nETag:\"x\"\r\n\r\n", nil, "hi"},
	{"trailer-empty-value", "7.1.2", "0\r\nA:\r\n\r\n", nil, ""},
	{"trailer-obs-text", "9110 5.5", "0\r\nA: \xe9\t\r\n\r\n", nil, ""},
	{"trailer-content-type", "9110 6.5.1", "0\r\nContent-Type: a/b\r\n\r\n", nil, ""},
	{"trailer-long-name", "7.1.2", "0\r\n" + strings.Repeat("content-length", 9) + ": b\r\n\r\n", nil, ""},
	{"trailer-prefix-name", "9110 6.5.1", "0\r\nContent-Lengt: 1\r\nHosts: h\r\n\r\n", nil, ""},
	{"trailer-length", "9110 6.5.1", "0\r\nContent-Length: 5\r\n\r\n", errTrailerField, ""},
	{"trailer-length-case", "9110 6.5.1", "0\r\ncONTENT-lENGTH: 5\r\n\r\n", errTrailerField, ""},
	{"trailer-coding", "9110 6.5.1", "0\r\nTransfer-Encoding: chunked\r\n\r\n", errTrailerField, ""},
	{"trailer-host", "9110 6.5.1", "0\r\nA: b\r\nHost: h\r\n\r\n", errTrailerField, ""},
	{"trailer-te", "9110 6.5.1", "0\r\nTE: trailers\r\n\r\n", errTrailerField, ""},
	{"trailer-trailer", "9110 6.5.1", "0\r\nTrailer: A\r\n\r\n", errTrailerField, ""},
	{"trailer-authorization", "9110 6.5.1", "0\r\nAuthorization: x\r\n\r\n", errTrailerField, ""},
	{"trailer-proxy-authorization", "9110 6.5.1", "0\r\nProxy-Authorization: x\r\n\r\n", errTrailerField, ""},
	{"trailer-connection", "9110 6.5.1", "0\r\nConnection: close\r\n\r\n", errTrailerField, ""},
	{"trailer-upgrade", "9110 6.5.1", "0\r\nUpgrade: x\r\n\r\n", errTrailerField, ""},
	{"trailer-expect", "9110 6.5.1", "0\r\nExpect: 100-continue\r\n\r\n", errTrailerField, ""},
	{"trailer-name-space", "5.1", "0\r\nA : b\r\n\r\n", errFieldSpace, ""},
	{"trailer-name-empty", "5", "0\r\n: b\r\n\r\n", errFieldName, ""},
	{"trailer-name-latin1", "5", "0\r\nA\xe9: b\r\n\r\n", errFieldName, ""},
	{"trailer-no-colon", "5", "0\r\nA\r\n\r\n", errFieldColon, ""},
	{"trailer-fold", "5.2", "0\r\nA: b\r\n c\r\n\r\n", errFold, ""},
	{"trailer-fold-first", "5.2", "0\r\n A: b\r\n\r\n", errFold, ""},
	{"trailer-nul", "9110 5.5", "0\r\nA: \x00\r\n\r\n", errFieldValue, ""},
	{"trailer-del", "9110 5.5", "0\r\nA: \x7f\r\n\r\n", errFieldValue, ""},
	{"trailer-lf", "2.2", "0\r\nA: b\nC: d\r\n\r\n", errBareLF, ""},
	{"trailer-name-lf", "2.2", "0\r\nA\n: d\r\n\r\n", errBareLF, ""},
	{"trailer-cr", "2.2", "0\r\nA: b\rc\r\n\r\n", errFieldValue, ""},
	{"trailer-end-lf", "2.2", "0\r\nA: b\r\n\n", errBareLF, ""},
	{"trailer-lf-at-once", "2.2", "0\r\n\n", errBareLF, ""},
	{"trailer-cr-alone", "2.2", "0\r\n\rX", errFieldValue, ""},
	{"trailer-request", "7.1.2", "0\r\nGET / HTTP/1.1\r\n\r\n", errFieldSpace, ""},

	{"limit-line", "limits", "5;" + strings.Repeat("a", 1022) + "\r\nhello\r\n" + noMore, nil, "hello"},
	{"limit-line+1", "limits", "5;" + strings.Repeat("a", 1023) + "\r\nhello\r\n" + noMore, errChunkLine, ""},
	{"limit-ext-total", "limits", strings.Repeat("1;"+strings.Repeat("a", 900)+"\r\nx\r\n", 30), errChunkExtTotal, strings.Repeat("x", 18)},
	{"limit-ext-with-data", "limits", strings.Repeat("40;a="+strings.Repeat("a", 61)+"\r\n"+strings.Repeat("x", 64)+"\r\n", 600) + noMore, nil, strings.Repeat("x", 64*600)},
	{"limit-trailer", "limits", "0\r\nA:" + strings.Repeat("b", 16<<10-4) + "\r\n\r\n", nil, ""},
	{"limit-trailer+1", "limits", "0\r\nA:" + strings.Repeat("b", 16<<10-3) + "\r\n\r\n", errTrailerSize, ""},
	{"limit-trailers", "limits", "0\r\n" + strings.Repeat("A:b\r\n", 100) + "\r\n", nil, ""},
	{"limit-trailers+1", "limits", "0\r\n" + strings.Repeat("A:b\r\n", 101) + "\r\n", errTrailerCount, ""},
}

// dechunk decodes in, handed over in pieces that end at the cuts, and writes down
// the outcome with all data up to it. It checks the rules of Decode's results.
func dechunk(lim ChunkedLimits, in string, cuts ...int) string {
	var c Chunked
	c.Reset(lim)
	var body strings.Builder
	at := 0
	for _, cut := range append(cuts, len(in)) {
		piece := []byte(in[at:cut])
		for {
			n, data, done, err := c.Decode(piece)
			var e *Error
			switch {
			case n > len(piece) || len(data) > n || cap(data) != len(data):
				return fmt.Sprintf("took %d of %d with %d data", n, len(piece), len(data))
			case errors.As(err, &e):
				return fmt.Sprintf("refused %s after %q", e.Error(), body.String())
			}
			body.Write(data)
			at += n
			if done {
				return fmt.Sprintf("took %d %q", at, body.String())
			}
			if piece = piece[n:]; n == 0 {
				break
			}
		}
		if len(piece) > 0 {
			return fmt.Sprintf("left %q", piece)
		}
	}
	return fmt.Sprintf("more %q", body.String())
}

func TestChunked(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range chunkRows {
		if seen[row.id] {
			t.Errorf("row id %s is used twice", row.id)
		}
		seen[row.id] = true
		want := fmt.Sprintf("took %d %q", len(row.in), row.want)
		if row.err != nil {
			want = fmt.Sprintf("refused %s after %q", row.err, row.want)
		}
		lim := DefaultChunkedLimits()
		if got := dechunk(lim, row.in); got != want {
			t.Errorf("%s (%s): got %.200s, want %.200s", row.id, row.rfc, got, want)
		}
		if got := dechunk(lim, row.in+"GET /"); got != want {
			t.Errorf("%s: with bytes behind: got %.200s, want %.200s", row.id, got, want)
		}
		if got := dechunk(lim, row.in, byteByByte(len(row.in))...); got != want {
			t.Errorf("%s: byte by byte: got %.200s, want %.200s", row.id, got, want)
		}
		for cut := 0; cut < len(row.in) && len(row.in) < 600; cut++ {
			if got := dechunk(lim, row.in, cut); got != want {
				t.Errorf("%s: cut at %d: got %.200s, want %.200s", row.id, cut, got, want)
			}
		}
		// What is accepted is accepted at its last byte and not before.
		for cut := 0; row.err == nil && cut < len(row.in) && len(row.in) < 600; cut++ {
			if got := dechunk(lim, row.in[:cut]); !strings.HasPrefix(got, "more") {
				t.Errorf("%s: cut off at %d: %s, want more", row.id, cut, got)
			}
		}
	}
}

func TestChunkedStaysAtItsEnd(t *testing.T) {
	var c Chunked
	for range 2 {
		c.Reset(DefaultChunkedLimits())
		if n, data, done, err := c.Decode([]byte(noMore + "next")); n != len(noMore) || data != nil || !done || err != nil {
			t.Errorf("got %d %q %t %v", n, data, done, err)
		}
		for _, src := range []string{"next", ""} {
			if n, data, done, err := c.Decode([]byte(src)); n != 0 || data != nil || !done || err != nil {
				t.Errorf("after the end, %q: got %d %q %t %v", src, n, data, done, err)
			}
		}
		c.Reset(DefaultChunkedLimits())
		for _, src := range []string{"x", "0", ""} {
			if n, data, done, err := c.Decode([]byte(src)); n != 0 || data != nil || done || err != error(errChunkSize) {
				t.Errorf("after a fault, %q: got %d %q %t %v", src, n, data, done, err)
			}
		}
	}
}

func TestChunkedWithoutLimits(t *testing.T) {
	in := "1;" + strings.Repeat("a", 50000) + "\r\nx\r\n0\r\n" + strings.Repeat("A:b\r\n", 5000) + "\r\n"
	if got, want := dechunk(ChunkedLimits{}, in), fmt.Sprintf("took %d \"x\"", len(in)); got != want {
		t.Errorf("got %.200s, want %s", got, want)
	}
}
