package http1

import "strconv"

// Error says why a request is refused and with which status to answer. Every
// Error ends the connection: where the next request would start is not known any
// more (RFC 9112 section 9.6, section 11.2).
//
// The values are shared and made once, so that refusing costs no allocation
// however often a client asks for it: treat them as constants.
type Error struct {
	Status int    // 400, 413, 414, 417, 431, 501 or 505
	Cause  string // for the log; holds nothing that the client sent
}

// Error gives the status and the cause.
func (e *Error) Error() string {
	return "http1: " + strconv.Itoa(e.Status) + ": " + e.Cause
}

func refuse(status int, cause string) *Error { return &Error{Status: status, Cause: cause} }

// The request line: RFC 9112 section 3.
var (
	errTLS           = refuse(400, "a TLS handshake where a request line was expected")
	errUWSGI         = refuse(400, "a uwsgi packet where a request line was expected: use proxy_pass in nginx, or bind uwsgi://")
	errStart         = refuse(400, "no request line starts with this byte")
	errLineLength    = refuse(414, "request line too long")
	errLineShape     = refuse(400, "request line is not method, target and version")
	errMethod        = refuse(400, "method is not a token of 3 to 20 characters without lowercase letters")
	errMethodToken   = refuse(400, "method is not a token")
	errVersion       = refuse(400, "malformed HTTP version")
	errVersionMajor  = refuse(505, "HTTP version other than 1.x")
	errTargetByte    = refuse(400, "byte in the request target that has to be percent-encoded")
	errTargetForm    = refuse(400, "request target in none of the four forms")
	errTargetStar    = refuse(400, "request target * with a method other than OPTIONS")
	errTargetConnect = refuse(400, "CONNECT without host:port")
	errTargetHost    = refuse(400, "invalid authority in the request target")
)

// Field lines: RFC 9112 section 5, RFC 9110 section 5.
var (
	errBareLF      = refuse(400, "line ended by LF without CR")
	errFieldSize   = refuse(431, "field line too long")
	errFieldCount  = refuse(431, "too many field lines")
	errHeadSize    = refuse(431, "head too long")
	errFold        = refuse(400, "field line starts with white space")
	errFoldFraming = refuse(400, "fold in a field for framing or routing")
	errFieldName   = refuse(400, "field name is not a token")
	errFieldColon  = refuse(400, "field line without a colon")
	errFieldSpace  = refuse(400, "white space before the colon")
	errFieldValue  = refuse(400, "control character in a field value")
	errContentType = refuse(400, "more than one Content-Type")
	errExpect      = refuse(417, "expectation other than 100-continue")
)

// Routing and framing: RFC 9112 sections 3.2 and 6.
var (
	errHostMissing  = refuse(400, "HTTP/1.1 without Host")
	errHostTwice    = refuse(400, "more than one Host")
	errHostValue    = refuse(400, "invalid Host")
	errLengthTwice  = refuse(400, "more than one Content-Length")
	errLengthValue  = refuse(400, "Content-Length is not digits alone")
	errLengthRange  = refuse(413, "Content-Length past 63 bits")
	errCodingValue  = refuse(400, "malformed Transfer-Encoding")
	errCodingTwice  = refuse(400, "chunked is not the last coding, or named twice")
	errCodingLast   = refuse(400, "Transfer-Encoding does not end with chunked")
	errCodingOther  = refuse(501, "transfer coding other than chunked")
	errCodingOld    = refuse(400, "Transfer-Encoding in HTTP/1.0")
	errCodingLength = refuse(400, "Transfer-Encoding together with Content-Length")
)

// Chunked bodies: RFC 9112 section 7.1.
var (
	errChunkSize     = refuse(400, "chunk size is not hexadecimal digits alone")
	errChunkRange    = refuse(400, "chunk size past 63 bits or 16 digits")
	errChunkExt      = refuse(400, "malformed chunk extension")
	errChunkCR       = refuse(400, "CR without LF in a chunk size line")
	errChunkLine     = refuse(400, "chunk size line too long")
	errChunkExtTotal = refuse(400, "more chunk extensions than data")
	errChunkEnd      = refuse(400, "chunk data not followed by CRLF")
	errTrailerSize   = refuse(431, "trailer section too long")
	errTrailerCount  = refuse(431, "too many trailer fields")
	errTrailerField  = refuse(400, "field that must not be in a trailer")
)
