package wsgi

import (
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
)

// naiveFields is what PEP 3333 and RFC 3875 ask for, written the slow way.
func naiveFields(host string, all []http1.Field) map[string]string {
	env := map[string]string{}
	for _, f := range all {
		name := strings.Map(func(c rune) rune {
			if 'a' <= c && c <= 'z' {
				return c - 'a' + 'A'
			}
			return c
		}, string(f.Name))
		if strings.Contains(name, "_") {
			continue
		}
		key := "HTTP_" + strings.ReplaceAll(name, "-", "_")
		value := string(f.Value)
		switch name {
		case "CONTENT-LENGTH", "TRANSFER-ENCODING", "TRAILER", "PROXY":
			continue
		case "CONTENT-TYPE":
			key = "CONTENT_TYPE"
		case "HOST":
			env[key] = host
			continue
		}
		old, repeated := env[key]
		switch {
		case repeated && name == "COOKIE":
			value = old + "; " + value
		case repeated:
			value = old + "," + value
		}
		env[key] = value
	}
	return env
}

// FuzzFields: the same variables as the naive way, each once. The fuzzer's text
// is field lines; names are held to tokens, as the parser holds them.
func FuzzFields(f *testing.F) {
	f.Add("Host: h\nAccept: a\naccept: b\nX_Y: c\nX-Y: d\nCookie: 1\nCOOKIE: 2")
	f.Add("Content-Type: a\ncontent-type: b\nContent-Length: 3\nTransfer-Encoding: chunked\nTrailer: x")
	f.Add("a: 1\nA: 2\n-: 3\n--: 4\n_: 5\na-: 6\nA-: 7\n!: 8\n~: 9\n^: 0")
	f.Fuzz(func(t *testing.T, text string) {
		r := base()
		for line := range strings.SplitSeq(text, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			if name == "" || strings.ContainsFunc(name, func(c rune) bool { return !isToken(c) }) {
				continue
			}
			r.Fields = append(r.Fields, http1.Field{Name: []byte(name), Value: []byte(value)})
		}
		want := environ(t, base())
		maps.Copy(want, naiveFields(string(r.Host), r.Fields))
		if got := environ(t, r); !maps.Equal(got, want) {
			t.Errorf("fields %q\ngot  %q\nwant %q", r.Fields, got, want)
		}
	})
}

func isToken(c rune) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// FuzzPath: net/url decodes what is well-formed to the same; what is not keeps its
// percent signs; nothing gets longer.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/a%20b", "/%", "/%4", "/%zz%41", "/%%%", "/%2525", "/%C3%A9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := &bridge.Request{Path: []byte(path)}
		got := record(t, &Rules{}, r).Lookup("PATH_INFO")
		want, err := url.PathUnescape(path)
		switch {
		case err == nil && got != want:
			t.Errorf("%q: %q, want %q", path, got, want)
		case err != nil && !strings.Contains(got, "%"):
			t.Errorf("%q: %q has lost a percent sign", path, got)
		case len(got) > len(path):
			t.Errorf("%q: %q is longer", path, got)
		}
	})
}
