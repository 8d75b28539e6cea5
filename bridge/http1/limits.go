package http1

// Limits bounds one request head. Zero or less means no limit; whoever sets no
// limit has to bound the buffer some other way, since Parse asks for more bytes
// until the head ends.
type Limits struct {
	RequestLine int // bytes of the request line, its CRLF not counted
	Fields      int // number of field lines
	FieldSize   int // bytes of one field line, its CRLF counted
}

// DefaultLimits gives gunicorn's: limit_request_line, limit_request_fields and
// limit_request_field_size, counted as gunicorn counts them.
func DefaultLimits() Limits {
	return Limits{RequestLine: 4094, Fields: 100, FieldSize: 8190}
}

// MaxHead is the size of the largest head these limits admit, or 0 when nothing
// bounds it. A buffer of that size never has to refuse a head that Parse would
// take.
func (l Limits) MaxHead() int {
	if l.RequestLine <= 0 || l.Fields <= 0 || l.FieldSize <= 0 {
		return 0
	}
	const leading, last = len("\r\n"), len("\r\n")
	return leading + l.RequestLine + len("\r\n") + l.Fields*max(l.FieldSize, len("\r\n")) + last
}

// ChunkedLimits bounds what a chunked body carries beside its data. Zero or less
// means no limit. How large the data may be is the caller's to count.
type ChunkedLimits struct {
	SizeLine int // bytes of one chunk-size line with its extensions, CRLF not counted
	// Extensions bounds the extension bytes that all chunks together may have
	// beyond the data they came with: otherwise one-byte chunks with an
	// extension each make a body of any length out of nothing (CVE-2023-39326
	// in net/http, CVE-2024-22019 in Node).
	Extensions    int
	Trailer       int // bytes of the trailer section, CRLFs counted
	TrailerFields int // number of trailer field lines
}

// DefaultChunkedLimits is below gunicorn's bounds (8190 bytes a size line,
// 819,204 bytes of trailers), which follow from the head's: no client needs them
// for something that is thrown away.
func DefaultChunkedLimits() ChunkedLimits {
	return ChunkedLimits{SizeLine: 1024, Extensions: 16 << 10, Trailer: 16 << 10, TrailerFields: 100}
}
