package pyembed

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
)

// TestAllocations: serving a request through Python makes no garbage in Go. `make
// test-race` runs it once more without the race detector.
func TestAllocations(t *testing.T) {
	if underRace {
		t.Skip("the race detector changes what is allocated; make test-race runs this again without it")
	}
	w := embedded(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would empty the pools
	for _, path := range []string{"/list", "/generator", "/64_chunks", "/lent"} {
		const requests = 300
		round := func() {
			x := bridge.NewExchange()
			x.Record = x.Record.Append("REQUEST_METHOD", "POST").Append("PATH_INFO", path)
			if err := w.pool.Submit(x); err != nil {
				t.Fatal(err)
			}
			for p := x.Next(); !p.Last; p = x.Next() {
				if p.Err != nil {
					t.Fatal(p.Err)
				}
			}
			x.Leave(bridge.ErrComplete)
			x.Release()
		}
		for range requests / 4 {
			round()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range requests {
			round()
		}
		runtime.ReadMemStats(&after)
		got := float64(after.Mallocs-before.Mallocs) / requests
		t.Logf("%s: %.3f allocations a request", path, got)
		if got >= 0.5 { // what the runtime makes now and then
			t.Errorf("%s: %.2f allocations a request", path, got)
		}
	}
}
