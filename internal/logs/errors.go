package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/gowsgi/gowsgi/internal/accesslog"
	"github.com/gowsgi/gowsgi/internal/statsd"
	"github.com/gowsgi/gowsgi/internal/syslog"
	"github.com/hashicorp/go-hclog"
)

const loggerName = "gowsgi"

// output is the error log's, while lines do not go elsewhere.
type output struct {
	w         io.Writer
	elsewhere *atomic.Bool // nil: never
}

func (o *output) Write(p []byte) (int, error) {
	if o.elsewhere != nil && o.elsewhere.Load() {
		return len(p), nil
	}
	return o.w.Write(p)
}

// SupportsColor implements hclog's interface: on a terminal.
func (o *output) SupportsColor() bool {
	f, ok := o.w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

func newLogger(cfg *Config, out *output) hclog.InterceptLogger {
	options := &hclog.LoggerOptions{
		Name: loggerName, Level: cfg.Level, Output: out, Color: hclog.AutoColor,
		TimeFormat: "2006-01-02T15:04:05.000Z0700",
	}
	if !cfg.JSON {
		return hclog.NewInterceptLogger(options)
	}
	options.Output, options.Color = io.Discard, hclog.ColorOff
	log := hclog.NewInterceptLogger(options)
	log.RegisterSink(&jsonSink{level: log.GetLevel(), out: out})
	return log
}

// levelNames are gunicorn's.
var levelNames = map[hclog.Level]string{
	hclog.Trace: "debug", hclog.Debug: "debug", hclog.Info: "info", hclog.Warn: "warning", hclog.Error: "error",
}

// jsonSink writes lines as JSON objects; hclog's own have other names for what
// everybody calls time, level and message.
type jsonSink struct {
	level hclog.Level
	out   io.Writer
}

// Accept implements hclog.SinkAdapter.
func (s *jsonSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	if level < s.level {
		return
	}
	var b bytes.Buffer
	member := func(key string, value any) {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.Write(marshal(key))
		b.WriteByte(':')
		b.Write(marshal(value))
	}
	member("time", time.Now().Format(accesslog.JSONTime))
	member("level", levelNames[level])
	member("logger", name)
	hasPID := false
	for i := 0; i < len(args); i += 2 {
		hasPID = hasPID || args[i] == "pid"
	}
	if !hasPID {
		member("pid", os.Getpid())
	}
	member("message", msg)
	for i := 0; i+1 < len(args); i += 2 {
		key := fmt.Sprint(args[i])
		switch key {
		case "time", "level", "logger", "message":
			key += "_" // ours go before it
		}
		member(key, args[i+1])
	}
	_, _ = fmt.Fprintf(s.out, "{%s}\n", b.Bytes()) // a log that cannot be written must not stop the server
}

// marshal writes a value as JSON, as text where it has one.
func marshal(v any) []byte {
	switch t := v.(type) {
	case error:
		v = t.Error()
	case fmt.Stringer:
		v = t.String()
	case hclog.Format:
		if len(t) > 0 {
			v = fmt.Sprintf(fmt.Sprint(t[0]), t[1:]...)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		b.Reset()
		_ = e.Encode(fmt.Sprint(v)) // a string can be encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// textSink gives each line to emit without time, level and name.
func textSink(level hclog.Level, emit func(level hclog.Level, text []byte)) hclog.SinkAdapter {
	return hclog.NewSinkAdapter(&hclog.LoggerOptions{Level: level, DisableTime: true, Output: textWriter(emit)})
}

type textWriter func(level hclog.Level, text []byte)

func (w textWriter) Write(p []byte) (int, error) { return w.LevelWrite(hclog.Info, p) }

// LevelWrite implements hclog.LevelWriter.
func (w textWriter) LevelWrite(level hclog.Level, p []byte) (int, error) {
	_, text, _ := bytes.Cut(p, []byte("]"))
	text = bytes.TrimLeft(text, " ")
	text = bytes.TrimPrefix(text, []byte(loggerName+": "))
	w(level, bytes.TrimRight(text, "\n"))
	return len(p), nil
}

func (l *Logs) syslogSink() hclog.SinkAdapter {
	severities := map[hclog.Level]syslog.Severity{
		hclog.Error: syslog.Err, hclog.Warn: syslog.Warning, hclog.Info: syslog.Info, hclog.Debug: syslog.Debug,
		hclog.Trace: syslog.Debug,
	}
	return textSink(l.log.GetLevel(), func(level hclog.Level, text []byte) {
		if !l.python.on.Load() { // whose loggers have a handler for syslog
			l.syslog.Send("error", severities[level], text)
		}
	})
}

// statsdSink counts lines as gunicorn does.
type statsdSink struct{ client *statsd.Client }

// Accept implements hclog.SinkAdapter.
func (s statsdSink) Accept(_ string, level hclog.Level, _ string, args ...any) {
	switch level {
	case hclog.Warn:
		s.client.Increment("gunicorn.log.warning")
	case hclog.Error:
		name := "gunicorn.log.error"
		for i := 0; i < len(args); i += 2 {
			if args[i] == tracebackKey {
				name = "gunicorn.log.exception"
			}
		}
		s.client.Increment(name)
	}
}

// tracebackKey is the argument that a line about an exception has.
const tracebackKey = "traceback"
