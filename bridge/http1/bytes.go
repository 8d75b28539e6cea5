package http1

import "encoding/binary"

// Classes of bytes, one bit each, so that a check is one load and one AND.
const (
	classToken   uint8 = 1 << iota // tchar, RFC 9110 section 5.6.2
	classMethod                    // tchar less lowercase letters and #
	classTarget                    // printable ASCII less #
	classRegName                   // unreserved / sub-delims, RFC 3986 section 3.2.2
	classField                     // what a field value may hold, RFC 9110 section 5.5
	classQuoted                    // qdtext, RFC 9110 section 5.6.4
	classHex
)

var byteClass = classes()

func classes() (t [256]uint8) {
	mark := func(chars string, bits uint8) {
		for i := range len(chars) {
			t[chars[i]] |= bits
		}
	}
	const digits, upper, lower = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
	mark("!#$%&'*+-.^_`|~"+digits+upper+lower, classToken)
	mark("!$%&'*+-.^_`|~"+digits+upper, classMethod)
	mark("-._~!$&'()*+,;="+digits+upper+lower, classRegName)
	mark(digits+"abcdefABCDEF", classHex)
	for c := 0x20; c <= 0xff; c++ {
		if c != 0x7f {
			t[c] |= classField | classQuoted
		}
		if 0x20 < c && c < 0x7f {
			t[c] |= classTarget
		}
	}
	t['\t'] |= classField | classQuoted
	t['#'] &^= classTarget
	t['"'] &^= classQuoted
	t['\\'] &^= classQuoted
	return t
}

// all says whether every byte of b is in one of the classes in bits.
func all(b []byte, bits uint8) bool {
	for _, c := range b {
		if byteClass[c]&bits == 0 {
			return false
		}
	}
	return true
}

// cleanValue says whether b holds only what a field value may: no control
// character but HTAB. Values are most of a head, so they are looked at eight
// bytes a step; a step that holds a tab or a fault is looked at again byte by
// byte. (Measured on a browser's head of ten fields, 519 bytes: 655 to 750 ns a
// head so, 790 to 960 ns byte by byte.)
func cleanValue(b []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		// Both tests are exact in whether any byte matches, though not in
		// which one; a byte from 0x80 up never matches, &^ x sees to that.
		below := (x - ones*0x20) &^ x & tops
		y := x ^ ones*0x7f
		del := (y - ones) &^ y & tops
		if below|del != 0 && !all(b[:8], classField) {
			return false
		}
		b = b[8:]
	}
	return all(b, classField)
}

// equalFold says whether b is the lowercase ASCII word, in any case. b must hold
// no control characters (names are tokens, values are clean): then setting bit 5
// turns no other byte into a letter, a digit or a hyphen.
func equalFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range len(word) {
		if b[i]|0x20 != word[i] {
			return false
		}
	}
	return true
}

// isOWS says whether c is optional white space: SP and HTAB, nothing else (RFC 9110
// section 5.6.3).
func isOWS(c byte) bool { return c == ' ' || c == '\t' }

// trimOWS takes optional white space off both ends.
func trimOWS(b []byte) []byte {
	for len(b) > 0 && isOWS(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isOWS(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// nextElement cuts the first element off a comma-separated list.
func nextElement(list []byte) (element, rest []byte, more bool) {
	for i, c := range list {
		if c == ',' {
			return trimOWS(list[:i]), list[i+1:], true
		}
	}
	return trimOWS(list), nil, false
}
