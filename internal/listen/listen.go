package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Set is the sockets of one server.
type Set struct {
	Listeners []net.Listener
	made      []madeFile // by Open, and to be removed by the process that called it
}

// madeFile is a unix socket's file: another server may have put its own there
// since, which is not ours to remove.
type madeFile struct {
	path string
	id   os.FileInfo
}

// Open listens on every address. Sockets that systemd has passed (LISTEN_FDS) take
// the place of all of them, as with gunicorn. umask is the file mode's of unix
// sockets; relative paths start in dir.
func Open(binds []string, dir string, umask int) (*Set, error) {
	s := &Set{}
	addresses := passed()
	if len(addresses) == 0 {
		for _, bind := range binds {
			a, err := parse(bind, dir)
			if err != nil {
				return nil, err
			}
			addresses = append(addresses, a)
		}
	}
	for _, a := range addresses {
		if err := s.open(a, umask); err != nil {
			s.Close()
			s.Remove()
			return nil, err
		}
	}
	return s, nil
}

func (s *Set) open(a address, umask int) error {
	switch {
	case a.fd != 0:
		l, err := FromFD(a.fd)
		if err != nil {
			return fmt.Errorf("cannot serve descriptor %d: %w", a.fd, err)
		}
		s.Listeners = append(s.Listeners, l)
	case a.unix != "":
		return s.openUnix(a.unix, umask)
	default:
		l, err := net.Listen("tcp", a.tcp)
		if err != nil {
			return cannot(a.tcp, err, "stop it, or choose a port with --bind")
		}
		s.Listeners = append(s.Listeners, l)
	}
	return nil
}

func (s *Set) openUnix(path string, umask int) error {
	if err := removeStale(path); err != nil {
		return cannot("unix:"+path, err, "stop it, or choose another path")
	}
	before := syscall.Umask(umask)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(before)
	if err != nil {
		return cannot("unix:"+path, err, "stop it, or choose another path")
	}
	l.SetUnlinkOnClose(false) // Remove does it, once for all processes
	s.Listeners = append(s.Listeners, l)
	// The application's folder may become the current one before Remove.
	whole, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	id, err := os.Lstat(whole)
	if err != nil {
		return fmt.Errorf("the socket that was just made: %w", err)
	}
	s.made = append(s.made, madeFile{path: whole, id: id})
	return nil
}

// removeStale removes a socket that nobody serves any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file that is no socket")
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		c.Close()
		return syscall.EADDRINUSE
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	}
	return err // EAGAIN: a full backlog is somebody's; EACCES: nor can it be told
}

func cannot(where string, err error, hint string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("cannot listen on %s: %w: another process serves there; %s", where, err, hint)
	}
	return fmt.Errorf("cannot listen on %s: %w", where, err)
}

// FromFD returns the listener that a descriptor of this process is, and takes the
// descriptor: programs that the application starts do not inherit it.
func FromFD(fd int) (net.Listener, error) {
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "listener "+strconv.Itoa(fd))
	if f == nil {
		return nil, syscall.EBADF
	}
	defer f.Close() // FileListener has its own copy
	listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err != nil {
		return nil, err
	}
	if listens == 0 {
		return nil, errors.New("it is a socket that does not listen")
	}
	return net.FileListener(f)
}

// passed reads the socket activation protocol (sd_listen_fds(3)) and takes its
// variables away, since they are meant for this process alone.
func passed() []address {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	n, err := strconv.Atoi(count)
	if err != nil || pid != strconv.Itoa(os.Getpid()) {
		return nil
	}
	var all []address
	for fd := 3; fd < 3+n; fd++ {
		all = append(all, address{fd: fd})
	}
	return all
}

// Files returns a descriptor of each listener for other processes to inherit, and
// closes the listeners: this process does not accept.
func (s *Set) Files() ([]*os.File, error) {
	var files []*os.File
	for _, l := range s.Listeners {
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			return nil, fmt.Errorf("copying the descriptor of %s: %w", l.Addr(), err)
		}
		files = append(files, f)
	}
	s.Close()
	return files, nil
}

// Close closes the listeners; those of other processes stay.
func (s *Set) Close() {
	for _, l := range s.Listeners {
		l.Close()
	}
}

// Remove removes the files of unix sockets that Open has made.
func (s *Set) Remove() {
	for _, m := range s.made {
		// Inodes are used again, hence the time.
		if now, err := os.Lstat(m.path); err == nil && os.SameFile(now, m.id) && now.ModTime().Equal(m.id.ModTime()) {
			os.Remove(m.path) // an error leaves a stale file, which the next start removes
		}
	}
	s.made = nil
}

// URLs returns where the listeners are reached.
func (s *Set) URLs() []string {
	urls := make([]string, len(s.Listeners))
	for i, l := range s.Listeners {
		urls[i] = "http://" + l.Addr().String()
		if l.Addr().Network() == "unix" {
			urls[i] = "unix:" + l.Addr().String()
		}
	}
	return urls
}
