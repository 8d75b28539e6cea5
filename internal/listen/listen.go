package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Options is how to listen.
type Options struct {
	Binds     []string
	Dir       string // where relative paths of unix sockets start
	Umask     int    // of the file mode of unix sockets
	Mode      int    // of unix sockets; 0: what Umask leaves of 0777
	Backlog   int    // connections that wait to be accepted; 0: as many as the system allows
	ReusePort bool   // other servers may listen on the same port
	// Chown gives a unix socket's file its owner; nil: it stays this process's.
	Chown func(path string) error
}

// Set is the sockets of one server.
type Set struct {
	Listeners []net.Listener
	made      map[int]madeFile // of Listeners, to be removed by the last who serves them
}

// madeFile is a unix socket's file: another server may have put its own there
// since, which is not ours to remove.
type madeFile struct{ path, id string }

// Open listens on every address. Sockets that systemd has passed (LISTEN_FDS) take
// the place of all of them, as with gunicorn. What was listening before keeps the
// backlog that it was given.
func Open(o Options) (*Set, error) {
	s := &Set{made: map[int]madeFile{}}
	addresses := passed()
	if len(addresses) == 0 {
		for _, bind := range o.Binds {
			a, err := parse(bind, o.Dir)
			if err != nil {
				return nil, err
			}
			addresses = append(addresses, a)
		}
	}
	for _, a := range addresses {
		if err := s.open(a, o); err != nil {
			s.Close()
			s.Remove()
			return nil, err
		}
	}
	return s, nil
}

func (s *Set) open(a address, o Options) error {
	switch {
	case a.fd != 0:
		l, err := FromFD(a.fd)
		if err != nil {
			return fmt.Errorf("cannot serve descriptor %d: %w", a.fd, err)
		}
		s.Listeners = append(s.Listeners, l)
	case a.unix != "":
		return s.openUnix(a.unix, o)
	default:
		var lc net.ListenConfig
		if o.ReusePort {
			lc.Control = func(_, _ string, c syscall.RawConn) error { return control(c, reusePort) }
		}
		l, err := lc.Listen(context.Background(), network(a.tcp), a.tcp)
		if err != nil {
			return cannot(a.tcp, err, "stop it, or choose a port with --bind")
		}
		s.Listeners = append(s.Listeners, l)
		return setBacklog(l.(*net.TCPListener), o.Backlog)
	}
	return nil
}

// network keeps package net from listening on [::] too where 0.0.0.0 is meant.
func network(address string) string {
	if a, err := netip.ParseAddrPort(address); err == nil && a.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

func reusePort(fd int) error {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, soReusePort, 1); err != nil {
		return fmt.Errorf("--reuse-port: %w", err)
	}
	return nil
}

// control has do work on the descriptor of a connection.
func control(c syscall.RawConn, do func(fd int) error) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = do(int(fd)) })
	return errors.Join(err, failed)
}

// setBacklog changes what package net has set: it takes all that the system allows.
func setBacklog(l syscall.Conn, n int) error {
	if n == 0 {
		return nil
	}
	raw, err := l.SyscallConn()
	if err == nil {
		err = control(raw, func(fd int) error { return syscall.Listen(fd, n) })
	}
	if err != nil {
		return fmt.Errorf("--backlog %d: %w", n, err)
	}
	return nil
}

func (s *Set) openUnix(path string, o Options) error {
	if err := removeStale(path); err != nil {
		return cannot("unix:"+path, err, "stop it, or choose another path")
	}
	umask := o.Umask
	if o.Mode != 0 {
		umask = 0o777 &^ o.Mode // from its first moment on, as chmod could not
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
	id, err := identity(whole)
	if err != nil {
		return fmt.Errorf("the socket that was just made: %w", err)
	}
	s.made[len(s.Listeners)-1] = madeFile{path: whole, id: id}
	if o.Chown != nil {
		if err := o.Chown(whole); err != nil {
			return cannot("unix:"+path, err, "")
		}
	}
	return setBacklog(l, o.Backlog)
}

// identity tells a file from others that may have its name later. Inodes are used
// again, hence the time.
func identity(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", errors.New("this system does not number its files")
	}
	return fmt.Sprintf("%d-%d-%d", stat.Dev, stat.Ino, info.ModTime().UnixNano()), nil
}

// Pass returns what Inherit needs in a process that gets the listeners, in order.
func (s *Set) Pass() string {
	all := make([]string, len(s.Listeners))
	for i, m := range s.made {
		all[i] = m.id
	}
	return strings.Join(all, ",")
}

// Inherit returns the Set whose listeners are descriptors of this process, from
// first on. Who is the last to serve them calls Remove.
func Inherit(pass string, first int) (*Set, error) {
	s := &Set{made: map[int]madeFile{}}
	for i, id := range strings.Split(pass, ",") {
		l, err := FromFD(first + i)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("the listener that descriptor %d should be: %w", first+i, err)
		}
		s.Listeners = append(s.Listeners, l)
		if id == "" {
			continue
		}
		path, err := filepath.Abs(l.Addr().String())
		if err != nil {
			return nil, err
		}
		s.made[i] = madeFile{path: path, id: id}
	}
	return s, nil
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

// Remove removes the files of unix sockets that Open has made, or that of another
// process.
func (s *Set) Remove() {
	for _, m := range s.made {
		if now, err := identity(m.path); err == nil && now == m.id {
			os.Remove(m.path) // an error leaves a stale file, which the next start removes
		}
	}
	clear(s.made)
}

// URLs returns where the listeners are reached, by what they speak; scheme is HTTP's,
// which may be "https".
func (s *Set) URLs(p []Protocol, scheme string) []string {
	urls := make([]string, len(s.Listeners))
	for i, l := range s.Listeners {
		switch unix := l.Addr().Network() == "unix"; {
		case !unix && p[i] == UWSGI:
			urls[i] = "uwsgi://" + l.Addr().String()
		case !unix:
			urls[i] = scheme + "://" + l.Addr().String()
		case p[i] == UWSGI:
			urls[i] = "uwsgi+unix:" + l.Addr().String()
		default:
			urls[i] = "unix:" + l.Addr().String()
		}
	}
	return urls
}
