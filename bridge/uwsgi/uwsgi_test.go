package uwsgi

import (
	"fmt"
	"strings"
	"testing"
)

// packet makes the bytes of one; pairs are names and values in turn.
func packet(modifier byte, pairs ...string) string {
	p := Packet{Modifier1: modifier}
	for i := 0; i < len(pairs); i += 2 {
		p.Vars = append(p.Vars, Var{[]byte(pairs[i]), []byte(pairs[i+1])})
	}
	b, err := Append(nil, &p)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// sized is a packet's header and then what follows it.
func sized(size int, rest string) string {
	return string([]byte{0, byte(size), byte(size >> 8), 0}) + rest
}

const limit = 300

func describe(p *Packet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d/%d", p.Modifier1, p.Modifier2)
	for _, v := range p.Vars {
		fmt.Fprintf(&b, " %s=%q", v.Name, v.Value)
	}
	return b.String()
}

// feed gives a parser the bytes up to each cut, in a new buffer each time, then all.
func feed(in string, cuts ...int) string {
	var p Parser
	p.Reset(limit)
	for _, cut := range append(cuts, len(in)) {
		n, err := p.Parse([]byte(in[:cut]))
		if err != nil {
			return err.Error()
		}
		if n > 0 {
			return fmt.Sprintf("took %d: %s", n, describe(&p.Packet))
		}
	}
	return fmt.Sprintf("wants more of %d", p.Size())
}

var rows = []struct{ name, in, want string }{
	{"request", packet(0, "REQUEST_METHOD", "GET", "PATH_INFO", "/"), `took 39: 0/0 REQUEST_METHOD="GET" PATH_INFO="/"`},
	{"what follows is the body's", packet(0, "A", "b") + "body", `took 10: 0/0 A="b"`},
	{"empty value", packet(0, "CONTENT_TYPE", "", "A", ""), `took 25: 0/0 CONTENT_TYPE="" A=""`},
	{"repeated name", packet(0, "A", "1", "A", "2"), `took 16: 0/0 A="1" A="2"`},
	{"any bytes", packet(0, "K\xe9", "\x00\xff\r\n"), "took 14: 0/0 K\xe9=\"\\x00\\xff\\r\\n\""},
	{"no variables", packet(0), "took 4: 0/0"},
	{"path info", packet(30, "A", "b"), `took 10: 30/0 A="b"`},
	{"ping", packet(100), "took 4: 100/0"},
	{"second modifier", "\x00\x00\x00\x07", "took 4: 0/7"},
	{"at the limit", packet(0, "A", strings.Repeat("x", limit-5)), `took 304: 0/0 A="` + strings.Repeat("x", limit-5) + `"`},
	{"over the limit", packet(0, "A", strings.Repeat("x", limit-4)), "uwsgi: 431: uwsgi packet of 301 bytes, where --buffer-size allows 300"},
	{"over the limit, nothing but the header", sized(65535, ""), "uwsgi: 431: uwsgi packet of 65535 bytes, where --buffer-size allows 300"},

	{"nothing", "", "wants more of 4"},
	{"half a header", "\x00\x05", "wants more of 4"},
	{"header alone", sized(5, ""), "wants more of 9"},
	{"cut in a name", packet(0, "ABC", "d")[:7], "wants more of 12"},
	{"cut in a value", packet(0, "ABC", "def")[:13], "wants more of 14"},

	{"name without a name", sized(5, "\x00\x00\x01\x00x"), "uwsgi: 400: uwsgi packet with a variable without a name"},
	{"name past the end", sized(6, "\x05\x00ABCD"), errShape.Error()},
	{"name without a value", sized(5, "\x03\x00ABC"), errShape.Error()},
	{"value past the end", sized(6, "\x01\x00A\x02\x00b"), errShape.Error()},
	{"half a length at the end", sized(6, "\x01\x00A\x00\x00\x00"), errShape.Error()},
	{"size too small", sized(4, packet(0, "AB", "cd")[4:]), errShape.Error()},
	{"size too large", sized(20, packet(0, "AB", "cd")[4:]), "wants more of 24"},

	{"HTTP", "GET / HTTP/1.1\r\n\r\n", errHTTP.Error()},
	{"HTTP, other method", "DELETE /", errHTTP.Error()},
	{"HTTP/2", "PRI * HTTP/2.0", errHTTP.Error()},
	{"TLS", "\x16\x03\x01\x02\x00\x01", errTLS.Error()},
	{"PROXY 1", "PROXY TCP4 ", errHAP.Error()},
	{"PROXY 2", "\r\n\r\n\x00\r\nQUIT\n", errHAP.Error()},
	{"other plugin", "\x05\x00\x00\x00", "uwsgi: 501: uwsgi packet with modifier 5: this server takes 0 and 30, requests for Python, and 100, a ping"},
	{"modifier 255", "\xff\xff\xff\xff", "uwsgi: 501: uwsgi packet with modifier 255: this server takes 0 and 30, requests for Python, and 100, a ping"},
	{"FastCGI", "\x01\x01\x00\x01\x00\x08", "uwsgi: 501: uwsgi packet with modifier 1: this server takes 0 and 30, requests for Python, and 100, a ping"},
}

func byteByByte(n int) []int {
	cuts := make([]int, n)
	for i := range cuts {
		cuts[i] = i
	}
	return cuts
}

func TestParse(t *testing.T) {
	for _, row := range rows {
		if got := feed(row.in); got != row.want {
			t.Errorf("%s: %s\nwant %s", row.name, got, row.want)
		}
		if got := feed(row.in, byteByByte(len(row.in))...); got != row.want {
			t.Errorf("%s, byte by byte: %s\nwant %s", row.name, got, row.want)
		}
	}
}

func TestRefusalIsFinal(t *testing.T) {
	var p Parser
	p.Reset(limit)
	if _, err := p.Parse([]byte("GET ")); err != errHTTP {
		t.Fatal(err)
	}
	if n, err := p.Parse([]byte(packet(0))); n != 0 || err != errHTTP {
		t.Errorf("%d, %v", n, err)
	}
}

func TestResetForgets(t *testing.T) {
	var p Parser
	p.Reset(limit)
	if n, err := p.Parse([]byte(packet(30, "A", "1", "B", "2"))); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	p.Reset(limit)
	if n, err := p.Parse([]byte(packet(0, "C", "3"))); n == 0 || err != nil || describe(&p.Packet) != `0/0 C="3"` {
		t.Errorf("%d, %v: %s", n, err, describe(&p.Packet))
	}
	if _, ok := p.Packet.Get("A"); ok {
		t.Error("the first packet's variable is still there")
	}
}

func TestGetTakesTheLast(t *testing.T) {
	p := Packet{Vars: []Var{{[]byte("A"), []byte("1")}, {[]byte("A"), []byte("2")}, {[]byte("AB"), []byte("3")}}}
	if v, ok := p.Get("A"); !ok || string(v) != "2" {
		t.Errorf("%q, %t", v, ok)
	}
	if v, ok := p.Get("B"); ok {
		t.Errorf("%q", v)
	}
}

func TestContentLength(t *testing.T) {
	for _, tt := range []struct {
		values string // by commas
		want   int64
		err    *Error
	}{
		{"none", -1, nil},
		{"", -1, nil},
		{"0", 0, nil},
		{"007", 7, nil},
		{"5", 5, nil},
		{"9223372036854775807", 1<<63 - 1, nil},
		{"9223372036854775808", 0, errLengthRange},
		{"18446744073709551619", 0, errLengthRange}, // 2^64+3
		{"-1", 0, errLength},
		{"+5", 0, errLength},
		{" 5", 0, errLength},
		{"5 ", 0, errLength},
		{"5x", 0, errLength},
		{"0x5", 0, errLength},
		{"1e3", 0, errLength},
		{"5.0", 0, errLength},
		{"\x00", 0, errLength},
		{"5,5", 5, nil},
		{"5,", -1, nil},
		{",5", 5, nil},
		{"5,6", 0, errLengthTwice},
		{"5,,6", 0, errLengthTwice},
		{"x,5", 0, errLength},
	} {
		var p Packet
		if tt.values != "none" {
			for v := range strings.SplitSeq(tt.values, ",") {
				p.Vars = append(p.Vars, Var{[]byte("CONTENT_LENGTH"), []byte(v)})
			}
		}
		got, err := p.ContentLength()
		if tt.err == nil && (err != nil || got != tt.want) || tt.err != nil && err != tt.err {
			t.Errorf("%q: %d, %v; want %d, %v", tt.values, got, err, tt.want, tt.err)
		}
	}
}

func TestAppendTooMuch(t *testing.T) {
	half := make([]byte, MaxSize/2)
	p := Packet{Vars: []Var{{[]byte("A"), half}, {[]byte("B"), half[:MaxSize-len(half)-10]}}}
	b, err := Append([]byte("before"), &p)
	if err != nil || len(b) != len("before")+HeaderSize+MaxSize {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	p.Vars[0].Value = append(half, 0)
	if _, err := Append(nil, &p); err == nil {
		t.Error("a packet past 65,535 bytes")
	}
	if _, err := Append(nil, &Packet{Vars: []Var{{nil, half}}}); err == nil {
		t.Error("a variable without a name")
	}
}

// FuzzParse: no panic; the same outcome however the bytes arrive and whatever follows
// them; a packet that was taken, written again, gives the same bytes.
func FuzzParse(f *testing.F) {
	for _, row := range rows {
		f.Add([]byte(row.in), uint16(len(row.in)/2), uint16(len(row.in)-1))
	}
	f.Fuzz(func(t *testing.T, in []byte, a, b uint16) {
		s := string(in)
		first, second := int(a)%(len(s)+1), int(b)%(len(s)+1)
		whole := feed(s)
		if got := feed(s, min(first, second), max(first, second)); got != whole {
			t.Fatalf("cut at %d and %d: %s, at once: %s", first, second, got, whole)
		}
		if got := feed(s, byteByByte(len(s))...); got != whole {
			t.Fatalf("byte by byte: %s, at once: %s", got, whole)
		}
		var p Parser
		p.Reset(limit)
		n, err := p.Parse(in)
		if n < 0 || n > len(in) || n > limit+HeaderSize || n > 0 && (err != nil || n != p.Size()) {
			t.Fatalf("took %d of %d, size %d: %v", n, len(in), p.Size(), err)
		}
		if err == nil && n == 0 && (len(in) >= limit+HeaderSize || p.Size() <= len(in)) {
			t.Fatalf("wants more than %d bytes, of %d", len(in), p.Size())
		}
		if n == 0 {
			return
		}
		if got := feed(s[:n]); got != whole {
			t.Fatalf("without what follows: %s, with it: %s", got, whole)
		}
		again, err := Append(nil, &p.Packet)
		if err != nil || string(again) != s[:n] {
			t.Fatalf("written again: %q, %v; at first %q", again, err, s[:n])
		}
		for _, v := range p.Packet.Vars {
			if len(v.Name) == 0 || cap(v.Name) != len(v.Name) || cap(v.Value) != len(v.Value) {
				t.Fatalf("variable %q, %q", v.Name, v.Value)
			}
		}
		if length, err := p.Packet.ContentLength(); length < -1 || err != nil && length != 0 {
			t.Fatalf("CONTENT_LENGTH %d, %v", length, err)
		}
	})
}
