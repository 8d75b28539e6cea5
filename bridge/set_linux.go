package bridge

import (
	"bytes"
	"cmp"
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/gowsgi/gowsgi/internal/board"
	"golang.org/x/sys/unix"
)

// set is the connections that wait for a request without a goroutine: they are parked.
// Executors wait on it, by epoll (epoll(7)). It is edge-triggered: a connection stays
// in it while a request of its is served, at no call for each; what comes meanwhile is
// noted. A pool's lock guards the table.
type set struct {
	epoll, event int     // descriptors: epoll's, and an eventfd's that interrupts a wait
	byFD         []*conn // those in the set, by their descriptor
	count        int
}

// newSet returns an empty set; nil where there can be none.
func newSet() *set {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	event, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		syscall.Close(epoll)
		return nil
	}
	spare.Lock()
	spare.open()
	spare.Unlock()
	loadFile() // now: who counts descriptors is not to find one more some day
	s := &set{epoll: epoll, event: int(event)}
	if s.control(syscall.EPOLL_CTL_ADD, s.event, syscall.EPOLLIN) != nil {
		s.close()
		return nil
	}
	return s
}

func (s *set) close() {
	syscall.Close(s.epoll)
	syscall.Close(s.event)
}

const edgeTriggered = 1 << 31 // syscall.EPOLLET is negative

func (s *set) control(op, fd int, events uint32) error {
	e := syscall.EpollEvent{Events: events | edgeTriggered, Fd: int32(fd)}
	return syscall.EpollCtl(s.epoll, op, fd, &e)
}

// add takes a connection in; what it has received already counts as an event.
func (s *set) add(c *conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 { // cut
		return net.ErrClosed
	}
	if err := s.control(syscall.EPOLL_CTL_ADD, c.fd, syscall.EPOLLIN|syscall.EPOLLRDHUP); err != nil {
		return err
	}
	c.number = c.fd
	for len(s.byFD) <= c.fd {
		s.byFD = append(s.byFD, nil)
	}
	if s.byFD[c.fd] == nil { // else what had the descriptor before was cut
		s.count++
	}
	s.byFD[c.fd] = c
	return nil
}

// all returns the connections in the set, and nil between them.
func (s *set) all() []*conn { return s.byFD }

// remove takes a connection out, before its descriptor is closed: a child that the
// application has forked may keep the connection alive.
func (s *set) remove(c *conn) {
	if c.number >= len(s.byFD) || s.byFD[c.number] != c {
		return
	}
	s.byFD[c.number] = nil
	s.count--
	_ = s.control(syscall.EPOLL_CTL_DEL, c.number, 0) // fails after cut
}

// events is room for what one wait brings.
type events [64]syscall.EpollEvent

// wait fills in what has happened, at least one thing if it may block.
func (s *set) wait(e *events, most int, block bool) int {
	if !block {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(s.epoll), uintptr(unsafe.Pointer(e)), uintptr(most), 0, 0, 0)
		if errno != 0 {
			return 0
		}
		return int(n)
	}
	n, err := syscall.EpollWait(s.epoll, e[:most], -1)
	if err != nil {
		return 0 // EINTR
	}
	return n
}

// waitApart is wait for who may wait for long: it gives its P, the leave to run Go code,
// back before it blocks. Otherwise Go's monitor of blocked calls (sysmon) takes that,
// and until it has, it wakes every 70 us: at 1,200 requests a second that was more than
// half of all that the server computed.
func (s *set) waitApart(e *events, most int) int {
	if n := s.wait(e, most, false); n > 0 {
		return n
	}
	return waitOutside(s.epoll, e, most)
}

// waitOutside may not grow the stack between the two calls of Go's runtime, nor tell the
// race detector anything.
//
//go:nosplit
//go:norace
func waitOutside(epoll int, e *events, most int) int {
	entersyscallblock()
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(e)), uintptr(most), ^uintptr(0), 0, 0)
	exitsyscall()
	if errno != 0 {
		return 0 // EINTR
	}
	return int(n)
}

// Go promises to keep these two: others need them as well (go.dev/issue/67401).

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// at returns the connection of an event, and whether its client will send no more;
// nil for the interruption of a wait, or a connection that has left the set.
func (s *set) at(e *syscall.EpollEvent) (c *conn, ended bool) {
	if int(e.Fd) < len(s.byFD) {
		c = s.byFD[e.Fd]
	}
	return c, e.Events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0
}

