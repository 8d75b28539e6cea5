package listen

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for bind, want := range map[string]address{
		"127.0.0.1:8000":  {tcp: "127.0.0.1:8000"},
		"localhost:80":    {tcp: "localhost:80"},
		":8000":           {tcp: ":8000"},
		"0.0.0.0:0":       {tcp: "0.0.0.0:0"},
		"localhost":       {tcp: "localhost:8000"},
		"192.0.2.1":       {tcp: "192.0.2.1:8000"},
		"[::1]:9000":      {tcp: "[::1]:9000"},
		"[::]":            {tcp: "[::]:8000"},
		"[::1]":           {tcp: "[::1]:8000"},
		"example.org:":    {tcp: "example.org:8000"},
		"unix:/run/s":     {unix: "/run/s"},
		"unix:///run/s":   {unix: "/run/s"},
		"unix:s":          {unix: "/srv/s"},
		"unix:run/s.sock": {unix: "/srv/run/s.sock"},
		"fd://3":          {fd: 3},
	} {
		if got, err := parse(bind, "/srv"); err != nil || got != want {
			t.Errorf("parse(%q) = %+v, %v; want %+v", bind, got, err, want)
		}
	}
	for _, bind := range []string{"::1", "::1:8000", "1:2:3", "http://localhost:80", "unix:", "unix://", "fd://", "fd://2", "fd://x", "[::1", "[a]", "[]"} {
		if got, err := parse(bind, ""); err == nil || !strings.Contains(err.Error(), "--bind "+bind) {
			t.Errorf("parse(%q) = %+v, %v; want an error that names it", bind, got, err)
		}
	}
}

func open(t *testing.T, binds ...string) *Set {
	t.Helper()
	s, err := Open(binds, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); s.Remove() })
	return s
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s, err := Open([]string{"unix:" + path}, "", 0o007)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o770 {
		t.Errorf("%v, %v", info, err)
	}
	if got := s.URLs(); !slices.Equal(got, []string{"unix:" + path}) {
		t.Errorf("URLs %q", got)
	}
	if _, err := Open([]string{"unix:" + path}, "", 0); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second server: %v", err)
	}
	s.Close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("Close removed the file, which other processes may serve: %v", err)
	}
	time.Sleep(20 * time.Millisecond) // the file system's clock ticks
	again := open(t, "unix:"+path)    // the first one's is stale
	s.Remove()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("Remove removed another server's socket: %v", err)
	}
	again.Remove()
	if _, err := os.Stat(path); err == nil {
		t.Error("Remove left the socket")
	}
}

func TestUnixSocketWhereAFileIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open([]string{"unix:" + path}, "", 0); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "data" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

// TestOpenAllOrNothing: what was made before an error does not stay.
func TestOpenAllOrNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	taken := open(t, "127.0.0.1:0").Listeners[0].Addr().String()
	if _, err := Open([]string{"unix:" + path, taken}, "", 0); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket stayed")
	}
}

// copied returns a descriptor that nothing else owns.
func copied(t *testing.T, l net.Listener) int {
	t.Helper()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestDescriptor(t *testing.T) {
	first := open(t, "127.0.0.1:0")
	addr := first.Listeners[0].Addr().String()
	fd := copied(t, first.Listeners[0])
	s := open(t, "fd://"+strconv.Itoa(fd))
	if got := s.Listeners[0].Addr().String(); got != addr {
		t.Errorf("address %s, want %s", got, addr)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := FromFD(copiedConn(t, c)); err == nil || !strings.Contains(err.Error(), "does not listen") {
		t.Errorf("a connection's descriptor: %v", err)
	}
	if _, err := Open([]string{"fd://999"}, "", 0); err == nil || !strings.Contains(err.Error(), "descriptor 999") {
		t.Errorf("a closed descriptor: %v", err)
	}
}

func copiedConn(t *testing.T, c net.Conn) int {
	t.Helper()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestPassed(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		pid, fds string
		want     []address
	}{
		{self, "2", []address{{fd: 3}, {fd: 4}}},
		{self, "", nil},
		{self, "x", nil},
		{"1", "2", nil}, // meant for another process
		{"", "2", nil},
	} {
		t.Setenv("LISTEN_PID", tt.pid)
		t.Setenv("LISTEN_FDS", tt.fds)
		if got := passed(); !slices.Equal(got, tt.want) {
			t.Errorf("LISTEN_PID=%s LISTEN_FDS=%s: %+v, want %+v", tt.pid, tt.fds, got, tt.want)
		}
		if v, ok := os.LookupEnv("LISTEN_FDS"); ok {
			t.Errorf("LISTEN_FDS=%s stays for the application", v)
		}
	}
}

// TestFiles: the descriptors outlive the listeners.
func TestFiles(t *testing.T) {
	s := open(t, "127.0.0.1:0")
	addr := s.Listeners[0].Addr().String()
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	defer files[0].Close()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("nobody listens any more: %v", err)
	}
	c.Close()
}
