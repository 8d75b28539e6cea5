package http1

// Limits bounds one request head. Zero or less means that the part has no limit of
// its own, as in gunicorn; the whole head is then bounded by UnlimitedHead.
type Limits struct {
	RequestLine int // bytes of the request line, its CRLF not counted
	Fields      int // number of field lines, MostFields at most
	FieldSize   int // bytes of one field line, its CRLF counted; folded lines together
	Permit      Permit
}

const (
	// UnlimitedHead is the size of the largest head where a part has no limit. It is
	// what gunicorn gives its C parser for an unlimited request line.
	UnlimitedHead = 1 << 20
	// MostFields is gunicorn's bound, too, whatever its setting says.
	MostFields = 32768
	// mostBytes keeps sums of limits from overflowing.
	mostBytes = 1 << 40
)

// Permit relaxes the parser, for clients that cannot be changed. The switches have
// gunicorn's meaning (its names are given), less what their comments say. They hold
// for heads: trailers are dropped anyway, and stay strict.
type Permit struct {
	// HeaderSpaces (strip_header_spaces) drops white space before a field's colon,
	// which RFC 9112 section 5.1 has a server refuse. The name is then any name: a
	// second length or a coding beside a length stays refused.
	HeaderSpaces bool
	// Folding (permit_obsolete_folding) lets a field go on in lines that start with
	// white space (RFC 9112 section 5.2). Refused all the same, since that is where
	// recipients part: lines of nothing but white space, and folds in the fields
	// that decide on host, framing and connection.
	Folding bool
	// AnyMethod (permit_unconventional_http_method) takes any token for a method.
	AnyMethod bool
	// AnyVersion (permit_unconventional_http_version) takes other major versions
	// than 1, and reads them as the nearest of HTTP/1.0 and 1.1.
	AnyVersion bool
	// CasefoldMethod (casefold_http_method) makes methods uppercase. Without
	// AnyMethod it finds nothing to do: lowercase letters are refused before.
	CasefoldMethod bool
}

// DefaultLimits gives gunicorn's: limit_request_line, limit_request_fields and
// limit_request_field_size, counted as gunicorn counts them.
func DefaultLimits() Limits {
	return Limits{RequestLine: 4094, Fields: 100, FieldSize: 8190}
}

// MaxHead is the size of the largest head these limits admit. A buffer of that size
// never has to refuse a head that Parse would take.
func (l Limits) MaxHead() int {
	const crlf = len("\r\n")
	l, bounded := l.effective()
	if !bounded {
		return UnlimitedHead
	}
	return crlf + l.RequestLine + crlf + l.Fields*max(l.FieldSize, crlf) + crlf
}

// effective replaces what is out of range, and tells whether the three bound a head
// by themselves.
func (l Limits) effective() (_ Limits, bounded bool) {
	bounded = l.RequestLine > 0 && l.Fields > 0 && l.FieldSize > 0
	if l.Fields <= 0 || l.Fields > MostFields {
		l.Fields = MostFields
	}
	l.RequestLine, l.FieldSize = min(l.RequestLine, mostBytes), min(l.FieldSize, mostBytes)
	return l, bounded
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
