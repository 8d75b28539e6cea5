package bridge

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// startTLS makes what follows on the connection TLS; what was received already is
// the client's first bytes of it. The handshake has the time of a request's head.
func (c *conn) startTLS() error {
	raw := c.nc
	t := tls.Server(&prefixed{Conn: raw, first: bytes.Clone(c.buf[c.r:c.w])}, c.srv.TLS)
	ctx, cancel := context.WithTimeout(context.Background(), c.srv.Limits.HeadTime)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		var plain tls.RecordHeaderError
		if errors.As(err, &plain) && plain.Conn != nil && looksLikeHTTP(plain.RecordHeader) {
			_, _ = io.WriteString(raw, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nThis is an HTTPS server: use https://.\n")
		}
		return err
	}
	c.r, c.w = 0, 0
	c.mu.Lock()
	c.nc = t
	c.mu.Unlock()
	return nil
}

func looksLikeHTTP(head [5]byte) bool {
	for _, b := range head {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}

// prefixed is a connection some of whose bytes were read already.
type prefixed struct {
	net.Conn
	first []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.first)
	p.first = p.first[n:]
	return n, nil
}
