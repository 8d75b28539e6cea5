package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/internal/listen"
	"github.com/gowsgi/gowsgi/internal/master"
)

// socket is what one --bind listens on. The next generation takes it over where it
// has that too, so that no connection is refused.
type socket struct {
	bind  string // "": of systemd or of another master, whatever the settings say
	set   *listen.Set
	files []*os.File
}

// sockets are those of a generation.
type sockets []*socket

// openSockets opens the first generation's.
func openSockets(g *generation) (sockets, error) {
	set, err := listen.Open(options(g)) // systemd's
	if err != nil {
		return nil, err
	}
	if len(set.Listeners) > 0 {
		s, err := newSocket("", set)
		return sockets{s}, err
	}
	return sockets(nil).change(g)
}

// inheritSockets returns a predecessor's, which its generation has left in order.
func inheritSockets(binds []string, pass string) (sockets, error) {
	parts := strings.Split(pass, ",")
	if len(parts) != len(binds) {
		parts, binds = []string{pass}, []string{""}
	}
	var all sockets
	for i, part := range parts {
		set, err := listen.Inherit(part, master.FirstFD+i)
		if err != nil {
			return nil, err
		}
		s, err := newSocket(binds[i], set)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func options(g *generation, binds ...string) listen.Options {
	return listen.Options{
		Binds: binds, Dir: g.cfg.dir, Umask: g.cfg.umask, Backlog: g.cfg.backlog,
		ReusePort: g.cfg.reusePort, Mode: g.cfg.socketMode, Chown: g.chown,
	}
}

// newSocket takes a set, which it removes if that fails.
func newSocket(bind string, set *listen.Set) (*socket, error) {
	files, err := set.Files()
	if err != nil {
		set.Remove()
		return nil, err
	}
	return &socket{bind: bind, set: set, files: files}, nil
}

// passed tells whether they do not come from the settings.
func (s sockets) passed() bool { return len(s) == 1 && s[0].bind == "" }

// change returns the sockets of a generation that comes after one with these.
func (s sockets) change(g *generation) (sockets, error) {
	if s.passed() {
		return s, nil
	}
	var next, opened sockets
	for _, bind := range g.cfg.binds {
		// An address that is there twice is an error, which listening again tells.
		i := slices.IndexFunc(s, func(one *socket) bool { return one.bind == bind && !slices.Contains(next, one) })
		if i >= 0 {
			next = append(next, s[i])
			continue
		}
		one, err := openSocket(g, bind, len(s) > 0)
		if err != nil {
			opened.close()
			opened.remove()
			return nil, err
		}
		next, opened = append(next, one), append(opened, one)
	}
	return next, nil
}

// openTime is how long a reload waits for an address: one that was given up just
// before may have it still.
const openTime = 2 * time.Second

func openSocket(g *generation, bind string, patient bool) (*socket, error) {
	for begun := time.Now(); ; time.Sleep(openTime / 20) {
		set, err := listen.Open(options(g, bind))
		switch {
		case err == nil:
			return newSocket(bind, set)
		case !patient:
			return nil, err
		case !errors.Is(err, syscall.EADDRINUSE) || time.Since(begun) > openTime:
			return nil, fmt.Errorf("%w (the old addresses are served until the new workers do: one that overlaps takes a restart)", err)
		}
	}
}

// without returns those that others do not have.
func (s sockets) without(others sockets) sockets {
	return slices.DeleteFunc(slices.Clone(s), func(one *socket) bool { return slices.Contains(others, one) })
}

func (s sockets) files() []*os.File {
	var all []*os.File
	for _, one := range s {
		all = append(all, one.files...)
	}
	return all
}

// pass is what inheritSockets needs.
func (s sockets) pass() string {
	parts := make([]string, len(s))
	for i, one := range s {
		parts[i] = one.set.Pass()
	}
	return strings.Join(parts, ",")
}

func (s sockets) urls(cfg *config) []string {
	var all []string
	for _, one := range s {
		binds := []string{one.bind}
		if s.passed() {
			binds = cfg.binds
		}
		protocols := listen.Protocols(binds, len(one.set.Listeners), cfg.protocol)
		all = append(all, one.set.URLs(protocols, cfg.scheme())...)
	}
	return all
}

// close ends the listening here; again does no harm.
func (s sockets) close() {
	for _, f := range s.files() {
		f.Close()
	}
}

// remove removes the files of unix sockets.
func (s sockets) remove() {
	for _, one := range s {
		one.set.Remove()
	}
}
