package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// daemonVariable tells a process that it was started as a daemon, and on which
// descriptor it says how that went.
const daemonVariable = "GOWSGI_DAEMON"

// Daemon is this program, to be started again in the background.
type Daemon struct {
	Args []string // the program's name first
	Env  []string
	Keep bool // stdout and stderr, unless they are a terminal
}

// word is what a daemon says, once.
type word struct {
	Code int
	Text string
}

// Start starts it, and waits until it is ready or has failed. The code and the text
// are then for the caller to end with: 0 when it serves. A signal that would end this
// process is passed on.
func (d Daemon) Start() (code int, text string, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, "", fmt.Errorf("starting the daemon: %w", err)
	}
	defer r.Close()
	pid, err := d.fork(w)
	w.Close()
	if err != nil {
		return 0, "", fmt.Errorf("starting the daemon: %w", err)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	defer func() {
		signal.Stop(signals)
		close(signals)
	}()
	go func() {
		for range signals {
			_ = syscall.Kill(pid, syscall.SIGTERM) // our child, not waited for: it is there
		}
	}()
	said, err := io.ReadAll(r) // to the end of the daemon if it says nothing
	var heard word
	if err == nil && len(said) > 0 {
		err = json.Unmarshal(said, &heard)
		return heard.Code, heard.Text, err
	}
	return 1, "the daemon has ended without a word: " + outcome(pid), nil
}

func (d Daemon) fork(w *os.File) (pid int, err error) {
	path, err := os.Executable()
	if err != nil {
		return 0, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	files := []uintptr{null.Fd(), null.Fd(), null.Fd()}
	for fd, f := range map[uintptr]*os.File{1: os.Stdout, 2: os.Stderr} {
		if info, err := f.Stat(); d.Keep && err == nil && info.Mode()&os.ModeCharDevice == 0 {
			files[fd] = f.Fd()
		}
	}
	// The descriptors below this one may be listeners that were inherited.
	fd := w.Fd()
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETFD, 0); errno != 0 {
		return 0, errno
	}
	return syscall.ForkExec(path, d.Args, &syscall.ProcAttr{
		Env:   append(slices.Clone(d.Env), fmt.Sprintf("%s=%d", daemonVariable, fd)),
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// outcome waits for a process that is about to end.
func outcome(pid int) string {
	var status syscall.WaitStatus
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		switch got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); {
		case got != pid && err == nil || err == syscall.EINTR:
		case err != nil:
			return err.Error()
		case status.Signaled():
			return "signal " + status.Signal().String()
		default:
			return "exit status " + strconv.Itoa(status.ExitStatus())
		}
	}
	return "it hangs"
}

// Detached is the daemon's side. A nil one is a process that is none.
type Detached struct{ pipe *os.File }

// Detach returns how to tell the process that has started this one as a daemon; nil
// if none has. It takes the variable away, and sets gunicorn's file mode mask.
func Detach() (*Detached, error) {
	text, ok := os.LookupEnv(daemonVariable)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(daemonVariable)
	fd, err := strconv.Atoi(text)
	if err == nil && fd < 3 {
		err = errors.New("it must be from 3 on")
	}
	if err != nil {
		return nil, fmt.Errorf("%s is what a daemon gets from the process that starts it: unset it: %w", daemonVariable, err)
	}
	syscall.CloseOnExec(fd)
	syscall.Umask(0o022)
	return &Detached{pipe: os.NewFile(uintptr(fd), "starter")}, nil
}

// Ready tells that the daemon serves.
func (d *Detached) Ready() { d.say(word{}) }

// Failed tells that it cannot; the caller ends with the code. After Ready nobody
// listens any more.
func (d *Detached) Failed(code int, text string) { d.say(word{Code: code, Text: text}) }

func (d *Detached) say(w word) {
	if d == nil || d.pipe == nil {
		return
	}
	if text, err := json.Marshal(w); err == nil {
		_, _ = d.pipe.Write(text) // a starter that is gone is none of the daemon's business
	}
	d.pipe.Close()
	d.pipe = nil
}
