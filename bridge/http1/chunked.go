package http1

// chunkState says which byte of a chunked body comes next (RFC 9112 section 7.1).
type chunkState uint8

const (
	chunkSizeFirst  chunkState = iota // the first digit of a size
	chunkSize                         // more digits, or what ends them
	chunkSizeSpace                    // white space after the digits: only before ";"
	chunkExtFirst                     // a name, after ";"
	chunkExtName                      // more of it
	chunkExtNameEnd                   // white space after it: only before "=" or ";"
	chunkExtValue                     // the first byte of a value, after "="
	chunkExtToken                     // more of a value that is a token
	chunkExtQuoted                    // inside a quoted string
	chunkExtEscape                    // after "\" in one
	chunkExtQuotEnd                   // after one
	chunkExtEnd                       // white space after a value: only before ";"
	chunkSizeLF                       // the LF that ends a size line
	chunkData                         // data
	chunkDataCR                       // the CR after it
	chunkDataLF                       // the LF after that
	trailerFirst                      // a trailer line, or the CR that ends it all
	trailerName                       // more of a name
	trailerValue                      // a value, or the CR that ends it
	trailerLF                         // the LF after that
	chunkedLF                         // the LF that ends it all
	chunkedDone
	chunkedFailed
)

// Chunked decodes one chunked body. It goes byte by byte through what is not
// data, holds nothing but a trailer's name, and so takes input cut anywhere. The
// zero value has no limits.
//
// Trailer fields are checked like fields of a head and then dropped: WSGI has no
// place for them, and RFC 9110 section 6.5.1 forbids to merge them into the head.
type Chunked struct {
	lim   ChunkedLimits
	state chunkState
	err   *Error

	left   uint64 // data bytes to come in this chunk
	digits int    // of the size so far
	line   int    // bytes of the size line so far
	ext    int    // of them, those after the digits
	extra  int64  // extension bytes beyond the data they came with

	trailer  int // bytes of the trailer section so far
	trailers int // its lines
	nameLen  int
	name     [maxForbidden]byte // lowercase, as much as fits
}

// Reset readies the decoder for the next body.
func (c *Chunked) Reset(lim ChunkedLimits) { *c = Chunked{lim: lim} }

// Decode consumes a prefix of src. It returns how many bytes that was, the body
// bytes among them (one piece of src, possibly empty, never a copy) and whether
// the body with its trailer section is complete; the bytes after n are the next
// request's. It stops after a piece of data, so call again until it consumes
// nothing or is done. It never leaves bytes that it wants to see again: a body
// whose bytes end before done is a truncated one. An error is an *Error, and
// final.
func (c *Chunked) Decode(src []byte) (n int, data []byte, done bool, err error) {
	for n < len(src) {
		switch c.state {
		case chunkData:
			size := len(src) - n
			if uint64(size) > c.left {
				size = int(c.left)
			}
			if c.left -= uint64(size); c.left == 0 {
				c.state = chunkDataCR
			}
			return n + size, src[n : n+size : n+size], false, nil
		case chunkedDone:
			return n, nil, true, nil
		case chunkedFailed:
			return n, nil, false, c.err
		}
		if e := c.step(src[n]); e != nil {
			c.state, c.err = chunkedFailed, e
			return n, nil, false, e
		}
		n++
	}
	if c.state == chunkedFailed {
		return n, nil, false, c.err
	}
	return n, nil, c.state == chunkedDone, nil
}

// step takes one byte that is not data.
func (c *Chunked) step(b byte) *Error {
	switch {
	case c.state < chunkSizeLF:
		return c.sizeLine(b)
	case c.state >= trailerFirst:
		return c.trailerByte(b)
	case c.state == chunkSizeLF && b == '\n':
		return c.startChunk()
	case c.state == chunkSizeLF:
		return errChunkCR
	case c.state == chunkDataCR && b == '\r':
		c.state = chunkDataLF
		return nil
	case c.state == chunkDataLF && b == '\n':
		c.state = chunkSizeFirst
		return nil
	}
	return errChunkEnd
}

// startChunk is at the end of a size line.
func (c *Chunked) startChunk() *Error {
	c.extra = max(0, c.extra+int64(c.ext)-int64(c.left))
	if c.lim.Extensions > 0 && c.extra > int64(c.lim.Extensions) {
		return errChunkExtTotal
	}
	c.digits, c.line, c.ext = 0, 0, 0
	c.state = chunkData
	if c.left == 0 {
		c.state = trailerFirst
	}
	return nil
}

// sizeLine takes a byte of chunk-size [ chunk-ext ] or the CR after it.
func (c *Chunked) sizeLine(b byte) *Error {
	if b == '\r' {
		switch c.state {
		case chunkSize, chunkExtName, chunkExtToken, chunkExtQuotEnd:
			c.state = chunkSizeLF
			return nil
		}
	}
	if c.line++; c.lim.SizeLine > 0 && c.line > c.lim.SizeLine {
		return errChunkLine
	}
	if c.state <= chunkSize && byteClass[b]&classHex != 0 {
		return c.sizeDigit(b)
	}
	c.ext++
	next, ok := extension(c.state, b)
	if !ok && c.state <= chunkSizeSpace {
		return errChunkSize
	}
	if !ok {
		return errChunkExt
	}
	c.state = next
	return nil
}

// sizeDigit: sixteen digits at most, leading zeros among them, and 63 bits.
func (c *Chunked) sizeDigit(b byte) *Error {
	if c.digits++; c.digits > 16 {
		return errChunkRange
	}
	d := b - '0'
	if d > 9 {
		d = (b | 0x20) - 'a' + 10
	}
	if c.left = c.left<<4 | uint64(d); c.left >= 1<<63 {
		return errChunkRange
	}
	c.state = chunkSize
	return nil
}

// extension is the grammar of RFC 9112 section 7.1.1 with its "bad" white space,
// *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ), that gunicorn
// holds to as well. White space that nothing follows is refused with it.
func extension(s chunkState, b byte) (next chunkState, ok bool) {
	space, is := b == ' ' || b == '\t', byteClass[b]
	switch s {
	case chunkSize, chunkSizeSpace:
		if space {
			return chunkSizeSpace, true
		}
		return chunkExtFirst, b == ';'
	case chunkExtFirst:
		if space {
			return s, true
		}
		return chunkExtName, is&classToken != 0
	case chunkExtName, chunkExtNameEnd:
		switch {
		case b == '=':
			return chunkExtValue, true
		case b == ';':
			return chunkExtFirst, true
		case space:
			return chunkExtNameEnd, true
		}
		return s, s == chunkExtName && is&classToken != 0
	case chunkExtValue:
		if space {
			return s, true
		}
		if b == '"' {
			return chunkExtQuoted, true
		}
		return chunkExtToken, is&classToken != 0
	case chunkExtToken, chunkExtQuotEnd, chunkExtEnd:
		if b == ';' {
			return chunkExtFirst, true
		}
		if space {
			return chunkExtEnd, true
		}
		return s, s == chunkExtToken && is&classToken != 0
	case chunkExtQuoted:
		if b == '"' {
			return chunkExtQuotEnd, true
		}
		if b == '\\' {
			return chunkExtEscape, true
		}
		return s, is&classQuoted != 0
	case chunkExtEscape:
		return chunkExtQuoted, is&classField != 0
	}
	return s, false // chunkSizeFirst: no digit
}
