package master

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// masterVariable tells a process that it is the successor of a running master:
// PID:PASS, the latter being Generation.Pass. The listeners are descriptors from 3 on.
const masterVariable = "GOWSGI_MASTER"

// FirstFD is the first of the descriptors that a successor inherits.
const FirstFD = firstFD

// Predecessor returns the master that this process is the successor of, and what
// that has passed; 0 if there is none. It takes the variable away.
func Predecessor() (pid int, pass string, err error) {
	text, ok := os.LookupEnv(masterVariable)
	if !ok {
		return 0, "", nil
	}
	os.Unsetenv(masterVariable)
	number, pass, ok := strings.Cut(text, ":")
	pid, err = strconv.Atoi(number)
	if !ok || err != nil || pid < 1 {
		return 0, "", fmt.Errorf("%s is what a master sets for its successor: unset it", masterVariable)
	}
	return pid, pass, nil
}

// upgrade begins to start a successor: this program's file as it is now, beside this
// master and its workers.
func (m *Master) upgrade() {
	switch {
	case m.stopping:
		return
	case m.upgrading || m.successor != 0:
		m.Log.Warn("SIGUSR2 is ignored: there is a new master already", "pid", m.successor)
		return
	case m.Predecessor != 0:
		m.Log.Warn("SIGUSR2 is ignored: the old master is still there", "pid", m.Predecessor)
		return
	case m.fleet.current == 0:
		m.Log.Warn("SIGUSR2 is ignored: the workers do not serve yet")
		return
	}
	m.upgrading = true
	said := make(chan struct{})
	m.hook(m.generations[m.fleet.current], call{name: PreExec, done: said})
	go func() {
		select {
		case <-said:
		case <-time.After(hookLimit):
		}
		m.post(m.succeed)
	}()
}

// succeed starts the successor.
func (m *Master) succeed() {
	m.upgrading = false
	if m.stopping {
		return
	}
	g := m.generations[m.fleet.current]
	path, err := m.Program, error(nil)
	if path == "" {
		path, err = os.Executable()
	}
	if err == nil {
		m.successor, err = syscall.ForkExec(path, m.Args, &syscall.ProcAttr{
			Dir:   m.folder(),
			Env:   append(slices.Clone(m.Env), fmt.Sprintf("%s=%d:%s", masterVariable, os.Getpid(), g.Pass)),
			Files: append([]uintptr{0, 1, 2}, g.listeners...),
		})
	}
	if err != nil {
		m.successor = 0
		m.Log.Error("cannot start a new master; this one goes on", "error", err)
		return
	}
	m.Log.Info("started a new master", "pid", m.successor)
}

// successorEnded goes on alone.
func (m *Master) successorEnded(status syscall.WaitStatus) {
	m.Log.Error("the new master has ended; this one goes on", "pid", m.successor, "how", describe(status))
	m.successor = 0
	if m.fleet.wanted() == 0 && !m.stopping { // after WINCH: else nobody would serve
		m.resize(m.generations[m.fleet.current].Workers)
	}
}

// windDown has all workers drain, so that a successor gets all requests. HUP, TTIN
// and the successor's end bring them back.
func (m *Master) windDown() {
	switch {
	case !m.Daemon && m.successor == 0: // a terminal sends it when its size changes
		m.Log.Debug("SIGWINCH is ignored without --daemon or a new master")
	case !m.stopping && m.fleet.current != 0:
		m.abandon()
		m.fleet.resize(0)
		m.number(m.generations[m.fleet.current])
	}
}

// promote looks whether the predecessor has ended.
func (m *Master) promote() {
	if m.Predecessor == 0 || os.Getppid() == m.Predecessor {
		return
	}
	m.Log.Info("the old master has ended", "pid", m.Predecessor)
	m.Predecessor = 0
	m.Promoted()
}