// called tells whether an interruption is among events.
func (s *set) called(events []syscall.EpollEvent) bool {
	return slices.ContainsFunc(events, func(e syscall.EpollEvent) bool { return int(e.Fd) == s.event })
}

// interrupt ends one wait, present or next. The counter is never read: each addition
// is an event of its own.
func (s *set) interrupt() {
	one := uint64(1)
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(s.event), uintptr(unsafe.Pointer(&one)), 8)
}

// machineLoad returns how many threads of this machine have a core or want one, and how
// many cores there are; 0 where that cannot be told (proc(5), loadavg: the number
// before the slash).
func machineLoad() (runnable, cores int) {
	f := loadFile()
	if f < 0 {
		return 0, 0
	}
	var text [64]byte
	n, err := syscall.Pread(f, text[:], 0)
	if err != nil {
		return 0, 0
	}
	before, _, _ := bytes.Cut(text[:n], []byte("/"))
	for _, digit := range before[bytes.LastIndexByte(before, ' ')+1:] {
		runnable = 10*runnable + int(digit-'0')
	}
	return runnable, runtime.NumCPU()
}

var loadFile = sync.OnceValue(func() int {
	f, err := syscall.Open("/proc/loadavg", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return f // as long as the process
})

// --- parked connections' sockets, which do not block ---

// readFD returns what has come; 0 and no error is the end.
func readFD(fd int, p []byte, flags int) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		uintptr(flags|syscall.MSG_DONTWAIT), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// writeFD sends as much of the pieces as the socket takes now.
func writeFD(fd int, pieces *[3][]byte) (int, error) {
	const flags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL
	var sent uintptr
	var errno syscall.Errno
	if p := pieces[0]; len(pieces[1]) == 0 && len(pieces[2]) == 0 { // cheaper, and nearly always
		if len(p) == 0 {
			return 0, nil
		}
		sent, _, errno = syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
	} else {
		var vec [3]syscall.Iovec
		n := 0
		for _, p := range pieces {
			if len(p) > 0 {
				vec[n].Base = unsafe.SliceData(p)
				vec[n].SetLen(len(p))
				n++
			}
		}
		msg := syscall.Msghdr{Iov: &vec[0], Iovlen: uint64(n)}
		sent, _, errno = syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), flags)
	}
	switch errno {
	case 0:
		return int(sent), nil
	case syscall.EAGAIN, syscall.EINTR:
		return 0, nil
	}
	return 0, errno
}

func again(err error) bool { return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) }

// resetFD closes with a reset.
func resetFD(fd int) {
	_ = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
}

// fileConn makes package net's connection of a descriptor, which is closed. Package net
// takes a second one for it. Where a process has no more, there is a spare one; somebody
// else may be quicker to take that, but then gives up another before long.
func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close()
	nc, err := net.FileConn(f)
	if !outOfFiles(err) {
		return nc, err
	}
	spare.Lock()
	defer spare.Unlock()
	for range 3 {
		spare.close()
		if nc, err = net.FileConn(f); !outOfFiles(err) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.Close()
	spare.open()
	return nc, err
}

func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// spare is a descriptor of the process's, for fileConn.
var spare = spareFD{fd: -1}

type spareFD struct {
	sync.Mutex
	fd int
}

func (s *spareFD) open() {
	if s.fd >= 0 {
		return
	}
	if fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err == nil {
		s.fd = fd
	}
}

func (s *spareFD) close() {
	if s.fd >= 0 {
		syscall.Close(s.fd)
		s.fd = -1
	}
}

// ownFD returns a descriptor for a connection that package net will not touch; nc is
// closed, the connection stays.
func ownFD(nc net.Conn) (int, error) {
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, errno := uintptr(0), syscall.Errno(0)
	err = raw.Control(func(of uintptr) {
		fd, _, errno = syscall.RawSyscall(syscall.SYS_FCNTL, of, syscall.F_DUPFD_CLOEXEC, 3)
	})
	if err != nil {
		return -1, err
	}
	if errno != 0 {
		return -1, errno
	}
	nc.Close()
	return int(fd), nil
}

// keepAlive is package net's default for connections that it accepts.
const keepAlive = 15 * time.Second

