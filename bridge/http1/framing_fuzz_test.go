package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	fuzzDate = "Sun, 06 Nov 1994 08:49:37 GMT"
	fuzzName = "gowsgi"
	// nextAnswer stands where the next answer of the connection would start.
	nextAnswer = "HTTP/1.1 299 Next\r\n\r\n"
)

// FuzzAnswer: whatever an executor may ask for (its checks are applied to the
// fuzzer's text first), a reader that knows only the RFCs, and net/http's, find the
// same status, fields and body in what is written, and the next answer right behind.
func FuzzAnswer(f *testing.F) {
	for i, lines := range []string{"", "A:b", "Date:x\nSERVER:y\nA:b\nA:c", "Content-Length:5\nTransfer-Encoding:gzip\nX:\xe9\t"} {
		for j, status := range []uint16{200, 204, 304, 206, 404, 599, 103} {
			f.Add(status, "OK", lines, int64(i*j-1), []byte("hello"), uint8(i*7+j), uint8(j*3))
		}
	}
	f.Add(uint16(200), "", "", int64(1<<62), []byte(nextAnswer), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, status uint16, reason, fields string, length int64, body []byte, flags, cut uint8) {
		lines, a := executorHead(100+int(status)%500, reason, fields)
		a.ContentLength, a.BodyLength = max(-1, length), -1
		a.Head, a.Minor, a.Close = flags&1 != 0, int(flags>>1&1), flags&4 != 0
		if flags&8 != 0 {
			a.BodyLength = int64(len(body))
		}
		name := fuzzName
		if flags&16 != 0 {
			name = ""
		}
		framing, n := a.Frame()
		wire := a.AppendHead([]byte("before"), framing, n, fuzzDate, name)
		if !bytes.HasPrefix(wire, []byte("before")) {
			t.Fatal("AppendHead does not append")
		}
		wire = wire[len("before"):]
		want := wantAnswer(a, name, lines, framing, n)
		if n >= 0 && n < int64(len(body)) {
			body = body[:n]
		}
		short := framing == Length && n > int64(len(body)) // as an application may fall short
		if framing == NoBody {
			body = nil
		}
		wire = appendBody(wire, framing, body, int(cut))
		if framing != ToClose && !short {
			wire = append(wire, nextAnswer...)
		}
		got, gotBody, rest, err := readAnswer(string(wire), a.Head)
		if got != want {
			t.Fatalf("read back:\n%s\nasked for:\n%s\n%q", got, want, wire)
		}
		if short != (err == io.ErrUnexpectedEOF) || err != nil && !short {
			t.Fatalf("error %v, short of its length: %t, of %q", err, short, wire)
		}
		if gotBody != string(body) {
			t.Fatalf("body %q, want %q, of %q", gotBody, body, wire)
		}
		if framing != ToClose && !short && rest != nextAnswer {
			t.Fatalf("%q is left of %q", rest, wire)
		}
		checkNetHTTP(t, a, wire, body, framing, short)
	})
}

// executorHead makes of the fuzzer's text what an executor lets through: a reason
// and fields of printable characters, none that speak of framing or connection.
// lines are the fields as a reader should find them.
func executorHead(status int, reason, fields string) (lines []string, a *Answer) {
	a = &Answer{Status: status}
	start := strconv.Itoa(status) + " " + strings.Trim(onlyClean(reason, false), " ")
	a.Lines = []byte(start + "\r\n")
	lines = append(lines, "HTTP/1.1 "+start)
	for line := range strings.SplitSeq(fields, "\n") {
		name, value, _ := strings.Cut(line, ":")
		if !all([]byte(name), classToken) || name == "" {
			continue
		}
		switch strings.ToLower(name) {
		case "connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
			"proxy-connection", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "content-length":
			continue
		case "date":
			a.HasDate = true
		case "server":
			a.HasName = true
		}
		line = name + ": " + strings.Trim(onlyClean(value, true), " \t")
		a.Lines = append(a.Lines, line+"\r\n"...)
		lines = append(lines, line)
	}
	return lines, a
}

