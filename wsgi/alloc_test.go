package wsgi

import (
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
)

// TestAllocations: making a request's variables makes no garbage; what a proxy says of
// the client makes four small pieces.
func TestAllocations(t *testing.T) {
	r := base()
	r.Fields = fields("Host: example.org", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept: text/html",
		"Accept-Encoding: gzip, br", "Cookie: a=b", "Cookie: c=d", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https",
		"Content-Type: text/plain", "Content-Length: 7")
	r.Path, r.Target, r.Query, r.BodyLength = []byte("/a%20b"), []byte("/a%20b?c=d"), []byte("c=d"), 7
	networks := func(s string) Networks {
		n, err := ParseNetworks(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	peer := r.Peer
	x := bridge.NewExchange()
	defer x.Release()
	for name, tt := range map[string]struct {
		u    *Rules
		most float64
	}{
		"plain":              {&Rules{}, 0},
		"from a proxy":       {&Rules{Proxies: networks("192.0.2.0/24")}, 4},
		"not from the proxy": {&Rules{Proxies: networks("127.0.0.1")}, 0},
	} {
		got := testing.AllocsPerRun(200, func() {
			r.Peer, r.Scheme = peer, "http"
			if err := tt.u.Prepare(r, x); err != nil {
				t.Fatal(err)
			}
		})
		if got > tt.most {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
