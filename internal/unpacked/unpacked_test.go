package unpacked

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	if b, err := read(dir); b != nil || err != nil {
		t.Errorf("a folder like any other: %v, %v", b, err)
	}
	marker := filepath.Join(dir, Marker)
	if err := os.WriteFile(marker, []byte(`{"spec": "a:b", "python": {"version": "3.14.6", "executable": "bin/python3.14"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := read(dir)
	if err != nil || b.Spec != "a:b" || b.Python.Version != "3.14.6" || b.Path(App) != filepath.Join(dir, "app") {
		t.Errorf("%v, %v", b, err)
	}
	if err := os.WriteFile(marker, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := read(dir); err == nil {
		t.Error("half a marker is no error")
	}
}

// TestHere: this test runs from no such folder.
func TestHere(t *testing.T) {
	if b, err := Here(); b != nil || err != nil {
		t.Errorf("%v, %v", b, err)
	}
}
