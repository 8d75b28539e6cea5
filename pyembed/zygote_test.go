package pyembed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
)

func init() {
	scenarios["zygote"] = zygoteScenario
	scenarios["adopted"] = func() { Main(adoptedScenario) }
	scenarios["zygote without Python"] = brokenZygoteScenario
	scenarios["zygote that hangs"] = hangingZygoteScenario
	scenarios["orphaned zygote"] = orphanedZygoteScenario
}

// TestZygote: an application is imported in a zygote, two processes forked from it
// serve it, each with its own memory and on a thread that Python takes for its main
// one; both are children of who asked.
func TestZygote(t *testing.T) {
	out := child(t, "zygote")
	for _, want := range []string{
		"hooks [when_ready]", "workers 3",
		"worker 1: imported by the zygote, main thread, argument x, ours true",
		"worker 2: imported by the zygote, main thread, argument x, ours true",
		"no module: ModuleNotFoundError", "line listens true", "ended 0 0 0",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestZygoteWithoutPython(t *testing.T) {
	if out := child(t, "zygote without Python"); !strings.Contains(out, "no-such-library") {
		t.Error(out)
	}
}

const zygoteConfig = `
import os
workers = 1 + 2
os.environ["GOWSGI_TEST_ARGUMENT"] = "x"

def when_ready(server):
    pass
`

const zygoteModule = `
import os, threading
importer = os.getpid()

def app(environ, start_response):
    start_response("200 OK", [])
    where = "by the zygote" if importer != os.getpid() else "here"
    main = "main thread" if threading.current_thread() is threading.main_thread() else "odd thread"
    return [f"imported {where}, {main}, argument {os.environ['GOWSGI_TEST_ARGUMENT']}".encode()]
`

const hangingConfig = `
import time
print("hangs", flush=True)
open("hanging", "w").close()
time.sleep(3600)
`

// startHanging starts a zygote in a folder of its own, where conf.py hangs.
func startHanging() (z *Zygote, dir string) {
	dir, err := os.MkdirTemp("", "zygote")
	mustDo(err)
	mustDo(os.WriteFile(filepath.Join(dir, "conf.py"), []byte(hangingConfig), 0o600))
	z, err = StartZygote(mustFind(), Options{ErrorFD: 2}, dir, os.Args, os.Environ())
	mustDo(err)
	askZygote(z, hangingRequest("")) // it has come up
	return z, dir
}

func hangingRequest(config string) map[string]any {
	return map[string]any{"do": "config", "config": config, "known": map[string]string{}}
}

// hangingZygoteScenario: a process that does not answer in time is ended, and says
// where it was.
func hangingZygoteScenario() {
	z, dir := startHanging()
	defer os.RemoveAll(dir)
	_, err := z.Ask(hangingRequest("conf.py"), 4*time.Second)
	fmt.Println(errors.Is(err, ErrZygote), strings.Replace(err.Error(), fmt.Sprint(z.PID), "N", 1))
	var status syscall.WaitStatus
	_, err = syscall.Wait4(z.PID, &status, 0, nil)
	mustDo(err)
	fmt.Println("signal:", status.Signal())
	_, err = z.Ask(map[string]any{"do": "exit"}, patience)
	fmt.Println("later:", errors.Is(err, ErrZygote))
	z.Close()
	z.Kill()
}

func TestZygoteThatHangs(t *testing.T) {
	out := child(t, "zygote that hangs")
	for _, want := range []string{
		"hangs\n", "conf.py\", line 5 in <module>", "signal: killed", "later: true",
		"true the process that holds the configuration and forks the workers (N) was ended: it had not answered within 4s; stderr has its stack",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// orphanedZygoteScenario leaves a zygote that hangs, as a master does that is killed.
func orphanedZygoteScenario() {
	z, dir := startHanging()
	go func() { _, _ = z.Ask(hangingRequest("conf.py"), patience) }()
	for {
		if _, err := os.Stat(filepath.Join(dir, "hanging")); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	mustDo(os.RemoveAll(dir))
	mustDo(syscall.Kill(os.Getpid(), syscall.SIGKILL))
}

// TestOrphanedZygote: the output's end comes only when all who can write to it have
// ended.
func TestOrphanedZygote(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=orphaned zygote")
	cmd.WaitDelay = patience
	begun := time.Now()
	out, _ := cmd.CombinedOutput() // it is killed
	if !strings.Contains(string(out), "hangs") || time.Since(begun) > patience {
		t.Errorf("after %v:\n%s", time.Since(begun), out)
	}
}

func mustDo(err error) {
	if err != nil {
		panic(err)
	}
}

func mustFind() *Python {
	p, err := testPython()
	mustDo(err)
	return p
}

// askZygote returns an answer's fields.
func askZygote(z *Zygote, request map[string]any, files ...uintptr) map[string]any {
	answer, err := z.Ask(request, patience, files...)
	mustDo(err)
	fields := map[string]any{}
	mustDo(json.Unmarshal(answer, &fields))
	return fields
}

const prSetChildSubreaper = 36

func zygoteScenario() {
	dir, err := os.MkdirTemp("", "zygote")
	mustDo(err)
	defer os.RemoveAll(dir)
	mustDo(os.WriteFile(filepath.Join(dir, "conf.py"), []byte(zygoteConfig), 0o600))
	mustDo(os.WriteFile(filepath.Join(dir, "shared.py"), []byte(zygoteModule), 0o600))
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		panic(errno)
	}
	mustDo(os.Setenv(childVariable, "adopted"))
	z, err := StartZygote(mustFind(), Options{Argv: []string{"gowsgi"}, ErrorFD: 2, OwnedSignals: []string{"SIGTERM"}}, "", os.Args, os.Environ())
	mustDo(err)
	read := askZygote(z, map[string]any{"do": "config", "config": filepath.Join(dir, "conf.py"), "known": map[string]string{"workers": "int", "when_ready": "hook"}})
	fmt.Println("hooks", read["hooks"], "workers", read["settings"].(map[string]any)["workers"])
	settings := map[string]any{"workers": 3, "loglevel": "info", "errorlog": "-", "syslog": false, "capture_output": false}
	for _, name := range []string{"accesslog", "logconfig", "logconfig_json", "logconfig_dict", "logger_class"} {
		settings[name] = nil
	}
	askZygote(z, map[string]any{"do": "settings", "settings": settings, "options": map[string]any{"chdir": dir, "threads": 1}})
	_, err = z.Ask(map[string]any{"do": "load", "app": "nothing:app"}, patience)
	var raised *Error
	if errors.As(err, &raised) && raised.ExitCode == 3 {
		fmt.Println("no module: ModuleNotFoundError")
	}
	askZygote(z, map[string]any{"do": "load", "app": "shared:app"})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	mustDo(err)
	file, err := listener.(*net.TCPListener).File()
	mustDo(err)
	pids := []int{z.PID}
	for i := 1; i <= 2; i++ {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		mustDo(err)
		made := askZygote(z, map[string]any{"do": "fork", "age": i, "num_workers": 2}, uintptr(pair[1]), file.Fd())
		mustDo(syscall.Close(pair[1]))
		pids = append(pids, int(made["pid"].(float64)))
		line := os.NewFile(uintptr(pair[0]), "line")
		text, err := io.ReadAll(line)
		mustDo(err)
		fmt.Printf("worker %d: %s\n", i, text)
	}
	z.Close()
	fmt.Print("ended")
	for _, pid := range pids {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(pid, &status, 0, nil)
		mustDo(err)
		fmt.Print(" ", status.ExitStatus())
	}
	fmt.Println()
}

// adoptedScenario is a process that the zygote has forked.
func adoptedScenario() int {
	text, ok := Adopted()
	var files struct {
		Line      int   `json:"line"`
		Listeners []int `json:"listeners"`
	}
	if !ok || json.Unmarshal([]byte(text), &files) != nil {
		panic("not adopted: " + text)
	}
	in, err := Start(mustFind(), Options{ErrorFD: 2, OwnedSignals: []string{"SIGTERM"}})
	mustDo(err)
	app, err := in.Load("shared:app")
	mustDo(err)
	pool := bridge.NewPool(bridge.PoolLimits{Queue: 1})
	served := make(chan error, 1)
	go func() { served <- in.Serve(pool, app, func(_ *bridge.Exchange, err error) { panic(err) }) }()
	x := newRequest("1", "GET", "/", "")
	mustDo(pool.Submit(x))
	said := collect(x, -1).body
	x.Release()
	pool.Stop()
	mustDo(<-served)
	line := os.NewFile(uintptr(files.Line), "line")
	fmt.Fprintf(line, "%s, ours %t", said, os.Getppid() != 1)
	l, err := net.FileListener(os.NewFile(uintptr(files.Listeners[0]), "listener"))
	fmt.Println("line listens", err == nil && l != nil)
	mustDo(line.Close())
	mustDo(in.Close(0))
	return 0
}

func brokenZygoteScenario() {
	z, err := StartZygote(&Python{Library: "no-such-library.so", Executable: "python3"}, Options{}, "", os.Args, os.Environ())
	mustDo(err)
	_, err = z.Ask(map[string]any{"do": "config", "config": "", "known": map[string]string{}}, 10*time.Second)
	fmt.Println(err)
	z.Close()
}
