package accesslog

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gowsgi/gowsgi/bridge"
)

// Default is gunicorn's default format: the Apache combined one.
const Default = `%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"`

// Format is a compiled format. It keeps state for the next line, so that its
// methods are for one goroutine at a time.
type Format struct {
	parts   []part
	pid     string
	second  int64  // of stamp
	stamp   []byte // "[02/Jan/2006:15:04:05 -0700]"
	scratch []byte

	// The names that the format asks for, for JSON lines.
	fields, answerFields, variables []string
}

// part is a stretch of text, or an atom.
type part struct {
	text string
	atom atom // nil: text

	width    int // characters, at least
	left     bool
	zero     bool
	limit    int // characters, at most; -1: any number
	decorate bool
}

// atom appends one value.
type atom func(f *Format, b []byte, e *bridge.AccessEntry) []byte

// Compile reads a format as Python's % operator does with a dict: %(name)s, with
// flags, a width and a precision if need be, %(name)d for numbers, and %%. Atoms
// that nobody knows give "-", as in gunicorn; what Python would raise for on each
// request is an error here.
func Compile(text string) (*Format, error) {
	f := &Format{pid: strconv.Itoa(os.Getpid())}
	for rest := text; rest != ""; {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			f.addText(rest)
			break
		}
		f.addText(rest[:i])
		if strings.HasPrefix(rest[i:], "%%") {
			f.addText("%")
			rest = rest[i+2:]
			continue
		}
		n, err := f.addAtom(rest[i:])
		if err != nil {
			return nil, fmt.Errorf("the access log's format at %.20q: %w", rest[i:], err)
		}
		rest = rest[i+n:]
	}
	return f, nil
}

func (f *Format) addText(text string) {
	if n := len(f.parts); n > 0 && f.parts[n-1].atom == nil {
		f.parts[n-1].text += text
	} else if text != "" {
		f.parts = append(f.parts, part{text: text})
	}
}

// addAtom reads one %(name)s; it returns its length.
func (f *Format) addAtom(text string) (int, error) {
	if len(text) < 2 || text[1] != '(' {
		return 0, fmt.Errorf("a percent sign begins %%(NAME)s; for itself it is %%%%")
	}
	end := strings.IndexByte(text, ')')
	if end < 0 {
		return 0, fmt.Errorf("the parenthesis is not closed")
	}
	name := text[2:end]
	p := part{limit: -1}
	i := end + 1
flags:
	for ; i < len(text); i++ {
		switch text[i] {
		case '-':
			p.left = true
		case '0':
			p.zero = true
		default:
			break flags
		}
	}
	p.width, i = digits(text, i)
	if i < len(text) && text[i] == '.' {
		p.limit, i = digits(text, i+1)
	}
	if p.width > maxWidth || p.limit > maxWidth {
		return 0, fmt.Errorf("a width of more than %d", maxWidth)
	}
	if i >= len(text) {
		return 0, fmt.Errorf("it ends before the type: write %%(%s)s", name)
	}
	number := text[i] == 'd' || text[i] == 'i'
	switch {
	case number && (len(name) != 1 || !strings.Contains("TMDBsb", name)), number && p.limit >= 0, !number && text[i] != 's':
		return 0, fmt.Errorf("the type %q is not for it: write %%(%s)s", text[i], name)
	case !number || p.left:
		p.zero = false // Python fills text with spaces
	}
	p.decorate = p.width > 0 || p.limit >= 0
	p.atom = f.find(name)
	f.parts = append(f.parts, p)
	return i + 1, nil
}

const maxWidth = 1000

func digits(text string, i int) (n, next int) {
	for i < len(text) && '0' <= text[i] && text[i] <= '9' && n <= maxWidth {
		n = 10*n + int(text[i]-'0')
		i++
	}
	return n, i
}

// Append adds the entry's line, ended by a newline.
func (f *Format) Append(b []byte, e *bridge.AccessEntry) []byte {
	for i := range f.parts {
		p := &f.parts[i]
		if p.atom == nil {
			b = append(b, p.text...)
			continue
		}
		start := len(b)
		b = p.atom(f, b, e)
		if p.decorate {
			b = p.fit(b, start)
		}
	}
	return append(b, '\n')
}

// fit gives what was appended from start on its width.
func (p *part) fit(b []byte, start int) []byte {
	n := utf8.RuneCount(b[start:])
	if p.limit >= 0 && n > p.limit {
		end := start
		for range p.limit {
			_, size := utf8.DecodeRune(b[end:])
			end += size
		}
		b, n = b[:end], p.limit
	}
	missing := p.width - n
	if missing <= 0 {
		return b
	}
	size := len(b)
	for range missing {
		b = append(b, ' ')
	}
	if p.left {
		return b
	}
	copy(b[start+missing:], b[start:size])
	fill := byte(' ')
	if p.zero {
		fill = '0'
	}
	for i := range missing {
		b[start+i] = fill
	}
	return b
}

// now appends the entry's time, which is that of its end.
func (f *Format) now(b []byte, e *bridge.AccessEntry) []byte {
	t := e.Start.Add(e.Took)
	if s := t.Unix(); s != f.second || len(f.stamp) == 0 {
		f.second, f.stamp = s, t.AppendFormat(f.stamp[:0], "[02/Jan/2006:15:04:05 -0700]")
	}
	return append(b, f.stamp...)
}

// seconds writes a duration as gunicorn's L: 1.000234.
func seconds(b []byte, d time.Duration) []byte {
	b = strconv.AppendInt(b, int64(d/time.Second), 10)
	us := int64(d % time.Second / time.Microsecond)
	b = append(b, '.')
	for unit := int64(100_000); unit > 0; unit /= 10 {
		b = append(b, byte('0'+us/unit%10))
	}
	return b
}
