package service

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify("READY=1"); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	t.Setenv("NOTIFY_SOCKET", path)
	if err := Notify("READY=1"); err == nil || !strings.Contains(err.Error(), "READY=1") {
		t.Errorf("nobody listens: %v", err)
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := Notify("READY=1"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

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
