package bridge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/bridge/uwsgi"
	"github.com/hashicorp/go-hclog"
)

// Limits bounds what one connection may take; zero is no limit, except of
// BodyMemory. DefaultLimits documents the values.
type Limits struct {
	Head       http1.Limits
	MaxBody    int64         // bytes; 0: none. A longer one gets 413 before it is read
	BodyMemory int64         // bytes of a body kept in memory; the rest goes to a file
	TempDir    string        // where such files are made; "": the system's folder
	HeadTime   time.Duration // from a head's first byte to its last; for a new connection, from its start
	IdleTime   time.Duration // a kept connection without a request
	OneRequest bool          // no connection is kept
	ReadTime   time.Duration // the longest wait for the next bytes of a body
	BodyRate   int64         // bytes a second that a body has to come in with, after ReadTime
	WriteTime  time.Duration // the longest wait for the client to take bytes of an answer
	Packet     int           // bytes of a uwsgi packet, its header not counted
}

// DefaultLimits returns gunicorn's limits where it has them. Its keep-alive of 2 s
// is for servers where an idle connection costs a thread; here it costs a
// goroutine, so that 75 s (nginx's default) lets proxies and browsers reuse theirs.
func DefaultLimits() Limits {
	return Limits{
		Head:       http1.DefaultLimits(),
		BodyMemory: 1 << 20,
		HeadTime:   60 * time.Second,
		IdleTime:   75 * time.Second,
		ReadTime:   60 * time.Second,
		BodyRate:   100,
		WriteTime:  60 * time.Second,
		Packet:     uwsgi.MaxSize,
	}
}

// drainGrace is how long an idle connection may stay when the server stops: its client
// may be about to send a request, which is then answered and the last.
const drainGrace = time.Second

// Server accepts connections and carries each of their requests to its pool. Set
// the exported fields before the first Serve; all but Prepare, Pool and Log may
// be left at zero.
type Server struct {
	Pool *Pool
	// Prepare fills x.Record on the connection's goroutine. It may change the
	// request (what a proxy says of the client); an *http1.Error refuses it.
	Prepare func(r *Request, x *Exchange) error
	Log     hclog.Logger
	Access  AccessLogger   // nil: none
	Proxy   *ProxyProtocol // nil: not spoken
	TLS     *tls.Config    // nil: HTTP connections are plain
	// AllowUWSGI tells from whom uwsgi packets are taken; nil: from everybody.
	AllowUWSGI func(peer Endpoint) bool
	Debug      bool // error answers show the cause of a failure
	Limits     Limits
	Name       string // of the Server field; "": none is sent

	draining atomic.Bool
	watching atomic.Bool // closeExpired is to run

	mu        sync.Mutex
	conns     map[*conn]struct{}
	listeners map[net.Listener]struct{}
	accepting sync.WaitGroup // calls of Serve
	done      sync.WaitGroup // connections
}

// AccessLogger takes one entry for each request that got an answer. Log is called
// on the connection's goroutine and must be quick and safe for concurrent use;
// the entry holds only during the call.
type AccessLogger interface {
	Log(e *AccessEntry)
}

// AccessEntry is what one line of an access log is made of.
type AccessEntry struct {
	Request *Request // its fields may be empty when the head was refused
	Start   time.Time
	Took    time.Duration // from the head's last byte to the answer's last
	Status  int
	Bytes   int64  // of the answer's body as the application gave it and the client got it
	Head    *Head  // the application's; nil when the server answered itself
	Record  Record // the environ's variables; empty when the head was refused
}

// Connections returns how many are open now.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Serve accepts HTTP connections from l until Shutdown. It returns nil after
// Shutdown, else why it cannot accept any more.
func (s *Server) Serve(l net.Listener) error { return s.serve(s.listener(l, false), false) }

// ServeUWSGI is Serve for web servers that speak the uwsgi protocol.
func (s *Server) ServeUWSGI(l net.Listener) error { return s.serve(s.listener(l, true), true) }

