package bridge

import (
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// The reference that FuzzConn holds a connection against: RFC 9112 as regular
// expressions over all the bytes at once, with the choices that package http1
// documents. It shares nothing with that package.

type refRequest struct {
	method, target, body string
	minor                int
	fields               [][2]string
	keep, expect         bool
	chunked              bool
	length               int
	host                 string
}

type refConn struct {
	requests [][2]string // head and body of each, as fuzzRun.prepare writes them
	answers  []fuzzAnswer
}

// readConn reads a connection's bytes whose requests are answered in these modes.
func readConn(in string, modes []byte) (c refConn) {
	in = latin1(in)
	for in != "" && in != "\r" && in != "\r\n" { // an empty line alone is no request (RFC 9112, 2.2)
		head := strings.HasPrefix(strings.TrimLeft(in, "\r\n"), "HEAD ")
		q, rest, ok := readRefHead(in)
		if !ok || q.method == "CONNECT" || !q.readBody(&rest) {
			a := fuzzAnswer{status: 400, head: head, framingUnknown: true}
			if q != nil {
				a.minor, a.mayExpect = q.minor, q.expect
			}
			c.answers = append(c.answers, a)
			return c
		}
		a := answerTo(q, modes[len(c.requests)%len(modes)])
		c.requests = append(c.requests, q.write())
		c.answers = append(c.answers, a)
		if !a.keep || a.cut {
			return c
		}
		in = rest
	}
	return c
}

const (
	refToken = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	refValue = `[\t -~\x80-\xff]*`
)

var (
	refLine  = regexp.MustCompile("^(?:\r\n)?([!$%&'*+.^_`|~0-9A-Z-]{3,20}) ([!\"$-~]+) HTTP/1\\.([0-9])\r\n")
	refField = regexp.MustCompile("^(" + refToken + "):(" + refValue + ")\r\n")
	refHost  = regexp.MustCompile(`^(?:\[([0-9A-Fa-f:.]+)\]|(?:[-._~!$&'()*+,;=0-9A-Za-z]|%[0-9A-Fa-f]{2})+)(:[0-9]*)?$`)
	refURL   = regexp.MustCompile(`^(?i:https?)://([^/?]*)(/[^?]*)?(?:\?(.*))?$`)
	refChunk = regexp.MustCompile("^([0-9A-Fa-f]{1,16})((?:[ \t]*;[ \t]*" + refToken +
		"(?:[ \t]*=[ \t]*(?:" + refToken + "|\"(?:[\t !#-\\[\\]-~\\x80-\\xff]|\\\\" + `[\t -~\x80-\xff]` + ")*\"))?)*)\r\n")
	refComma     = regexp.MustCompile(`[ \t]*,[ \t]*`)
	refNoTrailer = regexp.MustCompile("^(?i:content-length|transfer-encoding|host|te|trailer|connection|keep-alive|" +
		"proxy-connection|upgrade|expect|authorization|proxy-authorization)$")
)

// readRefHead returns nil without a valid request line, and false with anything
// that is wrong or missing.
func readRefHead(in string) (q *refRequest, rest string, ok bool) {
	m := refLine.FindStringSubmatch(in)
	if m == nil {
		return nil, "", false
	}
	q = &refRequest{method: m[1], target: bytesOf(m[2]), minor: min(1, int(m[3][0]-'0'))}
	rest = in[len(m[0]):]
	for !strings.HasPrefix(rest, "\r\n") {
		m := refField.FindStringSubmatch(rest)
		if m == nil {
			return nil, "", false
		}
		q.fields = append(q.fields, [2]string{m[1], bytesOf(strings.Trim(m[2], " \t"))})
		rest = rest[len(m[0]):]
	}
	return q, rest[2:], q.judge() && q.validTarget()
}

func (q *refRequest) all(name string) (values []string) {
	for _, f := range q.fields {
		if strings.EqualFold(f[0], name) {
			values = append(values, f[1])
		}
	}
	return values
}

// judge applies the rules on single fields: RFC 9112 sections 3.2 and 6.
func (q *refRequest) judge() bool {
	hosts, lengths, codings := q.all("host"), q.all("content-length"), q.all("transfer-encoding")
	if len(hosts) > 1 || len(hosts) == 0 && q.minor > 0 || len(q.all("content-type")) > 1 {
		return false
	}
	if len(hosts) == 1 {
		q.host = hosts[0]
		if q.host != "" && !validRefHost(q.host, false) {
			return false
		}
	}
	for _, v := range q.all("expect") {
		if !strings.EqualFold(v, "100-continue") {
			return false
		}
		q.expect = q.minor > 0
	}
	connection := "," + strings.ToLower(strings.Join(q.all("connection"), ",")) + ","
	connection = refComma.ReplaceAllString(connection, ",,")
	q.keep = !strings.Contains(connection, ",close,") && (q.minor > 0 || strings.Contains(connection, ",keep-alive,"))
	q.chunked = len(codings) > 0
	if q.chunked {
		return len(codings) == 1 && strings.EqualFold(codings[0], "chunked") && len(lengths) == 0 && q.minor > 0
	}
	if len(lengths) == 0 {
		return true
	}
	n, ok := new(big.Int).SetString(lengths[0], 10)
	if len(lengths) > 1 || !ok || strings.Trim(lengths[0], "0123456789") != "" || !n.IsInt64() {
		return false
	}
	q.length = int(n.Int64())
	return true
}

// validTarget: the four forms of RFC 9112 section 3.2.
func (q *refRequest) validTarget() bool {
	switch {
	case q.method == "CONNECT":
		return validRefHost(q.target, true)
	case q.target == "*":
		return q.method == "OPTIONS"
	case q.target[0] == '/':
		return true
	}
	m := refURL.FindStringSubmatch(q.target)
	if m == nil || !validRefHost(m[1], false) {
		return false
	}
	q.host = m[1]
	return true
}

func validRefHost(s string, needPort bool) bool {
	m := refHost.FindStringSubmatch(s)
	if m == nil || needPort && len(m[2]) < 2 {
		return false
	}
	if port, _ := new(big.Int).SetString("0"+strings.TrimPrefix(m[2], ":"), 10); port.Cmp(big.NewInt(65535)) > 0 {
		return false
	}
	if m[1] == "" {
		return true
	}
	addr, err := netip.ParseAddr(m[1])
	return err == nil && addr.Is6()
}

// write is what fuzzRun.prepare makes of the request.
func (q *refRequest) write() [2]string {
	path, query, _ := strings.Cut(q.target, "?")
	if m := refURL.FindStringSubmatch(q.target); m != nil && q.target[0] != '/' {
		if path, query = m[2], m[3]; path == "" {
			path = "/"
			if q.method == "OPTIONS" && !strings.Contains(q.target, "?") {
				path = "*"
			}
		}
	}
	head := fmt.Sprintf("%s %s %s?%s HTTP/1.%d host=%s", q.method, q.target, path, query, q.minor, q.host)
	for _, f := range q.fields {
		head += "\n" + f[0] + ":" + f[1]
	}
	return [2]string{head, q.body}
}

// readBody takes the body off rest; false when it is wrong or not all there.
func (q *refRequest) readBody(rest *string) bool {
	in := *rest
	if !q.chunked {
		runes := []rune(in)
		if q.length > len(runes) {
			return false
		}
		q.body, *rest = bytesOf(string(runes[:q.length])), string(runes[q.length:])
		return true
	}
	extra := 0
	for {
		m := refChunk.FindStringSubmatch(in)
		if m == nil {
			return false
		}
		size, err := strconv.ParseInt(m[1], 16, 64)
		line, extension := len([]rune(m[0]))-2, len([]rune(m[2]))
		// DefaultChunkedLimits: 1024 a line, 16384 of extensions beyond the data.
		if extra = max(0, extra+extension-int(size)); err != nil || line > 1024 || extra > 16<<10 {
			return false
		}
		if in = in[len(m[0]):]; size == 0 {
			*rest = in
			return readTrailer(rest)
		}
		runes := []rune(in)
		if size > int64(len(runes)-2) || runes[size] != '\r' || runes[size+1] != '\n' {
			return false
		}
		q.body, in = q.body+bytesOf(string(runes[:size])), string(runes[size+2:])
	}
}

func readTrailer(rest *string) bool {
	for lines, size := 0, 0; !strings.HasPrefix(*rest, "\r\n"); lines++ {
		m := refField.FindStringSubmatch(*rest)
		if m == nil || lines == 100 || refNoTrailer.MatchString(m[1]) {
			return false
		}
		if size += len([]rune(m[0])); size > 16<<10 {
			return false
		}
		*rest = (*rest)[len(m[0]):]
	}
	*rest = (*rest)[2:]
	return true
}
