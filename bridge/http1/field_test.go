package http1

import (
	"slices"
	"strings"
	"testing"
)

var fieldRows = []headRow{
	{"field", "5", onField("A: b"), nil, `A:"b"`},
	{"field-order-case", "5.1", onField("aB: 1\r\nAb: 2\r\nAB: 3"), nil, `aB:"1" Ab:"2" AB:"3"`},
	{"field-no-space", "5", onField("A:b"), nil, `A:"b"`},
	{"field-empty", "9110 5.5", onField("A:"), nil, `A:""`},
	{"field-blank", "9110 5.5", onField("A: \t "), nil, `A:""`},
	{"field-ows", "5", onField("A: \t b \t"), nil, `A:"b"`},
	{"field-colons", "5", onField("A: b:c"), nil, `A:"b:c"`},
	{"field-tchars", "9110 5.6.2", onField("!#$%&'*+-.^_`|~09azAZ: b"), nil, "!#$%&'*+-.^_`|~09azAZ:\"b\""},
	{"field-underscore", "9110 5.1", onField("Content_Length: 5"), nil, `Content_Length:"5" length=-1`},
	{"field-obs-text", "9110 5.5", onField("A: \xe9\x80\xff"), nil, `A:"\xe9\x80\xff"`},
	{"field-nbsp", "9110 5.6.3", onField("A: \xa0b\x85"), nil, `A:"\xa0b\x85"`},
	{"field-inner-tab", "9110 5.5", onField("A: b\tc"), nil, `A:"b\tc"`},
	{"field-long-clean", "9110 5.5", onField("A: " + strings.Repeat("0123456\xff", 30)), nil, ""},
	{"field-long-tabs", "9110 5.5", onField("A: " + strings.Repeat("0123456\t", 30) + "."), nil, ""},

	{"name-space", "5.1", onField("A : b"), errFieldSpace, ""},
	{"name-tab", "5.1", onField("A\t: b"), errFieldSpace, ""},
	{"name-inner-space", "5.1", onField("A B: c"), errFieldSpace, ""},
	{"name-empty", "5", onField(": b"), errFieldName, ""},
	{"name-no-colon", "5", onField("A"), errFieldColon, ""},
	{"name-nul", "9110 5.1", onField("A\x00: b"), errFieldName, ""},
	{"name-latin1", "9110 5.1", onField("A\xdf: b"), errFieldName, ""},
	{"name-slash", "9110 5.1", onField("A/B: c"), errFieldName, ""},
	{"name-bracket", "9110 5.1", onField("A[0]: c"), errFieldName, ""},
	{"name-paren", "9110 5.1", onField("(A): c"), errFieldName, ""},
	{"name-quote", "9110 5.1", onField("\"A\": c"), errFieldName, ""},
	{"name-comma", "9110 5.1", onField("A,B: c"), errFieldName, ""},
	{"name-at", "9110 5.1", onField("A@B: c"), errFieldName, ""},
	{"name-vt", "9110 5.1", onField("\x0bA: c"), errFieldName, ""},
	{"name-cr", "2.2", onField("A\r: c"), errFieldName, ""},
	{"name-cr-first", "2.2", onField("\rA: c"), errFieldName, ""},
	{"fold", "5.2", onField("A: b\r\n c"), errFold, ""},
	{"fold-tab", "5.2", onField("A: b\r\n\tc: d"), errFold, ""},
	{"fold-empty", "5.2", onField("A: b\r\n "), errFold, ""},
	{"space-before-first", "2.2", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", errFold, ""},

	{"value-nul", "9110 5.5", onField("A: b\x00"), errFieldValue, ""},
	{"value-nul-first", "9110 5.5", onField("A:\x00"), errFieldValue, ""},
	{"value-bel", "9110 5.5", onField("A: b\x07c"), errFieldValue, ""},
	{"value-esc", "9110 5.5", onField("A: b\x1bc"), errFieldValue, ""},
	{"value-us", "9110 5.5", onField("A: b\x1f"), errFieldValue, ""},
	{"value-del", "9110 5.5", onField("A: b\x7fc"), errFieldValue, ""},
	{"value-vt", "9110 5.5", onField("A: \x0bb"), errFieldValue, ""},
	{"value-ff", "9110 5.5", onField("A: b\x0c"), errFieldValue, ""},
	{"value-cr", "2.2", onField("A: b\rc"), errFieldValue, ""},
	{"value-cr-end", "2.2", onField("A: b\r"), errFieldValue, ""},
	{"value-lf", "2.2", onField("A: b\nC: d"), errBareLF, ""},
	{"value-nul-word", "9110 5.5", onField("A: 01234567890\x00234567"), errFieldValue, ""},
	{"value-del-word", "9110 5.5", onField("A: \xff\xff\xff\xff\x7f\xff\xff\xff\xff"), errFieldValue, ""},
	{"end-lf", "2.2", "GET / HTTP/1.1\r\nHost: h\r\n\n", errBareLF, ""},
	{"end-cr-cr-lf", "2.2", "GET / HTTP/1.1\r\nHost: h\r\n\r\r\n", errFieldName, ""},
	{"end-lf-lf", "2.2", "GET / HTTP/1.1\r\nHost: h\n\n", errBareLF, ""},

	{"content-type-two", "9110 5.3", onField("Content-Type: a/b\r\ncontent-type: a/b"), errContentType, ""},
	{"content-type-one", "9110 8.3", onField("Content-Type: a/b"), nil, `Content-Type:"a/b"`},
	{"cookie-two", "6265 5.4", onField("Cookie: a\r\nCookie: b"), nil, `Cookie:"a" Cookie:"b"`},

	{"expect", "9110 10.1.1", onField("Expect: 100-continue"), nil, "expect=true"},
	{"expect-case", "9110 10.1.1", onField("EXPECT: 100-Continue"), nil, "expect=true"},
	{"expect-1.0", "9110 10.1.1", onField10("Expect: 100-continue"), nil, "expect=false"},
	{"expect-other", "9110 10.1.1", onField("Expect: 200-ok"), errExpect, ""},
	{"expect-other-1.0", "gunicorn", onField10("Expect: 200-ok"), errExpect, ""},
	{"expect-empty", "9110 10.1.1", onField("Expect:"), errExpect, ""},
	{"expect-list", "gunicorn", onField("Expect: 100-continue, x"), errExpect, ""},
	{"expect-params", "gunicorn", onField("Expect: 100-continue;a=b"), errExpect, ""},
	{"expect-longer", "9110 10.1.1", onField("Expect: 100-continues"), errExpect, ""},
	{"expect-twice", "9110 10.1.1", onField("Expect: 100-continue\r\nExpect: 100-continue"), nil, "expect=true"},
	{"expect-then-other", "9110 10.1.1", onField("Expect: 100-continue\r\nExpect: x"), errExpect, ""},

	{"close", "9.6", onField("Connection: close"), nil, "keep=false"},
	{"close-case", "9110 7.6.1", onField("connection: CLOSE"), nil, "keep=false"},
	{"close-list", "9110 7.6.1", onField("Connection: foo, Close"), nil, "keep=false"},
	{"close-list-tight", "9110 7.6.1", onField("Connection: foo,close,bar"), nil, "keep=false"},
	{"close-list-empty", "9110 5.6.1", onField("Connection: ,\t,close"), nil, "keep=false"},
	{"close-second-line", "9110 7.6.1", onField("Connection: foo\r\nConnection: close"), nil, "keep=false"},
	{"close-not-a-token", "9110 7.6.1", onField("Connection: closed, not-close, clos"), nil, "keep=true"},
	{"close-beats-keep", "9.3", onField("Connection: close, keep-alive"), nil, "keep=false"},
	{"close-beats-keep-1.0", "9.3", onField10("Connection: keep-alive\r\nConnection: close"), nil, "keep=false"},
	{"keep-1.0", "9.3", onField10("Connection: Keep-Alive"), nil, "keep=true"},
	{"keep-1.0-list", "9.3", onField10("Connection: te , keep-alive"), nil, "keep=true"},
	{"keep-1.0-other-field", "9.3", onField10("Keep-Alive: 300\r\nProxy-Connection: keep-alive"), nil, "keep=false"},
	{"keep-1.1", "9.3", onField("Connection: keep-alive"), nil, "keep=true"},
	{"connection-upgrade", "9110 7.8", onField("Connection: Upgrade\r\nUpgrade: websocket"), nil, "keep=true"},
	{"connection-empty", "9110 7.6.1", onField("Connection:"), nil, "keep=true"},

	{"size-8190", "limits", onField("A:" + strings.Repeat("b", 8190-4)), nil, ""},
	{"size-8191", "limits", onField("A:" + strings.Repeat("b", 8191-4)), errFieldSize, ""},
	{"size-endless", "limits", onField(strings.Repeat("b", 9000)), errFieldSize, ""},
	{"size-spaces", "limits", onField("A: " + strings.Repeat(" ", 9000)), errFieldSize, ""},
	{"count-100", "limits", onField(strings.Repeat("A: b\r\n", 98) + "A: b"), nil, ""},
	{"count-101", "limits", onField(strings.Repeat("A: b\r\n", 99) + "A: b"), errFieldCount, ""},
	{"count-101-bad", "limits", onField(strings.Repeat("A: b\r\n", 99) + "A b"), errFieldCount, ""},
}

var hostRows = []headRow{
	{"host-none", "3.2", "GET / HTTP/1.1\r\n\r\n", errHostMissing, ""},
	{"host-none-1.0", "3.2", "GET / HTTP/1.0\r\nA: b\r\n\r\n", nil, "host=nil"},
	{"host-1.0", "3.2", "GET / HTTP/1.0\r\nHost: h\r\n\r\n", nil, "host=h"},
	{"host-two", "3.2", onField("Host: i"), errHostTwice, ""},
	{"host-two-same", "3.2", onField("Host: h"), errHostTwice, ""},
	{"host-two-case", "3.2", onField("hOST: h"), errHostTwice, ""},
	{"host-two-1.0", "3.2", onField10("Host: h\r\nHost: h"), errHostTwice, ""},
	{"host-two-absolute", "3.2", "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", errHostTwice, ""},
	{"host-last", "3.2", "GET / HTTP/1.1\r\nA: b\r\nHOST:h\r\n\r\n", nil, "host=h"},
	{"host-underscore-name", "9110 5.1", "GET / HTTP/1.1\r\nH_ost: h\r\n\r\n", errHostMissing, ""},
	{"host-bad-1.0", "3.2", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", errHostValue, ""},
}

// hostValues: RFC 3986 section 3.2.2 for values of Host.
var hostValues = []struct {
	value string
	ok    bool
}{
	{"", true}, {"e.org", true}, {"e.org.", true}, {"e", true}, {"E.ORG", true}, {"my_app", true}, {"a-b", true},
	{"e.org:80", true}, {"e.org:", true}, {"e.org:0", true}, {"e.org:00080", true}, {"e.org:65535", true},
	{"1.2.3.4", true}, {"1.2.3.4:8", true}, {"1.2.3", true}, {"999.1.1.1", true}, {"0.0.0.0=5000", true},
	{"a%20b", true}, {"a%C3%A9", true}, {"a;b", true}, {"a&b", true}, {"a~b!$'()*+,=", true},
	{"[::1]", true}, {"[::1]:80", true}, {"[::1]:", true}, {"[::]", true}, {"[2001:db8::8:800:200C:417A]", true},
	{"[1:2:3:4:5:6:7:8]", true}, {"[1:2:3:4:5:6:1.2.3.4]", true}, {"[::ffff:1.2.3.4]", true}, {"[1::]", true},
	{"[1:2:3:4:5:6:7::]", true}, {"[::2:3:4:5:6:7:8]", true},

	{"a b", false}, {"a\tb", false}, {"a/b", false}, {"a?b", false}, {"a#b", false}, {"a@b", false}, {"u:p@b", false},
	{"a\\b", false}, {"a\"b", false}, {"<a>", false}, {"a^b", false}, {"a`b", false}, {"{a}", false}, {"a|b", false},
	{"a, b", false}, {":80", false}, {":", false}, {"a:b", false}, {"a:80:80", false}, {"a::80", false}, {"a:-1", false},
	{"a:+80", false}, {"a:65536", false}, {"a:99999999999999999999", false}, {"a:80 b", false}, {"a: 80", false},
	{"a%", false}, {"a%2", false}, {"a%zz", false}, {"%", false}, {"\xe9.org", false}, {"a\x80", false}, {"http://a", false},
	{"::1", false}, {"[::1", false}, {"::1]", false}, {"[]", false}, {"[::1]a", false}, {"[::1]80", false},
	{"a[::1]", false}, {"[a]", false}, {"[:1]", false}, {"[1:]", false}, {"[:::]", false}, {"[1::2::3]", false},
	{"[1:2:3:4:5:6:7:8:9]", false}, {"[1:2:3:4:5:6:7]", false}, {"[1:2:3:4:5:6:7:8::]", false}, {"[12345::]", false},
	{"[::1.2.3]", false}, {"[::1.2.3.4.5]", false}, {"[::1.2.3.256]", false}, {"[::1.2.3.04]", false}, {"[::1.2.3.4:5]", false},
	{"[1:2:3:4:5:6:7:1.2.3.4]", false}, {"[1.2.3.4]", false}, {"[::g]", false}, {"[fe80::1%25eth0]", false},
	{"[fe80::1%eth0]", false}, {"[v1.a]", false}, {"[::1]]", false}, {"[[::1]]", false}, {"[::1]:80:80", false},
	{"[::1]:65536", false}, {"[::1] :80", false},
}

var framingRows = []headRow{
	{"length", "6.2", onField("Content-Length: 5"), nil, "length=5 chunked=false"},
	{"length-0", "6.2", onField("Content-Length: 0"), nil, "length=0"},
	{"length-case", "6.2", onField("cOnTeNt-LeNgTh:5"), nil, "length=5"},
	{"length-1.0", "6.2", onField10("Content-Length: 5"), nil, "length=5"},
	{"length-zeros", "9110 8.6", onField("Content-Length: 0005"), nil, "length=5"},
	{"length-many-zeros", "9110 8.6", onField("Content-Length: " + strings.Repeat("0", 40) + "5"), nil, "length=5"},
	{"length-spaces", "5", onField("Content-Length:  5  "), nil, "length=5"},
	{"length-most", "9110 8.6", onField("Content-Length: 9223372036854775807"), nil, "length=9223372036854775807"},
	{"length-most+1", "9110 8.6", onField("Content-Length: 9223372036854775808"), errLengthRange, ""},
	{"length-2^64+3", "9110 8.6", onField("Content-Length: 18446744073709551619"), errLengthRange, ""},
	{"length-2^128", "9110 8.6", onField("Content-Length: 340282366920938463463374607431768211456"), errLengthRange, ""},
	{"length-large-then-bad", "9110 8.6", onField("Content-Length: 99999999999999999999x"), errLengthValue, ""},
	{"length-empty", "9110 8.6", onField("Content-Length:"), errLengthValue, ""},
	{"length-blank", "9110 8.6", onField("Content-Length:  "), errLengthValue, ""},
	{"length-plus", "9110 8.6", onField("Content-Length: +5"), errLengthValue, ""},
	{"length-minus", "9110 8.6", onField("Content-Length: -5"), errLengthValue, ""},
	{"length-minus-0", "9110 8.6", onField("Content-Length: -0"), errLengthValue, ""},
	{"length-hex", "9110 8.6", onField("Content-Length: 0x5"), errLengthValue, ""},
	{"length-underscore", "9110 8.6", onField("Content-Length: 1_0"), errLengthValue, ""},
	{"length-point", "9110 8.6", onField("Content-Length: 5.0"), errLengthValue, ""},
	{"length-exp", "9110 8.6", onField("Content-Length: 1e1"), errLengthValue, ""},
	{"length-inner-space", "9110 8.6", onField("Content-Length: 0 5"), errLengthValue, ""},
	{"length-superscript", "9110 8.6", onField("Content-Length: \xb2"), errLengthValue, ""},
	{"length-arabic", "9110 8.6", onField("Content-Length: \xd9\xa5"), errLengthValue, ""},
	{"length-quoted", "9110 8.6", onField("Content-Length: \"5\""), errLengthValue, ""},
	{"length-list", "6.3", onField("Content-Length: 5, 5"), errLengthValue, ""},
	{"length-list-tight", "6.3", onField("Content-Length: 5,5"), errLengthValue, ""},
	{"length-list-trailing", "6.3", onField("Content-Length: 5,"), errLengthValue, ""},
	{"length-two-same", "6.3", onField("Content-Length: 5\r\nContent-Length: 5"), errLengthTwice, ""},
	{"length-two", "6.3", onField("Content-Length: 5\r\ncontent-length: 6"), errLengthTwice, ""},
	{"length-tab", "5", onField("Content-Length:\t5"), nil, "length=5"},
	{"length-tab-behind", "5", onField("Content-Length: 5\t"), nil, "length=5"},
	{"length-vt", "9110 5.5", onField("Content-Length: \x0b5"), errFieldValue, ""},

	{"chunked", "6.1", onField("Transfer-Encoding: chunked"), nil, "chunked=true length=-1"},
	{"chunked-case", "7", onField("transfer-ENCODING: CHUNKed"), nil, "chunked=true"},
	{"chunked-spaces", "5", onField("Transfer-Encoding:  chunked "), nil, "chunked=true"},
	{"chunked-get", "6.1", "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", nil, "chunked=true"},
	{"chunked-1.0", "6.1", onField10("Transfer-Encoding: chunked"), errCodingOld, ""},
	{"gzip-1.0", "6.1", onField10("Transfer-Encoding: gzip"), errCodingOld, ""},
	{"chunked-1.0-length", "6.1", onField10("Transfer-Encoding: chunked\r\nContent-Length: 5"), errCodingOld, ""},
	{"chunked-length", "6.3", onField("Transfer-Encoding: chunked\r\nContent-Length: 5"), errCodingLength, ""},
	{"length-chunked", "6.3", onField("Content-Length: 5\r\nTransfer-Encoding: chunked"), errCodingLength, ""},
	{"length-0-chunked", "6.3", onField("Content-Length: 0\r\nTransfer-Encoding: chunked"), errCodingLength, ""},
	{"identity-length", "6.3", onField("Transfer-Encoding: identity\r\nContent-Length: 5"), errCodingLength, ""},
	{"chunked-twice", "6.1", onField("Transfer-Encoding: chunked, chunked"), errCodingTwice, ""},
	{"chunked-twice-lines", "6.1", onField("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), errCodingTwice, ""},
	{"chunked-gzip", "6.1", onField("Transfer-Encoding: chunked, gzip"), errCodingTwice, ""},
	{"chunked-identity", "6.1", onField("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), errCodingTwice, ""},
	{"chunked-between", "6.1", onField("Transfer-Encoding: gzip, chunked, gzip, chunked"), errCodingTwice, ""},
	{"gzip-chunked", "6.1", onField("Transfer-Encoding: gzip, chunked"), errCodingOther, ""},
	{"gzip-chunked-lines", "6.1", onField("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"), errCodingOther, ""},
	{"identity-chunked", "7", onField("Transfer-Encoding: identity, chunked"), errCodingOther, ""},
	{"unknown-chunked", "6.1", onField("Transfer-Encoding: x, chunked"), errCodingOther, ""},
	{"identity", "6.3", onField("Transfer-Encoding: identity"), errCodingLast, ""},
	{"gzip", "6.3", onField("Transfer-Encoding: gzip"), errCodingLast, ""},
	{"xchunked", "6.3", onField("Transfer-Encoding: xchunked"), errCodingLast, ""},
	{"chunkedx", "6.3", onField("Transfer-Encoding: chunkedx"), errCodingLast, ""},
	{"chunke", "6.3", onField("Transfer-Encoding: chunke"), errCodingLast, ""},
	{"cow", "6.3", onField("Transfer-Encoding: cow"), errCodingLast, ""},
	{"coding-empty", "6.1", onField("Transfer-Encoding:"), errCodingValue, ""},
	{"coding-empty-first", "9110 5.6.1", onField("Transfer-Encoding: , chunked"), errCodingValue, ""},
	{"coding-empty-last", "9110 5.6.1", onField("Transfer-Encoding: chunked,"), errCodingValue, ""},
	{"coding-empty-line", "9110 5.6.1", onField("Transfer-Encoding: chunked\r\nTransfer-Encoding:"), errCodingValue, ""},
	{"coding-params", "7", onField("Transfer-Encoding: chunked;a=b"), errCodingValue, ""},
	{"coding-quoted", "7", onField("Transfer-Encoding: \"chunked\""), errCodingValue, ""},
	{"coding-space-inside", "7", onField("Transfer-Encoding: chunked chunked"), errCodingValue, ""},
	{"coding-latin1", "7", onField("Transfer-Encoding: chunked\xa0"), errCodingValue, ""},
	{"coding-kelvin", "7", onField("Transfer-Encoding: chun\xe2\x84\xaaed"), errCodingValue, ""},
	{"coding-tab", "5", onField("Transfer-Encoding:\tchunked"), nil, "chunked=true"},
	{"coding-tab-behind", "5", onField("Transfer-Encoding: chunked\t"), nil, "chunked=true"},
	{"coding-tab-inside", "9110 5.6.1", onField("Transfer-Encoding: gzip,\tchunked"), errCodingOther, ""},
	{"coding-vt", "9110 5.5", onField("Transfer-Encoding: \x0bchunked"), errFieldValue, ""},
	{"coding-nul", "9110 5.5", onField("Transfer-Encoding: chunked\x00"), errFieldValue, ""},
	{"coding-cr", "2.2", onField("Transfer-Encoding: \rchunked"), errFieldValue, ""},
	{"coding-name-space", "5.1", onField("Transfer-Encoding : chunked"), errFieldSpace, ""},
	{"coding-name-underscore", "9110 5.1", onField("Transfer_Encoding: chunked"), nil, "chunked=false length=-1"},
	{"coding-fold", "5.2", onField("Transfer-Encoding:\r\n chunked"), errCodingValue, ""},
	{"coding-fold-other", "5.2", onField("A: b\r\n Transfer-Encoding: chunked"), errFold, ""},
}

func TestFields(t *testing.T)  { tryHeads(t, fieldRows) }
func TestHost(t *testing.T)    { tryHeads(t, hostRows) }
func TestFraming(t *testing.T) { tryHeads(t, framingRows) }

func TestHostValues(t *testing.T) {
	for _, row := range hostValues {
		r := headRow{"host " + row.value, "3986 3.2.2", "GET / HTTP/1.1\r\nHost: " + row.value + "\r\n\r\n", nil, "host=" + row.value}
		if !row.ok {
			r.err = errHostValue
		}
		tryHead(t, r, DefaultLimits())
		if row.value != "" {
			r = headRow{"target " + row.value, "3986 3.2.2", onTarget("http://" + row.value + "/"), nil, "authority=" + row.value}
			if !row.ok && !strings.ContainsAny(row.value, "/?") {
				r.err = errTargetHost
				if slices.ContainsFunc([]byte(row.value), func(c byte) bool { return c >= 0x80 || strings.IndexByte(" \t#", c) >= 0 }) {
					r.err = errTargetByte
				}
				tryHead(t, r, DefaultLimits())
			} else if row.ok {
				tryHead(t, r, DefaultLimits())
			}
		}
	}
}
