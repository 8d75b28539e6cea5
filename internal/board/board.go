// Package board is the memory that a master shares with its workers, in which they see
// how much each of the others has to do: they accept from the same listeners, and one
// that has much leaves the next connection to one that has less.
package board

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Tally is what one process has to do. It is safe for concurrent use.
type Tally struct {
	open    atomic.Int64 // connections
	Busy    atomic.Int64 // requests that run
	Waiting atomic.Int64 // requests that wait for a thread
	Stuck   atomic.Int64 // threads whose request takes long
	threads atomic.Int64 // that run requests; 0: it does not accept
	opened  atomic.Int64 // connections, since the start
	_       [2]int64     // two processes that write do not share a cache line
}

// less orders by what a new request would have to wait for, then by the connections,
// which may all send one.
func (t *Tally) less(of *Tally) bool {
	return cmp.Or(
		cmp.Compare(t.blocked(), of.blocked()), cmp.Compare(t.excess(), of.excess()), cmp.Compare(t.open.Load(), of.open.Load()),
	) < 0
}

// blocked is 1 if no thread comes back soon.
func (t *Tally) blocked() int {
	if t.Stuck.Load() < t.threads.Load() {
		return 0
	}
	return 1
}

// excess is the requests before the one that a connection would bring, beyond what
// threads are free for; 0: there is a free one.
func (t *Tally) excess() int64 {
	return max(0, t.Busy.Load()+t.Waiting.Load()-t.threads.Load()+1)
}

// seats is how many workers there can be, with those that end: more go without.
const seats = 4095

// memory is what the processes share.
type memory struct {
	highest atomic.Int64 // number given out
	_       [7]int64
	tallies [seats]Tally
}

func (m *memory) tally(seat int) *Tally { return &m.tallies[seat-1] }

const size = int(unsafe.Sizeof(memory{}))

// Board is the master's side of it. Seats are numbered from 1; 0 is none.
type Board struct {
	file   *os.File
	shared *memory
	used   [seats]bool // of seat n at n-1
}

// New makes a board, whose FD the workers get. It fails where the system has no
// memfd_create (memfd_create(2)).
func New() (*Board, error) {
	file, err := newFile()
	if err != nil {
		return nil, fmt.Errorf("making memory to share with the workers: %w", err)
	}
	if err := file.Truncate(int64(size)); err != nil {
		file.Close()
		return nil, fmt.Errorf("making memory to share with the workers: %w", err)
	}
	shared, err := mapped(file)
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Board{file: file, shared: shared}, nil
}

func mapped(file *os.File) (*memory, error) {
	bytes, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping the memory shared by the workers: %w", err)
	}
	return (*memory)(unsafe.Pointer(&bytes[0])), nil
}

// FD is what a worker needs for Sit.
func (b *Board) FD() int { return int(b.file.Fd()) }

// Take returns the number of a free seat; 0: there is none, or no board. Not for
// concurrent use, as Free.
func (b *Board) Take() int {
	if b == nil {
		return 0
	}
	n := 1 + slices.Index(b.used[:], false)
	if n > 0 {
		b.used[n-1] = true
		b.shared.tally(n).clear()
		b.shared.highest.Store(max(b.shared.highest.Load(), int64(n)))
	}
	return n
}

// Free takes back the seat of a process that has ended; 0: it had none.
func (b *Board) Free(n int) {
	if n != 0 {
		b.used[n-1] = false
		b.shared.tally(n).clear()
	}
}

func (t *Tally) clear() {
	t.threads.Store(0)
	t.open.Store(0)
	t.Busy.Store(0)
	t.Waiting.Store(0)
	t.Stuck.Store(0)
	t.opened.Store(0)
}

// Seat is a process's own tally, and its sight of the others'.
type Seat struct {
	*Tally
	shared *memory // nil: there are no others
}

// Alone returns the seat of a process that shares nothing.
func Alone() *Seat { return &Seat{Tally: new(Tally)} }

// Sit returns a worker's seat: file is a copy of FD, which it closes, and n a number
// from Take.
func Sit(file *os.File, n int) (*Seat, error) {
	defer file.Close()
	if n < 1 || n > seats {
		return nil, fmt.Errorf("there is no seat %d", n)
	}
	shared, err := mapped(file)
	if err != nil {
		return nil, err
	}
	return &Seat{Tally: shared.tally(n), shared: shared}, nil
}

// Begin tells that this process accepts, with so many threads.
func (s *Seat) Begin(threads int) { s.threads.Store(int64(max(threads, 1))) }

// End tells that it does not accept any more.
func (s *Seat) End() { s.threads.Store(0) }

// Opened counts a connection.
func (s *Seat) Opened() {
	s.open.Add(1)
	s.opened.Add(1)
}

// Closed is the end of what Opened has counted.
func (s *Seat) Closed() { s.open.Add(-1) }

// Shared tells whether there may be others.
func (s *Seat) Shared() bool { return s.shared != nil }

// How long a connection is left to a process that has less to do: that may have no core
// now, or be stopped.
const (
	leaveShort = 5 * time.Millisecond
	leaveLong  = 100 * time.Millisecond // where it might wait for much longer here
)

// Leave returns for how long a connection is to be left to another process; 0: none has
// less to do than this one.
func (s *Seat) Leave() time.Duration {
	leave := time.Duration(0)
	for t := range s.others {
		switch {
		case t.threads.Load() == 0 || !t.less(s.Tally):
		case t.blocked() < s.blocked():
			return leaveLong
		default:
			leave = leaveShort
		}
	}
	return leave
}

// Elsewhere is how many connections the others have opened: a number to compare with
// a later one.
func (s *Seat) Elsewhere() (n int64) {
	for t := range s.others {
		n += t.opened.Load()
	}
	return n
}

func (s *Seat) others(yield func(*Tally) bool) {
	if s.shared == nil {
		return
	}
	for n := range int(s.shared.highest.Load()) {
		if t := s.shared.tally(n + 1); t != s.Tally && !yield(t) {
			return
		}
	}
}
