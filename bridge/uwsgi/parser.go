package uwsgi

import "encoding/binary"

// What modifier1 may be; whatever else it is addresses a plugin of uWSGI's.
const (
	ModifierRequest  = 0
	ModifierPathInfo = 30 // SCRIPT_NAME is still at the start of PATH_INFO
	ModifierPing     = 100
)

// HeaderSize is the size of what comes before the variables, MaxSize the most that
// they can have together: both in bytes.
const (
	HeaderSize = 4
	MaxSize    = 1<<16 - 1
)

// Var is one variable: slices into the buffer of the Parse call that completed the
// packet. The name is never empty.
type Var struct{ Name, Value []byte }

// Packet is a complete packet; the body is not part of it.
type Packet struct {
	Modifier1, Modifier2 byte
	Vars                 []Var // in the order received, repeated ones too
}

// span is a piece of the buffer as offsets, since the buffer may move.
type span struct{ start, end int }

// state says what Parse is waiting for. header comes first; name and value take
// turns; done and failed are final.
type state uint8

const (
	header state = iota
	name
	value
	done
	failed
)

// Parser parses one packet at a time. The zero value takes nothing but empty
// packets: Reset sets the limit. It holds no bytes of its own.
type Parser struct {
	Packet Packet // valid once Parse has returned n > 0, until Reset

	limit int
	state state
	pos   int // where the length that is waited for starts
	end   int // of the packet, known after its header
	spans []span
	err   *Error
}

// Reset readies the parser for a packet of at most limit bytes, its header not
// counted. It keeps its own memory and lets go of the last buffer.
func (p *Parser) Reset(limit int) {
	vars, spans := p.Packet.Vars, p.spans
	clear(vars)
	*p = Parser{limit: limit}
	p.Packet.Vars, p.spans = vars[:0], spans[:0]
}

// Size is how many bytes the packet has, as far as is known yet.
func (p *Parser) Size() int {
	if p.end == 0 {
		return HeaderSize
	}
	return p.end
}

// Parse looks for a packet in buf, which starts at the packet's first byte and holds
// everything received since: each call's buf starts with the bytes of the last call's,
// though it may lie elsewhere. With n > 0 the packet is complete, took buf[:n] and is
// in p.Packet. With n == 0 and no error it needs more bytes. An error is always an
// *Error, and final. Each variable is checked as soon as it is complete, and not again.
func (p *Parser) Parse(buf []byte) (n int, err error) {
	for {
		var e *Error
		more := false
		switch p.state {
		case header:
			more, e = p.parseHeader(buf)
		case name:
			more, e = p.parseName(buf)
		case value:
			more, e = p.parseValue(buf)
		case done:
			p.point(buf)
			return p.end, nil
		case failed:
			return 0, p.err
		}
		if e != nil {
			p.state, p.err = failed, e
			return 0, e
		}
		if !more {
			return 0, nil
		}
	}
}

// parseHeader waits for all four bytes, although the first may settle it: they tell
// what else it looks like.
func (p *Parser) parseHeader(buf []byte) (more bool, e *Error) {
	if len(buf) < HeaderSize {
		return false, nil
	}
	modifier, size := buf[0], int(binary.LittleEndian.Uint16(buf[1:]))
	switch modifier {
	case ModifierRequest, ModifierPathInfo, ModifierPing:
	default:
		return false, stranger([HeaderSize]byte(buf))
	}
	if size > p.limit {
		return false, tooLarge(size, p.limit)
	}
	p.Packet.Modifier1, p.Packet.Modifier2 = modifier, buf[3]
	p.pos, p.end = HeaderSize, HeaderSize+size
	p.state = name
	return true, nil
}

func (p *Parser) parseName(buf []byte) (more bool, e *Error) {
	if p.pos == p.end {
		p.state = done
		return true, nil
	}
	// A value's length has to follow, though the value may be empty.
	s, e := p.next(buf, 2)
	if s.end == 0 || e != nil {
		return false, e
	}
	if s.start == s.end {
		return false, errNameEmpty
	}
	p.spans = append(p.spans, s)
	p.state = value
	return true, nil
}

func (p *Parser) parseValue(buf []byte) (more bool, e *Error) {
	s, e := p.next(buf, 0)
	if s.end == 0 || e != nil {
		return false, e
	}
	p.spans = append(p.spans, s)
	p.state = name
	return true, nil
}

// next takes a length and as many bytes, with room for what has to follow them; a
// zero span means that they have not all come.
func (p *Parser) next(buf []byte, after int) (span, *Error) {
	if p.end-p.pos < 2 {
		return span{}, errShape
	}
	if len(buf) < p.pos+2 {
		return span{}, nil
	}
	start := p.pos + 2
	end := start + int(binary.LittleEndian.Uint16(buf[p.pos:]))
	if end+after > p.end {
		return span{}, errShape
	}
	if len(buf) < end {
		return span{}, nil
	}
	p.pos = end
	return span{start, end}, nil
}

// point makes Packet's slices from the offsets.
func (p *Parser) point(buf []byte) {
	vars := p.Packet.Vars[:0]
	for i := 0; i < len(p.spans); i += 2 {
		n, v := p.spans[i], p.spans[i+1]
		vars = append(vars, Var{buf[n.start:n.end:n.end], buf[v.start:v.end:v.end]})
	}
	p.Packet.Vars = vars
}
