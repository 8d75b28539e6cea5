package http1

import (
	"bytes"
	"math"
)

// Field is one field line: the name as received, the value without the white
// space around it. Both are slices into the buffer of the Parse call that
// completed the head; a folded field's value is a copy, with a space for each fold.
type Field struct{ Name, Value []byte }

// Head is a complete request head. Its slices point into the buffer of the Parse
// call that completed it (or of a later one, see Parse), with no spare capacity
// behind them.
type Head struct {
	Method, Target []byte // as received; a method that was casefolded is a copy
	// Path and Query are the target's, still percent-encoded. Path is "/" where
	// an absolute-form target has none, "*" in asterisk-form (and for OPTIONS
	// with an absolute-form target without path and query, which means the same:
	// RFC 9110 section 4.2.3), nil for CONNECT. Query is nil unless HasQuery.
	Path, Query []byte
	HasQuery    bool
	Authority   []byte // host[:port] of an absolute-form target, else nil
	// Host is the authority of an absolute-form target, which overrides the
	// field (RFC 9112 section 3.2.2), else the value of the Host field: nil when
	// HTTP/1.0 came without, empty when it was sent empty.
	Host          []byte
	Minor         int     // 0 or 1; HTTP/1.2 to 1.9 count as 1.1 (RFC 9110 section 2.5)
	Fields        []Field // in the order received
	ContentLength int64   // -1 when absent; a request has no body then unless Chunked
	Chunked       bool
	KeepAlive     bool // the client lets the connection live; never for CONNECT
	// Expect100 says that an HTTP/1.1 client announced to wait for 100 Continue.
	// It says nothing of whether there is a body.
	Expect100 bool
}

// span is a piece of the buffer as offsets, since the buffer may move. The zero
// span is "absent": nothing but the method can start at 0, and that is not empty.
type span struct{ start, end int }

func (s span) of(buf []byte) []byte {
	if s.end == 0 {
		return nil
	}
	return buf[s.start:s.end:s.end]
}

type fieldSpan struct{ name, value span }

// foldSpan is a further line of a field.
type foldSpan struct {
	field int // its index
	value span
}

// keepFields is how many fields a parser keeps memory for between heads.
const keepFields = 1024

// headState says what Parse is waiting for. States are passed in this order and
// never again, except that headFields repeats and any may go to headFailed.
type headState uint8

const (
	headStart  headState = iota // one empty line or the first byte of a method
	headLine                    // the end of the request line
	headFields                  // the end of a field line, or the empty line
	headDone                    // nothing: the head is complete
	headFailed                  // nothing: the head was refused
)

// Parser parses one request head at a time. The zero value has no limits; Reset
// sets them and readies it for the next head. It holds no bytes of its own.
type Parser struct {
	Head Head // valid once Parse has returned n > 0, until Reset

	lim   Limits
	most  int // where the last line before the empty one must have ended
	state headState
	line  int // where the line being waited for starts
	scan  int // before here it has no LF
	n     int // length of the complete head
	err   *Error

	method, target, path, query, authority, host span
	optionsStar                                  bool // Path is "*" though the target is not
	fields                                       []fieldSpan
	folds                                        []foldSpan
	facts                                        facts
}

// asterisk is what Head.Path points at when it is "*" without standing in the
// buffer. Nobody writes to it: slices of a Head are for reading.
var asterisk = []byte("*")

// Reset readies the parser for the next head. It lets go of the last buffer (a
// pooled parser must not keep a dead one alive) and keeps its own memory, so that
// a parser in use allocates nothing.
func (p *Parser) Reset(lim Limits) {
	fields, spans := p.Head.Fields, p.fields
	clear(fields)
	if cap(spans) > keepFields {
		fields, spans = nil, nil
	}
	*p = Parser{}
	var bounded bool
	p.lim, bounded = lim.effective()
	p.most = UnlimitedHead - len("\r\n")
	if bounded {
		p.most = math.MaxInt
	}
	p.Head.Fields, p.fields = fields[:0], spans[:0]
}

// Parse looks for a head in buf, which starts at the head's first byte and holds
// everything received since: each call's buf starts with the bytes of the last
// call's, though it may lie elsewhere. With n > 0 the head is complete, took
// buf[:n] and is in p.Head. With n == 0 and no error it needs more bytes. An error
// is always an *Error, and final.
//
// What was looked at is not looked at again, so feeding byte by byte is linear.
// Lines are checked as soon as they are complete. After the end, Parse only points
// Head into the buf it is given: for a caller whose buffer has moved since.
//
// One empty line before the request line is skipped (RFC 9112 section 2.2) and
// counts in n; a second is an error, as in gunicorn.
func (p *Parser) Parse(buf []byte) (n int, err error) {
	if len(buf) < p.scan || len(buf) < p.n {
		panic("http1: Parse was given fewer bytes than before")
	}
	var e *Error
	more := true
	for more && e == nil {
		switch p.state {
		case headStart:
			more, e = p.parseStart(buf)
		case headLine:
			more, e = p.parseLine(buf)
		case headFields:
			more, e = p.parseField(buf)
		case headDone:
			p.point(buf)
			return p.n, nil
		case headFailed:
			return 0, p.err
		}
	}
	if e != nil {
		p.enter(headFailed)
		p.err = e
		return 0, e
	}
	return 0, nil
}

