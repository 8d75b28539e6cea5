package wsgi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
)

type vars = map[string]string

// unset in a row: the base request's value has to stay, or its absence.
var baseVars = vars{
	"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "40000", "wsgi.url_scheme": "http", "HTTPS": absent,
	"HTTP_HOST": "example.org", "SCRIPT_NAME": absent, "PATH_INFO": "/",
}

// row is one request under rules: from a peer that is trusted unless the rules are
// changed so that it is not.
type row struct {
	name   string
	rules  func(u *Rules)
	peer   *bridge.Endpoint
	path   string
	in     []string
	want   vars // what differs from baseVars
	status int  // of the refusal; 0: none
}

var unixPeer = &bridge.Endpoint{Unix: true}

// defaultRules are what the command line has without options, but for the trusted
// addresses.
func defaultRules(t testing.TB, proxies string) *Rules {
	t.Helper()
	networks, err := ParseNetworks(proxies)
	if err != nil {
		t.Fatal(err)
	}
	return &Rules{
		Proxies:        networks,
		ForwarderNames: []string{"SCRIPT_NAME", "PATH_INFO"},
		SecureScheme: []SchemeField{
			{"x-forwarded-protocol", "ssl"}, {"x-forwarded-proto", "https"}, {"x-forwarded-ssl", "on"},
		},
	}
}

// trust returns a change of rules: who is believed.
func trust(proxies string) func(*Rules) {
	return func(u *Rules) {
		var err error
		if u.Proxies, err = ParseNetworks(proxies); err != nil {
			panic(err)
		}
	}
}

// all makes one change out of several.
func all(changes ...func(*Rules)) func(*Rules) {
	return func(u *Rules) {
		for _, change := range changes {
			change(u)
		}
	}
}

func headerMap(m HeaderMap) func(*Rules) { return func(u *Rules) { u.HeaderMap = m } }

func forwarderNames(names ...string) func(*Rules) {
	return func(u *Rules) { u.ForwarderNames = names }
}

func mounted(prefix string) func(*Rules) { return func(u *Rules) { u.ScriptName = []byte(prefix) } }

func checkRows(t *testing.T, rows []row) {
	t.Helper()
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			for _, w := range tt.problems(t) {
				t.Error(w)
			}
		})
	}
}

// problems are the differences between what a row wants and what it gets.
func (tt *row) problems(t *testing.T) (wrong []string) {
	u := defaultRules(t, "192.0.2.7, 10.0.0.0/8, 2001:db8:a::/48")
	if tt.rules != nil {
		tt.rules(u)
	}
	r := base()
	r.Fields = fields(append([]string{"Host: example.org"}, tt.in...)...)
	if tt.peer != nil {
		r.Peer = *tt.peer
	}
	if tt.path != "" {
		r.Path = []byte(tt.path)
	}
	rec, err := u.Environ(nil, r)
	var refused *http1.Error
	switch {
	case err != nil && !errors.As(err, &refused):
		return []string{fmt.Sprintf("%v is no refusal", err)}
	case err != nil && refused.Status != tt.status:
		return []string{fmt.Sprintf("refused: %v; want %d", err, tt.status)}
	case err != nil:
		return nil
	case tt.status != 0:
		wrong = append(wrong, fmt.Sprintf("not refused, want %d", tt.status))
	}
	env := vars{}
	for name, value := range rec.All {
		if _, twice := env[string(name)]; twice {
			wrong = append(wrong, fmt.Sprintf("%s is there twice", name))
		}
		env[string(name)] = string(value)
	}
	return append(wrong, differences(env, tt.want, tt.peer)...)
}

func differences(env, want vars, peer *bridge.Endpoint) (wrong []string) {
	expected := vars{}
	for name, value := range baseVars {
		if peer == nil || !strings.HasPrefix(name, "REMOTE_") {
			expected[name] = value
		}
	}
	for name, value := range want {
		expected[name] = value
	}
	for name, value := range expected {
		got, ok := env[name]
		if !ok {
			got = absent
		}
		if got != value {
			wrong = append(wrong, fmt.Sprintf("%s = %q, want %q", name, got, value))
		}
	}
	slices.Sort(wrong)
	return wrong
}

