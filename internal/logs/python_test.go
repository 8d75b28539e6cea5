package logs

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// pythons is Python's end of the pipe.
type pythons struct {
	t *testing.T
	f *os.File
	r *bufio.Reader
}

func forPython(t *testing.T, l *Logs) (map[string]any, pythons) {
	t.Helper()
	options, err := l.ForPython()
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(options["lines_fd"].(int)), "lines")
	t.Cleanup(func() { f.Close() })
	return options, pythons{t, f, bufio.NewReader(f)}
}

func (p pythons) next() map[string]any {
	p.t.Helper()
	line, err := p.r.ReadBytes('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		p.t.Fatalf("%v: %s", err, line)
	}
	return got
}

func TestLinesForPython(t *testing.T) {
	var out lockedBuffer
	l := open(t, Config{
		Stderr: &out, Access: "-", Stdout: &out, AccessFormat: "%(U)s",
		Python: Python{LogConfig: "logging.ini", Settings: map[string]any{"proc_name": "site", "user": 5}},
	})
	options, p := forPython(t, l)
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"error_fd":2`, `"access_fd":1`, `"logconfig":"logging.ini"`, `"proc_name":"site"`, `"loglevel":"info"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the options lack %s: %s", want, text)
		}
	}
	l.Error().Info("early")
	l.Access().Log(entry("/early"))
	l.UsePython()
	l.Error().Debug("for Python to decide", "a", "b c")
	l.Error().With("worker", 1).Error("failed", "traceback", "Traceback:\n  x\n", "uri", "/a")
	l.Access().Log(entry("/a"))
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []map[string]any{
		{"kind": "error", "level": "debug", "message": `for Python to decide: a="b c"`},
		{"kind": "error", "level": "error", "message": "failed: worker=1 uri=/a", "traceback": "Traceback:\n  x\n"},
		{"kind": "access", "uri": "/a", "status": 200.},
		{"kind": "reopen"},
	} {
		got := p.next()
		for key, value := range want {
			if got[key] != value {
				t.Errorf("%s: got %v, want %v", key, got[key], value)
			}
		}
		if _, ok := got["traceback"]; ok != (want["traceback"] != nil) {
			t.Errorf("the traceback: %v", got)
		}
	}
	l.Error().Warn("last")
	l.LeavePython()
	if got := p.next(); got["message"] != "last" {
		t.Errorf("got %v", got)
	}
	if _, err := p.r.ReadByte(); err != io.EOF {
		t.Errorf("after the last line: %v", err)
	}
	l.Error().Info("late")
	l.Access().Log(entry("/late"))
	got := out.String()
	for _, want := range []string{"early\n", "/early\n", "late\n", "/late\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the files", want)
		}
	}
	if strings.Contains(got, "failed") || strings.Contains(got, "/a\n") {
		t.Errorf("the files have Python's lines: %s", got)
	}
}

// TestPythonIsOnlyToldToReopen without a log config.
func TestPythonIsOnlyToldToReopen(t *testing.T) {
	for _, class := range []string{"", "gunicorn.glogging.Logger", "gunicorn.instrument.statsd.Statsd"} {
		var out lockedBuffer
		l := open(t, Config{Stderr: &out, Python: Python{LoggerClass: class}})
		_, p := forPython(t, l)
		l.UsePython()
		l.Error().Info("here")
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
		if got := p.next(); got["kind"] != "reopen" {
			t.Errorf("got %v", got)
		}
		if l.Access() != nil || !strings.Contains(out.String(), "here\n") {
			t.Errorf("%s: stderr has %q", class, out.String())
		}
	}
}

func TestPythonThatDoesNotRead(t *testing.T) {
	var out lockedBuffer
	l := open(t, Config{Stderr: &out, Python: Python{LoggerClass: "site.Log"}})
	_, p := forPython(t, l)
	l.UsePython()
	began := time.Now()
	for range 20_000 { // 10 MB
		l.Access().Log(entry("/" + strings.Repeat("a", 200)))
	}
	l.LeavePython()
	if took := time.Since(began); took > 5*time.Second+pipeClose {
		t.Errorf("it took %v", took)
	}
	for end := time.Now().Add(5 * time.Second); !strings.Contains(out.String(), "Python's loggers cannot keep up: lines were dropped: count="); {
		if time.Now().After(end) {
			t.Fatalf("stderr has %q", out.String())
		}
		time.Sleep(time.Millisecond)
	}
	p.next() // what was on its way is whole
}

func TestPythonThatHasGone(t *testing.T) {
	var out lockedBuffer
	l := open(t, Config{Stderr: &out, Level: hclog.Debug, Python: Python{LoggerClass: "site.Log"}})
	_, p := forPython(t, l)
	l.UsePython()
	p.f.Close()
	for end := time.Now().Add(5 * time.Second); !strings.Contains(out.String(), "seen"); {
		if time.Now().After(end) {
			t.Fatal("lines go nowhere")
		}
		l.Error().Info("seen")
		time.Sleep(time.Millisecond)
	}
}
