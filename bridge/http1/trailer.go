package http1

// maxForbidden is the length of the longest name that forbiddenTrailer knows.
const maxForbidden = len("proxy-authorization")

// forbiddenTrailer says whether a field (lowercase) alters framing, routing or
// authentication, or speaks of the connection: RFC 9110 section 6.5.1 forbids to
// send such a field behind the body. gunicorn refuses host, content-length,
// transfer-encoding, trailer, authorization and te; the others are of the same
// kind. Not refused are those that only describe the content: dropping them loses
// nothing and confuses nobody.
func forbiddenTrailer(name []byte) bool {
	switch string(name) {
	case "content-length", "transfer-encoding", "host", "te", "trailer",
		"connection", "keep-alive", "proxy-connection", "upgrade", "expect",
		"authorization", "proxy-authorization":
		return true
	}
	return false
}

// trailerByte takes a byte of the trailer section (RFC 9112 section 7.1.2): field
// lines by the rules for those of a head, then an empty line, which the limit
// does not count.
func (c *Chunked) trailerByte(b byte) *Error {
	if c.state == trailerFirst && b == '\r' {
		c.state = chunkedLF
		return nil
	}
	if c.state == chunkedLF {
		if b != '\n' {
			return errFieldValue // a bare CR
		}
		c.state = chunkedDone
		return nil
	}
	if c.trailer++; c.lim.Trailer > 0 && c.trailer > c.lim.Trailer {
		return errTrailerSize
	}
	switch {
	case c.state == trailerFirst:
		if c.trailers++; c.lim.TrailerFields > 0 && c.trailers > c.lim.TrailerFields {
			return errTrailerCount
		}
		c.nameLen = 0
		return c.trailerNameByte(b)
	case c.state == trailerName:
		return c.trailerNameByte(b)
	case c.state == trailerValue && b == '\r':
		c.state = trailerLF
	case c.state == trailerLF && b == '\n':
		c.state = trailerFirst
	case b == '\n':
		return errBareLF
	case c.state == trailerLF || byteClass[b]&classField == 0:
		return errFieldValue
	}
	return nil
}

func (c *Chunked) trailerNameByte(b byte) *Error {
	switch {
	case byteClass[b]&classToken != 0:
		if c.nameLen < len(c.name) {
			if 'A' <= b && b <= 'Z' {
				b |= 0x20
			}
			c.name[c.nameLen] = b
		}
		c.nameLen++
		c.state = trailerName
		return nil
	case b == ':' && c.nameLen > 0:
		if c.nameLen <= len(c.name) && forbiddenTrailer(c.name[:c.nameLen]) {
			return errTrailerField
		}
		c.state = trailerValue
		return nil
	case b == '\r':
		return errFieldColon
	case b == '\n':
		return errBareLF
	case b != ' ' && b != '\t':
		return errFieldName
	case c.nameLen == 0:
		return errFold
	}
	return errFieldSpace
}