func TestHeaderMap(t *testing.T) {
	checkRows(t, []row{
		{name: "drop", in: []string{"X_A: 1", "X-A: 2", "x_a: 3"}, want: vars{"HTTP_X_A": "2"}},
		{name: "drop what has both", in: []string{"X-A_B: 1"}, want: vars{"HTTP_X_A_B": absent}},
		{name: "refuse", rules: headerMap(Refuse), in: []string{"X_A: 1"}, status: 400},
		{name: "refuse behind others", rules: headerMap(Refuse), in: []string{"X-A: 1", "X-B: 2", "X-A_: 3"}, status: 400},
		{name: "refuse nothing else", rules: headerMap(Refuse), in: []string{"X-A: 1_2"}, want: vars{"HTTP_X_A": "1_2"}},
		{name: "dangerous", rules: headerMap(Dangerous), in: []string{"X_A: 1"}, want: vars{"HTTP_X_A": "1"}},
		{name: "dangerous, joined with the dashed name", rules: headerMap(Dangerous),
			in: []string{"X-A: 1", "X-B: b", "X_A: 2", "x-a: 3"}, want: vars{"HTTP_X_A": "1,2,3", "HTTP_X_B": "b"}},
		{name: "dangerous, underscore first", rules: headerMap(Dangerous),
			in: []string{"X_A: 1", "X-A: 2", "x_A: 3"}, want: vars{"HTTP_X_A": "1,2,3"}},
		{name: "dangerous, mixed", rules: headerMap(Dangerous),
			in: []string{"X-A_B: 1", "X_A-B: 2", "X-A-C: 3"}, want: vars{"HTTP_X_A_B": "1,2", "HTTP_X_A_C": "3"}},
		{name: "dangerous, at the name's ends", rules: headerMap(Dangerous),
			in: []string{"_A_: 1", "-A-: 2", "-A_: 3"}, want: vars{"HTTP__A_": "1,2,3"}},
		{name: "dangerous, the body's own", rules: headerMap(Dangerous),
			in:   []string{"Content_Length: 9", "Transfer_Encoding: chunked"},
			want: vars{"CONTENT_LENGTH": absent, "HTTP_CONTENT_LENGTH": absent, "HTTP_TRANSFER_ENCODING": absent}},
		{name: "dangerous does not make a proxy's word of it", rules: headerMap(Dangerous),
			in: []string{"X_Forwarded_For: 198.51.100.9", "X_Forwarded_Proto: https"}, want: vars{"HTTP_X_FORWARDED_FOR": "198.51.100.9"}},
	})
}

