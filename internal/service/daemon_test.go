package service

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests start this test binary as a daemon; this variable says what it does.
const daemonTest = "GOWSGI_TEST_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(daemonVariable) != "" {
		os.Exit(daemonProgram(os.Getenv(daemonTest)))
	}
	os.Exit(m.Run())
}

func daemonProgram(what string) int {
	d, err := Detach()
	if err != nil || d == nil {
		return 9
	}
	how, path, _ := strings.Cut(what, " ")
	switch how {
	case "ready":
		stdin, _ := os.Readlink("/proc/self/fd/0")
		stdout, _ := os.Readlink("/proc/self/fd/1")
		stat, _ := os.ReadFile("/proc/self/stat")
		_, variable := os.LookupEnv(daemonVariable)
		text := fmt.Sprintf("%s %s %t %#o %s %d", stdin, stdout, variable, syscall.Umask(0), stat, os.Getpid())
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return 8
		}
		d.Ready()
		d.Failed(5, "nobody listens any more")
		time.Sleep(100 * time.Millisecond)
	case "failed":
		d.Failed(4, "no such application\n  at all")
		return 4
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "waits":
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return 8
		}
		time.Sleep(time.Minute)
	}
	return 0
}

func daemon(what string) Daemon {
	return Daemon{Args: os.Args, Env: append(os.Environ(), daemonTest+"="+what)}
}

func TestDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seen")
	code, text, err := daemon("ready " + path).Start()
	if code != 0 || text != "" || err != nil {
		t.Fatalf("%d, %q, %v", code, text, err)
	}
	seen, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(seen))
	if strings.Join(got[:4], " ") != "/dev/null /dev/null false 022" {
		t.Errorf("stdin, stdout, variable, umask: %q", got[:4])
	}
	// proc(5): pid (name) state ppid pgrp session terminal
	if pid, session, terminal := got[len(got)-1], got[4+5], got[4+6]; session != pid || terminal != "0" {
		t.Errorf("process %s is in session %s with terminal %s", pid, session, terminal)
	}
}

func TestDaemonThatFails(t *testing.T) {
	for what, want := range map[string]struct {
		code int
		text string
	}{
		"failed": {4, "no such application\n  at all"},
		"killed": {1, "the daemon has ended without a word: signal killed"},
		"silent": {1, "the daemon has ended without a word: exit status 0"},
	} {
		if code, text, err := daemon(what).Start(); code != want.code || text != want.text || err != nil {
			t.Errorf("%s: %d, %q, %v", what, code, text, err)
		}
	}
}

// TestDaemonIsInterrupted: ^C at the command ends what it waits for.
func TestDaemonIsInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "there")
	go func() {
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(path); err == nil {
				_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
				return
			}
		}
	}()
	code, text, err := daemon("waits " + path).Start()
	if code != 1 || !strings.Contains(text, "signal terminated") || err != nil {
		t.Errorf("%d, %q, %v", code, text, err)
	}
}

// TestDaemonKeeps: what is a file or a pipe stays when that is asked for.
func TestDaemonKeeps(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	before := os.Stdout
	os.Stdout = out
	defer func() { os.Stdout = before }()
	path := filepath.Join(t.TempDir(), "seen")
	d := daemon("ready " + path)
	d.Keep = true
	if code, text, err := d.Start(); code != 0 || err != nil {
		t.Fatalf("%d, %q, %v", code, text, err)
	}
	seen, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(seen), "/dev/null "+out.Name()+" ") {
		t.Errorf("%s, %v", seen, err)
	}
}

func TestDetach(t *testing.T) {
	os.Unsetenv(daemonVariable)
	d, err := Detach()
	if d != nil || err != nil {
		t.Errorf("%v, %v", d, err)
	}
	d.Ready() // does nothing
	d.Failed(1, "")
	for _, value := range []string{"", "x", "2"} {
		t.Setenv(daemonVariable, value)
		if _, err := Detach(); err == nil || !strings.Contains(err.Error(), daemonVariable) {
			t.Errorf("%q: error %v", value, err)
		}
	}
}
