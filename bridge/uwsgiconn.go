package bridge

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/bridge/uwsgi"
)

var errPacketPeer = &http1.Error{Status: 403, Cause: "a uwsgi packet from an address that is not allowed to send any"}

// exchangePacket serves the one request of a connection on which a web server speaks
// the uwsgi protocol. Its answers have HTTP's form, which nginx and Apache expect,
// without chunks: the body ends by its Content-Length or with the connection.
func (c *conn) exchangePacket() {
	if c.srv.AllowUWSGI != nil && !c.srv.AllowUWSGI(c.peer) {
		c.refuse(errPacketPeer)
		return
	}
	n, err := c.readPacket()
	if err != nil {
		c.refuse(err)
		return
	}
	c.start = time.Now()
	c.r += n
	p := &c.packet.Packet
	if p.Modifier1 == uwsgi.ModifierPing {
		c.pong()
		return
	}
	c.parsed = true
	x := NewExchange()
	defer x.Release()
	err = c.req.FromPacket(p)
	if err == nil {
		err = c.packetBody(n, x)
	}
	if err == nil {
		err = c.prepare(x)
	}
	if err != nil {
		c.refuse(err)
		return
	}
	c.respond(x)
	c.conclude()
}

// pong answers a ping as uWSGI does when it has nothing to warn of.
func (c *conn) pong() {
	c.writeDeadline()
	_, err := c.nc.Write([]byte{uwsgi.ModifierPing, 0, 0, 1})
	if err == nil && c.settleAll() == nil && (c.r < c.w || c.leftover()) {
		c.linger()
	}
}

// readPacket reads until the parser has a whole packet; n is its size in buf[r:w].
func (c *conn) readPacket() (n int, err error) {
	c.packet.Reset(cmp.Or(c.srv.Limits.Packet, uwsgi.MaxSize))
	c.mu.Lock()
	c.readDeadline(c.srv.Limits.HeadTime)
	c.mu.Unlock()
	for {
		n, err := c.packet.Parse(c.buf[:c.w])
		if err != nil {
			return 0, refusal(err)
		}
		if n > 0 {
			return n, nil
		}
		if err := c.settleAll(); err != nil { // what is missing comes behind it
			return 0, err
		}
		if size := c.packet.Size(); size > len(c.buf) {
			grown := make([]byte, size)
			copy(grown, c.buf[:c.w])
			c.buf = grown
		}
		err = c.fill()
		if errors.Is(err, io.EOF) && c.w > 0 {
			cause := fmt.Sprintf("the uwsgi packet ended after %d bytes of %d", c.w, c.packet.Size())
			return 0, &http1.Error{Status: 400, Cause: cause}
		}
		if err != nil {
			return 0, err
		}
	}
}

// packetBody reads the body whole, which follows a packet of n bytes.
func (c *conn) packetBody(n int, x *Exchange) error {
	length := c.req.BodyLength
	if limit := c.srv.Limits.MaxBody; limit > 0 && length > limit {
		return errTooLarge
	}
	if err := c.settle(int64(n) + max(length, 0)); err != nil {
		return err
	}
	return c.sizedBody(x, max(length, 0))
}
