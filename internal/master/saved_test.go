package master

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TestChanged: the same save is told of by every worker, and by those of the
// generation that is starting; it is one reload.
func TestChanged(t *testing.T) {
	var log bytes.Buffer
	m := &Master{Log: hclog.New(&hclog.LoggerOptions{Output: &log}), booted: true}
	m.fleet = fleet{want: 1, current: 1, last: 1}
	first, second := time.Now(), time.Now().Add(time.Second)
	for i, tt := range []struct {
		path string
		at   time.Time
		want int // generations begun until then
	}{
		{"a.py", first, 1},
		{"a.py", first, 1}, // another worker
		{"b.py", first, 2},
		{"b.py", second, 3},
		{"b.py", second, 3},
		{"a.py", first, 4}, // an older file put there
	} {
		m.changed(message{Kind: kindChanged, Text: tt.path, At: tt.at.UnixNano()})
		if got := m.fleet.next - 1; got != tt.want {
			t.Errorf("%d: %d reloads after %s, want %d", i, got, tt.path, tt.want)
		}
	}
	if got := strings.Count(log.String(), "reloading: b.py changed"); got != 2 {
		t.Errorf("logged %d times:\n%s", got, log.String())
	}
}

// TestBroken: once a generation, though each of its workers tells.
func TestBroken(t *testing.T) {
	var log bytes.Buffer
	m := &Master{Log: hclog.New(&hclog.LoggerOptions{Output: &log})}
	for _, generation := range []int{1, 1, 2, 2, 2} {
		m.broken(&worker{generation: generation}, message{Text: "SyntaxError"})
	}
	if got := strings.Count(log.String(), "SyntaxError"); got != 2 {
		t.Errorf("logged %d times:\n%s", got, log.String())
	}
}

// TestWhatAWatchingWorkerSays arrives as it was said.
func TestWhatAWatchingWorkerSays(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	m := &Master{events: make(chan event)}
	w := &worker{process: process{line: ours, read: make(chan struct{})}}
	go m.listen(w)
	link := &Link{line: theirs}
	at := time.Unix(1_700_000_000, 123_456_789)
	go func() {
		link.Changed("/srv/app.py", at)
		link.Broken("SyntaxError:\n  x")
	}()
	for _, want := range []message{
		{Kind: kindChanged, Text: "/srv/app.py", At: at.UnixNano()}, {Kind: kindBroken, Text: "SyntaxError:\n  x"},
	} {
		select {
		case e := <-m.events:
			if e.message != want {
				t.Errorf("heard %+v, want %+v", e.message, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("heard nothing")
		}
	}
}
