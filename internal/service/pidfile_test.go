package service

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestPIDFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pid")
	own := strconv.Itoa(os.Getpid()) + "\n"
	for _, before := range []string{"", "not a number", "999999999", own} { // none, broken, stale, our own
		if before != "" {
			if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p, err := WritePID("pid", dir)
		if err != nil {
			t.Fatalf("with %q: %v", before, err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != own {
			t.Errorf("%q, %v", text, err)
		}
		p.Remove()
		if _, err := os.Stat(path); err == nil {
			t.Error("the file stayed")
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPIDFileOfARunningProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	text := strconv.Itoa(os.Getppid())
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := WritePID(path, ""); err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v", err)
	}
}

// TestPIDFileOfAnother: what a successor wrote stays.
func TestPIDFileOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := WritePID(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.Remove()
	if _, err := os.Stat(path); err != nil {
		t.Error("it was removed")
	}
	none, err := WritePID("", "")
	if err != nil {
		t.Fatal(err)
	}
	none.Remove()
}

// TestPIDFileMoves: a successor takes the file of the one before it.
func TestPIDFileMoves(t *testing.T) {
	dir := t.TempDir()
	old := os.Getppid() // it is there, as the old one may be for a moment
	if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(old)), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := WritePID("pid.2", dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Move("pid", dir, 0); err == nil {
		t.Error("the file of a running process was taken")
	}
	if got := readPID(filepath.Join(dir, "pid.2")); got != os.Getpid() {
		t.Errorf("pid.2 has %d", got)
	}
	if err := p.Move("pid", dir, old); err != nil {
		t.Fatal(err)
	}
	if got := readPID(filepath.Join(dir, "pid")); got != os.Getpid() {
		t.Errorf("pid has %d", got)
	}
	p.Remove()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
