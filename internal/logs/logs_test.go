package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/internal/statsd"
	"github.com/gowsgi/gowsgi/internal/syslog"
	"github.com/hashicorp/go-hclog"
)

// helperVariable makes the test program one of the helpers below.
const helperVariable = "GOWSGI_TEST_LOGS"

func TestMain(m *testing.M) {
	switch os.Getenv(helperVariable) {
	case "":
		os.Exit(m.Run())
	case "capture":
		helpCapture()
	case "pipe":
		helpPipe()
	}
}

func entry(path string) *bridge.AccessEntry {
	return &bridge.AccessEntry{
		Request: &bridge.Request{
			Method: []byte("GET"), Target: []byte(path), Path: []byte(path), Proto: "HTTP/1.1",
			Peer: bridge.Endpoint{Addr: "192.0.2.7"},
		},
		Status: 200, Bytes: 5, Start: time.Now(), Took: time.Millisecond,
	}
}

func open(t *testing.T, cfg Config) *Logs {
	t.Helper()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestErrorLines(t *testing.T) {
	var out bytes.Buffer
	l := open(t, Config{Stderr: &out})
	l.Error().Debug("not shown")
	l.Error().With("worker", 7).Warn("shown", "cause", errors.New("a b"))
	const want = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\S+ \[WARN\]  gowsgi: shown: worker=7 cause="a b"\n$`
	if !regexp.MustCompile(want).MatchString(out.String()) {
		t.Errorf("got %q", out.String())
	}
	if l.Access() != nil {
		t.Error("there is an access log")
	}
	if l.ErrorFD() != 2 || l.Statsd() != nil {
		t.Errorf("ErrorFD %d, Statsd %v", l.ErrorFD(), l.Statsd())
	}
}

func TestJSONErrorLines(t *testing.T) {
	var out bytes.Buffer
	l := open(t, Config{Stderr: &out, JSON: true, Level: hclog.Debug})
	l.Error().Trace("not shown")
	l.Error().With("worker", 7).Warn("one\ntwo <b>", "cause", errors.New(`a "b"`), "limit", 2*time.Second,
		"level", 3, "odd", func() {}, "format", hclog.Fmt("%d%%", 5), "pid", 1, "left over")
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("got %q", out.String())
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	if _, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil {
		t.Error(err)
	}
	if odd, _ := got["odd"].(string); !strings.HasPrefix(odd, "0x") {
		t.Errorf("odd: %v", got["odd"])
	}
	delete(got, "time")
	delete(got, "odd")
	want := map[string]any{
		"level": "warning", "logger": "gowsgi", "message": "one\ntwo <b>", "worker": 7., "cause": `a "b"`,
		"limit": "2s", "level_": 3., "format": "5%", "pid": 1.,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second open appends
		l := open(t, Config{Error: "error.log", Access: "access.log", AccessFormat: "%(m)s %(U)s", Dir: dir})
		l.Error().Error("bad")
		l.Access().Log(entry("/a"))
		l.Close()
	}
	if got := read(t, filepath.Join(dir, "access.log")); got != "GET /a\nGET /a\n" {
		t.Errorf("the access log has %q", got)
	}
	if got := read(t, filepath.Join(dir, "error.log")); strings.Count(got, "[ERROR] gowsgi: bad\n") != 2 {
		t.Errorf("the error log has %q", got)
	}
	info, err := os.Stat(filepath.Join(dir, "access.log"))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
}

func TestStandardStreams(t *testing.T) {
	for _, name := range []string{"-", "/dev/stdout", "/proc/self/fd/1"} {
		var stdout, stderr bytes.Buffer
		l := open(t, Config{Access: name, Error: "-", Stdout: &stdout, Stderr: &stderr, JSON: true})
		l.Access().Log(entry("/a"))
		if !strings.Contains(stdout.String(), `"path":"/a"`) || stderr.Len() > 0 || l.accessFD() != 1 {
			t.Errorf("%s: stdout %q, stderr %q, descriptor %d", name, &stdout, &stderr, l.accessFD())
		}
	}
	var stdout, stderr bytes.Buffer
	l := open(t, Config{Access: "/dev/stderr", Error: "/dev/stdout", Stdout: &stdout, Stderr: &stderr})
	l.Access().Log(entry("/a"))
	l.Error().Info("b")
	if !strings.Contains(stderr.String(), "GET /a") || !strings.Contains(stdout.String(), ": b\n") || l.ErrorFD() != 1 || l.accessFD() != 2 {
		t.Errorf("stdout %q, stderr %q", &stdout, &stderr)
	}
}

// TestConfigure: a master reads its configuration anew, and its parts keep the logger.
func TestConfigure(t *testing.T) {
	dir := t.TempDir()
	var stderr bytes.Buffer
	l := open(t, Config{Stderr: &stderr})
	log := l.Error().With("worker", 7)
	log.Info("one")
	file := Config{Stderr: &stderr, Error: "log", Dir: dir, JSON: true, Level: hclog.Debug}
	if err := l.Configure(file); err != nil {
		t.Fatal(err)
	}
	log.Debug("two")
	if !log.IsDebug() {
		t.Error("the level is still the old one")
	}
	if err := l.Configure(Config{Stderr: &stderr, Error: "no/where", Dir: dir}); err == nil {
		t.Error("no error")
	}
	log.Info("three")
	if err := l.Configure(Config{Stderr: &stderr, Error: "other", Dir: dir}); err != nil {
		t.Fatal(err)
	}
	log.Info("four")
	if got := stderr.String(); !strings.HasSuffix(got, "gowsgi: one: worker=7\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("stderr has %q", got)
	}
	got := read(t, filepath.Join(dir, "log"))
	if !strings.Contains(got, `"message":"two","worker":7}`) || !strings.Contains(got, `"message":"three","worker":7}`) {
		t.Errorf("the first file has %q", got)
	}
	if got := read(t, filepath.Join(dir, "other")); !strings.HasSuffix(got, "four: worker=7\n") {
		t.Errorf("the second file has %q", got)
	}
}

func TestBadSettings(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "log")
	for want, cfg := range map[string]Config{
		"opening the error log: open " + missing + ": no such file":  {Error: missing},
		"opening the access log: open " + missing + ": no such file": {Access: missing},
		"the access log's format at":                                 {AccessFormat: "%x"},
		"the syslog facility":                                        {Syslog: &syslog.Config{Facility: "none"}},
		"the syslog address":                                         {Syslog: &syslog.Config{Address: "none"}},
		"the statsd address":                                         {Statsd: &statsd.Config{Host: ":"}},
	} {
		if _, err := Open(cfg); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestMasterMakesFilesReady: the workers may be somebody else, who cannot make them.
func TestMasterMakesFilesReady(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Config{Master: true, Access: "access.log", Error: "error.log", Dir: dir, Owner: &Owner{65534, 65533}})
	if l.Access() != nil {
		t.Error("the master has an access log")
	}
	wantUID, wantGID := uint32(os.Getuid()), uint32(os.Getgid())
	if os.Geteuid() == 0 {
		wantUID, wantGID = 65534, 65533
	}
	for range 2 {
		for _, name := range []string{"access.log", "error.log"} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			s := info.Sys().(*syscall.Stat_t)
			if s.Uid != wantUID || s.Gid != wantGID {
				t.Errorf("%s belongs to %d, %d", name, s.Uid, s.Gid)
			}
			if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+".1")); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	if l := open(t, Config{Access: "/dev/null", Owner: &Owner{65534, 65533}}); l.Access() == nil {
		t.Error("no access log to /dev/null")
	}
	info, err := os.Stat("/dev/null")
	if err != nil || os.Geteuid() == 0 && info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Error("/dev/null was given away")
	}
}

// TestReopenLosesNothing: files are moved and opened anew while all is being written,
// as logrotate does. Each line is in one of the files, and none changes after Reopen.
func TestReopenLosesNothing(t *testing.T) {
	const writers, rotations = 4, 40
	dir := t.TempDir()
	l := open(t, Config{Error: "error", Access: "access", AccessFormat: "%(U)s", Dir: dir})
	var stop atomic.Bool
	var all sync.WaitGroup
	counts := make([]int, writers)
	for w := range writers {
		all.Go(func() {
			for ; !stop.Load(); counts[w]++ {
				l.Access().Log(entry(fmt.Sprintf("/%d-%d", w, counts[w])))
				l.Error().Info(fmt.Sprintf("%d-%d.", w, counts[w]))
				if _, err := syscall.Write(l.ErrorFD(), fmt.Appendf(nil, "python %d-%d.\n", w, counts[w])); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sizes := map[string]int64{}
	for i := range rotations {
		time.Sleep(time.Millisecond)
		for _, name := range []string{"error", "access"} {
			path := filepath.Join(dir, name)
			if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
		old := fmt.Sprintf("%s.%d", filepath.Join(dir, "access"), i)
		info, err := os.Stat(old)
		if err != nil {
			t.Fatal(err)
		}
		sizes[old] = info.Size()
	}
	stop.Store(true)
	all.Wait()
	for path, size := range sizes {
		if info, err := os.Stat(path); err != nil || info.Size() != size {
			t.Errorf("%s was written to after Reopen: %d bytes, then %d", path, size, info.Size())
		}
	}
	var text strings.Builder
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2*(rotations+1) {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	for _, path := range files {
		text.WriteString(read(t, path))
	}
	lines := map[string]int{}
	for line := range strings.Lines(text.String()) {
		if _, rest, ok := strings.Cut(line, "gowsgi: "); ok {
			line = rest
		}
		lines[line]++
	}
	for w, n := range counts {
		if n < 10 {
			t.Errorf("writer %d wrote %d lines: no load", w, n)
		}
		for i := range n {
			for _, form := range []string{"/%d-%d\n", "%d-%d.\n", "python %d-%d.\n"} {
				if line := fmt.Sprintf(form, w, i); lines[line] != 1 {
					t.Fatalf("%q is there %d times", line, lines[line])
				}
			}
		}
	}
}

// TestReopenThatFails goes on with the old file.
func TestReopenThatFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l := open(t, Config{Access: "access", AccessFormat: "%(U)s", Dir: dir})
	moved := dir + ".old"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Reopen: %v", err)
	}
	l.Access().Log(entry("/a"))
	if got := read(t, filepath.Join(moved, "access")); got != "/a\n" {
		t.Errorf("the old file has %q", got)
	}
}

func helper(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), helperVariable+"="+name)
	return cmd
}

func helpCapture() {
	l, err := Open(Config{Error: os.Args[1], Access: "-", AccessFormat: "%(U)s", Capture: true})
	if err != nil {
		panic(err)
	}
	for i := range 2 {
		fmt.Println("printed", i)
		fmt.Fprintln(os.Stderr, "complained", i)
		l.Error().Info(fmt.Sprint("logged ", i))
		l.Access().Log(entry(fmt.Sprint("/", i)))
		cmd := exec.Command("echo", "echoed", fmt.Sprint(i))
		cmd.Stdout = os.Stdout
		if err := cmd.Run(); err != nil {
			panic(err)
		}
		if err := os.Rename(os.Args[1], fmt.Sprint(os.Args[1], ".", i)); err != nil {
			panic(err)
		}
		if err := l.Reopen(); err != nil {
			panic(err)
		}
	}
	panic("a crash")
}

// TestCapture: what this process and its children print is in the log's file, also
// after Reopen, and Go's own last words.
func TestCapture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	out, err := helper(t, "capture", path).CombinedOutput()
	if len(out) > 0 {
		t.Errorf("it wrote %q elsewhere", out)
	}
	if err == nil {
		t.Error("it did not crash")
	}
	for i := range 2 {
		text := read(t, fmt.Sprint(path, ".", i))
		for _, what := range []string{"printed", "complained", "logged", "echoed"} {
			if !strings.Contains(text, fmt.Sprint(what, " ", i, "\n")) {
				t.Errorf("%s is not in file %d: %q", what, i, text)
			}
		}
		if !strings.Contains(text, fmt.Sprint("/", i, "\n")) {
			t.Errorf("file %d lacks the access line: %q", i, text)
		}
	}
	if text := read(t, path); !strings.Contains(text, "panic: a crash") {
		t.Errorf("at last: %q", text)
	}
}

func helpPipe() {
	l, err := Open(Config{Access: "-"})
	if err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the reader of stdout has gone
	for range 3 {
		l.Access().Log(entry("/a"))
		l.Error().Info("b")
	}
}

// TestReaderThatGoes: `gowsgi ... | head` must not end the server.
func TestReaderThatGoes(t *testing.T) {
	cmd := helper(t, "pipe")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	outs := make([]*os.File, 2)
	for i := range outs {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		outs[i] = w
		defer w.Close()
	}
	cmd.Stdout, cmd.Stderr = outs[0], outs[1]
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

type server struct {
	t *testing.T
	c net.PacketConn
}

func listenUDP(t *testing.T) server {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return server{t, c}
}

// packets returns n messages; joined ones are taken apart.
func (s server) packets(n int) []string {
	s.t.Helper()
	var all []string
	buf := make([]byte, 1<<16)
	for len(all) < n {
		if err := s.c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			s.t.Fatal(err)
		}
		size, _, err := s.c.ReadFrom(buf)
		if err != nil {
			s.t.Fatalf("%v after %q", err, all)
		}
		all = append(all, strings.Split(string(buf[:size]), "\n")...)
	}
	return all
}

func TestSyslog(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		s := listenUDP(t)
		var out bytes.Buffer
		l := open(t, Config{
			Stderr: &out, AccessFormat: "%(U)s", JSON: asJSON,
			Syslog: &syslog.Config{Address: "udp://" + s.c.LocalAddr().String(), Prefix: "app"},
		})
		l.Access().Log(entry("/a"))
		l.Error().Debug("not sent")
		l.Error().Warn("b", "c", "d e")
		got := s.packets(2)
		access, line := `/a`, `b: c="d e"`
		if asJSON {
			access, line = `{"time":`, `{"time":`
		}
		for i, want := range []string{
			fmt.Sprintf("<14>gunicorn.app.access: [%d] %s", os.Getpid(), access),
			fmt.Sprintf("<12>gunicorn.app.error: [%d] %s", os.Getpid(), line),
		} {
			if !strings.HasPrefix(got[i], want) || !asJSON && got[i] != want {
				t.Errorf("got %q, want %q", got[i], want)
			}
		}
		if !strings.Contains(out.String(), "d e") {
			t.Errorf("stderr has %q", out.String())
		}
	}
}

func TestAccessLinesKeptFromSyslog(t *testing.T) {
	l := open(t, Config{Syslog: &syslog.Config{}, NoAccessSyslog: true, Stderr: io.Discard})
	if l.Access() != nil {
		t.Error("there is an access log")
	}
}

func TestStatsd(t *testing.T) {
	s := listenUDP(t)
	l := open(t, Config{Stderr: io.Discard, Statsd: &statsd.Config{Host: s.c.LocalAddr().String()}})
	l.Access().Log(entry("/a"))
	l.Error().Info("not counted")
	l.Error().Warn("counted")
	l.Error().Error("counted")
	l.Error().Error("counted", "traceback", "Traceback ...")
	l.Statsd().Gauge("gunicorn.workers", 3)
	want := "gunicorn.request.duration:1.000|ms gunicorn.requests:1|c|@1.0 gunicorn.request.status.200:1|c|@1.0 " +
		"gunicorn.log.warning:1|c|@1.0 gunicorn.log.error:1|c|@1.0 gunicorn.log.exception:1|c|@1.0 gunicorn.workers:3|g"
	if got := strings.Join(s.packets(7), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestDeadReceiversDoNotHoldRequestsUp: nobody listens, and closing is quick too.
func TestDeadReceiversDoNotHoldRequestsUp(t *testing.T) {
	nowhere := "unix://" + filepath.Join(t.TempDir(), "nobody")
	var out lockedBuffer
	l := open(t, Config{
		Stderr: &out, Syslog: &syslog.Config{Address: nowhere}, Statsd: &statsd.Config{Host: nowhere},
	})
	began := time.Now()
	for range 100_000 {
		l.Access().Log(entry("/a"))
	}
	l.Close()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	if n := strings.Count(out.String(), "cannot be reached; trying again"); n != 2 {
		t.Errorf("%d warnings: %s", n, out.String())
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space") }

// TestFailingWriter loses lines and nothing else.
func TestFailingWriter(t *testing.T) {
	l := open(t, Config{Access: "-", Stdout: fullDisk{}, Stderr: fullDisk{}})
	l.Access().Log(entry("/a"))
	l.Error().Error("b")
}

// TestOneWriteForOneLine: lines of several processes in one file do not mix.
func TestOneWriteForOneLine(t *testing.T) {
	w := &lineWriter{t: t}
	l := open(t, Config{Access: "-", Stdout: w})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				l.Access().Log(entry("/a"))
			}
		})
	}
	all.Wait()
	if w.lines != 1600 {
		t.Errorf("%d lines", w.lines)
	}
}

type lineWriter struct {
	t     *testing.T
	lines int // guarded by the log's own lock
}

func (w *lineWriter) Write(p []byte) (int, error) {
	if bytes.Count(p, []byte("\n")) != 1 || p[len(p)-1] != '\n' {
		w.t.Errorf("one Write of %q", p)
	}
	w.lines++
	return len(p), nil
}

func BenchmarkAccess(b *testing.B) {
	l, err := Open(Config{Access: "/dev/null"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	e := entry("/a")
	b.ReportAllocs()
	for b.Loop() {
		l.Access().Log(e)
	}
}
