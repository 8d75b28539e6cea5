package logs

import (
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
	cfg    Config
	errors *file // nil: a standard stream
	access *file // nil: a standard stream, or none
	log    hclog.InterceptLogger
	own    hclog.Logger // for what is wrong with the logs themselves: only to the error log
	entry  *accessLog

	syslog *syslog.Writer
	statsd *statsd.Client
	python python

	reopening sync.Mutex
}

// Open opens the logs. Errors say which setting they are about.
func Open(cfg Config) (*Logs, error) {
	// Go ends a process that writes to a stdout or stderr whose reader has gone.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
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
	l := &Logs{cfg: cfg}
	for _, open := range []func() error{l.openErrors, l.openAccess, l.openSenders} {
		if err := open(); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

func withDefaults(c syslog.Config) *syslog.Config {
	if c.Address == "" {
		c.Address = syslog.DefaultAddress
	}
	if c.Facility == "" {
		c.Facility = syslog.DefaultFacility
	}
	return &c
}

func (l *Logs) openErrors() error {
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
	l.log = newLogger(&l.cfg, &output{w: out, elsewhere: &l.python.on})
	l.own = newLogger(&l.cfg, &output{w: out})
	return nil
}

func (l *Logs) openAccess() error {
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

func (l *Logs) openSenders() error {
	if l.cfg.Syslog != nil {
		w, err := syslog.New(*l.cfg.Syslog, l.own)
		if err != nil {
			return err
		}
		l.syslog = w
		l.log.RegisterSink(l.syslogSink())
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
			l.log.RegisterSink(statsdSink(c))
		}
	}
	if l.cfg.Python.used() && !l.cfg.Master {
		l.log.RegisterSink(newPythonSink(&l.python))
	}
	return nil
}

// path returns where a file is, "" for the standard streams and for none.
func (l *Logs) path(name string) string {
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
	switch {
	case l.errors != nil:
		return l.errors.fd
	case isStdout(l.cfg.Error):
		return 1
	}
	return 2
}

// accessFD is the same of the access log; -1 without one.
func (l *Logs) accessFD() int {
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
func (l *Logs) Access() bridge.AccessLogger {
	if l.cfg.Master || l.entry.idle() && !l.cfg.Python.used() {
		return nil
	}
	return l.entry
}

// Statsd returns the client of the statsd server; one that sends nothing without.
func (l *Logs) Statsd() *statsd.Client { return l.statsd }

// Reopen opens the log files anew, after somebody has moved them. Once it returns,
// nothing more is written to the old ones; a file that cannot be opened goes on as
// it is.
func (l *Logs) Reopen() error {
	l.reopening.Lock()
	defer l.reopening.Unlock()
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
func (l *Logs) capture() error {
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

// Close sends what is queued, for a moment at most, and closes the files. Nothing
// may be logged afterwards.
func (l *Logs) Close() {
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
