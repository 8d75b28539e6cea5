package wsgi

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unicode"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
)

// from are the variables of a client whose port is not told.
func from(addr string) vars { return vars{"REMOTE_ADDR": addr, "REMOTE_PORT": absent} }

func with(v vars, more ...string) vars {
	for i := 0; i < len(more); i += 2 {
		v[more[i]] = more[i+1]
	}
	return v
}

func peerAt(addr string) *bridge.Endpoint { return &bridge.Endpoint{Addr: addr, Port: "40000"} }

func TestForwardedFor(t *testing.T) {
	checkRows(t, []row{
		{name: "one address", in: []string{"X-Forwarded-For: 198.51.100.1"}, want: from("198.51.100.1")},
		{name: "the field stays in the environ", in: []string{"X-Forwarded-For: 198.51.100.1"},
			want: with(from("198.51.100.1"), "HTTP_X_FORWARDED_FOR", "198.51.100.1")},
		{name: "the last of a chain", in: []string{"X-Forwarded-For: 203.0.113.9, 198.51.100.1"}, want: from("198.51.100.1")},
		{name: "trusted hops are skipped", in: []string{"X-Forwarded-For: 203.0.113.9, 198.51.100.1, 10.0.0.1,10.9.9.9"}, want: from("198.51.100.1")},
		{name: "only trusted hops", in: []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, want: from("10.0.0.3")},
		{name: "a trusted hop before the client is not looked at", in: []string{"X-Forwarded-For: 10.0.0.3, 198.51.100.1, 10.0.0.2"}, want: from("198.51.100.1")},
		{name: "several fields are one chain", in: []string{"X-Forwarded-For: 203.0.113.9", "X-A: 1", "x-forwarded-for: 198.51.100.1", "X-FORWARDED-FOR: 10.0.0.1"},
			want: from("198.51.100.1")},
		{name: "white space", in: []string{"X-Forwarded-For: \t198.51.100.1 \t, 10.0.0.1 "}, want: from("198.51.100.1")},
		{name: "port", in: []string{"X-Forwarded-For: 198.51.100.1:4711"}, want: vars{"REMOTE_ADDR": "198.51.100.1", "REMOTE_PORT": "4711"}},
		{name: "port of a skipped hop", in: []string{"X-Forwarded-For: 198.51.100.1, 10.0.0.1:99"}, want: from("198.51.100.1")},
		{name: "IPv6", in: []string{"X-Forwarded-For: 2001:DB8:0::1"}, want: from("2001:db8::1")},
		{name: "IPv6 in brackets", in: []string{"X-Forwarded-For: [2001:db8::1]"}, want: from("2001:db8::1")},
		{name: "IPv6 in brackets, port", in: []string{"X-Forwarded-For: [2001:db8::1]:4711"}, want: vars{"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "4711"}},
		{name: "IPv6 hops are skipped", in: []string{"X-Forwarded-For: 2001:db8::1, 2001:db8:a::1, [2001:db8:a::2]:80"}, want: from("2001:db8::1")},
		{name: "IPv4 in IPv6", in: []string{"X-Forwarded-For: ::ffff:198.51.100.1"}, want: from("198.51.100.1")},
		{name: "IPv4 in IPv6, port", in: []string{"X-Forwarded-For: [::ffff:198.51.100.1]:80"}, want: vars{"REMOTE_ADDR": "198.51.100.1", "REMOTE_PORT": "80"}},
		{name: "IPv4 in IPv6 as a trusted hop", in: []string{"X-Forwarded-For: 198.51.100.1, ::ffff:10.0.0.1"}, want: from("198.51.100.1")},
		{name: "quotes", in: []string{`X-Forwarded-For: "198.51.100.1"`}, want: from("198.51.100.1")},

		{name: "garbage", in: []string{"X-Forwarded-For: nobody"}},
		{name: "garbage ends the walk", in: []string{"X-Forwarded-For: 203.0.113.9, nobody, 10.0.0.2"}, want: from("10.0.0.2")},
		{name: "garbage behind the client's address", in: []string{"X-Forwarded-For: nobody, 198.51.100.1"}, want: from("198.51.100.1")},
		{name: "unknown", in: []string{"X-Forwarded-For: 203.0.113.9, unknown"}},
		{name: "empty", in: []string{"X-Forwarded-For: "}},
		{name: "a host name", in: []string{"X-Forwarded-For: client.example"}},
		{name: "too large a port", in: []string{"X-Forwarded-For: 198.51.100.1:65536"}},
		{name: "no port behind a colon", in: []string{"X-Forwarded-For: 198.51.100.1:"}},
		{name: "octets with zeros", in: []string{"X-Forwarded-For: 198.051.100.1"}},
		{name: "a network", in: []string{"X-Forwarded-For: 198.51.100.0/24"}},
		{name: "markup", in: []string{"X-Forwarded-For: <script>"}},
		{name: "a zone", in: []string{"X-Forwarded-For: fe80::1%<script> x"}, want: vars{}},
		{name: "half a bracket", in: []string{"X-Forwarded-For: [2001:db8::1"}},
		{name: "an empty element", in: []string{"X-Forwarded-For: 198.51.100.1,,10.0.0.1"}, want: from("198.51.100.1")},

		{name: "not trusted", rules: trust("10.0.0.0/8"), in: []string{"X-Forwarded-For: 198.51.100.1"}},
		{name: "not trusted, whatever it claims", rules: trust("10.0.0.0/8"), in: []string{"X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1"}},
		{name: "nobody trusted", rules: trust(""), in: []string{"X-Forwarded-For: 198.51.100.1"}},
		{name: "everybody trusted", rules: trust("*"), in: []string{"X-Forwarded-For: 203.0.113.9, 198.51.100.1"}, want: from("203.0.113.9")},
		{name: "everybody trusted, garbage", rules: trust("*"), in: []string{"X-Forwarded-For: x, 198.51.100.1, 198.51.100.2"}, want: from("198.51.100.1")},
		{name: "a trusted peer in mapped form", peer: peerAt("::ffff:192.0.2.7"), in: []string{"X-Forwarded-For: 198.51.100.1"}, want: from("198.51.100.1")},
		{name: "a trusted IPv6 peer", peer: peerAt("2001:db8:a::9"), in: []string{"X-Forwarded-For: 198.51.100.1"}, want: from("198.51.100.1")},
		{name: "an IPv6 peer beside the network", peer: peerAt("2001:db8:b::9"), in: []string{"X-Forwarded-For: 198.51.100.1"}, want: vars{"REMOTE_ADDR": "2001:db8:b::9"}},
		{name: "unix, nobody trusted", rules: trust(""), peer: unixPeer, in: []string{"X-Forwarded-For: 203.0.113.9, 198.51.100.1"}, want: from("198.51.100.1")},
		{name: "unix, trusted hops", peer: unixPeer, in: []string{"X-Forwarded-For: 203.0.113.9, 10.0.0.1"}, want: from("203.0.113.9")},
		{name: "unix, nothing said", peer: unixPeer, want: from("")},
	})
}

func TestForwarded(t *testing.T) {
	hosts := func(u *Rules) { u.Host = true }
	https := func(v vars) vars { return with(v, "wsgi.url_scheme", "https", "HTTPS", "on") }
	checkRows(t, []row{
		{name: "for", in: []string{"Forwarded: for=198.51.100.1"}, want: from("198.51.100.1")},
		{name: "quoted", in: []string{`Forwarded: for="198.51.100.1"`}, want: from("198.51.100.1")},
		{name: "port", in: []string{`Forwarded: for="198.51.100.1:4711"`}, want: vars{"REMOTE_ADDR": "198.51.100.1", "REMOTE_PORT": "4711"}},
		{name: "IPv6", in: []string{`Forwarded: For="[2001:db8:cafe::17]:4711"`}, want: vars{"REMOTE_ADDR": "2001:db8:cafe::17", "REMOTE_PORT": "4711"}},
		{name: "RFC 7239, 4", in: []string{"Forwarded: for=192.0.2.60;proto=http;by=203.0.113.43"}, want: from("192.0.2.60")},
		{name: "RFC 7239, 7.1", in: []string{"Forwarded: for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com"}, want: from("198.51.100.17")},
		{name: "elements that are trusted hops", in: []string{"Forwarded: for=203.0.113.9, for=198.51.100.1,for=10.0.0.1;by=10.0.0.2"}, want: from("198.51.100.1")},
		{name: "several fields", in: []string{"Forwarded: for=203.0.113.9", "Forwarded: for=198.51.100.1", "forwarded: for=10.0.0.1"}, want: from("198.51.100.1")},
		{name: "white space and case", in: []string{"Forwarded:  By=10.0.0.2 ; FOR = 198.51.100.1 ;Proto= HTTPS"}, want: https(from("198.51.100.1"))},
		{name: "separators in quotes", in: []string{`Forwarded: by="a,b;for=203.0.113.9";for=198.51.100.1`}, want: from("198.51.100.1")},
		{name: "a quote in quotes", in: []string{`Forwarded: by="a\",for=203.0.113.9";for=198.51.100.1`}, want: from("198.51.100.1")},
		{name: "unknown", in: []string{"Forwarded: for=203.0.113.9, for=unknown"}},
		{name: "obfuscated", in: []string{"Forwarded: for=203.0.113.9, for=_hidden"}},
		{name: "obfuscated behind a hop", in: []string{"Forwarded: for=_SEVKISEK, for=10.0.0.1"}, want: from("10.0.0.1")},
		{name: "obfuscated port", in: []string{`Forwarded: for="198.51.100.1:_gazonk"`}, want: from("198.51.100.1")},
		{name: "no for", in: []string{"Forwarded: by=10.0.0.1;proto=https"}, want: https(vars{})},
		{name: "proto of a hidden client", in: []string{"Forwarded: for=unknown;proto=https"}, want: https(vars{})},
		{name: "proto", in: []string{"Forwarded: for=198.51.100.1;proto=https"}, want: https(from("198.51.100.1"))},
		{name: "proto of the client's element", in: []string{"Forwarded: for=198.51.100.1;proto=https, for=10.0.0.1;proto=http"}, want: https(from("198.51.100.1"))},
		{name: "proto of a forged element", in: []string{"Forwarded: for=203.0.113.9;proto=https, for=198.51.100.1;proto=http"}, want: from("198.51.100.1")},
		{name: "proto of another kind", in: []string{"Forwarded: for=198.51.100.1;proto=wss"}, want: from("198.51.100.1")},
		{name: "an empty element", in: []string{"Forwarded: for=198.51.100.1, "}, want: from("198.51.100.1")},
		{name: "garbage", in: []string{"Forwarded: ;;=,===;\"\\"}},
		{name: "a quote that a client left open", in: []string{`Forwarded: for=203.0.113.9;x=", for=198.51.100.1`}, want: vars{}},
		{name: "host", in: []string{"Forwarded: for=198.51.100.1;host=site.example"}, want: from("198.51.100.1")},
		{name: "host, believed", rules: hosts, in: []string{`Forwarded: for=198.51.100.1;host="site.example:8443"`},
			want: with(from("198.51.100.1"), "HTTP_HOST", "site.example:8443")},
		{name: "host of the client's element", rules: hosts, in: []string{"Forwarded: for=203.0.113.9;host=a, for=198.51.100.1;host=b, for=10.0.0.1;host=c"},
			want: with(from("198.51.100.1"), "HTTP_HOST", "b")},
		{name: "invalid host", rules: hosts, in: []string{`Forwarded: for=198.51.100.1;host="a b"`}, want: from("198.51.100.1")},

		{name: "beside X-Forwarded-For", in: []string{"Forwarded: for=203.0.113.9;proto=https", "X-Forwarded-For: 198.51.100.1"}, want: from("198.51.100.1")},
		{name: "beside X-Forwarded-For that says nothing", in: []string{"X-Forwarded-For: unknown", "Forwarded: for=203.0.113.9;proto=https"}},
		{name: "beside X-Forwarded-Proto", in: []string{"Forwarded: for=203.0.113.9", "X-Forwarded-Proto: https"}, want: https(vars{})},
		{name: "beside X-Forwarded-Host", in: []string{"Forwarded: for=203.0.113.9", "X-Forwarded-Host: a"}},
		{name: "beside X-Forwarded-Port", in: []string{"Forwarded: for=203.0.113.9", "X-Forwarded-Port: 1"}},
		{name: "beside X-Forwarded-Proto that is not configured", rules: func(u *Rules) { u.SecureScheme = nil },
			in: []string{"Forwarded: for=203.0.113.9", "X-Forwarded-Proto: https"}},
		{name: "beside a name like it", in: []string{"X_Forwarded_For: 203.0.113.9", "Forwarded: for=198.51.100.1"}, want: from("198.51.100.1")},

		{name: "not trusted", rules: all(trust("10.0.0.0/8"), hosts), in: []string{"Forwarded: for=203.0.113.9;proto=https;host=evil"}},
		{name: "everybody trusted", rules: trust("*"), in: []string{"Forwarded: for=203.0.113.9;proto=https, for=198.51.100.1"}, want: https(from("203.0.113.9"))},
		{name: "unix", rules: trust(""), peer: unixPeer, in: []string{"Forwarded: for=203.0.113.9, for=198.51.100.1;proto=https"}, want: https(from("198.51.100.1"))},
	})
}

// TestForwardedHost: each line replaces example.org, or has to leave it.
func TestForwardedHost(t *testing.T) {
	for _, tt := range []struct {
		host, port string // fields; "-" for none
		want       string
	}{
		{"site.example", "-", "site.example"},
		{"site.example:8443", "-", "site.example:8443"},
		{"inner.example, site.example", "-", "site.example"},
		{" site.example ", "-", "site.example"},
		{"[2001:db8::1]", "-", "[2001:db8::1]"},
		{"[2001:db8::1]:80", "-", "[2001:db8::1]:80"},
		{"xn--bcher-kva.example", "-", "xn--bcher-kva.example"},
		{"a_b.example", "-", "a_b.example"},
		{"-", "8443", "example.org:8443"},
		{"-", "1, 2", "example.org:2"},
		{"site.example", "8443", "site.example:8443"},
		{"site.example:80", "8443", "site.example:8443"},
		{"[2001:db8::1]", "8443", "[2001:db8::1]:8443"},
		{"[2001:db8::1]:80", "8443", "[2001:db8::1]:8443"},

		{"", "", "example.org"},
		{"a b", "-", "example.org"},
		{"a/b", "-", "example.org"},
		{`a\b`, "-", "example.org"},
		{"user@a", "-", "example.org"},
		{"a?b", "-", "example.org"},
		{"a#b", "-", "example.org"},
		{"<a>", "-", "example.org"},
		{"b\xfccher.example", "-", "example.org"},
		{"-", "80/x", "example.org"},
		{"a:b", "-", "example.org"},
		{"a:99999", "-", "example.org"},
		{"a:1:2", "-", "example.org"},
		{":80", "-", "example.org"},
		{"[2001:db8::1", "-", "example.org"},
		{"2001:db8::1", "-", "example.org"},
		{"[nonsense]", "-", "example.org"},
		{"a%zz", "-", "example.org"},
		{"a^{b}|`", "-", "example.org"},
		{"-", "evil", "example.org"},
		{"-", "-1", "example.org"},
		{"-", "65536", "example.org"},
	} {
		in := []string{}
		if tt.host != "-" {
			in = append(in, "X-Forwarded-Host: "+tt.host)
		}
		if tt.port != "-" {
			in = append(in, "X-Forwarded-Port: "+tt.port)
		}
		name := strings.ReplaceAll(fmt.Sprintf("%q port %q", tt.host, tt.port), "/", "|")
		checkRows(t, []row{
			{name: name, rules: func(u *Rules) { u.Host = true }, in: in, want: vars{"HTTP_HOST": tt.want}},
			{name: name + " off", in: in},
			{name: name + " not trusted", rules: func(u *Rules) { u.Host, u.Proxies = true, Networks{} }, in: in},
		})
	}
}

// TestForwardedHostWithoutHost: HTTP/1.0 requests may come without one.
func TestForwardedHostWithoutHost(t *testing.T) {
	for _, tt := range []struct {
		in   []string
		want string
	}{
		{in: []string{"X-Forwarded-Host: site.example"}, want: "site.example"},
		{in: []string{"X-Forwarded-Port: 80"}, want: ""},
	} {
		u := defaultRules(t, "*")
		u.Host = true
		r := base()
		r.Host, r.Proto, r.Fields = nil, "HTTP/1.0", fields(tt.in...)
		if got := record(t, u, r).Lookup("HTTP_HOST"); got != tt.want {
			t.Errorf("%q: HTTP_HOST = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// FuzzForwarded: whatever the fields say, the client is the peer or an address that
// is among them; a peer that is not trusted changes nothing.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		"X-Forwarded-For: 198.51.100.1, 10.0.0.1:80\nX-Forwarded-Proto: https\nX-Forwarded-Host: a\nX-Forwarded-Port: 1",
		"Forwarded: for=\"[2001:db8::1]:80\";proto=https;host=\"a,b\", for=10.0.0.1;by=_x\nForwarded: for=unknown",
		"X-Forwarded-Ssl: on\nX-Forwarded-Protocol: tcp\nSCRIPT_NAME: /\nX_A: 1\nX-A: 2",
		"X-Forwarded-For: ::ffff:10.0.0.1,[::1],\"::2\",,x\nforwarded: for=\"\\\"",
		"Forwarded: =;=,;for=,\"\nX-Forwarded-For: fe80::1%0",
	} {
		for _, how := range []uint8{0, 1, 2, 3, 4, 5, 6, 7} {
			f.Add(s, how)
		}
	}
	f.Fuzz(func(t *testing.T, text string, how uint8) {
		r := base()
		r.Peer = [...]bridge.Endpoint{{Addr: "192.0.2.7", Port: "40000"}, {Unix: true}, {Addr: "::ffff:10.0.0.9", Port: "1"}, {Addr: "203.0.113.77", Port: "1"}}[how%4]
		u := defaultRules(t, [...]string{"192.0.2.7,10.0.0.0/8", "*", ""}[how/4%3])
		u.Host = how/16%2 == 0
		u.HeaderMap = HeaderMap(how / 32 % 3)
		for line := range strings.SplitSeq(text, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			if name == "" || strings.ContainsFunc(name, func(c rune) bool { return !isToken(c) }) ||
				strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
				continue
			}
			r.Fields = append(r.Fields, http1.Field{Name: []byte(name), Value: []byte(value)})
		}
		checkForwarded(t, u, r)
	})
}

func checkForwarded(t *testing.T, u *Rules, r *bridge.Request) {
	before := *r
	rec, err := u.Environ(nil, r)
	var refused *http1.Error
	if err != nil && (!errors.As(err, &refused) || refused.Status != 400) {
		t.Fatalf("%q: %v is no refusal", r.Fields, err)
	}
	if r.Scheme != "http" && r.Scheme != "https" {
		t.Errorf("%q: scheme %q", r.Fields, r.Scheme)
	}
	if r.Peer != before.Peer && !mentions(r.Fields, r.Peer.Addr) {
		t.Errorf("%q: the client is %q, which no field mentions", r.Fields, r.Peer.Addr)
	}
	if string(r.Host) != string(before.Host) && (!u.Host || strings.ContainsAny(string(r.Host), " \t\"/@\\")) {
		t.Errorf("%q: the host is %q", r.Fields, r.Host)
	}
	if err == nil && rec.Lookup("REMOTE_ADDR") != r.Peer.Addr {
		t.Errorf("%q: REMOTE_ADDR %q, the client is %q", r.Fields, rec.Lookup("REMOTE_ADDR"), r.Peer.Addr)
	}
	if u.Proxies.ContainsPeer(before.Peer) {
		return
	}
	if r.Peer != before.Peer || r.Scheme != before.Scheme || string(r.Host) != string(before.Host) {
		t.Errorf("%q: a peer that is not trusted changed the request to %+v", r.Fields, r)
	}
	nobody := &Rules{HeaderMap: u.HeaderMap}
	if plain, plainErr := nobody.Environ(nil, &before); plainErr != err || err == nil && string(plain) != string(rec) {
		t.Errorf("%q: a peer that is not trusted got\n%q (%v), without rules it is\n%q (%v)", r.Fields, rec, err, plain, plainErr)
	}
}

// mentions tells whether addr is an address and is in one of the fields, in whatever
// form. Zones are left out: see the row "a zone".
func mentions(fields []http1.Field, addr string) bool {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	if ip.Zone() != "" {
		return true
	}
	for _, f := range fields {
		words := strings.FieldsFunc(string(f.Value), func(c rune) bool { return unicode.IsSpace(c) || strings.ContainsRune(`,;="[]`, c) })
		for _, w := range words {
			if found, err := netip.ParseAddr(w); err == nil && found.Unmap() == ip {
				return true
			}
			if found, err := netip.ParseAddrPort(w); err == nil && found.Addr().Unmap() == ip {
				return true
			}
		}
	}
	return false
}
