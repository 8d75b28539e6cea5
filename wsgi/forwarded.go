package wsgi

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/gowsgi/gowsgi/bridge"
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
		switch {
		case named(f.Name, "x-forwarded-for"):
			said.chain, said.x = append(said.chain, strings.Split(string(f.Value), ",")...), true
		case named(f.Name, "x-forwarded-host"):
			said.host, said.x = nearest(string(f.Value)), true
		case named(f.Name, "x-forwarded-port"):
			said.port, said.x = nearest(string(f.Value)), true
		case named(f.Name, "forwarded"):
			said.forwarded = append(said.forwarded, splitQuoted(string(f.Value), ',')...)
		}
	}
	if said.conflict {
		return errScheme
	}
	if !said.x && len(said.forwarded) > 0 {
		u.rfc7239(r, said.forwarded)
		return nil
	}
	if said.scheme != "" {
		r.Scheme = said.scheme
	}
	u.client(r, said.chain)
	if u.Host {
		setHost(r, said.host, said.port)
	}
	return nil
}

// claims are what a trusted peer's fields say.
type claims struct {
	x          bool // some X-Forwarded-* is there
	chain      []string
	forwarded  []string
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
// trusted proxy itself, or from the first if all are. An element that is no address
// ends the walk: what lies before it cannot be believed.
func (u *Rules) client(r *bridge.Request, chain []string) int {
	found := -1
	for i := len(chain) - 1; i >= 0; i-- {
		ip, port, ok := parseNode(chain[i])
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
// 2001:db8::1, [2001:db8::1], "[2001:db8::1]:80" (RFC 7239, 6).
func parseNode(s string) (ip netip.Addr, port string, ok bool) {
	s = strings.Trim(strings.TrimSpace(s), `"`)
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return ip.Unmap(), "", true
	}
	both, err := netip.ParseAddrPort(s)
	return both.Addr().Unmap(), strconv.Itoa(int(both.Port())), err == nil
}

// setHost replaces the Host when it is a valid one, else leaves it.
func setHost(r *bridge.Request, host, port string) {
	if host == "" && port == "" {
		return
	}
	if host == "" {
		host, _ = splitHost(string(r.Host))
	}
	if port != "" {
		name, _ := splitHost(host)
		host = name + ":" + port
	}
	for _, c := range host {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune(`/\?#@"<>`, c) {
			return
		}
	}
	r.Host = []byte(host)
}

// rfc7239 takes the client from Forwarded, and scheme and host from the element that
// the client's address came with.
func (u *Rules) rfc7239(r *bridge.Request, elements []string) {
	chain := make([]string, len(elements))
	for i, e := range elements {
		chain[i] = parameter(e, "for")
	}
	i := u.client(r, chain)
	if i < 0 {
		i = len(elements) - 1 // for=unknown or an obfuscated name: the nearest hop's word
	}
	switch strings.ToLower(parameter(elements[i], "proto")) {
	case "https":
		r.Scheme = "https"
	case "http":
		r.Scheme = "http"
	}
	if u.Host {
		setHost(r, parameter(elements[i], "host"), "")
	}
}

// parameter returns a parameter's value of one element, unquoted; "" without it.
func parameter(element, name string) string {
	for _, pair := range splitQuoted(element, ';') {
		key, value, _ := strings.Cut(pair, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// splitQuoted splits at sep outside of double quotes.
func splitQuoted(s string, sep byte) []string {
	var parts []string
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
	return append(parts, s[start:])
}
