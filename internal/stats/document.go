package stats

import (
	"encoding/json"
	"os"
	"time"
)

// Server is how a server does.
type Server struct {
	Version string
	Load    int64 // requests that run or wait
	Waiting int64 // requests that wait for a thread: uWSGI's listen_queue
	Sockets []Socket
	Workers []Worker
}

// Socket is one address that the server listens on.
type Socket struct {
	Name, Proto string
	Backlog     int // as it was asked for
}

// Worker is how a worker does. One that is still starting has no Figures.
type Worker struct {
	ID      int // from 1; a worker that takes another's place has its number
	PID     int
	Serving bool // it accepts requests
	Threads int
	Busy    int64 // threads that run a request
	RSS     int64 // bytes; 0: not known
	Started time.Time
	Spawns  int // how many workers have had this place
	Figures
	Apps []App
}

// App is one of the applications of a worker.
type App struct {
	Mount string // "": it serves what no other does
}

// JSON returns the document. What there is nothing of here (locks, signals...) is
// there, and empty, where readers look for it.
func (s *Server) JSON() ([]byte, error) {
	cwd, err := os.Getwd()
	if err != nil {
		cwd = "" // it was removed
	}
	d := document{
		Version: s.Version, ListenQueue: s.Waiting, Load: s.Load,
		PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid(), CWD: cwd,
		Locks: []any{}, Sockets: []socket{}, Workers: []worker{},
	}
	for _, one := range s.Sockets {
		d.Sockets = append(d.Sockets, socket{Name: one.Name, Proto: one.Proto, MaxQueue: one.Backlog})
	}
	for i := range s.Workers {
		d.Workers = append(d.Workers, s.Workers[i].document())
	}
	text, err := json.MarshalIndent(d, "", "\t")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

type document struct {
	Version           string   `json:"version"`
	ListenQueue       int64    `json:"listen_queue"`
	ListenQueueErrors int64    `json:"listen_queue_errors"`
	SignalQueue       int64    `json:"signal_queue"`
	Load              int64    `json:"load"`
	PID               int      `json:"pid"`
	UID               int      `json:"uid"`
	GID               int      `json:"gid"`
	CWD               string   `json:"cwd"`
	Locks             []any    `json:"locks"`
	Sockets           []socket `json:"sockets"`
	Workers           []worker `json:"workers"`
}

type socket struct {
	Name       string `json:"name"`
	Proto      string `json:"proto"`
	Queue      int    `json:"queue"`
	MaxQueue   int    `json:"max_queue"`
	Shared     int    `json:"shared"`
	CanOffload int    `json:"can_offload"`
}

type worker struct {
	ID            int    `json:"id"`
	PID           int    `json:"pid"`
	Accepting     int    `json:"accepting"`
	Requests      int64  `json:"requests"`
	DeltaRequests int64  `json:"delta_requests"`
	Exceptions    int64  `json:"exceptions"`
	HarakiriCount int64  `json:"harakiri_count"`
	Signals       int64  `json:"signals"`
	SignalQueue   int64  `json:"signal_queue"`
	Status        string `json:"status"`
	RSS           int64  `json:"rss"`
	VSZ           int64  `json:"vsz"`
	RunningTime   int64  `json:"running_time"`
	LastSpawn     int64  `json:"last_spawn"`
	RespawnCount  int    `json:"respawn_count"`
	TX            int64  `json:"tx"`
	AvgRT         int64  `json:"avg_rt"`
	Apps          []app  `json:"apps"`
	Cores         []core `json:"cores"`
}

type app struct {
	ID          int    `json:"id"`
	Modifier1   int    `json:"modifier1"`
	Mountpoint  string `json:"mountpoint"`
	StartupTime int64  `json:"startup_time"`
	Requests    int64  `json:"requests"`
	Exceptions  int64  `json:"exceptions"`
	Chdir       string `json:"chdir"`
}

// core is a thread.
type core struct {
	ID                int            `json:"id"`
	Requests          int64          `json:"requests"`
	StaticRequests    int64          `json:"static_requests"`
	RoutedRequests    int64          `json:"routed_requests"`
	OffloadedRequests int64          `json:"offloaded_requests"`
	WriteErrors       int64          `json:"write_errors"`
	ReadErrors        int64          `json:"read_errors"`
	InRequest         int            `json:"in_request"`
	Vars              []any          `json:"vars"`
	ReqInfo           map[string]any `json:"req_info"`
}

func (w *Worker) document() worker {
	d := worker{
		ID: w.ID, PID: w.PID, Requests: w.Requests, DeltaRequests: w.Requests, Exceptions: w.Exceptions,
		HarakiriCount: w.Timeouts, Status: "idle", RSS: w.RSS, RunningTime: w.Running,
		RespawnCount: w.Spawns, TX: w.TX, AvgRT: w.AvgRT,
		Apps: []app{}, Cores: []core{},
	}
	if !w.Started.IsZero() {
		d.LastSpawn = w.Started.Unix()
	}
	switch {
	case !w.Serving:
		d.Status = "cheap" // uWSGI's word for a worker that takes no requests
	case w.Busy > 0:
		d.Status = "busy"
	}
	if w.Serving {
		d.Accepting = 1
	}
	for i, a := range w.Apps {
		d.Apps = append(d.Apps, app{ID: i, Mountpoint: a.Mount})
	}
	if len(w.Apps) == 1 { // else it is not known which had them
		d.Apps[0].Requests, d.Apps[0].Exceptions = w.Requests, w.Exceptions
	}
	for i := range max(1, w.Threads) {
		c := core{ID: i, Vars: []any{}, ReqInfo: map[string]any{}}
		if int64(i) < w.Busy {
			c.InRequest = 1
		}
		d.Cores = append(d.Cores, c)
	}
	d.Cores[0].Requests = w.Requests // threads are not told apart
	return d
}
