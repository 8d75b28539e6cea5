package logs

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/internal/queue"
	"github.com/hashicorp/go-hclog"
)

// Python says which of Python's loggers get the lines. They do when any is set.
type Python struct {
	LogConfig     string         // an ini file for logging.config.fileConfig
	LogConfigJSON string         // a JSON file for dictConfig
	LogConfigDict map[string]any // for dictConfig
	Configured    bool           // there is a log config that only the Python side knows
	LoggerClass   string         // MODULE.CLASS
	Settings      map[string]any // what a logger class's cfg has beside the settings of logs
}

// defaultClasses are gunicorn's own loggers, in place of which ours work.
var defaultClasses = map[string]bool{
	"": true, "simple": true, "gunicorn.glogging.Logger": true, "gunicorn.instrument.statsd.Statsd": true,
}

func (p *Python) ownClass() bool { return !defaultClasses[p.LoggerClass] }

func (p *Python) used() bool {
	return p.LogConfig != "" || p.LogConfigJSON != "" || len(p.LogConfigDict) > 0 || p.Configured || p.ownClass()
}

const (
	pipeQueue = 4 << 20         // bytes
	pipeClose = 2 * time.Second // for Python to take what is queued at the end
)

// python is the way of lines to gowsgi.logs: JSON objects in a pipe, which a thread
// of Python's reads.
type python struct {
	on    atomic.Bool // lines go there, and not to the files
	log   hclog.Logger
	lines *queue.Queue // nil: no pipe
	w     *os.File
	done  chan struct{}
}

// ForPython returns what gowsgi.logs.setup takes, and makes the pipe. It is called
// once, in a worker; the pipe's other end is Python's from then on.
func (l *Logs) ForPython() (map[string]any, error) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("making the pipe to Python's loggers: %w", err)
	}
	if err := syscall.SetNonblock(fds[1], true); err != nil { // so that Close ends a Write
		return nil, fmt.Errorf("making the pipe to Python's loggers: %w", err)
	}
	p := &l.python
	p.w, p.done = os.NewFile(uintptr(fds[1]), "python"), make(chan struct{})
	p.lines = queue.New(pipeQueue)
	go p.run()
	c := &l.cfg
	options := map[string]any{
		"lines_fd": fds[0], "error_fd": l.ErrorFD(), "access_fd": l.accessFD(), "json": c.JSON,
		"level": levelNames[l.log.GetLevel()],
		"cfg":   l.settings(),
	}
	if c.Syslog != nil {
		options["syslog_access"] = !c.NoAccessSyslog
	}
	return options, nil
}

// settings are those of logs under gunicorn's names.
func (l *Logs) settings() map[string]any {
	c := &l.cfg
	format := c.AccessFormat
	if format == "" {
		format = defaultFormat
	}
	all := map[string]any{
		"accesslog": orNil(c.Access), "access_log_format": format, "errorlog": orText(c.Error, "-"),
		"loglevel": levelNames[l.log.GetLevel()], "capture_output": c.Capture,
		"logconfig": orNil(c.Python.LogConfig), "logconfig_json": orNil(c.Python.LogConfigJSON),
		"logconfig_dict": c.Python.LogConfigDict, "logger_class": orText(c.Python.LoggerClass, "gunicorn.glogging.Logger"),
		"syslog": c.Syslog != nil, "disable_redirect_access_to_syslog": c.NoAccessSyslog,
	}
	_ = all
	return all
}

// UsePython sends lines to Python's loggers from now on, if the configuration says
// so: gowsgi.logs.setup has returned.
func (l *Logs) UsePython() {
	if l.cfg.Python.used() && l.python.lines != nil {
		l.python.on.Store(true)
	}
}

// LeavePython sends lines to the files again, after Python has got what is on its
// way, or some time: Python is about to end.
func (l *Logs) LeavePython() {
	p := &l.python
	if p.lines == nil {
		return
	}
	p.on.Store(false)
	p.lines.Close()
	select {
	case <-p.done:
	case <-time.After(pipeClose):
	}
	p.w.Close()
}

func (p *python) run() {
	defer close(p.done)
	losses := queue.Losses{Report: func(lost int) {
		p.log.Warn("Python's loggers cannot keep up: lines were dropped", "count", lost)
	}}
	defer losses.Flush()
	var b queue.Batch
	for p.lines.Take(context.Background(), &b) {
		losses.Add(b.Dropped)
		if _, err := p.w.Write(b.Bytes()); err != nil {
			p.on.Store(false)
			losses.Add(b.Len())
			return
		}
	}
}