func TestParseHeaderMap(t *testing.T) {
	for in, want := range map[string]HeaderMap{"drop": Drop, "refuse": Refuse, "dangerous": Dangerous} {
		if got, err := ParseHeaderMap(in); got != want || err != nil {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "Drop", "drop ", "allow"} {
		if _, err := ParseHeaderMap(in); err == nil || !strings.Contains(err.Error(), "drop, refuse or dangerous") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestForwarderNames(t *testing.T) {
	stranger := trust("10.0.0.0/8")
	checkRows(t, []row{
		{name: "named, trusted", rules: forwarderNames("X_USER"), in: []string{"x_User: a", "X_Other: b"},
			want: vars{"HTTP_X_USER": "a", "HTTP_X_OTHER": absent}},
		{name: "named, not trusted", rules: all(stranger, forwarderNames("X_USER")), in: []string{"X_USER: a"}, want: vars{"HTTP_X_USER": absent}},
		{name: "nobody is trusted", rules: all(trust(""), forwarderNames("X_USER", "*")), in: []string{"X_USER: a"}, want: vars{"HTTP_X_USER": absent}},
		{name: "*, trusted", rules: forwarderNames("*"), in: []string{"X_User: a", "X_Other: b"}, want: vars{"HTTP_X_USER": "a", "HTTP_X_OTHER": "b"}},
		{name: "*, not trusted", rules: all(stranger, forwarderNames("*")), in: []string{"X_User: a"}, want: vars{"HTTP_X_USER": absent}},
		{name: "*, unix", rules: all(trust(""), forwarderNames("*")), peer: unixPeer, in: []string{"X_User: a"}, want: vars{"HTTP_X_USER": "a"}},
		{name: "refuse spares the named", rules: all(headerMap(Refuse), forwarderNames("X_USER")), in: []string{"X_User: a"}, want: vars{"HTTP_X_USER": "a"}},
		{name: "refuse the rest", rules: all(headerMap(Refuse), forwarderNames("X_USER")), in: []string{"X_User: a", "X_Other: b"}, status: 400},
		{name: "refuse the named from others", rules: all(stranger, headerMap(Refuse), forwarderNames("X_USER")), in: []string{"X_User: a"}, status: 400},
		{name: "repeated", rules: forwarderNames("X_USER"), in: []string{"X_USER: a", "x_user: b"}, want: vars{"HTTP_X_USER": "a,b"}},
		{name: "beside the dashed name, dangerous", rules: all(headerMap(Dangerous), forwarderNames("X_USER")),
			in: []string{"X-User: a", "X_USER: b"}, want: vars{"HTTP_X_USER": "a,b"}},
		{name: "beside a client's dashed name", rules: forwarderNames("X_USER"),
			in: []string{"X-User: a", "X_USER: b"}, want: vars{"HTTP_X_USER": "b"}},
		{name: "beside a client's dashed name behind it", rules: forwarderNames("X_USER"),
			in: []string{"X_USER: b", "X-User: a"}, want: vars{"HTTP_X_USER": "b"}},
		{name: "none", rules: forwarderNames(), in: []string{"SCRIPT_NAME: /a"}, want: vars{"HTTP_SCRIPT_NAME": absent}},
	})
}

func TestScriptName(t *testing.T) {
	stranger := trust("10.0.0.0/8")
	checkRows(t, []row{
		{name: "none", path: "/app/x", want: vars{"PATH_INFO": "/app/x"}},
		{name: "a trusted field", path: "/app/x", in: []string{"SCRIPT_NAME: /app"}, want: vars{"SCRIPT_NAME": "/app", "PATH_INFO": "/x"}},
		{name: "a trusted field in other case", path: "/app/x", in: []string{"Script_Name: /app"}, want: vars{"SCRIPT_NAME": "/app", "PATH_INFO": "/x"}},
		{name: "a dashed field", path: "/app/x", in: []string{"Script-Name: /app"}, want: vars{"PATH_INFO": "/app/x", "HTTP_SCRIPT_NAME": "/app"}},
		{name: "a stranger's field", rules: stranger, path: "/app/x", in: []string{"SCRIPT_NAME: /app"}, want: vars{"PATH_INFO": "/app/x"}},
		{name: "a stranger's field, dangerous", rules: all(stranger, headerMap(Dangerous)), path: "/app/x", in: []string{"SCRIPT_NAME: /app"},
			want: vars{"PATH_INFO": "/app/x"}},
		{name: "a field that is not named", rules: forwarderNames("PATH_INFO"), path: "/app/x", in: []string{"SCRIPT_NAME: /app"}, want: vars{"PATH_INFO": "/app/x"}},
		{name: "the server's own", rules: all(stranger, mounted("/app")), path: "/app/x", want: vars{"SCRIPT_NAME": "/app", "PATH_INFO": "/x"}},
		{name: "a field before the server's own", rules: mounted("/app"), path: "/other/x", in: []string{"SCRIPT_NAME: /other"},
			want: vars{"SCRIPT_NAME": "/other", "PATH_INFO": "/x"}},
		{name: "a stranger's field beside the server's own", rules: all(stranger, mounted("/app")), path: "/app/x", in: []string{"SCRIPT_NAME: /other"},
			want: vars{"SCRIPT_NAME": "/app", "PATH_INFO": "/x"}},
		{name: "two levels", path: "/a/b/c", in: []string{"SCRIPT_NAME: /a/b"}, want: vars{"SCRIPT_NAME": "/a/b", "PATH_INFO": "/c"}},
		{name: "the whole path", path: "/app", in: []string{"SCRIPT_NAME: /app"}, want: vars{"SCRIPT_NAME": "/app", "PATH_INFO": ""}},
		{name: "its folder", path: "/app/", in: []string{"SCRIPT_NAME: /app"}, want: vars{"SCRIPT_NAME": "/app", "PATH_INFO": "/"}},
		{name: "encoded rest", path: "/app/%2F%20", in: []string{"SCRIPT_NAME: /app"}, want: vars{"SCRIPT_NAME": "/app", "PATH_INFO": "// "}},
		{name: "empty field", path: "/x", in: []string{"SCRIPT_NAME: "}, want: vars{"PATH_INFO": "/x"}},
		{name: "another path", path: "/x", in: []string{"SCRIPT_NAME: /app"}, status: 400},
		{name: "within a segment", path: "/application", in: []string{"SCRIPT_NAME: /app"}, status: 400},
		{name: "in other case", path: "/APP/x", in: []string{"SCRIPT_NAME: /app"}, status: 400},
		{name: "longer than the path", path: "/app", in: []string{"SCRIPT_NAME: /app/x"}, status: 400},
		{name: "the server's own, another path", rules: mounted("/app"), path: "/", status: 400},
		{name: "final slash", path: "/app/x", in: []string{"SCRIPT_NAME: /app/"}, want: vars{"SCRIPT_NAME": "/app", "PATH_INFO": "/x"}},
		{name: "a slash alone", rules: mounted("/"), path: "/x", want: vars{"PATH_INFO": "/x"}},
		{name: "encoded prefix", path: "/a%20b/x", in: []string{"SCRIPT_NAME: /a%20b"}, want: vars{"SCRIPT_NAME": "/a b", "PATH_INFO": "/x"}},
		{name: "OPTIONS *", rules: mounted("/app"), path: "*", want: vars{"PATH_INFO": "*", "SCRIPT_NAME": absent}},
	})
}

func TestSecureScheme(t *testing.T) {
	https := vars{"wsgi.url_scheme": "https", "HTTPS": "on"}
	frontEnd := func(u *Rules) { u.SecureScheme = []SchemeField{{"front-end-https", "yes"}} }
	checkRows(t, []row{
		{name: "none"},
		{name: "Proto", in: []string{"X-Forwarded-Proto: https"}, want: https},
		{name: "Protocol", in: []string{"x-forwarded-PROTOCOL: ssl"}, want: https},
		{name: "Ssl", in: []string{"X-Forwarded-SSL: on"}, want: https},
		{name: "all of them", in: []string{"X-Forwarded-Proto: https", "X-Forwarded-Protocol: ssl", "X-Forwarded-Ssl: on"}, want: https},
		{name: "another value of Proto", in: []string{"X-Forwarded-Proto: http"}},
		{name: "another value of Protocol", in: []string{"X-Forwarded-Protocol: https"}},
		{name: "another value of Ssl", in: []string{"X-Forwarded-Ssl: off"}},
		{name: "unknown scheme", in: []string{"X-Forwarded-Proto: wss"}},
		{name: "in other case", in: []string{"X-Forwarded-Proto: HTTPS"}},
		{name: "a list", in: []string{"X-Forwarded-Proto: https, http"}},
		{name: "empty", in: []string{"X-Forwarded-Proto: "}},
		{name: "same twice", in: []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: https"}, want: https},
		{name: "contradiction", in: []string{"X-Forwarded-Proto: https", "X-Forwarded-Ssl: off"}, status: 400},
		{name: "contradiction of one field", in: []string{"X-Forwarded-Proto: http", "X-Forwarded-Proto: https"}, status: 400},
		{name: "contradiction that comes third", in: []string{"X-Forwarded-Proto: https", "X-Forwarded-Protocol: ssl", "X-Forwarded-Ssl: 1"}, status: 400},
		{name: "not trusted", rules: trust("10.0.0.0/8"), in: []string{"X-Forwarded-Proto: https"}},
		{name: "contradiction, not trusted", rules: trust("10.0.0.0/8"), in: []string{"X-Forwarded-Proto: https", "X-Forwarded-Ssl: off"}},
		{name: "nobody trusted", rules: trust(""), in: []string{"X-Forwarded-Proto: https"}},
		{name: "everybody trusted", rules: trust("*"), in: []string{"X-Forwarded-Proto: https"}, want: https},
		{name: "unix", rules: trust(""), peer: unixPeer, in: []string{"X-Forwarded-Proto: https"}, want: https},
		{name: "other fields by configuration", rules: frontEnd, in: []string{"Front-End-Https: yes"}, want: https},
		{name: "a default that is not configured", rules: frontEnd, in: []string{"X-Forwarded-Proto: https"}},
		{name: "with an underscore", in: []string{"X_Forwarded_Proto: https"}},
	})
}

func TestParseNetworks(t *testing.T) {
	for _, tt := range []struct {
		in   string
		yes  []string
		no   []string
		unix bool
	}{
		{in: "", no: []string{"127.0.0.1", "::1", "0.0.0.0"}},
		{in: " , ,", no: []string{"127.0.0.1"}},
		{in: "127.0.0.1,::1", yes: []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"}, no: []string{"127.0.0.2", "::2"}},
		{in: " 10.0.0.0/8 , 2001:db8::/32 ", yes: []string{"10.0.0.0", "10.255.255.255", "2001:db8:ffff::1", "::ffff:10.1.2.3"}, no: []string{"11.0.0.0", "2001:db9::"}},
		{in: "10.1.2.3/8", yes: []string{"10.200.0.1"}},
		{in: "0.0.0.0/0", yes: []string{"203.0.113.1", "::ffff:203.0.113.1"}, no: []string{"2001:db8::1"}},
		{in: "::/0", yes: []string{"2001:db8::1"}, no: []string{"203.0.113.1"}},
		{in: "*", yes: []string{"203.0.113.1", "2001:db8::1", "no address"}},
		{in: "10.0.0.1,*", yes: []string{"203.0.113.1"}},
		{in: "fe80::/10", yes: []string{"fe80::1%eth0", "fe80::1"}},
		{in: "10.0.0.0/8", no: []string{"", "10.0.0", "10.0.0.1:80", "proxy"}},
	} {
		n, err := ParseNetworks(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
		}
		for _, ip := range tt.yes {
			if !n.ContainsPeer(bridge.Endpoint{Addr: ip, Port: "1"}) {
				t.Errorf("%q does not contain %q", tt.in, ip)
			}
		}
		for _, ip := range tt.no {
			if n.ContainsPeer(bridge.Endpoint{Addr: ip, Port: "1"}) {
				t.Errorf("%q contains %q", tt.in, ip)
			}
		}
		if !n.ContainsPeer(bridge.Endpoint{Addr: "/run/x.sock", Unix: true}) {
			t.Errorf("%q does not contain a peer on a unix socket", tt.in)
		}
	}
}

func TestParseNetworksErrors(t *testing.T) {
	for in, word := range map[string]string{
		"localhost":             "localhost",
		"10.0.0":                "10.0.0",
		"10.0.0.0/33":           "10.0.0.0/33",
		"10.0.0.0/":             "10.0.0.0/",
		"10.0.0.0/8/8":          "10.0.0.0/8/8",
		"10.0.0.0/255.0.0.0":    "10.0.0.0/255.0.0.0",
		"010.0.0.1":             "010.0.0.1",
		"2001:db8::/129":        "2001:db8::/129",
		"[::1]":                 "[::1]",
		"10.0.0.1:80":           "10.0.0.1:80",
		"10.0.0.1 10.0.0.2":     "10.0.0.1 10.0.0.2",
		"127.0.0.1, 10.0.0.*":   "10.0.0.*",
		"*,bad":                 "bad",
		"10.0.0.1;10.0.0.2,::1": "10.0.0.1;10.0.0.2",
	} {
		if _, err := ParseNetworks(in); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", word)) {
			t.Errorf("%q: %v, want an error that names %q", in, err, word)
		}
	}
}

// TestNetworksInMappedForm: an address means the same however it is written.
func TestNetworksInMappedForm(t *testing.T) {
	for _, in := range []string{"::ffff:10.0.0.1", "::ffff:10.0.0.0/104"} {
		n, err := ParseNetworks(in)
		if err != nil {
			t.Fatal(err)
		}
		if !n.ContainsPeer(bridge.Endpoint{Addr: "10.0.0.1"}) {
			t.Errorf("%q does not contain 10.0.0.1", in)
		}
	}
}
