package logs

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// file is a log file that can be opened anew under its name. Its descriptor's number
// stays the same, for those who have only that: Python's handlers.
type file struct {
	path  string
	owner *Owner
	fd    int

	mu sync.Mutex
	f  *os.File
}

func openFile(path string, owner *Owner) (*file, error) {
	fd, err := openAppending(path, owner)
	if err != nil {
		return nil, err
	}
	return &file{path: path, owner: owner, fd: fd, f: os.NewFile(uintptr(fd), path)}, nil
}

// openAppending opens without Go's poller, which does not follow a descriptor that
// becomes another file.
func openAppending(path string, owner *Owner) (int, error) {
	fd, err := -1, error(syscall.EINTR)
	for err == syscall.EINTR {
		fd, err = syscall.Open(path, syscall.O_WRONLY|syscall.O_APPEND|syscall.O_CREAT|syscall.O_CLOEXEC, 0o644)
	}
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if owner != nil && os.Geteuid() == 0 {
		if err := chown(fd, owner); err != nil {
			syscall.Close(fd)
			return -1, &os.PathError{Op: "chown", Path: path, Err: err}
		}
	}
	return fd, nil
}

// chown gives a regular file to the workers' user, who may have to open it anew.
func chown(fd int, owner *Owner) error {
	var s syscall.Stat_t
	if err := syscall.Fstat(fd, &s); err != nil || s.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return err
	}
	return syscall.Fchown(fd, owner.UID, owner.GID)
}

// Write writes a line, with one system call unless the disk is full.
func (f *file) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Write(p)
}

func (f *file) reopen() error {
	fd, err := openAppending(f.path, f.owner)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := syscall.Dup3(fd, f.fd, syscall.O_CLOEXEC); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return nil
}

func (f *file) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.f.Close()
}
