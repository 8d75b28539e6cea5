package accesslog

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
)

// atoms are gunicorn's single letters.
var atoms = map[string]atom{
	"h": func(_ *Format, b []byte, e *bridge.AccessEntry) []byte { return orDash(b, e.Request.Peer.Addr) },
	"l": dash,
	"u": func(f *Format, b []byte, e *bridge.AccessEntry) []byte { return quoted(b, f.user(e.Request)) },
	"t": (*Format).now,
	"r": requestLine,
	"m": func(_ *Format, b []byte, e *bridge.AccessEntry) []byte { return quoted(b, e.Request.Method) },
	"U": func(f *Format, b []byte, e *bridge.AccessEntry) []byte { return quoted(b, f.path(e)) },
	"q": func(_ *Format, b []byte, e *bridge.AccessEntry) []byte { return escape(b, e.Request.Query) },
	"H": func(_ *Format, b []byte, e *bridge.AccessEntry) []byte { return orDash(b, e.Request.Proto) },
	"s": func(_ *Format, b []byte, e *bridge.AccessEntry) []byte {
		return strconv.AppendInt(b, int64(e.Status), 10)
	},
	"B": size,
	"b": size,
	"f": field("Referer"),
	"a": field("User-Agent"),
	"T": func(_ *Format, b []byte, e *bridge.AccessEntry) []byte {
		return strconv.AppendInt(b, int64(e.Took/time.Second), 10)
	},
	"D": func(_ *Format, b []byte, e *bridge.AccessEntry) []byte {
		return strconv.AppendInt(b, e.Took.Microseconds(), 10)
	},
	"M": func(_ *Format, b []byte, e *bridge.AccessEntry) []byte {
		return strconv.AppendInt(b, e.Took.Milliseconds(), 10)
	},
	"L": func(_ *Format, b []byte, e *bridge.AccessEntry) []byte { return seconds(b, e.Took) },
	"p": func(f *Format, b []byte, _ *bridge.AccessEntry) []byte {
		return append(append(append(b, '<'), f.pid...), '>')
	},
}

// find returns the atom of a name, and notes what {name}x asks for.
func (f *Format) find(name string) atom {
	if a, ok := atoms[name]; ok {
		return a
	}
	name = strings.ToLower(name)
	if len(name) < 3 || name[0] != '{' || name[len(name)-2] != '}' {
		return dash
	}
	key := name[1 : len(name)-2]
	switch name[len(name)-1] {
	case 'i':
		f.fields = append(f.fields, key)
		return func(_ *Format, b []byte, e *bridge.AccessEntry) []byte { return quoted(b, lastField(e.Request, key)) }
	case 'o':
		f.answerFields = append(f.answerFields, key)
		return func(f *Format, b []byte, e *bridge.AccessEntry) []byte { return quoted(b, f.answerField(e.Head, key)) }
	case 'e':
		f.variables = append(f.variables, key)
		return func(_ *Format, b []byte, e *bridge.AccessEntry) []byte { return quoted(b, variable(e.Record, key)) }
	}
	return dash
}

func dash(_ *Format, b []byte, _ *bridge.AccessEntry) []byte { return append(b, '-') }

func size(_ *Format, b []byte, e *bridge.AccessEntry) []byte {
	return strconv.AppendInt(b, e.Bytes, 10)
}

func requestLine(_ *Format, b []byte, e *bridge.AccessEntry) []byte {
	r := e.Request
	if len(r.Method) == 0 {
		return append(b, '-') // the head was refused
	}
	b = append(escape(b, r.Method), ' ')
	b = append(escape(b, r.Target), ' ')
	return append(b, r.Proto...)
}

func field(name string) atom {
	return func(_ *Format, b []byte, e *bridge.AccessEntry) []byte { return quoted(b, e.Request.Field(name)) }
}

// lastField returns the last field of that name: the one a proxy close by set.
func lastField(r *bridge.Request, name string) []byte {
	for i := len(r.Fields) - 1; i >= 0; i-- {
		if strings.EqualFold(string(r.Fields[i].Name), name) {
			return r.Fields[i].Value
		}
	}
	return nil
}

// answerField returns the last field of that name that the application has set.
func (f *Format) answerField(h *bridge.Head, name string) []byte {
	var found []byte
	for n, v := range answerFields(h) {
		if strings.EqualFold(string(n), name) {
			found = v
		}
	}
	if h != nil && h.ContentLength >= 0 && name == "content-length" {
		f.scratch = strconv.AppendInt(f.scratch[:0], h.ContentLength, 10)
		found = f.scratch
	}
	return found
}

// answerFields are the application's fields, in their order, but for Content-Length.
func answerFields(h *bridge.Head) func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		if h == nil {
			return
		}
		_, lines, _ := bytes.Cut(h.Lines, crlf) // the status
		for len(lines) > 0 {
			var line []byte
			line, lines, _ = bytes.Cut(lines, crlf)
			name, value, _ := bytes.Cut(line, colon)
			if !yield(name, bytes.Trim(value, " \t")) {
				return
			}
		}
	}
}

var crlf, colon = []byte("\r\n"), []byte(":")

// variable returns the last of the environ's variables of that name, in any case.
func variable(r bridge.Record, name string) []byte {
	var found []byte
	for n, v := range r.All {
		if strings.EqualFold(string(n), name) {
			found = v
		}
	}
	return found
}

// path is PATH_INFO, decoded; of a request that has no environ, what came.
func (f *Format) path(e *bridge.AccessEntry) []byte {
	for n, v := range e.Record.All {
		if string(n) == "PATH_INFO" {
			return v
		}
	}
	return e.Request.Path
}

var basic = []byte("basic")

// user returns the name that Basic credentials carry, never the password.
func (f *Format) user(r *bridge.Request) []byte {
	kind, coded, _ := bytes.Cut(r.Field("Authorization"), space)
	if !bytes.EqualFold(kind, basic) {
		return nil
	}
	coded = bytes.TrimSpace(coded)
	if n := base64.StdEncoding.DecodedLen(len(coded)); n > cap(f.scratch) {
		f.scratch = make([]byte, n)
	}
	plain := f.scratch[:cap(f.scratch)]
	n, err := base64.StdEncoding.Decode(plain, coded)
	if err != nil {
		return nil
	}
	name, _, _ := bytes.Cut(plain[:n], colon)
	return name
}

var space = []byte(" ")

// quoted writes a value of the client's; nothing is a dash.
func quoted(b, v []byte) []byte {
	if len(v) == 0 {
		return append(b, '-')
	}
	return escape(b, v)
}

func orDash(b []byte, s string) []byte {
	if s == "" {
		return append(b, '-')
	}
	return append(b, s...)
}

const hex = "0123456789abcdef"

// escape keeps a client from ending a quoted field or a line.
func escape(b, v []byte) []byte {
	for _, c := range v {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
