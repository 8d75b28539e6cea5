package logs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/internal/accesslog"
	"github.com/gowsgi/gowsgi/internal/statsd"
	"github.com/gowsgi/gowsgi/internal/syslog"
	"github.com/hashicorp/go-hclog"
)

// Config says what is logged where. The zero value logs errors to stderr.
type Config struct {
	Error   string      // a file; "" or "-": stderr
	Level   hclog.Level // of lines in the error log
	Capture bool        // what the process writes to stdout and stderr goes to the file Error

	Access       string // a file; "-": stdout; "": none
	AccessFormat string // "": accesslog.Default

	JSON   bool   // lines are JSON objects
	Dir    string // where relative paths start; "": the present folder
	Owner  *Owner // of files that root makes; nil: root
	Master bool   // this process serves no requests: the access log is made ready for those that do

	Syslog         *syslog.Config // nil: none
	NoAccessSyslog bool           // only errors go to syslog
	Statsd         *statsd.Config // nil: none
	Python         Python

	Stdout, Stderr io.Writer // nil: the process's
}

// Owner is a user and a group, by number.
type Owner struct{ UID, GID int }

// Logs are the open logs of a process.
type Logs struct {
	log hclog.InterceptLogger

	reopening sync.Mutex   // held by Configure and Reopen
	mu        sync.RWMutex // held for reading while a line of the error log is written
	*outputs
}

// outputs are what a Config asks for.
type outputs struct {
	cfg    Config
	errors *file // nil: a standard stream
	access *file // nil: a standard stream, or none
	entry  *accessLog
	sinks  []hclog.SinkAdapter // of the error log
	own    hclog.Logger        // for what is wrong with the logs themselves: only to the error log
	syslog *syslog.Writer
	statsd *statsd.Client
	python python
}

// Open opens the logs. Errors say which setting they are about.
func Open(cfg Config) (*Logs, error) {
	// Go ends a process that writes to a stdout or stderr whose reader has gone.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	l := &Logs{log: hclog.NewInterceptLogger(&hclog.LoggerOptions{
		Name: loggerName, Output: io.Discard, // the sinks write
		Exclude: func(hclog.Level, string, ...any) bool { return true },
	})}
	if err := l.Configure(cfg); err != nil {
		return nil, err
	}
	l.log.RegisterSink(&sink{hclog.Trace, l.line})
	return l, nil
}

// Configure opens other logs in place of the present ones, which go on if that
// fails. The logger that Error has returned writes to them. It is for a process that
// has not asked for Access or ForPython.
func (l *Logs) Configure(cfg Config) error {
	l.reopening.Lock()
	defer l.reopening.Unlock()
	o, err := openOutputs(cfg)
	if err != nil {
		return err
	}
	l.log.SetLevel(cfg.level())
	l.mu.Lock()
	old := l.outputs
	l.outputs = o
	l.mu.Unlock()
	if old != nil {
		old.close()
	}
	return nil
}

func (l *Logs) line(name string, level hclog.Level, msg string, args []any) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, s := range l.sinks {
		s.Accept(name, level, msg, args...)
	}
}

// Close sends what is queued, for a moment at most, and closes the files. What is
// logged afterwards is lost.
func (l *Logs) Close() { l.close() }

func openOutputs(cfg Config) (*outputs, error) {
	cfg.Level = cfg.level()
	if cfg.Stdout == nil {
		cfg.Stdout = os.Stdout
	}
	if cfg.Stderr == nil {
		cfg.Stderr = os.Stderr
	}
	if cfg.Syslog != nil {
		cfg.Syslog = withDefaults(*cfg.Syslog)
	}
	if cfg.AccessFormat == "" {
		cfg.AccessFormat = accesslog.Default
	}
	o := &outputs{cfg: cfg}
	for _, open := range []func() error{o.openErrors, o.openAccess, o.openSenders} {
		if err := open(); err != nil {
			o.close()
			return nil, err
		}
	}
	return o, nil
}

func (c *Config) level() hclog.Level { return cmp.Or(c.Level, hclog.Info) }

func withDefaults(c syslog.Config) *syslog.Config {
	if c.Address == "" {
		c.Address = syslog.DefaultAddress
	}
	if c.Facility == "" {
		c.Facility = syslog.DefaultFacility
	}
	return &c
}

func (l *outputs) openErrors() error {
	out := l.cfg.Stderr
	if path := l.path(l.cfg.Error); path != "" {
		f, err := openFile(path, l.cfg.Owner)
		if err != nil {
			return fmt.Errorf("opening the error log: %w", err)
		}
		l.errors, out = f, f
	} else if isStdout(l.cfg.Error) {
		out = l.cfg.Stdout
	}
	if err := l.capture(); err != nil {
		return err
	}
	l.sinks = append(l.sinks, outputSink(&l.cfg, &output{w: out, elsewhere: &l.python.on}))
	own := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: loggerName, Output: io.Discard})
	own.RegisterSink(outputSink(&l.cfg, &output{w: out}))
	l.own = own
	return nil
}

