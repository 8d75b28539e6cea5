package touch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	touch := func(file string, at int64) {
		t.Helper()
		// In one step, so that no other time is seen.
		made := file + ".new"
		if err := os.WriteFile(made, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(made, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(made, file); err != nil {
			t.Fatal(err)
		}
	}
	touch(a, 100)
	touch(c, 100)
	seen := make(chan string, 10)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		Watch([]string{a, b, c}, 5*time.Millisecond, stop, func(file string) { seen <- filepath.Base(file) })
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-seen:
			if got != want {
				t.Errorf("%s was touched, want %s", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s was not seen", want)
		}
	}
	nothing := func() {
		t.Helper()
		select {
		case got := <-seen:
			t.Errorf("%s was touched", got)
		case <-time.After(50 * time.Millisecond):
		}
	}
	nothing()
	touch(a, 200)
	expect("a")
	touch(a, 50) // an older time is another one too
	expect("a")
	touch(b, 100) // it was not there
	expect("b")
	if err := os.Remove(c); err != nil {
		t.Fatal(err)
	}
	nothing()
	touch(c, 100) // back as it was
	nothing()
	touch(c, 101)
	expect("c")
	close(stop)
	<-ended
}