func onlyClean(s string, tab bool) string {
	b := []byte(s)
	for i, c := range b {
		if c < 0x20 && (c != '\t' || !tab) || c == 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}

// wantAnswer is what readAnswer should say: derived from the RFCs' rules, not from
// AppendHead's.
func wantAnswer(a *Answer, name string, lines []string, f Framing, n int64) string {
	bodiless := a.Head || a.Status < 200 || a.Status == 204 || a.Status == 304
	if bodiless != (f == NoBody) {
		return fmt.Sprintf("framing %d for %+v", f, a)
	}
	if (a.Status < 200 || a.Status == 204) && n >= 0 { // RFC 9110, 8.6
		return fmt.Sprintf("length %d with status %d", n, a.Status)
	}
	if f == Coded && a.Minor == 0 { // RFC 9112, 6.1
		return "chunked for HTTP/1.0"
	}
	if !bodiless && a.ContentLength >= 0 && n != a.ContentLength {
		return "a length that the application did not say"
	}
	want := strings.Join(lines, "\n") + "\n"
	if !a.HasDate {
		want += "Date: " + fuzzDate + "\n"
	}
	if !a.HasName && name != "" {
		want += "Server: " + name + "\n"
	}
	want += fmt.Sprintf("coded=%t length=%d ", f == Coded, n)
	switch {
	case a.Close || f == ToClose:
		want += "close"
	case a.Minor == 0:
		want += "keep-alive"
	}
	return want
}

// appendBody writes a body as package bridge does.
func appendBody(wire []byte, f Framing, body []byte, cut int) []byte {
	if f != Coded {
		return append(wire, body...)
	}
	for len(body) > 0 {
		size := min(cut+1, len(body))
		wire = append(append(AppendChunkHead(wire, size), body[:size]...), "\r\n"...)
		body = body[size:]
	}
	return append(wire, LastChunk...)
}

var (
	statusLine = regexp.MustCompile(`^HTTP/1\.1 [1-5][0-9][0-9] [\t\x20-\x7e\x80-\xff]*$`)
	fieldLine  = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([!-~\\x80-\\xff](?:[\t -~\\x80-\\xff]*[!-~\\x80-\\xff])?)?$")
	chunkHead  = regexp.MustCompile(`^([1-9a-f][0-9a-f]*)\r\n`)
)

// readAnswer reads one answer by RFC 9112 section 6.3, and takes nothing that has
// a second reading. It writes the head down, framing and connection apart.
func readAnswer(wire string, toHead bool) (head, body, rest string, err error) {
	text, rest, ok := strings.Cut(wire, "\r\n\r\n")
	if !ok {
		return "no end of the head", "", "", nil
	}
	lines := strings.Split(text, "\r\n")
	if !statusLine.MatchString(latin1(lines[0])) {
		return fmt.Sprintf("status line %q", lines[0]), "", "", nil
	}
	single := map[string]string{"content-length": "", "transfer-encoding": "", "connection": ""}
	head = lines[0] + "\n"
	for _, line := range lines[1:] {
		if !fieldLine.MatchString(latin1(line)) {
			return fmt.Sprintf("field line %q", line), "", "", nil
		}
		name, value, _ := strings.Cut(line, ": ")
		key := strings.ToLower(name)
		if old, is := single[key]; is {
			if old != "" || value == "" {
				return "two of, or empty: " + name, "", "", nil
			}
			single[key] = value
			continue
		}
		head += line + "\n"
	}
	coding, digits := single["transfer-encoding"], single["content-length"]
	if coding != "" && (digits != "" || coding != "chunked") {
		return "ambiguous framing", "", "", nil
	}
	length := int64(-1)
	if digits != "" {
		if length, err = strconv.ParseInt(digits, 10, 64); err != nil || strconv.FormatInt(length, 10) != digits {
			return "length " + digits, "", "", nil
		}
	}
	head += fmt.Sprintf("coded=%t length=%d %s", coding != "", length, single["connection"])
	status := lines[0][len("HTTP/1.1 "):][:3]
	switch {
	case toHead || status[0] == '1' || status == "204" || status == "304":
		return head, "", rest, nil
	case coding != "":
		body, rest, err = readChunks(rest)
		return head, body, rest, err
	case length > int64(len(rest)):
		return head, rest, "", io.ErrUnexpectedEOF
	case length >= 0:
		return head, rest[:length], rest[length:], nil
	case single["connection"] != "close":
		return "a body without an end", "", "", nil
	}
	return head, rest, "", nil
}

// latin1 makes each byte a character, as regexp wants it.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func readChunks(in string) (body, rest string, err error) {
	for {
		if rest, ok := strings.CutPrefix(in, "0\r\n\r\n"); ok {
			return body, rest, nil
		}
		m := chunkHead.FindStringSubmatch(in)
		if m == nil {
			return body, in, fmt.Errorf("no chunk at %.20q", in)
		}
		size, err := strconv.ParseInt(m[1], 16, 32)
		in = in[len(m[0]):]
		if err != nil || int64(len(in)) < size+2 || in[size:size+2] != "\r\n" {
			return body, in, fmt.Errorf("no end of a chunk of %s", m[1])
		}
		body, in = body+in[:size], in[size+2:]
	}
}

// checkNetHTTP has net/http's client side read the same bytes.
func checkNetHTTP(t *testing.T, a *Answer, wire, body []byte, f Framing, short bool) {
	method := "GET"
	if a.Head {
		method = "HEAD"
	}
	r := bufio.NewReader(bytes.NewReader(wire))
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("net/http: %v, of %q", err, wire)
	}
	got, err := io.ReadAll(res.Body)
	rest, _ := io.ReadAll(r)
	closes := a.Close || f == ToClose
	if res.StatusCode != a.Status || string(got) != string(body) || res.Close != closes || (err != nil) != short ||
		f != ToClose && !short && string(rest) != nextAnswer {
		t.Fatalf("net/http: %d, close %t, %q, %v, left %q, of %q", res.StatusCode, res.Close, got, err, rest, wire)
	}
}

// FuzzChunkHead: a size line is what fmt writes, for any size.
func FuzzChunkHead(f *testing.F) {
	for _, n := range []int{1, 15, 16, 255, 256, 1 << 20, 1<<63 - 1} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int) {
		if n <= 0 {
			return
		}
		if got, want := string(AppendChunkHead([]byte("x"), n)), fmt.Sprintf("x%x\r\n", n); got != want {
			t.Fatalf("AppendChunkHead(%d) = %q, want %q", n, got, want)
		}
	})
}
