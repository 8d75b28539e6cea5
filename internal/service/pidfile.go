package service

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// PIDFile is a file with this process's number.
type PIDFile struct{ path string }

// WritePID makes the file; "" makes none. One that names a process which is there
// is an error. A relative path starts in dir.
func WritePID(path, dir string) (*PIDFile, error) {
	p := &PIDFile{}
	if path == "" {
		return p, nil
	}
	return p, p.write(path, dir, 0)
}

// Move makes the file anew under another path, in the place of that of a process
// which has ended, and removes the one before.
func (p *PIDFile) Move(path, dir string, gone int) error {
	before := *p
	if err := p.write(path, dir, gone); err != nil {
		return err
	}
	before.Remove()
	return nil
}

func (p *PIDFile) write(path, dir string, gone int) error {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	path, err := filepath.Abs(path) // the current folder may change before Remove
	if err != nil {
		return fmt.Errorf("--pid: %w", err)
	}
	pid := readPID(path)
	if pid > 0 && pid != os.Getpid() && pid != gone && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return fmt.Errorf("--pid %s: process %d, which it names, is running: stop that first", path, pid)
	}
	// Made aside and moved, so that nobody reads half a number.
	f, err := os.CreateTemp(filepath.Dir(path), ".pid-*")
	if err != nil {
		return fmt.Errorf("--pid %s: %w", path, err)
	}
	_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("--pid %s: %w", path, err)
	}
	p.path = path
	return nil
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
