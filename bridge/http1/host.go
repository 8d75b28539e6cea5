package http1

import "bytes"

// ValidHost tells whether b may stand in a Host field: host [":" port], not empty.
func ValidHost(b []byte) bool { return validAuthority(b, false) }

// validAuthority checks host [":" port] (RFC 3986 sections 3.2.2 and 3.2.3) with
// a host that is not empty and no userinfo. A reg-name may hold all that the
// grammar allows, underscores and percent-encoded bytes too. Refused beyond the
// grammar: IPvFuture and zone identifiers, which no URI on the web has (RFC 9844
// took the latter back), and ports above 65535. An empty port is allowed, as the
// grammar has it, unless needPort (RFC 9110 section 9.3.6, CONNECT).
func validAuthority(b []byte, needPort bool) bool {
	if len(b) == 0 {
		return false
	}
	var rest []byte
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || !validIPv6(b[1:end]) {
			return false
		}
		rest = b[end+1:]
	} else {
		end := regName(b)
		if end == 0 {
			return false
		}
		rest = b[end:]
	}
	if len(rest) == 0 {
		return !needPort
	}
	if rest[0] != ':' || needPort && len(rest) == 1 {
		return false
	}
	return validPort(rest[1:])
}

// regName is the length of the reg-name (or IPv4 address, which its grammar
// includes) that b starts with.
func regName(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch {
		case byteClass[b[i]]&classRegName != 0:
		case b[i] == '%' && i+2 < len(b) && byteClass[b[i+1]]&byteClass[b[i+2]]&classHex != 0:
			i += 2
		default:
			return i
		}
	}
	return len(b)
}

func validPort(b []byte) bool {
	port := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
		if port = port*10 + int(c-'0'); port > 65535 {
			return false
		}
	}
	return true
}

// validIPv6 checks an IPv6 address without brackets: eight groups of one to four
// hexadecimal digits, one run of groups replaced by "::" at most, the last two
// possibly written as IPv4. (netip.ParseAddr wants a string, an allocation a
// request; the tests hold the two against each other.)
func validIPv6(b []byte) bool {
	groups, gap := 0, false
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = true, b[2:]
	}
	for len(b) > 0 {
		n := 0
		for n < len(b) && n < 5 && byteClass[b[n]]&classHex != 0 {
			n++
		}
		if n == 0 || n > 4 {
			return false
		}
		if n < len(b) && b[n] == '.' {
			return validIPv4(b) && enoughGroups(groups+2, gap)
		}
		groups++
		b = b[n:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return false
		}
		b = b[1:]
		if b[0] == ':' {
			if gap {
				return false
			}
			gap, b = true, b[1:]
		}
	}
	return enoughGroups(groups, gap)
}

func enoughGroups(groups int, gap bool) bool {
	return groups == 8 && !gap || groups < 8 && gap
}

// validIPv4 checks four decimal octets without leading zeros.
func validIPv4(b []byte) bool {
	for octets := 1; ; octets++ {
		n, value := 0, 0
		for n < len(b) && n < 3 && '0' <= b[n] && b[n] <= '9' {
			value = value*10 + int(b[n]-'0')
			n++
		}
		if n == 0 || value > 255 || n > 1 && b[0] == '0' {
			return false
		}
		b = b[n:]
		if len(b) == 0 {
			return octets == 4
		}
		if octets == 4 || b[0] != '.' {
			return false
		}
		b = b[1:]
	}
}