func (l *outputs) openAccess() error {
	f, err := accesslog.Compile(l.cfg.AccessFormat)
	if err != nil {
		return err
	}
	var out io.Writer
	switch path := l.path(l.cfg.Access); {
	case path != "":
		if l.access, err = openFile(path, l.cfg.Owner); err != nil {
			return fmt.Errorf("opening the access log: %w", err)
		}
		out = l.access
	case isStderr(l.cfg.Access):
		out = l.cfg.Stderr
	case l.cfg.Access != "":
		out = l.cfg.Stdout
	}
	l.entry = &accessLog{format: f, json: l.cfg.JSON, out: out, python: &l.python}
	return nil
}

func (l *outputs) openSenders() error {
	if l.cfg.Syslog != nil {
		w, err := syslog.New(*l.cfg.Syslog, l.own)
		if err != nil {
			return err
		}
		l.syslog = w
		l.sinks = append(l.sinks, l.syslogSink())
		if !l.cfg.NoAccessSyslog {
			l.entry.syslog = w
		}
	}
	if l.cfg.Statsd != nil {
		c, err := statsd.New(*l.cfg.Statsd, l.own)
		if err != nil {
			return err
		}
		l.statsd = c
		if l.cfg.Master || !l.cfg.Python.ownClass() { // which may count itself, as in gunicorn
			l.entry.statsd = c
			l.sinks = append(l.sinks, statsdSink(c))
		}
	}
	if l.cfg.Python.used() && !l.cfg.Master {
		l.sinks = append(l.sinks, newPythonSink(&l.python))
	}
	return nil
}

// path returns where a file is, "" for the standard streams and for none.
func (l *outputs) path(name string) string {
	if name == "" || name == "-" || isStdout(name) || isStderr(name) {
		return ""
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(l.cfg.Dir, name)
	}
	if abs, err := filepath.Abs(name); err == nil {
		return abs // the present folder may change before Reopen
	}
	return name
}

// The names of the standard streams as files: opening them fails where they are
// sockets, or where the process has changed its user.
func isStdout(name string) bool {
	return name == "/dev/stdout" || name == "/dev/fd/1" || name == "/proc/self/fd/1"
}

func isStderr(name string) bool {
	return name == "/dev/stderr" || name == "/dev/fd/2" || name == "/proc/self/fd/2"
}

// Error returns the logger of the error log.
func (l *Logs) Error() hclog.Logger { return l.log }

// ErrorFD returns a descriptor of the error log, which stays the same when it is
// opened anew.
func (l *Logs) ErrorFD() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.errorFD()
}

func (l *outputs) errorFD() int {
	switch {
	case l.errors != nil:
		return l.errors.fd
	case isStdout(l.cfg.Error):
		return 1
	}
	return 2
}

// accessFD is the same of the access log; -1 without one.
func (l *outputs) accessFD() int {
	switch {
	case l.access != nil:
		return l.access.fd
	case l.cfg.Access == "":
		return -1
	case isStderr(l.cfg.Access):
		return 2
	}
	return 1
}

// Access returns the access log, nil when nobody wants to know of requests.
func (l *outputs) Access() bridge.AccessLogger {
	if l.cfg.Master || l.entry.idle() && !l.cfg.Python.used() {
		return nil
	}
	return l.entry
}

// Statsd returns the client of the statsd server; one that sends nothing without.
func (l *Logs) Statsd() *statsd.Client {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.statsd
}

// Reopen opens the log files anew, after somebody has moved them. Once it returns,
// nothing more is written to the old ones; a file that cannot be opened goes on as
// it is.
func (l *Logs) Reopen() error {
	l.reopening.Lock()
	defer l.reopening.Unlock()
	return l.reopen()
}

func (l *outputs) reopen() error {
	var errs []error
	for _, f := range []*file{l.errors, l.access} {
		if f != nil {
			errs = append(errs, f.reopen())
		}
	}
	errs = append(errs, l.capture())
	if l.python.lines != nil {
		l.python.lines.Put([]byte(reopenLine))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("opening the logs anew: %w", err)
	}
	return nil
}

// capture makes the error log this process's stdout and stderr, and so those of
// what it starts.
func (l *outputs) capture() error {
	if !l.cfg.Capture || l.errors == nil {
		return nil
	}
	for fd := 1; fd <= 2; fd++ {
		if err := syscall.Dup3(l.errors.fd, fd, 0); err != nil {
			return fmt.Errorf("capturing the output: %w", err)
		}
	}
	return nil
}

func (l *outputs) close() {
	l.LeavePython()
	if l.syslog != nil {
		l.syslog.Close()
	}
	l.statsd.Close()
	for _, f := range []*file{l.errors, l.access} {
		if f != nil {
			f.close()
		}
	}
}
