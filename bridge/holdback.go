package bridge

import (
	"errors"
	"io"
	"math"
	"syscall"
)

// An answer whose length nobody knows ends with the connection. When it fails midway,
// a TCP connection is reset (abort), so that the web server does not take what it has
// for the whole, and cache it. A unix socket cannot be reset, but its peer gets
// ECONNRESET if it is closed with something unread (unix_release_sock in Linux). So the
// request's last byte is looked at and left in the kernel until the answer is whole.

// peekFill is fill without taking the bytes from the kernel: settle does that.
func (c *conn) peekFill() error {
	if c.buf == nil {
		c.buf = make([]byte, readBuffer)
	}
	n, err := c.peekWait(c.buf)
	c.w, c.peeked = n, n
	return err
}

// peekWait waits for bytes, and reads them without taking them.
func (c *conn) peekWait(p []byte) (n int, err error) {
	raw, err := c.nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, failed = syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if !errors.Is(failed, syscall.EINTR) {
				return !errors.Is(failed, syscall.EAGAIN)
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, failed
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// settle takes what peekFill has left, but for the last byte of a request of total
// bytes if it is among them.
func (c *conn) settle(total int64) error {
	n := int64(c.peeked)
	if n == 0 {
		return nil
	}
	if n >= total {
		n, c.held = total-1, true
	}
	c.peeked = 0
	again := bodyChunks.Get().(*[]byte)
	defer bodyChunks.Put(again)
	_, err := io.ReadFull(c.nc, (*again)[:n])
	return err
}

// settleAll takes everything, when there is no request to hold a byte of.
func (c *conn) settleAll() error { return c.settle(math.MaxInt64) }

// leftover tells whether the client has sent more than its request; it takes the byte
// that was held back.
func (c *conn) leftover() bool {
	if !c.held {
		return c.peek()
	}
	c.held = false
	var two [2]byte
	return c.readNow(two[:], 0) > 1
}
