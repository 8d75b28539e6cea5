package bridge

import (
	"github.com/gowsgi/gowsgi/internal/board"
	"net"
	"syscall"
	"testing"
)

// TestBacklogOptions: connections that waited in the backlog before the listener was
// served send small pieces at once too.
func TestBacklogOptions(t *testing.T) {
	l := listenLocal(t)
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fl := newFDListener(l, board.Alone(), true)
	defer fl.Close()
	fd, _, err := fl.acceptFD()
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if on, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY); err != nil || on == 0 {
		t.Errorf("TCP_NODELAY is %d, %v", on, err)
	}
}
