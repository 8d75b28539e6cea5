package wsgi

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
)

// forward puts what a trusted peer says of the client into r: its address, the
// scheme, and the host where that is wanted. X-Forwarded-* go before Forwarded
// (RFC 7239), which counts only in a request without any of them: a proxy writes
// one family, and must not be overruled by what a client sent in the other.
func (u *Rules) forward(r *bridge.Request) error {
	var said claims
	for i := range r.Fields {
		f := &r.Fields[i]
		for j := range u.SecureScheme {
			if s := &u.SecureScheme[j]; named(f.Name, s.Name) {
				said.tell(string(f.Value) == s.HTTPS)
			}
		}
		const x = "x-forwarded-"
		said.x = said.x || len(f.Name) > len(x) && named(f.Name[:len(x)], x)
		switch {
		case named(f.Name, "x-forwarded-for"):
			said.chain = append(said.chain, strings.Split(string(f.Value), ",")...)
		case named(f.Name, "x-forwarded-host"):
			said.host = nearest(string(f.Value))
		case named(f.Name, "x-forwarded-port"):
			said.port = nearest(string(f.Value))
		case named(f.Name, "forwarded"):
			elements, ok := splitQuoted(string(f.Value), ',')
			said.forwarded = append(said.forwarded, elements...)
			said.garbled = said.garbled || !ok
		}
	}
	if said.conflict {
		return errScheme
	}
	if !said.x && len(said.forwarded) > 0 {
		if !said.garbled { // a client's open quote may have swallowed the proxy's element
			u.rfc7239(r, said.forwarded)
		}
		return nil
	}
	if said.scheme != "" {
		r.Scheme = said.scheme
	}
	u.client(r, said.chain)
	if u.Host && (said.host != "" || said.port != "") {
		setHost(r, said.host, said.port)
	}
	return nil
}

// claims are what a trusted peer's fields say.
type claims struct {
	x          bool // some X-Forwarded-* is there
	chain      []string
	forwarded  []string
	garbled    bool // Forwarded has a quote that does not end
	scheme     string
	conflict   bool
	host, port string
}

func (c *claims) tell(https bool) {
	scheme := "http"
	if https {
		scheme = "https"
	}
	c.conflict = c.conflict || c.scheme != "" && c.scheme != scheme
	c.scheme, c.x = scheme, true
}

// named tells whether a field's name is lower, which is in lower case.
func named(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if fold(c) != lower[i] {
			return false
		}
	}
	return true
}

// nearest is the last of a list: what the peer itself added.
func nearest(list string) string {
	return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
}

// client makes the request come from the last address of chain that is not a
// trusted proxy itself, or from the first if all are; it returns that element's
// index, -1 without any. An element that is no address ends the walk: what lies
// before it cannot be believed. Empty ones do not count (RFC 9110, 5.6.1.2).
func (u *Rules) client(r *bridge.Request, chain []string) int {
	found := -1
	for i := len(chain) - 1; i >= 0; i-- {
		node := strings.TrimSpace(chain[i])
		if node == "" {
			continue
		}
		ip, port, ok := parseNode(node)
		if !ok {
			break
		}
		found = i
		r.Peer = bridge.Endpoint{Addr: ip.String(), Port: port}
		if !u.Proxies.Contains(ip) {
			break
		}
	}
	return found
}

// parseNode reads an address with or without a port: 192.0.2.1, 192.0.2.1:80,
// 2001:db8::1, [2001:db8::1], "[2001:db8::1]:80" (RFC 7239, 6). A port may be
// obfuscated, "_x"; a zone, which may hold any characters, is no address.
func parseNode(s string) (ip netip.Addr, port string, ok bool) {
	s = unquote(s)
	host := s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && (strings.HasSuffix(s[:i], "]") || strings.Count(s, ":") == 1) {
		host, port = s[:i], s[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil && !strings.HasPrefix(port, "_") {
			return ip, "", false
		} else if err != nil {
			port = ""
		} else {
			port = strconv.FormatUint(n, 10)
		}
	}
	bracketed := strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")
	if bracketed {
		host = host[1 : len(host)-1]
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Zone() != "" || bracketed && !ip.Is6() {
		return ip, "", false
	}
	return ip.Unmap(), port, true
}

// unquote takes the quotes from a quoted string, which needs no escapes here.
func unquote(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// setHost replaces the Host, or its port, when the result is a valid one.
func setHost(r *bridge.Request, host, port string) {
	if host == "" {
		host = string(r.Host)
	}
	if port != "" {
		name, _ := splitHost(host)
		host = name + ":" + port
	}
	if http1.ValidHost([]byte(host)) {
		r.Host = []byte(host)
	}
}

// rfc7239 takes the client from Forwarded, and scheme and host from the element that
// the client's address came with.
func (u *Rules) rfc7239(r *bridge.Request, elements []string) {
	elements = slices.DeleteFunc(elements, func(e string) bool { return strings.TrimSpace(e) == "" })
	chain := make([]string, len(elements))
	for i, e := range elements {
		if chain[i] = parameter(e, "for"); chain[i] == "" {
			chain[i] = "unknown" // a hop that does not say whom it spoke for
		}
	}
	i := u.client(r, chain)
	if i < 0 {
		i = len(elements) - 1 // for=unknown or an obfuscated name: the nearest hop's word
	}
	if i < 0 {
		return
	}
	switch strings.ToLower(parameter(elements[i], "proto")) {
	case "https":
		r.Scheme = "https"
	case "http":
		r.Scheme = "http"
	}
	if host := parameter(elements[i], "host"); u.Host && host != "" {
		setHost(r, host, "")
	}
}

// parameter returns a parameter's value of one element, unquoted; "" without it.
func parameter(element, name string) string {
	pairs, _ := splitQuoted(element, ';')
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return unquote(strings.TrimSpace(value))
		}
	}
	return ""
}

// splitQuoted splits at sep outside of double quotes; ok is false when a quote does
// not end.
func splitQuoted(s string, sep byte) (parts []string, ok bool) {
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:]), !quoted
}
