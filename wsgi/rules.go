package wsgi

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
)

// HeaderMap says what happens to a field whose name has a "_": its environ key is
// that of the field with "-", so that a client could speak for a proxy.
type HeaderMap int

// gunicorn's header_map values.
const (
	Drop      HeaderMap = iota // leave it out
	Refuse                     // answer 400
	Dangerous                  // let it through, joined with the field with "-"
)

// ParseHeaderMap reads drop, refuse or dangerous.
func ParseHeaderMap(s string) (HeaderMap, error) {
	for i, name := range []string{"drop", "refuse", "dangerous"} {
		if s == name {
			return HeaderMap(i), nil
		}
	}
	return Drop, fmt.Errorf("%q: it must be drop, refuse or dangerous", s)
}

// Rules are a server's choices about which of a request's fields are believed. The
// zero value drops names with "_" and believes no proxy. Not to be changed once it
// is in use.
type Rules struct {
	HeaderMap HeaderMap
	// Proxies are the peers whose forwarding fields are believed.
	Proxies Networks
	// SecureScheme are the fields by which a trusted peer tells the scheme
	// (gunicorn's secure_scheme_headers).
	SecureScheme []SchemeField
	// ForwarderNames are names with "_", upper-case, that a trusted peer may
	// send; "*" for any (gunicorn's forwarder_headers).
	ForwarderNames []string
	// ScriptName is the prefix of the path that the application is mounted under,
	// percent-encoded as in the request; "" for none.
	ScriptName []byte
	// Mounts are applications under paths of their own, the longest path first; nil:
	// there is one application, under every path.
	Mounts []Mount
	// Static answers requests that need no application, of whose environ x has the
	// Record; nil: there are none.
	Static func(r *bridge.Request, x *bridge.Exchange) bool
	// Host lets X-Forwarded-Host, X-Forwarded-Port and Forwarded's host replace
	// the Host of a trusted peer's request. Off unless wanted: nginx and others
	// pass a client's X-Forwarded-Host on, which would let clients choose it.
	Host bool
}

// SchemeField is a field, its name in lower case, that says https by one value and
// http by any other.
type SchemeField struct{ Name, HTTPS string }

// Networks is a set of addresses.
type Networks struct {
	all      bool
	prefixes []netip.Prefix
}

// ParseNetworks reads addresses and CIDR networks, separated by commas; "*" is every
// address.
func ParseNetworks(s string) (Networks, error) {
	var n Networks
	for _, word := range strings.Split(s, ",") {
		word = strings.TrimSpace(word)
		switch {
		case word == "":
			continue
		case word == "*":
			n.all = true
			continue
		}
		if prefix, err := netip.ParsePrefix(word); err == nil {
			if ip := prefix.Addr(); ip.Is4In6() && prefix.Bits() >= 96 {
				prefix = netip.PrefixFrom(ip.Unmap(), prefix.Bits()-96)
			}
			n.prefixes = append(n.prefixes, prefix.Masked())
			continue
		}
		ip, err := netip.ParseAddr(word)
		if err != nil {
			return n, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", word)
		}
		ip = ip.Unmap()
		n.prefixes = append(n.prefixes, netip.PrefixFrom(ip, ip.BitLen()))
	}
	return n, nil
}

// Contains tells whether ip, IPv4 in IPv6 or not, is in the set.
func (n Networks) Contains(ip netip.Addr) bool {
	if n.all {
		return true
	}
	ip = ip.Unmap().WithZone("")
	for _, p := range n.prefixes {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// ContainsPeer tells whether a peer's address is in the set; one on a unix socket
// always counts as in it, as in gunicorn.
func (n Networks) ContainsPeer(peer bridge.Endpoint) bool { return n.all || n.names(peer) }

// names is ContainsPeer but for "*", which names nobody.
func (n Networks) names(peer bridge.Endpoint) bool {
	if peer.Unix {
		return true
	}
	if len(n.prefixes) == 0 {
		return false
	}
	if peer.IP.IsValid() {
		return n.Contains(peer.IP)
	}
	ip, err := netip.ParseAddr(peer.Addr)
	return err == nil && Networks{prefixes: n.prefixes}.Contains(ip)
}

var (
	errScheme     = &http1.Error{Status: 400, Cause: "the fields that tell the scheme contradict each other"}
	errUnderscore = &http1.Error{Status: 400, Cause: "a field name with an underscore"}
	errScriptName = &http1.Error{Status: 400, Cause: "the path does not start with SCRIPT_NAME"}
)

// Prepare fills x.Record with r's variables, see Environ, and chooses x.App. It
// answers a request for which there is no application.
func (u *Rules) Prepare(r *bridge.Request, x *bridge.Exchange) (err error) {
	x.Record, err = u.Environ(x.Record[:0], r)
	if err != nil {
		return err
	}
	if x.App = r.App; u.Static != nil && u.Static(r, x) {
		return nil
	}
	if x.App == noApp {
		answerNoMount(x)
	}
	return nil
}

// Environ appends to rec the variables of r that differ from request to request
// (PEP 3333, "environ Variables"), after what a trusted peer says of the client has
// gone into r. What is the same for all (wsgi.version, wsgi.errors...) lies in the
// base environ on Python's side. An error is an *http1.Error: the request is to be
// refused. Safe for concurrent use.
func (u *Rules) Environ(rec bridge.Record, r *bridge.Request) (bridge.Record, error) {
	if r.UWSGI != nil {
		return u.packetEnviron(rec, r)
	}
	trusted := u.Proxies.ContainsPeer(r.Peer)
	if trusted {
		if err := u.forward(r); err != nil {
			return rec, err
		}
	}
	return u.appendVariables(rec, r, trusted)
}

// keepsUnderscore tells what becomes of a field whose name has a "_".
func (u *Rules) keepsUnderscore(name []byte, trusted bool) (bool, error) {
	if trusted {
		for _, allowed := range u.ForwarderNames {
			if allowed == "*" || strings.EqualFold(allowed, string(name)) {
				return true, nil
			}
		}
	}
	switch u.HeaderMap {
	case Dangerous:
		return true, nil
	case Refuse:
		return false, errUnderscore
	}
	return false, nil
}
