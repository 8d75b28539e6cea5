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

// outputSink writes lines to the error log.
func outputSink(cfg *Config, out *output) hclog.SinkAdapter {
	if cfg.JSON {
		return &sink{cfg.Level, func(name string, level hclog.Level, msg string, args []any) {
			_, _ = out.Write(jsonLine(name, level, msg, args)) // a log that cannot be written must not stop the server
		}}
	}
	return hclog.NewSinkAdapter(&hclog.LoggerOptions{
		Level: cfg.Level, Output: out, Color: hclog.AutoColor, TimeFormat: "2006-01-02T15:04:05.000Z0700",
	})
}

// levelNames are gunicorn's.
var levelNames = map[hclog.Level]string{
	hclog.Trace: "debug", hclog.Debug: "debug", hclog.Info: "info", hclog.Warn: "warning", hclog.Error: "error",
}

// sink takes lines of a level and above.
type sink struct {
	level hclog.Level
	take  func(name string, level hclog.Level, msg string, args []any)
}

// Accept implements hclog.SinkAdapter.
func (s *sink) Accept(name string, level hclog.Level, msg string, args ...any) {
	if level >= s.level {
		s.take(name, level, msg, args)
	}
}

// jsonLine makes a JSON object of a line; hclog's own have other names for what
// everybody calls time, level and message.
func jsonLine(name string, level hclog.Level, msg string, args []any) []byte {
	b := []byte{'{'}
	member := func(key string, value any) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, marshal(key)...), ':'), marshal(value)...)
	}
	member("time", time.Now().Format(accesslog.JSONTime))
	member("level", levelNames[level])
	member("logger", name)
	if argument(args, "pid") < 0 {
		member("pid", os.Getpid())
	}
	member("message", msg)
	for i := 0; i+1 < len(args); i += 2 {
		key := fmt.Sprint(args[i])
		switch key {
		case "time", "level", "logger", "message":
			key += "_" // there is one of that name
		}
		member(key, args[i+1])
	}
	return append(b, "}\n"...)
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

func (l *outputs) syslogSink() hclog.SinkAdapter {
	severities := map[hclog.Level]syslog.Severity{
		hclog.Error: syslog.Err, hclog.Warn: syslog.Warning, hclog.Info: syslog.Info, hclog.Debug: syslog.Debug,
		hclog.Trace: syslog.Debug,
	}
	send := func(level hclog.Level, text []byte) {
		if !l.python.on.Load() { // whose loggers have a handler for syslog
			l.syslog.Send("error", severities[level], text)
		}
	}
	if !l.cfg.JSON {
		return textSink(l.cfg.Level, send)
	}
	return &sink{l.cfg.Level, func(name string, level hclog.Level, msg string, args []any) {
		send(level, jsonLine(name, level, msg, args))
	}}
}

// statsdSink counts lines as gunicorn does.
func statsdSink(client *statsd.Client) hclog.SinkAdapter {
	return &sink{hclog.Warn, func(_ string, level hclog.Level, _ string, args []any) {
		name := "gunicorn.log.warning"
		if level == hclog.Error {
			name = "gunicorn.log.error"
			if i := argument(args, tracebackKey); i >= 0 {
				name = "gunicorn.log.exception"
			}
		}
		client.Increment(name)
	}}
}

// tracebackKey is the argument that a line about an exception has.
const tracebackKey = "traceback"

// argument returns where an argument of a line is, -1 if it is not there.
func argument(args []any, key string) int {
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == key {
			return i
		}
	}
	return -1
}
