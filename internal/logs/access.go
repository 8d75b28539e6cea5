package logs

import (
	"io"
	"sync"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/internal/accesslog"
	"github.com/gowsgi/gowsgi/internal/statsd"
	"github.com/gowsgi/gowsgi/internal/syslog"
)

// accessLog gives each entry to who wants it. It implements bridge.AccessLogger.
type accessLog struct {
	json   bool
	out    io.Writer      // nil: none
	syslog *syslog.Writer // nil: none
	statsd *statsd.Client // nil: none
	python *python

	mu     sync.Mutex
	format *accesslog.Format
	buf    []byte
}

func (a *accessLog) idle() bool { return a.out == nil && a.syslog == nil && a.statsd == nil }

// Log writes one line, with one Write; a failing writer loses it.
func (a *accessLog) Log(e *bridge.AccessEntry) {
	a.statsd.Request(e.Status, e.Took)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.python.on.Load():
		a.buf = a.format.AppendRaw(a.buf[:0], e)
		a.python.lines.Put(a.buf)
		return
	case a.out == nil && a.syslog == nil:
		return
	case a.json:
		a.buf = a.format.AppendJSON(a.buf[:0], e)
	default:
		a.buf = a.format.Append(a.buf[:0], e)
	}
	if a.out != nil {
		_, _ = a.out.Write(a.buf) // a log that cannot be written must not stop the server
	}
	if a.syslog != nil {
		a.syslog.Send("access", syslog.Info, a.buf)
	}
}
