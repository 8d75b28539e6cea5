package http1

import "strconv"

// Framing is how the end of an answer's body is told to the client
// (RFC 9112, section 6).
type Framing uint8

const (
	NoBody  Framing = iota // HEAD, 204, 304: ends with the head
	Length                 // by Content-Length
	Coded                  // chunked transfer coding
	ToClose                // by closing the connection: HTTP/1.0 clients
)

// Answer is what decides an answer's framing and its server-made fields.
type Answer struct {
	Status int
	Lines  []byte // "200 OK\r\nName: value\r\n...", without Content-Length

	// ContentLength is what the application declared, -1 without.
	ContentLength int64
	// BodyLength is the body's size when it is known whole, else -1.
	BodyLength int64

	Head    bool // answers a HEAD request
	Minor   int  // of the request's version: 0 or 1
	Close   bool // the connection is not to be kept
	HasDate bool
	HasName bool // Lines has a Server field
	Bare    bool // goes to a web server, which adds Date, Server and Connection itself
}

// Frame returns the framing, and the length in bytes that goes with Length
// (or that a Content-Length field announces with NoBody), -1 for none.
//
// A body known whole gets a Content-Length (PEP 3333, "Handling the
// Content-Length Header"); 1xx and 204 must not have one (RFC 9110, 8.6); HEAD
// and 304 tell the length that GET would, if the application said it.
func (a *Answer) Frame() (Framing, int64) {
	switch {
	case a.Status == 204 || a.Status < 200:
		return NoBody, -1
	case a.Status == 304:
		return NoBody, a.ContentLength
	case a.Head:
		if a.ContentLength < 0 && a.BodyLength > 0 {
			return NoBody, a.BodyLength
		}
		return NoBody, a.ContentLength
	case a.ContentLength >= 0:
		return Length, a.ContentLength
	case a.BodyLength >= 0:
		return Length, a.BodyLength
	case a.Minor == 0:
		return ToClose, -1
	}
	return Coded, -1
}

// AppendHead appends the whole head, its empty line included. date is an
// IMF-fixdate (RFC 9110, 5.6.7), name the Server field's value ("" for none).
func (a *Answer) AppendHead(dst []byte, f Framing, length int64, date, name string) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, a.Lines...)
	if f == Coded {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	} else if length >= 0 {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, length, 10)
		dst = append(dst, "\r\n"...)
	}
	if a.Bare {
		return append(dst, "\r\n"...)
	}
	if !a.HasDate {
		dst = append(dst, "Date: "...)
		dst = append(dst, date...)
		dst = append(dst, "\r\n"...)
	}
	if !a.HasName && name != "" {
		dst = append(dst, "Server: "...)
		dst = append(dst, name...)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case a.Close || f == ToClose:
		dst = append(dst, "Connection: close\r\n"...)
	case a.Minor == 0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// AppendChunkHead appends the line before a chunk of n bytes, n > 0 (RFC 9112, 7.1).
func AppendChunkHead(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	shift := 0
	for n>>(shift+4) > 0 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, digits[n>>shift&15])
	}
	return append(dst, "\r\n"...)
}

// LastChunk ends a chunked body without trailers.
const LastChunk = "0\r\n\r\n"
