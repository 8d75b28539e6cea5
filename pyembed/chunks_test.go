package pyembed

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestLoans: large bodies that Go keeps come out as they are, and are released in the
// end, by whoever comes first.
func TestLoans(t *testing.T) {
	w := embedded(t)
	references := func() string { return w.ask(t, "GET", "/lent_references", "").body }
	body := make([]byte, 256)
	for i := range body {
		body[i] = byte(i)
	}
	large := strings.Repeat(string(body), 4096)
	time.Sleep(3 * loanRest) // other tests' loans
	before := references()
	for range 3 {
		for path, want := range map[string]string{"/lent": large, "/lent_chunks": strings.Repeat(large+"small", 5)} {
			if r := w.ask(t, "GET", path, ""); r.body != want || r.err != nil {
				t.Errorf("%s: %d bytes, %v; want %d", path, len(r.body), r.err, len(want))
			}
			w.ask(t, "HEAD", path, "")
			x := newRequest("lent", "GET", path, "")
			if err := w.pool.Submit(x); err != nil {
				t.Fatal(err)
			}
			collect(x, 1) // the client has left in the midst
			x.Release()
		}
	}
	time.Sleep(3 * loanRest)
	// What is returned after this request has run would count for it.
	if got := references(); got != before {
		t.Errorf("%s references, %s before", got, before)
	}
	w.ask(t, "GET", "/lent", "")
	end := time.Now().Add(patience)
	for references() != before { // an executor has released it, or will
		if time.Now().After(end) {
			t.Fatal("an object that was lent is kept")
		}
	}
}

// TestSlowerNext: a chunk does not wait for the next one, when that is not there at once.
func TestSlowerNext(t *testing.T) {
	w := embedded(t)
	x := newRequest("slower", "GET", "/slower_next", "")
	if err := w.pool.Submit(x); err != nil {
		t.Fatal(err)
	}
	defer x.Release()
	var got string
	for got != "firstab" {
		p := x.Next()
		got += string(p.Body)
		if p.Last || p.Err != nil || len(got) > len("firstab") {
			t.Fatalf("got %q, %v", got, p.Err)
		}
	}
	other := newRequest("go on", "GET", "/go_on", "")
	if err := w.pool.Submit(other); err != nil {
		t.Fatal(err)
	}
	collect(other, -1)
	other.Release()
	if r := collect(x, -1); r.body != "cd" || r.err != nil {
		t.Errorf("then %q, %v", r.body, r.err)
	}
}

func TestQuickChunks(t *testing.T) {
	w := embedded(t)
	var want strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&want, "%d,", i)
	}
	for range 20 {
		if r := w.ask(t, "GET", "/quick_chunks", ""); r.body != want.String() || r.err != nil {
			t.Fatalf("%d bytes, %v", len(r.body), r.err)
		}
	}
}
