package http1

import (
	"strings"
	"testing"
)

var everyPermit = Permit{HeaderSpaces: true, Folding: true, AnyMethod: true, AnyVersion: true, CasefoldMethod: true}

// permitRows says for each switch what it lets through, and what it does not. The
// names of gunicorn's corpus stand where a row is one of its files.
var permitRows = []struct {
	permit Permit
	rows   []headRow
}{
	{Permit{HeaderSpaces: true}, []headRow{
		{"spaces-028", "gunicorn", onField("Content-Length : 3"), nil, `length=3 Content-Length:"3"`},
		{"spaces-tab", "gunicorn", onField("A \t: b"), nil, `A:"b"`},
		{"spaces-coding", "gunicorn", onField("Transfer-Encoding : chunked"), nil, "chunked=true"},
		{"spaces-two-lengths", "6.3", onField("Content-Length: 3\r\nContent-Length : 3"), errLengthTwice, ""},
		{"spaces-coding-length", "6.3", onField("Content-Length: 3\r\nTransfer-Encoding : chunked"), errCodingLength, ""},
		{"spaces-two-hosts", "3.2", onField("Host : i"), errHostTwice, ""},
		{"spaces-inner", "5.1", onField("A b: c"), errFieldName, ""},
		{"spaces-alone", "5.1", onField(" : c"), errFold, ""},
		{"spaces-before", "5.1", onField(" A: c"), errFold, ""},
		{"spaces-no-colon", "5.1", onField("A "), errFieldColon, ""},
		{"spaces-other", "5.1", onField("A\x0b: b"), errFieldName, ""},
		{"spaces-nbsp", "5.1", onField("A\xa0: b"), errFieldName, ""},
		{"spaces-no-folds", "5.2", onField("A: b\r\n c"), errFold, ""},
	}},
	{Permit{Folding: true}, []headRow{
		{"fold-compat_obs_fold", "5.2", "GET / HTTP/1.1\r\nLong: one\r\n two\r\nHost: h\r\n\r\n", nil, "host=h"},
		{"fold-value", "5.2", onField("A: b\r\n c"), nil, ""},
		{"fold-no-spaces", "5.1", onField("A : b"), errFieldSpace, ""},
		{"fold-first", "2.2", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", errFold, ""},
		{"fold-blank", "5.2", onField("A: b\r\n "), errFold, ""},
		{"fold-blank-then-more", "5.2", onField("A: b\r\n\t\r\n c"), errFold, ""},
		{"fold-cr", "2.2", onField("A: b\r\n c\rd"), errFieldValue, ""},
		{"fold-nul", "5.5", onField("A: b\r\n c\x00"), errFieldValue, ""},
		{"fold-lf", "2.2", onField("A: b\r\n c\n d"), errBareLF, ""},
		{"fold-host", "3.2", "GET / HTTP/1.1\r\nHost: h\r\n .evil\r\n\r\n", errFoldFraming, ""},
		{"fold-host-after", "3.2", "GET / HTTP/1.1\r\nHost:\r\n h\r\n\r\n", errFoldFraming, ""},
		{"fold-length", "6.2", onField("Content-Length: 1\r\n 0"), errFoldFraming, ""},
		{"fold-length-after", "6.2", onField("content-length: 1\r\n\tA: b"), errFoldFraming, ""},
		{"fold-coding", "6.1", onField("Transfer-Encoding: gzip\r\n ,chunked"), errFoldFraming, ""},
		{"fold-coding-after", "6.1", onField("Transfer-Encoding: chunked\r\n ,gzip"), errFoldFraming, ""},
		{"fold-connection", "9.1", onField("Connection: x\r\n close"), errFoldFraming, ""},
		{"fold-expect", "9110 10.1.1", onField("Expect: 100-continue\r\n x"), errFoldFraming, ""},
		{"fold-hides-no-coding", "6.1", onField("A: b\r\n Transfer-Encoding: chunked"), nil, "chunked=false length=-1"},
		{"fold-fits", "limits", onField("A: " + strings.Repeat("b", 8000) + "\r\n " + strings.Repeat("c", 8190-8000-8)), nil, ""},
		{"fold-too-long", "limits", onField("A: " + strings.Repeat("b", 8000) + "\r\n " + strings.Repeat("c", 8190-8000-7)), errFieldSize, ""},
		{"fold-no-room", "limits", onField("A: " + strings.Repeat("b", 8190-6) + "\r\n c"), errFieldSize, ""},
		{"fold-each-field", "limits", onField(strings.Repeat("A: b\r\n c\r\n", 98) + "A: b"), nil, ""},
	}},
	{Permit{AnyMethod: true}, []headRow{
		{"method-031compat2", "gunicorn", onLine("-blargh /foo HTTP/1.1"), nil, "method=-blargh"},
		{"method-one", "9110 9.1", onLine("a / HTTP/1.1"), nil, "method=a"},
		{"method-hash", "9110 9.1", onLine("#a / HTTP/1.1"), nil, "method=#a"},
		{"method-long", "9110 9.1", onLine(strings.Repeat("a", 300) + " / HTTP/1.1"), nil, ""},
		{"method-slash", "9110 9.1", onLine("GE/T / HTTP/1.1"), errMethodToken, ""},
		{"method-tab", "3", onLine("GET\t/ HTTP/1.1"), errMethodToken, ""},
		{"method-empty", "3", onLine(" / HTTP/1.1"), errStart, ""},
		{"method-latin1", "9110 9.1", onLine("G\xe9 / HTTP/1.1"), errMethodToken, ""},
		{"method-lower-star", "3.2.4", onLine("options * HTTP/1.1"), errTargetStar, ""},
		{"method-lower-connect", "3.2.3", onLine("connect e:443 HTTP/1.1"), errTargetForm, ""},
		{"method-version", "9110 15.6.6", onLine("get / HTTP/2.0"), errVersionMajor, ""},
	}},
	{Permit{AnyMethod: true, CasefoldMethod: true}, []headRow{
		{"casefold-031compat", "gunicorn", onLine("-blargh /foo HTTP/1.1"), nil, "method=-BLARGH"},
		{"casefold-star", "3.2.4", onLine("Options * HTTP/1.1"), nil, "method=OPTIONS path=*"},
		{"casefold-connect", "3.2.3", onLine("connect e:443 HTTP/1.1"), nil, "method=CONNECT path=nil keep=false"},
		{"casefold-connect-path", "3.2.3", onLine("connect / HTTP/1.1"), errTargetConnect, ""},
		{"casefold-hash", "9110 9.1", onLine("A# / HTTP/1.1"), nil, "method=A#"},
	}},
	{Permit{CasefoldMethod: true}, []headRow{
		{"casefold-alone", "gunicorn", onLine("get / HTTP/1.1"), errMethod, ""},
	}},
	{Permit{AnyVersion: true}, []headRow{
		{"version-2.0", "gunicorn", onLine("GET / HTTP/2.0"), nil, "minor=1 keep=true"},
		{"version-9.9", "gunicorn", onLine("GET / HTTP/9.9"), nil, "minor=1"},
		{"version-0.9", "gunicorn", "GET / HTTP/0.9\r\n\r\n", nil, "minor=0 keep=false"},
		{"version-1.0", "gunicorn", "GET / HTTP/1.0\r\n\r\n", nil, "minor=0"},
		{"version-2.0-no-host", "3.2", "GET / HTTP/2.0\r\n\r\n", errHostMissing, ""},
		{"version-0.9-chunked", "6.1", "GET / HTTP/0.9\r\nTransfer-Encoding: chunked\r\n\r\n", errCodingOld, ""},
		{"version-h2-preface", "9113 3.4", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", errTargetStar, ""},
		{"version-none", "3", onLine("GET /"), errLineShape, ""},
		{"version-short", "2.3", onLine("GET / HTTP/2"), errVersion, ""},
		{"version-digits", "2.3", onLine("GET / HTTP/1.10"), errVersion, ""},
		{"version-lower", "2.3", onLine("GET / http/1.1"), errVersion, ""},
	}},
}

func TestPermit(t *testing.T) {
	for _, group := range permitRows {
		lim := DefaultLimits()
		lim.Permit = group.permit
		for _, row := range group.rows {
			tryHead(t, row, lim)
		}
	}
}

// TestPermitLeavesTheRest: what is accepted without the switches is read the same
// with them, and what is refused for another reason is refused with them, too.
func TestPermitLeavesTheRest(t *testing.T) {
	lim := DefaultLimits()
	lim.Permit = everyPermit
	for _, rows := range [][]headRow{lineRows, fieldRows, hostRows, framingRows} {
		for _, row := range rows {
			if row.err == errMethod || row.err == errVersionMajor || row.err == errFold || row.err == errFieldSpace {
				continue // what the switches are about
			}
			if strict, relaxed := feed(DefaultLimits(), row.in), feed(lim, row.in); relaxed != strict {
				t.Errorf("%s: %s, strictly %s", row.id, relaxed, strict)
			}
		}
	}
}

// TestFoldedValues: one space for each fold, whatever stood there (RFC 9112, 5.2),
// and none at the ends of the value.
func TestFoldedValues(t *testing.T) {
	lim := DefaultLimits()
	lim.Permit = Permit{Folding: true}
	for lines, want := range map[string]string{
		"A: one\r\n two":               "one two",
		"A: one \t\r\n\t  two \t":      "one two",
		"A:\r\n one":                   "one",
		"A: \r\n one\r\n two":          "one two",
		"A: one\r\n two:2\r\n\tthree,": "one two:2 three,",
	} {
		in := onField("X: y\r\n z\r\n" + lines + "\r\nB: c")
		var p Parser
		p.Reset(lim)
		buf := []byte(in)
		if n, err := p.Parse(buf); n != len(in) {
			t.Fatalf("%q: %v", in, err)
		}
		if got := string(p.Head.Fields[2].Value); got != want || string(p.Head.Fields[1].Value) != "y z" || len(p.Head.Fields) != 4 {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if string(buf) != in {
			t.Errorf("%q: the buffer was written to: %q", in, buf)
		}
		tryHead(t, headRow{lines, "5.2", in, nil, ""}, lim)
		// The next head has nothing of it.
		p.Reset(lim)
		plain := onField("A: b\r\nB: c")
		if _, err := p.Parse([]byte(plain)); err != nil || outcome(&p.Head, len(plain), nil) != feed(lim, plain) {
			t.Errorf("after %q: %v, %s", in, err, describe(&p.Head))
		}
	}
}
