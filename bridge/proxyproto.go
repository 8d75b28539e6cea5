package bridge

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net"

	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/pires/go-proxyproto"
)

// ProxyProtocol says which versions of the PROXY protocol a server takes, and from
// whom. A connection may begin without it (a health check, say): gunicorn allows
// that too.
type ProxyProtocol struct {
	V1, V2 bool
	Allow  func(peer Endpoint) bool // whose header is believed; from others it is refused
}

var (
	proxyV1 = []byte("PROXY ")
	proxyV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")

	errProxyPeer = &http1.Error{Status: 403, Cause: "the PROXY protocol from an address that is not allowed to use it"}
	errProxyBad  = &http1.Error{Status: 400, Cause: "malformed PROXY protocol header"}
)

// Sizes from the protocol's specification: a version 1 line is at most 107 bytes
// long, a version 2 header 16 and what its last two bytes say.
const (
	proxyV1Max  = 107
	proxyV2Head = 16
	proxyMax    = 4 << 10 // of version 2 with its extensions: more than any proxy sends
)

// proxyHeader takes the PROXY header from the start of a new connection, if there
// is one, and puts the client's address where the proxy's was. Trust in forwarding
// fields then goes by the client: the proxy passes on bytes, not fields.
func (c *conn) proxyHeader() error {
	p := c.srv.Proxy
	if p == nil {
		return nil
	}
	c.mu.Lock()
	c.readDeadline(c.srv.Limits.HeadTime)
	c.mu.Unlock()
	for {
		n, more := proxyLength(c.buf[c.r:c.w], p)
		switch {
		case n == 0 && !more:
			return nil
		case c.w-c.r >= len(proxyV1) && !p.Allow(c.peer):
			return errProxyPeer // it is one: no request begins with these bytes
		case n > proxyMax || n > proxyV1Max && c.buf[c.r] == 'P':
			return errProxyBad
		case n > 0 && n <= c.w-c.r:
			return c.takeProxyHeader(n)
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// proxyLength returns the size of the header that b begins with, as far as is known
// yet; more says that b is too short to tell.
func proxyLength(b []byte, p *ProxyProtocol) (n int, more bool) {
	switch {
	case p.V1 && begins(b, proxyV1):
		if end := bytes.IndexByte(b, '\n'); end >= 0 {
			return end + 1, false
		}
		return max(len(b)+1, len(proxyV1)), true
	case p.V2 && begins(b, proxyV2):
		if len(b) < proxyV2Head {
			return proxyV2Head, true
		}
		return proxyV2Head + int(binary.BigEndian.Uint16(b[14:])), false
	}
	return 0, false
}

// begins tells whether b and prefix agree as far as b goes.
func begins(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return n > 0 && bytes.Equal(b[:n], prefix[:n])
}

func (c *conn) takeProxyHeader(n int) error {
	header, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(c.buf[c.r : c.r+n])))
	if err != nil {
		return errProxyBad
	}
	c.r += n
	if header.Command.IsLocal() { // the proxy itself speaks: a health check
		return nil
	}
	if from, ok := header.SourceAddr.(*net.TCPAddr); ok {
		c.proxy = c.peer
		c.peer = endpoint(from)
	}
	return nil
}