// enter asserts that states only go forward.
func (p *Parser) enter(s headState) {
	if s <= p.state {
		panic("http1: parser state goes backward")
	}
	p.state = s
}

// parseStart skips one CRLF and looks at the first byte after it: a client that
// speaks something else (TLS most of all) is told now instead of being waited for
// until it sends an LF by chance.
func (p *Parser) parseStart(buf []byte) (more bool, e *Error) {
	if p.line == 0 && len(buf) > 0 && buf[0] == '\r' {
		if len(buf) == 1 {
			return false, nil
		}
		if buf[1] != '\n' {
			return false, errStart
		}
		p.line, p.scan = 2, 2
	}
	if len(buf) == p.line {
		return false, nil
	}
	switch c := buf[p.line]; {
	case byteClass[c]&p.methodClass() != 0:
	case c == 0x16: // the record type of a handshake, RFC 8446 section 5.1
		return false, errTLS
	case c == 0 || c == 30: // its first byte, see package bridge/uwsgi
		return false, errUWSGI
	case byteClass[c]&classToken != 0:
		return false, errMethod
	default:
		return false, errStart
	}
	p.enter(headLine)
	return true, nil
}

func (p *Parser) parseLine(buf []byte) (more bool, e *Error) {
	limit := p.lim.RequestLine
	if limit > 0 {
		limit += len("\r\n")
	}
	end, e := p.lineEnd(buf, limit, errLineLength, errLineLength)
	if end < 0 || e != nil {
		return false, e
	}
	if e := p.requestLine(buf, end); e != nil {
		return false, e
	}
	p.nextLine(end)
	p.enter(headFields)
	return true, nil
}

func (p *Parser) parseField(buf []byte) (more bool, e *Error) {
	limit := p.lim.FieldSize
	folded := p.lim.Permit.Folding && len(p.fields) > 0 && p.line < len(buf) && isOWS(buf[p.line])
	if folded && limit > 0 {
		limit = max(1, limit-(p.line-p.fields[len(p.fields)-1].name.start))
	}
	end, e := p.lineEnd(buf, limit, errFieldSize, errHeadSize)
	if end < 0 || e != nil {
		return false, e
	}
	switch {
	case end == p.line:
		if e := p.facts.check(); e != nil {
			return false, e
		}
		p.nextLine(end)
		p.n = p.line
		p.enter(headDone)
		return true, nil
	case folded:
		e = p.foldedLine(buf, end)
	case len(p.fields) >= p.lim.Fields:
		e = errFieldCount
	default:
		e = p.fieldLine(buf, end)
	}
	if e != nil {
		return false, e
	}
	p.nextLine(end)
	return true, nil
}

// lineEnd finds the CR of the CRLF that ends the line at p.line, -1 when it has
// not come yet. No more bytes are looked at than the limit (0 or less: none) and the
// bound of the whole head allow, which makes the outcome the same however the bytes
// were cut into calls.
func (p *Parser) lineEnd(buf []byte, limit int, tooLong, headTooLong *Error) (end int, e *Error) {
	if room := p.most - p.line; limit <= 0 || limit > room {
		limit, tooLong = room, headTooLong
	}
	limit = max(limit, len("\r\n")) // the empty line always fits
	stop := len(buf)
	if stop-p.line > limit {
		stop = p.line + limit
	}
	i := bytes.IndexByte(buf[p.scan:stop], '\n')
	if i < 0 {
		p.scan = stop
		if stop-p.line == limit {
			return -1, tooLong
		}
		return -1, nil
	}
	end = p.scan + i - 1
	if end < p.line || buf[end] != '\r' {
		// RFC 9112 section 2.2 allows to take a bare LF for a line end: not
		// here, since a peer that does not sees another message.
		return -1, errBareLF
	}
	return end, nil
}

func (p *Parser) nextLine(end int) {
	p.line = end + len("\r\n")
	p.scan = p.line
}

// point makes Head's slices from the offsets.
func (p *Parser) point(buf []byte) {
	h, f := &p.Head, &p.facts
	h.Method, h.Target = p.method.of(buf), p.target.of(buf)
	if p.casefolds(h.Method) {
		h.Method = bytes.ToUpper(h.Method)
	}
	h.Path, h.Query, h.HasQuery = p.path.of(buf), p.query.of(buf), p.query.end != 0
	if p.optionsStar {
		h.Path = asterisk
	}
	h.Authority, h.Host = p.authority.of(buf), p.host.of(buf)
	if h.Authority != nil {
		h.Host = h.Authority
	}
	h.Minor, h.ContentLength, h.Chunked = f.minor, f.contentLength(), f.coding
	h.KeepAlive, h.Expect100 = f.keepAlive(), f.expect && f.minor > 0
	h.Fields = h.Fields[:0]
	for i := range p.fields {
		s := &p.fields[i]
		h.Fields = append(h.Fields, Field{s.name.of(buf), s.value.of(buf)})
	}
	for _, fold := range p.folds {
		f := &h.Fields[fold.field]
		if len(f.Value) == 0 {
			f.Value = fold.value.of(buf)
			continue
		}
		// What is appended to has no spare capacity, or is a copy already.
		f.Value = append(append(f.Value, ' '), fold.value.of(buf)...)
	}
}
