package accesslog

import (
	"bytes"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/gowsgi/gowsgi/bridge"
)

// JSONTime is the form of times in JSON lines.
const JSONTime = "2006-01-02T15:04:05.000Z07:00"

// AppendJSON adds the entry as one JSON object, ended by a newline. What the entry
// lacks is left out; the header fields and variables that the format names come
// along.
func (f *Format) AppendJSON(b []byte, e *bridge.AccessEntry) []byte {
	r := e.Request
	b = append(b, `{"time":"`...)
	b = e.Start.Add(e.Took).AppendFormat(b, JSONTime)
	b = append(b, `","level":"info","logger":"gowsgi.access","pid":`...)
	b = append(b, f.pid...)
	b = append(b, `,"message":"`...)
	if len(r.Method) > 0 {
		b = append(appendText(b, r.Method), ' ')
		b = append(appendText(b, r.Target), ' ')
	}
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, e.Bytes, 10)
	b = append(b, `,"duration":`...)
	b = seconds(b, e.Took)
	b = member(b, "remote_addr", []byte(r.Peer.Addr))
	b = member(b, "user", f.user(r))
	b = member(b, "method", r.Method)
	b = member(b, "path", f.path(e))
	b = member(b, "query", r.Query)
	if len(r.Method) > 0 {
		b = member(b, "protocol", []byte(r.Proto))
	}
	b = member(b, "referer", r.Field("Referer"))
	b = member(b, "user_agent", r.Field("User-Agent"))
	b = object(b, "request_headers", f.fields, func(name string) []byte { return lastField(r, name) })
	b = object(b, "response_headers", f.answerFields, func(name string) []byte { return f.answerField(e.Head, name) })
	b = object(b, "environ", f.variables, func(name string) []byte { return variable(e.Record, name) })
	return append(b, "}\n"...)
}

func member(b []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(appendText(b, value), '"')
}

// object adds those of the names that have a value, as an object.
func object(b []byte, key string, names []string, value func(string) []byte) []byte {
	start := len(b)
	for _, name := range names {
		v := value(name)
		if len(v) == 0 {
			continue
		}
		if len(b) == start {
			b = append(append(append(b, `,"`...), key...), `":{"`...)
		} else {
			b = append(b, `,"`...)
		}
		b = append(appendText(b, []byte(name)), `":"`...)
		b = append(appendText(b, v), '"')
	}
	if len(b) > start {
		b = append(b, '}')
	}
	return b
}

// appendText writes what goes between a JSON string's quotes. Bytes that are no
// UTF-8 become U+FFFD.
func appendText(b, v []byte) []byte {
	for len(v) > 0 {
		c, size := v[0], 1
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRune(v)
			b = utf8.AppendRune(b, r)
		default:
			b = appendASCII(b, c)
		}
		v = v[size:]
	}
	return b
}

func appendASCII(b []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c < 0x20 || c == 0x7f:
		return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
	return append(b, c)
}

// AppendRaw adds the entry as a JSON object with all that gunicorn's atoms are made
// from, ended by a newline, for gowsgi.logs: strings are latin-1, as in an environ.
func (f *Format) AppendRaw(b []byte, e *bridge.AccessEntry) []byte {
	r := e.Request
	b = append(b, `{"kind":"access","time":`...)
	b = strconv.AppendFloat(b, float64(e.Start.Add(e.Took).UnixMicro())/1e6, 'f', 6, 64)
	b = append(b, `,"took":`...)
	b = strconv.AppendInt(b, e.Took.Microseconds(), 10)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, `,"reason":"`...)
	b = append(appendLatin1(b, reason(e)), '"')
	b = append(b, `,"sent":`...)
	b = strconv.AppendInt(b, e.Bytes, 10)
	for _, m := range []struct {
		name  string
		value []byte
	}{
		{"address", []byte(r.Peer.Addr)}, {"user", f.user(r)}, {"method", r.Method}, {"uri", r.Target},
		{"path", f.path(e)}, {"query", r.Query}, {"protocol", []byte(r.Proto)},
	} {
		b = append(append(append(b, `,"`...), m.name...), `":"`...)
		b = append(appendLatin1(b, m.value), '"')
	}
	b = append(b, `,"fields":[`...)
	start := len(b)
	for i := range r.Fields {
		b = pair(b, start, r.Fields[i].Name, r.Fields[i].Value)
	}
	b = append(b, `],"answer":[`...)
	start = len(b)
	for n, v := range answerFields(e.Head) {
		b = pair(b, start, n, v)
	}
	if e.Head != nil && e.Head.ContentLength >= 0 {
		b = pair(b, start, []byte("Content-Length"), strconv.AppendInt(nil, e.Head.ContentLength, 10))
	}
	b = append(b, `],"environ":[`...)
	start = len(b)
	for n, v := range e.Record.All {
		b = pair(b, start, n, v)
	}
	return append(b, "]}\n"...)
}

// reason is what follows the status code.
func reason(e *bridge.AccessEntry) []byte {
	if e.Head == nil {
		return []byte(http.StatusText(e.Status))
	}
	status, _, _ := bytes.Cut(e.Head.Lines, crlf)
	_, text, _ := bytes.Cut(status, space)
	return text
}

func pair(b []byte, start int, name, value []byte) []byte {
	if len(b) > start {
		b = append(b, ',')
	}
	b = append(appendLatin1(append(b, `["`...), name), `","`...)
	return append(appendLatin1(b, value), `"]`...)
}

func appendLatin1(b, v []byte) []byte {
	for _, c := range v {
		if c >= utf8.RuneSelf {
			b = utf8.AppendRune(b, rune(c))
		} else {
			b = appendASCII(b, c)
		}
	}
	return b
}
