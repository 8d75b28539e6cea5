package http1

// fieldLine takes buf[p.line:end], field-name ":" OWS field-value OWS (RFC 9112
// section 5), apart.
func (p *Parser) fieldLine(buf []byte, end int) *Error {
	line := buf[p.line:end]
	colon := 0
	for colon < len(line) && byteClass[line[colon]]&classToken != 0 {
		colon++
	}
	nameLen := colon
	if p.lim.Permit.HeaderSpaces && colon > 0 {
		for colon < len(line) && isOWS(line[colon]) {
			colon++
		}
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return nameFault(line, colon)
	}
	raw := line[colon+1:]
	if !cleanValue(raw) {
		return errFieldValue
	}
	start := 0
	for start < len(raw) && isOWS(raw[start]) {
		start++
	}
	value := trimOWS(raw[start:])
	from := p.line + colon + 1 + start
	f := fieldSpan{span{p.line, p.line + nameLen}, span{from, from + len(value)}}
	p.fields = append(p.fields, f)
	host := p.facts.hosts
	e := p.facts.learn(line[:nameLen], value)
	if p.facts.hosts != host {
		p.host = f.value
	}
	return e
}

// foldedLine takes buf[p.line:end], a further line of the last field: RFC 9112
// section 5.2.
func (p *Parser) foldedLine(buf []byte, end int) *Error {
	last := len(p.fields) - 1
	if decides(p.fields[last].name.of(buf)) {
		return errFoldFraming
	}
	if !cleanValue(buf[p.line:end]) {
		return errFieldValue
	}
	from := p.line
	for from < end && isOWS(buf[from]) {
		from++
	}
	if from == end {
		return errFold
	}
	value := trimOWS(buf[from:end])
	p.folds = append(p.folds, foldSpan{last, span{from, from + len(value)}})
	return nil
}

// decides says whether facts takes something from the value of a field of that
// name, which is before a fold is known of.
func decides(name []byte) bool {
	for _, word := range [...]string{"host", "content-length", "transfer-encoding", "connection", "expect"} {
		if equalFold(name, word) {
			return true
		}
	}
	return false
}

// nameFault names what is wrong with the line at i, the first byte that is not
// of a token.
func nameFault(line []byte, i int) *Error {
	switch {
	case i == len(line):
		return errFieldColon
	case line[i] != ' ' && line[i] != '\t':
		return errFieldName
	case i == 0:
		// obs-fold, or white space before the first field (RFC 9112 sections
		// 5.2 and 2.2).
		return errFold
	default:
		return errFieldSpace
	}
}

// facts is what the fields say about host, framing and connection, gathered line
// by line and judged at the end of the head: fields may come in any order.
type facts struct {
	minor        int
	connect      bool
	hosts        int
	length       int64
	hasLength    bool
	hasCoding    bool // a Transfer-Encoding came
	coding       bool // chunked is its last element so far
	otherCoding  bool
	contentTypes int
	close, keep  bool
	expect       bool
}

// learn takes one field.
func (f *facts) learn(name, value []byte) *Error {
	switch len(name) {
	case len("host"):
		if equalFold(name, "host") {
			return f.learnHost(value)
		}
	case len("expect"):
		// gunicorn refuses other expectations in HTTP/1.0 too.
		if equalFold(name, "expect") {
			f.expect = true
			if !equalFold(value, "100-continue") {
				return errExpect
			}
		}
	case len("connection"):
		if equalFold(name, "connection") {
			f.learnConnection(value)
		}
	case len("content-type"):
		// RFC 9110 section 5.3: no list, so two have no meaning; gunicorn
		// refuses them.
		if equalFold(name, "content-type") {
			if f.contentTypes++; f.contentTypes > 1 {
				return errContentType
			}
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			return f.learnLength(value)
		}
	case len("transfer-encoding"):
		if equalFold(name, "transfer-encoding") {
			return f.learnCoding(value)
		}
	}
	return nil
}

// learnHost: RFC 9112 section 3.2. An empty value is what a client sends whose
// URI has no authority (RFC 9110 section 7.2).
func (f *facts) learnHost(value []byte) *Error {
	if f.hosts++; f.hosts > 1 {
		return errHostTwice
	}
	if len(value) > 0 && !validAuthority(value, false) {
		return errHostValue
	}
	return nil
}

// learnConnection: RFC 9110 section 7.6.1, a list over all lines, tokens in any
// case. What is neither close nor keep-alive is for other layers.
func (f *facts) learnConnection(value []byte) {
	for more := true; more; {
		var element []byte
		element, value, more = nextElement(value)
		switch {
		case equalFold(element, "close"):
			f.close = true
		case equalFold(element, "keep-alive"):
			f.keep = true
		}
	}
}

// learnLength: RFC 9110 section 8.6. Digits alone, leading zeros among them. The
// same length twice, in two lines or as a list, may be refused and is.
func (f *facts) learnLength(value []byte) *Error {
	if f.hasLength {
		return errLengthTwice
	}
	f.hasLength = true
	if len(value) == 0 {
		return errLengthValue
	}
	const most = 1<<63 - 1
	tooLarge := false
	for _, c := range value {
		if !digit(c) {
			return errLengthValue
		}
		d := int64(c - '0')
		if tooLarge = tooLarge || f.length > (most-d)/10; !tooLarge {
			f.length = f.length*10 + d
		}
	}
	if tooLarge {
		return errLengthRange
	}
	return nil
}

// learnCoding: RFC 9112 sections 6.1 and 7, a list over all lines. Elements are
// tokens: chunked takes no parameters, and no other coding is taken at all. Empty
// elements, which RFC 9110 section 5.6.1 would have ignored, are refused: that is
// where list parsers differ.
func (f *facts) learnCoding(value []byte) *Error {
	f.hasCoding = true
	for more := true; more; {
		var element []byte
		element, value, more = nextElement(value)
		if len(element) == 0 || !all(element, classToken) {
			return errCodingValue
		}
		if f.coding {
			return errCodingTwice
		}
		if f.coding = equalFold(element, "chunked"); !f.coding {
			f.otherCoding = true
		}
	}
	return nil
}

// check judges the head as a whole.
func (f *facts) check() *Error {
	switch {
	case f.hosts == 0 && f.minor > 0:
		// An absolute-form target does not replace it: RFC 9112 section 3.2.2.
		return errHostMissing
	case !f.hasCoding:
		return nil
	case f.minor == 0: // RFC 9112 section 6.1: faulty framing
		return errCodingOld
	case f.hasLength: // section 6.3: ought to be handled as an error
		return errCodingLength
	case !f.coding: // section 6.3: the length cannot be known, MUST be 400
		return errCodingLast
	case f.otherCoding:
		// Section 6.1. gunicorn hands gzip on to the application still packed
		// and ignores identity, which is no coding since RFC 7230.
		return errCodingOther
	}
	return nil
}

func (f *facts) contentLength() int64 {
	if f.hasLength {
		return f.length
	}
	return -1
}

// keepAlive: RFC 9112 section 9.3.
func (f *facts) keepAlive() bool {
	return !f.close && !f.connect && (f.minor > 0 || f.keep)
}
