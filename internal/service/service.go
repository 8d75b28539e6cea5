// Package service is how the server shows itself to what runs it: a pid file, and
// systemd's notifications. Nothing of requests may enter.
package service

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Notify sends a state such as "READY=1" to systemd (sd_notify(3)), if that has
// started this process and asked for it.
func Notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	// A leading @ is an abstract address, for net as for systemd.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling systemd %s: %w", state, err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("telling systemd %s: %w", state, err)
	}
	return nil
}

// PIDFile is a file with this process's number.
type PIDFile struct{ path string }

// WritePID makes the file; "" makes none. One that names a process which is there
// is an error. A relative path starts in dir.
func WritePID(path, dir string) (*PIDFile, error) {
	if path == "" {
		return &PIDFile{}, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	path, err := filepath.Abs(path) // the current folder may change before Remove
	if err != nil {
		return nil, fmt.Errorf("--pid: %w", err)
	}
	if pid := readPID(path); pid > 0 && pid != os.Getpid() && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return nil, fmt.Errorf("--pid %s: process %d, which it names, is running: stop that first", path, pid)
	}
	// Made aside and moved, so that nobody reads half a number.
	f, err := os.CreateTemp(filepath.Dir(path), ".pid-*")
	if err != nil {
		return nil, fmt.Errorf("--pid %s: %w", path, err)
	}
	_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, fmt.Errorf("--pid %s: %w", path, err)
	}
	return &PIDFile{path: path}, nil
}

// Remove removes the file unless another process has put its number there.
func (p *PIDFile) Remove() {
	if p.path != "" && readPID(p.path) == os.Getpid() {
		os.Remove(p.path) // an error leaves a number that no process has
	}
}

func readPID(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