// fdListener accepts connections as descriptors that package net does not know: its
// poller would wake a thread for each request on them. While another process has less
// to do, it leaves connections to that.
type fdListener struct {
	net.Listener
	seat  *board.Seat
	parks bool // the connections can be parked
	tcp   bool
	own   syscall.RawConn // the listener's
	ready *os.File        // the same socket: package net lets nobody wait for its own
	wait  syscall.RawConn

	mu      sync.Mutex
	closing bool // SetDeadline was called
}

// newFDListener returns nil for a listener that must accept itself.
func newFDListener(l net.Listener, seat *board.Seat, parks bool) *fdListener {
	switch l.(type) {
	case *net.TCPListener, *net.UnixListener:
	default:
		return nil
	}
	own, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	ready, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return nil // closed, or out of descriptors
	}
	wait, err := ready.SyscallConn()
	if err != nil {
		ready.Close()
		return nil
	}
	_, tcp := l.(*net.TCPListener)
	return &fdListener{Listener: l, seat: seat, parks: parks, tcp: tcp, own: own, ready: ready, wait: wait}
}

// setOptions gives a connection what package net would. What a system refuses it has to
// do without. Connections would inherit the options from their listener, but not those
// that wait in its backlog when it gets them.
func setOptions(fd int) {
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, int(keepAlive/time.Second))
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, int(keepAlive/time.Second))
}

// SetDeadline ends acceptFD then, which takes all until then.
func (l *fdListener) SetDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	return l.ready.SetDeadline(t)
}

// wakeAt has a wait for the listener end then, unless SetDeadline has said when.
func (l *fdListener) wakeAt(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing {
		l.ready.SetDeadline(t)
	}
}

func (l *fdListener) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}

// Close implements net.Listener.
func (l *fdListener) Close() error { return errors.Join(l.Listener.Close(), l.ready.Close()) }

// Accept implements net.Listener.
func (l *fdListener) Accept() (net.Conn, error) {
	fd, _, err := l.acceptFD()
	if err != nil {
		return nil, err
	}
	return fileConn(fd)
}

// acceptFD accepts a connection as a descriptor. Once the listener is closed it leaves connections to others.
func (l *fdListener) acceptFD() (fd int, peer Endpoint, err error) {
	var from syscall.Sockaddr
	var failure error
	waits, waited := false, false // for others to take a connection
	elsewhere := int64(0)
	take := func(listener uintptr) {
		leave := l.seat.Leave()
		if waited || leave == 0 || l.isClosing() {
			fd, from, failure = accept4(int(listener))
			waited = false
			return
		}
		failure = syscall.EAGAIN
		if !waits && pending(int(listener)) {
			waits, elsewhere = true, l.seat.Elsewhere()
			l.wakeAt(time.Now().Add(leave))
		}
	}
	for {
		err = l.wait.Read(func(uintptr) bool {
			failure = cmp.Or(l.own.Control(take), failure)
			return !errors.Is(failure, syscall.EAGAIN)
		})
		if waits {
			l.wakeAt(time.Time{})
		}
		if !waits || !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		// They are taken in the order in which they came: if others have, it was this one.
		waits, waited = false, l.seat.Elsewhere() == elsewhere
		if l.isClosing() { // the deadline was another; what was left may still be there
			err = l.own.Control(take)
			break
		}
	}
	err = cmp.Or(err, failure)
	if err == nil && l.tcp {
		setOptions(fd)
	}
	return fd, peerOf(from), err
}

// pending tells whether a listener has a connection to accept.
func pending(listener int) bool {
	fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return n > 0 && err == nil
}

func accept4(listener int) (fd int, from syscall.Sockaddr, err error) {
	for {
		fd, from, err = syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if !errors.Is(err, syscall.EINTR) && !errors.Is(err, syscall.ECONNABORTED) {
			return fd, from, err
		}
	}
}

func peerOf(from syscall.Sockaddr) Endpoint {
	switch a := from.(type) {
	case *syscall.SockaddrInet4:
		return endpoint(&net.TCPAddr{IP: a.Addr[:], Port: a.Port})
	case *syscall.SockaddrInet6:
		return endpoint(&net.TCPAddr{IP: a.Addr[:], Port: a.Port, Zone: zoneName(a.ZoneId)})
	}
	return Endpoint{Unix: true}
}

func zoneName(id uint32) string {
	if id == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(id)); err == nil {
		return i.Name
	}
	return strconv.Itoa(int(id))
}
