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

		"http://localhost:80":    {tcp: "localhost:80"},
		"uwsgi://127.0.0.1:3031": {tcp: "127.0.0.1:3031"},
		"uwsgi://:3031":          {tcp: ":3031"},
		"uwsgi://[::1]:3031":     {tcp: "[::1]:3031"},
		"uwsgi+unix:/run/s":      {unix: "/run/s"},
		"uwsgi+unix:///run/s":    {unix: "/run/s"},
		"http+unix:s":            {unix: "/srv/s"},
		"uwsgi+fd://3":           {fd: 3},
	} {
		if got, err := parse(bind, "/srv"); err != nil || got != want {
			t.Errorf("parse(%q) = %+v, %v; want %+v", bind, got, err, want)
		}
	}
	for _, bind := range []string{"::1", "::1:8000", "1:2:3", "https://localhost:80", "uwsgi://unix:/run/s", "uwsgi+unix:", "uwsgi+fd://2", "uwsgi+localhost:80", "fcgi+unix:/run/s", "uwsgi://[a]", "unix:", "unix://", "fd://", "fd://2", "fd://x", "[::1", "[a]", "[]"} {
		if got, err := parse(bind, ""); err == nil || !strings.Contains(err.Error(), "--bind "+bind) {
			t.Errorf("parse(%q) = %+v, %v; want an error that names it", bind, got, err)
		}
	}
}

func TestProtocols(t *testing.T) {
	binds := []string{"uwsgi://:3031", "127.0.0.1:80", "http+unix:s", "uwsgi+fd://4"}
	for fallback, second := range map[Protocol]Protocol{HTTP: HTTP, UWSGI: UWSGI} {
		if got, want := Protocols(binds, 4, fallback), []Protocol{UWSGI, second, HTTP, UWSGI}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if got, want := Protocols(binds, 2, fallback), []Protocol{fallback, fallback}; !slices.Equal(got, want) {
			t.Errorf("for other sockets %q, want %q", got, want)
		}
	}
}

// TestIPv4Only: 0.0.0.0 is no other than that, as in gunicorn.
func TestIPv4Only(t *testing.T) {
	for bind, want := range map[string]string{"0.0.0.0:0": "0.0.0.0:", "[::]:0": "[::]:", ":0": "[::]:", "127.0.0.1:0": "127.0.0.1:"} {
		s, err := Open(Options{Binds: []string{bind}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		if got := s.Listeners[0].Addr().String(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", bind, got)
		}
	}
}

func TestSocketMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s, err := Open(Options{Binds: []string{"uwsgi+unix:" + path}, Umask: 0o077, Mode: 0o660})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); s.Remove() })
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info, err)
	}
	if got := s.URLs([]Protocol{UWSGI}, "http"); !slices.Equal(got, []string{"uwsgi+unix:" + path}) {
		t.Errorf("URLs %q", got)
	}
}

func open(t *testing.T, binds ...string) *Set {
	t.Helper()
	s, err := Open(Options{Binds: binds})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); s.Remove() })
	return s
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s, err := Open(Options{Binds: []string{"unix:" + path}, Umask: 0o007})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o770 {
		t.Errorf("%v, %v", info, err)
	}
	if got := s.URLs([]Protocol{HTTP}, "http"); !slices.Equal(got, []string{"unix:" + path}) {
		t.Errorf("URLs %q", got)
	}
	if _, err := Open(Options{Binds: []string{"unix:" + path}}); !errors.Is(err, syscall.EADDRINUSE) {
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
	if _, err := Open(Options{Binds: []string{"unix:" + path}}); err == nil || !strings.Contains(err.Error(), "no socket") {
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
	if _, err := Open(Options{Binds: []string{"unix:" + path, taken}}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket stayed")
	}
}

func TestBacklog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s, err := Open(Options{Binds: []string{"unix:" + path}, Backlog: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); s.Remove() })
	waiting := 0
	for ; waiting < 10; waiting++ {
		c, err := net.Dial("unix", path)
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if waiting != 3 { // Linux lets one more wait than was asked for
		t.Errorf("%d connections wait with a backlog of 2", waiting)
	}
}

func TestReusePort(t *testing.T) {
	first, err := Open(Options{Binds: []string{"127.0.0.1:0"}, ReusePort: true})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	bind := []string{first.Listeners[0].Addr().String()}
	second, err := Open(Options{Binds: bind, ReusePort: true, Backlog: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := Open(Options{Binds: bind}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("without the option: %v", err)
	}
}

func TestChown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var asked string
	o := Options{Binds: []string{"unix:" + path}, Chown: func(path string) error { asked = path; return nil }}
	s, err := Open(o)
	if err != nil || asked != path {
		t.Fatalf("asked for %q, %v", asked, err)
	}
	s.Close()
	o.Chown = func(string) error { return syscall.EPERM }
	if _, err := Open(o); !errors.Is(err, syscall.EPERM) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket stayed")
	}
}

// TestInherit: a successor's set removes what the first one made, and nothing else.
func TestInherit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first := open(t, "unix:"+path)
	second, err := Inherit(first.Pass(), copied(t, first.Listeners[0]))
	if err != nil {
		t.Fatal(err)
	}
	if got := second.URLs([]Protocol{HTTP}, "http"); !slices.Equal(got, []string{"unix:" + path}) {
		t.Errorf("URLs %q", got)
	}
	third, err := Inherit(second.Pass(), copied(t, second.Listeners[0]))
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
	third.Close()
	second.Remove()
	if _, err := os.Stat(path); err == nil {
		t.Error("the second left the socket")
	}
	first.Close()
	time.Sleep(20 * time.Millisecond) // the file system's clock ticks
	open(t, "unix:"+path)
	third.Remove()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the third removed another server's socket: %v", err)
	}

	tcp := open(t, "127.0.0.1:0")
	if tcp.Pass() != "" {
		t.Errorf("passes %q for a port", tcp.Pass())
	}
	again, err := Inherit("", copied(t, tcp.Listeners[0]))
	if err != nil || again.Listeners[0].Addr().String() != tcp.Listeners[0].Addr().String() {
		t.Errorf("%v, %v", again, err)
	}
	again.Close()
	if _, err := Inherit(",", 900); err == nil || !strings.Contains(err.Error(), "descriptor 900") {
		t.Errorf("nothing there: %v", err)
	}
}

// copied returns a descriptor that nothing else owns.
func copied(t *testing.T, l net.Listener) int {
	t.Helper()
	f, err := l.(interface{ File() (*os.File, error) }).File()
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
	if _, err := Open(Options{Binds: []string{"fd://999"}}); err == nil || !strings.Contains(err.Error(), "descriptor 999") {
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
