//go:build !linux

package bridge

import (
	"errors"
	"net"

	"github.com/gowsgi/gowsgi/internal/board"
)

// Elsewhere no connection is parked: each has its goroutine.
type set struct{ count int }

type events [1]struct{}

func newSet() *set                                { return nil }
func (s *set) close()                             {}
func (s *set) add(*conn) error                    { return errors.ErrUnsupported }
func (s *set) remove(*conn)                       {}
func (s *set) all() []*conn                       { return nil }
func (s *set) wait(*events, int, bool) int        { return 0 }
func (s *set) waitApart(*events, int) int         { return 0 }
func (s *set) at(*struct{}) (c *conn, ended bool) { return nil, false }
func (s *set) called([]struct{}) bool             { return false }
func (s *set) interrupt()                         {}
func readFD(int, []byte, int) (int, error)        { return 0, errors.ErrUnsupported }
func writeFD(int, *[3][]byte) (int, error)        { return 0, errors.ErrUnsupported }
func again(error) bool                            { return false }
func resetFD(int)                                 {}
func fileConn(int) (net.Conn, error)              { return nil, errors.ErrUnsupported }
func ownFD(net.Conn) (int, error)                 { return -1, errors.ErrUnsupported }

type fdListener struct {
	net.Listener
	parks bool
}

func newFDListener(net.Listener, *board.Seat, bool) *fdListener { return nil }
func (l *fdListener) acceptFD() (int, Endpoint, error)          { return -1, Endpoint{}, errors.ErrUnsupported }

func machineLoad() (runnable, cores int) { return 0, 0 }
