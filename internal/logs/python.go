package logs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi/internal/queue"
	"github.com/gowsgi/gowsgi/internal/syslog"
	"github.com/hashicorp/go-hclog"
)

// Python says which of Python's loggers get the lines. They do when any is set.
type Python struct {
	LogConfig     string         // an ini file for logging.config.fileConfig
	LogConfigJSON string         // a JSON file for dictConfig
	LogConfigDict map[string]any // for dictConfig
	LoggerClass   string         // MODULE.CLASS
	Settings      map[string]any // what a logger class's cfg has beside the settings of logs
}

// defaultClasses are gunicorn's own loggers, in place of which ours work.
var defaultClasses = map[string]bool{
	"": true, "simple": true, "gunicorn.glogging.Logger": true, "gunicorn.instrument.statsd.Statsd": true,
}

func (p *Python) ownClass() bool { return !defaultClasses[p.LoggerClass] }

func (p *Python) used() bool {
	return p.LogConfig != "" || p.LogConfigJSON != "" || len(p.LogConfigDict) > 0 || p.ownClass()
}

const (
	pipeQueue = 4 << 20         // bytes
	pipeClose = 2 * time.Second // for Python to take what is queued at the end
)

// python is the way of lines to gowsgi.logs: JSON objects in a pipe, which a thread
// of Python's reads.
type python struct {
	on    atomic.Bool  // lines go there, and not to the files
	lines *queue.Queue // nil: no pipe
	w     *os.File
	done  chan struct{}
}

// reopenLine has Python open its log files anew.
const reopenLine = `{"kind":"reopen"}` + "\n"

// ForPython returns what gowsgi.logs.setup takes, and makes the pipe. It is called
// once, in a worker; the pipe's other end is Python's from then on.
func (l *outputs) ForPython() (map[string]any, error) {
	var fds [2]int
	err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC)
	if err == nil {
		err = syscall.SetNonblock(fds[1], true) // so that closing it ends a Write
	}
	if err != nil {
		return nil, fmt.Errorf("making the pipe to Python's loggers: %w", err)
	}
	p := &l.python
	p.w, p.done = os.NewFile(uintptr(fds[1]), "python"), make(chan struct{})
	p.lines = queue.New(pipeQueue)
	go p.run(l.own)
	options := map[string]any{
		"lines_fd": fds[0], "error_fd": l.errorFD(), "access_fd": l.accessFD(), "cfg": l.settings(),
	}
	return options, nil
}

// settings are those of logs, under gunicorn's names and log_json.
func (l *outputs) settings() map[string]any {
	c := &l.cfg
	all := map[string]any{
		"errorlog": cmp.Or(c.Error, "-"), "accesslog": orNil(c.Access), "access_log_format": c.AccessFormat,
		"loglevel": levelNames[l.cfg.Level], "capture_output": c.Capture, "log_json": c.JSON,
		"logger_class": cmp.Or(c.Python.LoggerClass, "gunicorn.glogging.Logger"),
		"logconfig":    orNil(c.Python.LogConfig), "logconfig_json": orNil(c.Python.LogConfigJSON),
		"logconfig_dict": c.Python.LogConfigDict,
		"syslog":         c.Syslog != nil, "disable_redirect_access_to_syslog": c.NoAccessSyslog,
		"syslog_addr": syslog.DefaultAddress, "syslog_facility": syslog.DefaultFacility, "syslog_prefix": nil,
		"statsd_host": nil, "statsd_prefix": "", "dogstatsd_tags": "", "proc_name": "gunicorn",
	}
	if c.Statsd != nil {
		all["statsd_host"], all["statsd_prefix"], all["dogstatsd_tags"] = c.Statsd.Host, c.Statsd.Prefix, c.Statsd.Tags
	}
	if c.Syslog != nil {
		all["syslog_addr"], all["syslog_facility"], all["syslog_prefix"] = c.Syslog.Address, c.Syslog.Facility, c.Syslog.Prefix
	}
	maps.Copy(all, c.Python.Settings)
	return all
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// UsePython sends lines to Python's loggers from now on, if the configuration says
// so: gowsgi.logs.setup has returned.
func (l *outputs) UsePython() {
	if l.cfg.Python.used() && l.python.lines != nil {
		l.python.on.Store(true)
	}
}

// LeavePython sends lines to the files again, after Python has got what is on its
// way, or had some time to: Python is about to end.
func (l *outputs) LeavePython() {
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

func (p *python) run(log hclog.Logger) {
	defer close(p.done)
	losses := queue.Losses{Report: func(lost int) {
		log.Warn("Python's loggers cannot keep up: lines were dropped", "count", lost)
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

// pythonSink passes lines of all levels on: Python's loggers have their own.
type pythonSink struct {
	p         *python
	text      hclog.SinkAdapter
	traceback string // of the present line; hclog gives one at a time
}

func newPythonSink(p *python) *pythonSink {
	s := &pythonSink{p: p}
	s.text = textSink(hclog.Debug, func(level hclog.Level, text []byte) {
		line := fmt.Appendf(nil, `{"kind":"error","time":%.6f,"level":"%s","message":%s`,
			float64(time.Now().UnixMicro())/1e6, levelNames[level], marshal(string(text)))
		if s.traceback != "" {
			line = append(append(line, `,"traceback":`...), marshal(s.traceback)...)
		}
		p.lines.Put(append(line, "}\n"...))
	})
	return s
}

// Accept implements hclog.SinkAdapter.
func (s *pythonSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	if !s.p.on.Load() {
		return
	}
	s.traceback = ""
	if i := argument(args, tracebackKey); i >= 0 {
		s.traceback = fmt.Sprint(args[i+1])
		args = slices.Delete(slices.Clone(args), i, i+2)
	}
	s.text.Accept(name, level, msg, args...)
}
