package http1

import "bytes"

// requestLine takes buf[p.line:end], method SP request-target SP HTTP-version
// (RFC 9112 section 3), apart. No other white space is taken for SP: section 3
// allows it, and says itself that it invites smuggling.
func (p *Parser) requestLine(buf []byte, end int) *Error {
	line := buf[p.line:end]
	first, last := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	method := line
	if first >= 0 {
		method = line[:first]
	}
	if e := p.checkMethod(method); e != nil {
		return e
	}
	if first == last {
		return errLineShape
	}
	// The version before the target: the HTTP/2 preface, PRI * HTTP/2.0, is a
	// 505 so.
	if e := p.version(line[last+1:]); e != nil {
		return e
	}
	p.method = span{p.line, p.line + first}
	p.target = span{p.line + first + 1, p.line + last}
	if p.casefolds(method) {
		return p.requestTarget(buf, equalFold(method, "connect"), equalFold(method, "options"))
	}
	return p.requestTarget(buf, string(method) == "CONNECT", string(method) == "OPTIONS")
}

// checkMethod holds a method to gunicorn's convention: every method ever registered
// fits it, and what does not is a typing error or the middle of somebody's body.
func (p *Parser) checkMethod(method []byte) *Error {
	switch any := p.lim.Permit.AnyMethod; {
	case any && !all(method, classToken):
		return errMethodToken
	case !any && (len(method) < 3 || len(method) > 20 || !all(method, classMethod)):
		return errMethod
	}
	return nil
}

func (p *Parser) methodClass() uint8 {
	if p.lim.Permit.AnyMethod {
		return classToken
	}
	return classMethod
}

// casefolds tells whether a token has to be made uppercase first.
func (p *Parser) casefolds(method []byte) bool {
	return p.lim.Permit.CasefoldMethod && !all(method, classMethod)
}

// version takes HTTP/1.0 to 1.9. Versions above 1.1 are answered as 1.1: RFC 9110
// section 2.5 has the minor version say what the sender understands, not how the
// message is framed. Where other major versions are permitted, too, those above are
// read as 1.1 and HTTP/0.x as 1.0; what frames in another way (HTTP/2) fails soon
// after, its preface already for its target.
func (p *Parser) version(b []byte) *Error {
	const name = "HTTP/"
	if len(b) != len(name)+3 || string(b[:len(name)]) != name || b[6] != '.' || !digit(b[5]) || !digit(b[7]) {
		return errVersion
	}
	if b[5] != '1' && !p.lim.Permit.AnyVersion {
		return errVersionMajor
	}
	if b[5] > '1' || b[5] == '1' && b[7] != '0' {
		p.facts.minor = 1
	}
	return nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// requestTarget sorts the target into one of the four forms of RFC 9112 section
// 3.2 and takes it apart. Its bytes are printable ASCII, as in gunicorn: that
// lets through what URIs must encode but browsers send plainly ("<>[]^`{|} and
// \), whose reading is the application's, and percent signs that encode nothing.
// A fragment is refused, where gunicorn takes it: clients keep it to themselves
// (RFC 9110 section 7.1), and whether it belongs to the query is read both ways.
func (p *Parser) requestTarget(buf []byte, connect, options bool) *Error {
	t := p.target.of(buf)
	if len(t) == 0 {
		return errLineShape
	}
	if !all(t, classTarget) {
		return errTargetByte
	}
	switch {
	case connect:
		// authority-form, section 3.2.3. The head is complete and without a
		// path; whether to answer 405 or 501 is the server's, but what follows
		// on the connection is no request (so gunicorn closes, too).
		if !validAuthority(t, true) {
			return errTargetConnect
		}
		p.facts.connect = true
		return nil
	case t[0] == '/':
		p.pathAndQuery(buf, p.target.start)
		return nil
	case len(t) == 1 && t[0] == '*':
		if !options {
			return errTargetStar
		}
		p.path = p.target
		return nil
	}
	return p.absoluteForm(buf, t, options)
}

// absoluteForm takes http and https alone: nothing else can be served here, and
// for a URI with userinfo RFC 9110 section 4.2.4 says to expect an attack.
func (p *Parser) absoluteForm(buf, t []byte, options bool) *Error {
	scheme := bytes.Index(t, []byte("://"))
	if scheme < 0 || !equalFold(t[:scheme], "http") && !equalFold(t[:scheme], "https") {
		return errTargetForm
	}
	start := scheme + len("://")
	length := bytes.IndexAny(t[start:], "/?")
	if length < 0 {
		length = len(t) - start
	}
	// An empty host is invalid by RFC 9110 section 4.2.1.
	if !validAuthority(t[start:start+length], false) {
		return errTargetHost
	}
	start += p.target.start
	p.authority = span{start, start + length}
	p.pathAndQuery(buf, start+length)
	if p.path.start == p.path.end {
		if p.optionsStar = options && p.query.end == 0; !p.optionsStar {
			// An empty path is "/" (RFC 9110 section 4.2.3), and one stands
			// right before the authority.
			p.path = span{start - 1, start}
		}
	}
	return nil
}

func (p *Parser) pathAndQuery(buf []byte, start int) {
	end := p.target.end
	p.path = span{start, end}
	if i := bytes.IndexByte(buf[start:end], '?'); i >= 0 {
		p.path.end = start + i
		p.query = span{start + i + 1, end}
	}
}