func (s *Server) serve(l net.Listener, uwsgi bool) error {
	if !s.track(l) {
		return l.Close()
	}
	defer s.accepting.Done()
	local := endpoint(l.Addr())
	pause := time.Duration(0)
	for {
		c, err := s.accept(l, local, uwsgi)
		switch {
		case err == nil:
			pause = 0
			s.start(c)
		case s.draining.Load():
			l.Close()
			return nil
		case errors.Is(err, net.ErrClosed):
			l.Close() // an fdListener has a descriptor of its own
			return err
		default:
			// Out of descriptors, say: what is being served will free some.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.Log.Error("cannot accept a connection; trying again", "error", err, "in", pause)
			time.Sleep(pause)
		}
	}
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	if s.listeners == nil {
		s.listeners = map[net.Listener]struct{}{}
		s.conns = map[*conn]struct{}{}
	}
	s.listeners[l] = struct{}{}
	s.accepting.Add(1)
	return true
}

// listener returns l as one that accepts descriptors, where connections can be parked
// or left to other processes.
func (s *Server) listener(l net.Listener, uwsgi bool) net.Listener {
	if s.draining.Load() {
		return l
	}
	parks := !uwsgi && s.TLS == nil && s.Proxy == nil && s.Pool.parks()
	if parks || s.Pool.seat.Shared() {
		if fl := newFDListener(l, s.Pool.seat, parks); fl != nil {
			return fl
		}
	}
	return l
}

func (s *Server) accept(l net.Listener, local Endpoint, uwsgi bool) (*conn, error) {
	if fl, ok := l.(*fdListener); ok && fl.parks {
		fd, peer, err := fl.acceptFD()
		c := &conn{srv: s, fd: fd, peer: peer, parkable: true}
		c.req.Local = local
		return c, err
	}
	nc, err := l.Accept()
	if err != nil {
		return nil, err
	}
	c := newConn(s, nc, local)
	c.uwsgi = uwsgi
	c.holds = uwsgi && local.Unix
	return c, nil
}

func (s *Server) start(c *conn) {
	s.mu.Lock()
	draining := s.draining.Load()
	c.draining = draining // taken from the backlog of a server that stops
	s.conns[c] = struct{}{}
	s.done.Add(1)
	s.mu.Unlock()
	s.Pool.seat.Opened()
	switch {
	case !c.parkable:
		go c.serve()
	case draining || !s.Pool.park(c):
		c.handOver(c.loop)
	default:
		s.watchParked()
		if s.draining.Load() {
			c.drainParked()
		}
	}
}

// forget is the last of a connection.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.Pool.seat.Closed()
	s.done.Done()
}

// acceptGrace is how long a stopping server still takes what waits in the
// listener's backlog.
const acceptGrace = 20 * time.Millisecond

// Shutdown stops accepting, lets the requests that are under way finish and
// closes idle connections. When ctx ends first it cuts what is left and returns
// ctx's error. The pool goes on: stop it afterwards.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	for l := range s.listeners {
		if d, ok := l.(interface{ SetDeadline(time.Time) error }); ok {
			d.SetDeadline(time.Now().Add(acceptGrace)) // Serve closes it then
		} else {
			l.Close()
		}
	}
	var parked []*conn
	for c := range s.conns {
		c.drain()
		if c.parkable {
			parked = append(parked, c)
		}
	}
	s.mu.Unlock()
	for _, c := range parked {
		c.drainParked()
	}

	finished := make(chan struct{})
	go func() {
		s.accepting.Wait() // so that what Serve still accepts is counted
		s.done.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		for c := range s.conns {
			c.cut()
		}
		s.mu.Unlock()
		return ctx.Err()
	}
}

func endpoint(a net.Addr) Endpoint {
	if u, ok := a.(*net.UnixAddr); ok {
		return Endpoint{Addr: u.Name, Unix: true}
	}
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return Endpoint{Addr: a.String()}
	}
	ip, _ := netip.ParseAddr(host)
	return Endpoint{Addr: host, Port: port, IP: ip}
}
