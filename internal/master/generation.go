package master

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Generation is the workers of one reading of the configuration: how many, and how
// to start and to watch them. Whoever makes it does not change it any more.
type Generation struct {
	Files []*os.File // the listeners; the master closes those that no later generation has
	Pass  string     // what Predecessor tells a successor of this master: how to use Files

	Workers int
	// With MaxWorkers above MinWorkers, Workers are those at the start, and then as
	// many as the load needs.
	MinWorkers, MaxWorkers int
	// Timeout is how long a worker may say nothing until it is taken for stuck, at
	// least 5 s; 0: for ever.
	Timeout time.Duration
	// Grace is the time from telling a worker to drain to killing it.
	Grace    time.Duration
	Settings []byte // one line of JSON for each worker, its Link.Settings; may be nil
	// Credential is whom the workers run as; nil: as the master. Spawn has to see to
	// it itself.
	Credential *syscall.Credential

	// Spawn starts a worker and returns its process number; nil: this program is
	// started anew. A *BootError says what to end with if this is the first. The process must be the master's child, or become it: the master
	// is a subreaper from then on. Calls come one after the other, by age.
	Spawn func(SpawnRequest) (pid int, err error)
	// Serves is called once, when the generation has become the current one; nil: not.
	Serves func()
	// Hook is told what happens, in order; nil: nobody is. It may take its time, and
	// runs beside Spawn. The names and types of args are at the constants.
	Hook func(name string, args any)
	// End is called once, when the generation is not the current one any more, the
	// last of its workers has ended and the last call of Hook has returned; nil: not.
	End func()
}

// SpawnRequest is what a worker needs. The descriptors are the master's, and open
// until Spawn returns: the process needs copies, and JoinAs to use them.
type SpawnRequest struct {
	Age       int      // the master's number of this worker, from 1
	Workers   int      // how many there should be
	Line      *os.File // to the master
	Listeners []uintptr
}

// What Hook is told, with the type of args; nil where there is none.
const (
	WhenReady       = "when_ready"       // every worker serves, for the first time
	NWorkersChanged = "nworkers_changed" // NWorkers
	ChildExit       = "child_exit"       // Child: a worker of this generation has ended
	PreExec         = "pre_exec"         // a successor of this master is about to start
	OnExit          = "on_exit"          // the last one; all workers have ended
)

// NWorkers is how many workers there should be, and were to be before.
type NWorkers struct {
	New int  `json:"new"`
	Old *int `json:"old"` // nil: it is the first time
}

// Child is a worker that has ended.
type Child struct {
	PID int `json:"pid"`
	Age int `json:"age"`
}

// maxWorkers is where TTIN ends.
const maxWorkers = 1000

// hookLimit bounds how long the master waits for a hook where it has to.
const hookLimit = 10 * time.Second

// generation is what the master adds to a Generation.
type generation struct {
	*Generation
	listeners []uintptr
	scale     scaler
	broken    bool          // Spawn has failed: only a new generation can help
	pending   int           // calls of Spawn that have not returned
	spawned   chan struct{} // closed when the last of them has returned
	closed    bool          // the master's listeners
	calls     chan call     // of Hook; closed when no more come
	ended     chan struct{} // closed after End
}

type call struct {
	name string
	args any
	done chan<- struct{} // closed when Hook has returned; nil: nobody waits
}

func newGeneration(g *Generation) (*generation, error) {
	switch {
	case g.Workers < 1:
		return nil, errors.New("there must be at least one worker")
	case bytes.IndexByte(g.Settings, '\n') >= 0:
		return nil, errors.New("the settings of a worker must be one line")
	case g.Spawn != nil:
		if err := becomeSubreaper(); err != nil {
			return nil, fmt.Errorf("adopting workers: %w", err)
		}
	}
	made := &generation{
		Generation: g, scale: scaler{min: max(1, g.MinWorkers), max: g.MaxWorkers},
		calls: make(chan call, 1000), ended: make(chan struct{}),
	}
	if !made.scales() {
		made.scale = scaler{min: 1, max: max(maxWorkers, g.Workers)}
	}
	for _, f := range g.Files {
		fd, err := descriptor(f)
		if err != nil {
			return nil, fmt.Errorf("preparing a listener: %w", err)
		}
		made.listeners = append(made.listeners, fd)
	}
	go made.run()
	return made, nil
}

// descriptor returns a listener's, and sees to it that it does not block. File.Fd
// would make it block, for all workers that accept from it now.
func descriptor(f *os.File) (uintptr, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var number uintptr
	var failed error
	err = raw.Control(func(fd uintptr) {
		number, failed = fd, syscall.SetNonblock(int(fd), true)
	})
	return number, errors.Join(err, failed)
}

func (g *generation) scales() bool { return g.MaxWorkers > g.MinWorkers }

// run calls Hook, and at last End.
func (g *generation) run() {
	defer close(g.ended)
	for c := range g.calls {
		if g.Hook != nil {
			g.Hook(c.name, c.args)
		}
		if c.done != nil {
			close(c.done)
		}
	}
	if g.End != nil {
		g.End()
	}
}

// hook tells Hook something; it returns false if that has hung for so long that
// too much waits for it.
func (g *generation) hook(c call) bool {
	select {
	case g.calls <- c:
		return true
	default:
		return false
	}
}
