package stats

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Listener is where figures are told.
type Listener struct {
	net.Listener
	http bool // an answer of HTTP around each document
}

// Listen opens --stats: HOST:PORT, unix:PATH, a path with a slash in it, or
// http://HOST:PORT. Relative paths start in dir.
func Listen(address, dir string) (*Listener, error) {
	l := &Listener{}
	address, l.http = strings.CutPrefix(address, "http://")
	address = strings.TrimSuffix(address, "/")
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok || !l.http && strings.Contains(address, "/") {
		network, address = "unix", path
		if !filepath.IsAbs(address) && dir != "" {
			address = filepath.Join(dir, address)
		}
		removeStale(address)
	}
	var err error
	if l.Listener, err = net.Listen(network, address); err != nil {
		return nil, fmt.Errorf("--stats: %w", err)
	}
	return l, nil
}

// removeStale removes a socket that nobody serves any more.
func removeStale(path string) {
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != os.ModeSocket {
		return
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return
	}
	os.Remove(path) // if that fails, so will Listen, which says why
}

const (
	talkTime  = 5 * time.Second // for a reader to take its document
	talkCount = 16              // readers at a time; more wait
	pause     = 100 * time.Millisecond
)

// Serve tells everybody who connects the present figures, until the listener is
// closed.
func (l *Listener) Serve(figures func() *Server) {
	var talks sync.WaitGroup
	defer talks.Wait()
	room := make(chan struct{}, talkCount)
	for {
		c, err := l.Accept()
		if err != nil {
			if temporary, ok := err.(interface{ Temporary() bool }); ok && temporary.Temporary() {
				time.Sleep(pause) // no descriptor is left, say
				continue
			}
			return
		}
		room <- struct{}{}
		talks.Go(func() {
			defer func() { <-room }()
			l.tell(c, figures())
		})
	}
}

func (l *Listener) tell(c net.Conn, s *Server) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(talkTime)) // fails on a closed one
	text, err := s.JSON()
	if err != nil {
		return // numbers and texts always are JSON
	}
	if l.http {
		if !readHead(c) {
			return
		}
		head := "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"
		text = append([]byte(head), text...)
	}
	_, _ = c.Write(text) // a reader that is gone has no use for it
}

// readHead takes a request, whatever it asks for: closing a connection with unread
// bytes could destroy the answer on its way.
func readHead(c net.Conn) bool {
	buffer := make([]byte, 0, 8<<10)
	for len(buffer) < cap(buffer) {
		n, err := c.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if strings.Contains(string(buffer), "\r\n\r\n") || strings.Contains(string(buffer), "\n\n") {
			return true
		}
		if err != nil {
			return false
		}
	}
	return false
}
