package master

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/internal/board"
)

// workerVariable tells a process that it is a worker, and how many listeners it
// has: descriptors from 3 on. The line to the master is the one after them.
const workerVariable = "GOWSGI_WORKER"

const firstFD = 3

// message is what a worker tells its master: one line of JSON each. What the master
// says is one line too, the worker's place, its seat on the board, whose descriptor
// comes with it, and the settings, and then nothing.
type message struct {
	Kind string // one of the following
	Code int    `json:",omitempty"` // of failed: the exit code
	Text string `json:",omitempty"` // of failed and broken: what to print; of ready: what it runs; of spent: why; of changed: the file
	At   int64  `json:",omitempty"` // of changed: the file's time
	Beat *Beat  `json:",omitempty"` // of alive
}

const (
	kindAlive    = "alive"    // as once a second
	kindReady    = "ready"    // it is about to accept
	kindFailed   = "failed"   // it cannot serve, and ends
	kindSpent    = "spent"    // it is to be replaced, and goes on until it is told to go
	kindDraining = "draining" // somebody else told it to go
	kindChanged  = "changed"  // a file of its application was saved
	kindBroken   = "broken"   // it will serve, but only the reason why its application does not load
)

const (
	settingsLimit = 30 * time.Second // for the settings to arrive
	settingsSize  = 16 << 20
	sayLimit      = 2 * time.Second        // for a master that does not read, since it was stopped
	beatLimit     = 100 * time.Millisecond // a lost beat is no loss
)

// Link is a worker's line to its master.
type Link struct {
	Listeners []net.Listener
	Settings  []byte // the generation's; nil: none
	Place     int    // this worker's number, from 1, among those that serve together
	Seat      *board.Seat
	line      net.Conn
	gone      chan struct{}
	speaking  sync.Mutex
}

// Join returns the line to the master if this process was started as a worker,
// else nil. It takes the variable away, so that what the application starts is no
// worker.
func Join(fromFD func(int) (net.Listener, error)) (*Link, error) {
	text, ok := os.LookupEnv(workerVariable)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(workerVariable)
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%s is what a master sets for its workers: unset it", workerVariable)
	}
	listeners := make([]int, n)
	for i := range listeners {
		listeners[i] = firstFD + i
	}
	l, err := JoinAs(firstFD+n, listeners, fromFD)
	if err != nil {
		return nil, fmt.Errorf("%s is what a master sets for its workers: unset it: %w", workerVariable, err)
	}
	return l, nil
}

// JoinAs returns the line to the master of a worker that was not started by this
// program's file: its descriptor and those of the listeners, which it takes.
func JoinAs(line int, listeners []int, fromFD func(int) (net.Listener, error)) (*Link, error) {
	syscall.CloseOnExec(line)
	f := os.NewFile(uintptr(line), "master")
	if f == nil {
		return nil, fmt.Errorf("the line to the master: there is no descriptor %d", line)
	}
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("the line to the master: %w", err)
	}
	l := &Link{line: c, gone: make(chan struct{})}
	for _, fd := range listeners {
		listener, err := fromFD(fd)
		if err != nil {
			return nil, fmt.Errorf("the master's listener: %w", err)
		}
		l.Listeners = append(l.Listeners, listener)
	}
	words := &firstWords{line: c.(*net.UnixConn)}
	in := bufio.NewReader(words)
	if err := l.readSettings(in, words); err != nil {
		return nil, fmt.Errorf("the master's settings: %w", err)
	}
	go func() {
		defer close(l.gone)
		for {
			if _, err := in.ReadByte(); err != nil {
				return
			}
		}
	}()
	return l, nil
}

// firstWords reads a line, and takes the descriptor that comes with its first bytes.
type firstWords struct {
	line *net.UnixConn
	read bool
	file *os.File // nil: none has come
}

func (f *firstWords) Read(p []byte) (int, error) {
	if f.read {
		return f.line.Read(p)
	}
	f.read = true
	rights := make([]byte, syscall.CmsgSpace(4))
	n, got, _, _, err := f.line.ReadMsgUnix(p, rights)
	if err == nil && n == 0 {
		err = io.EOF
	}
	messages, _ := syscall.ParseSocketControlMessage(rights[:got])
	for i := range messages {
		fds, _ := syscall.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			f.file = os.NewFile(uintptr(fd), "board")
		}
	}
	return n, err
}

// sit takes this worker's seat on the board.
func (l *Link) sit(file *os.File, seat string) error {
	l.Seat = board.Alone()
	if file == nil {
		return nil
	}
	n, err := strconv.Atoi(seat)
	if err != nil {
		file.Close()
		return err
	}
	l.Seat, err = board.Sit(file, n)
	return err
}

func (l *Link) readSettings(in *bufio.Reader, words *firstWords) error {
	if err := l.line.SetReadDeadline(time.Now().Add(settingsLimit)); err != nil {
		return err
	}
	for {
		piece, err := in.ReadSlice('\n')
		l.Settings = append(l.Settings, piece...)
		switch {
		case err == nil:
			if err := l.line.SetReadDeadline(time.Time{}); err != nil {
				return err
			}
			place, rest, _ := bytes.Cut(bytes.TrimSuffix(l.Settings, []byte("\n")), []byte(" "))
			seat, settings, _ := bytes.Cut(rest, []byte(" "))
			if l.Settings = nil; len(settings) > 0 {
				l.Settings = settings
			}
			if l.Place, err = strconv.Atoi(string(place)); err != nil {
				return err
			}
			return l.sit(words.file, string(seat))
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		case len(l.Settings) > settingsSize:
			return fmt.Errorf("there are more than %d bytes of them", settingsSize)
		}
	}
}

// Gone is closed when the master has ended, however it did.
func (l *Link) Gone() <-chan struct{} { return l.gone }

// Alive is to be called once a second, from the start on: a worker that says
// nothing is taken for stuck.
func (l *Link) Alive(b Beat) { l.say(message{Kind: kindAlive, Beat: &b}, beatLimit) }

// Ready tells that this worker is about to accept, and what it runs. Said any later,
// one that dies would look as if it could not serve although it has.
func (l *Link) Ready(what string) { l.say(message{Kind: kindReady, Text: what}, sayLimit) }

// Failed tells that this worker cannot serve; the caller ends with the code.
func (l *Link) Failed(code int, text string) {
	l.say(message{Kind: kindFailed, Code: code, Text: text}, sayLimit)
}

// Spent asks to be replaced, after as many requests as a worker is to serve.
func (l *Link) Spent() { l.Unwell("has served its number of requests") }

// Unwell asks to be replaced; the reason goes on with "a worker that".
func (l *Link) Unwell(reason string) { l.say(message{Kind: kindSpent, Text: reason}, sayLimit) }

// Draining tells that this worker ends although the master may not have said so.
func (l *Link) Draining() { l.say(message{Kind: kindDraining}, sayLimit) }

// say sends a message, whole or not at all: the kernel takes so little in one piece.
func (l *Link) say(m message, limit time.Duration) {
	text, err := json.Marshal(m)
	if err != nil {
		return
	}
	l.speaking.Lock()
	defer l.speaking.Unlock()
	_ = l.line.SetWriteDeadline(time.Now().Add(limit))
	_, _ = l.line.Write(append(text, '\n')) // a master that is gone shows in Gone
}
