package gowsgi_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi"
)

// hammered are the requests of the hammer, each with its answer; where there is none,
// the answer is cut.
var hammered = []struct {
	method, path, body string
	status             int
	answer             string
}{
	{"GET", "/hello", "", 200, "hello"},
	{"GET", "/hello", "", 200, "hello"},
	{"GET", "/hello", "", 200, "hello"},
	{"HEAD", "/hello", "", 200, ""},
	{"POST", "/echo", "posted", 200, "posted"},
	{"POST", "/echo", strings.Repeat("0123456789", 300), 200, strings.Repeat("0123456789", 300)}, // to a file
	{"GET", "/several", "", 200, "abc"},
	{"GET", "/write", "", 200, "abc"},
	{"GET", "/status?204+No+Content", "", 204, ""},
	{"GET", "/hints", "", 200, "hinted"},
	{"GET", "/raises", "", 500, "500 Internal Server Error\n"},
	{"GET", "/raises_later", "", 200, "begun"},
	{"GET", "/raises_at_close", "", 200, "whole"},
}

// TestHammer: two applications behind one server, eight clients with 10,000 requests
// each, some of which lose patience at a random time. Each answer is the request's own,
// each iterable is closed, and nothing is left.
func TestHammer(t *testing.T) {
	checkLeaks(t)
	const clients = 8
	requests := 10_000
	if testing.Short() {
		requests = 500
	}
	mux := http.NewServeMux()
	var apps [2]*gowsgi.App
	for i, prefix := range []string{"/a", "/b"} {
		c := config("webapp:app")
		c.Prefix, c.BodyMemory, c.TempDir = prefix, 1000, t.TempDir()
		c.OnError = func(*http.Request, error) {}
		if i == 1 {
			c.App = "webapp:factory_app()" // a callable of its own
		}
		apps[i], _ = load(t, c)
		mux.Handle(prefix+"/", apps[i])
	}
	s := serve(t, mux)
	started, closed := count(t, "started"), count(t, "closed")
	var whole, left atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for client := range clients {
		r := rand.New(rand.NewPCG(uint64(client), 1))
		web := &http.Client{Transport: &http.Transport{}}
		all.Go(func() {
			defer web.CloseIdleConnections()
			for range requests {
				if hammerOne(t, web, s.URL, r) {
					whole.Add(1)
				} else {
					left.Add(1)
				}
			}
		})
	}
	all.Wait()
	took := time.Since(begin)
	eventually(t, "both to be idle", func() bool { return apps[0].Stats().Active+apps[1].Stats().Active == 0 })
	if a, b := count(t, "started")-started, count(t, "closed")-closed; a != b || a == 0 {
		t.Errorf("%d iterables, %d closed", a, b)
	}
	a, b := apps[0].Stats(), apps[1].Stats()
	if a.Requests+b.Requests > int64(clients*requests) || a.Requests == 0 || b.Requests == 0 || a.Waiting != 0 {
		t.Errorf("%+v, %+v", a, b)
	}
	t.Logf("%d answers, %d left, in %v: %+v, %+v", whole.Load(), left.Load(), took, a, b)
	s.Close()
}

// hammerOne makes a request; false if it was given up.
func hammerOne(t *testing.T, web *http.Client, url string, r *rand.Rand) (whole bool) {
	k := hammered[r.IntN(len(hammered))]
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	impatient := r.IntN(5) == 0
	if impatient {
		timer := time.AfterFunc(time.Duration(r.IntN(1500))*time.Microsecond, cancel)
		defer timer.Stop()
	}
	var body io.Reader
	if k.body != "" {
		body = strings.NewReader(k.body)
	}
	q, err := http.NewRequestWithContext(ctx, k.method, fmt.Sprint(url, "/", string(rune('a'+r.IntN(2))), k.path), body)
	if err != nil {
		t.Error(err)
		return false
	}
	response, err := web.Do(q)
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("%s: %v", k.path, err)
		}
		return false
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	switch {
	case ctx.Err() != nil:
		return false
	case response.StatusCode != k.status || string(got) != k.answer:
		t.Errorf("%s: %s, %q, %v", k.path, response.Status, got, err)
	case (err != nil) != (k.path == "/raises_later"):
		t.Errorf("%s: %v", k.path, err)
	}
	return true
}
