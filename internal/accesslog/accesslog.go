// Package accesslog writes one line for each answered request, in gunicorn's
// default format (the Apache combined format).
package accesslog

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
)

// Log writes entries to w, each with one Write. It implements bridge.AccessLogger
// and is safe for concurrent use.
type Log struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte

	second int64  // of stamp
	stamp  string // "[02/Jan/2006:15:04:05 -0700]"
}

// New returns a log that writes to w.
func New(w io.Writer) *Log { return &Log{w: w} }

// Open returns a log that appends to a file, made if need be; "-" is stdout.
func Open(path string) (*Log, error) {
	if path == "-" {
		return New(os.Stdout), nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the access log: %w", err)
	}
	return New(f), nil
}

// Log writes one line; a failing writer loses it.
func (l *Log) Log(e *bridge.AccessEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = l.line(l.buf[:0], e)
	_, _ = l.w.Write(l.buf) // a log that cannot be written must not stop the server
}

func (l *Log) line(b []byte, e *bridge.AccessEntry) []byte {
	r := e.Request
	b = orDash(b, r.Peer.Addr)
	b = append(b, " - "...)
	b = orDash(b, user(r))
	b = append(b, ' ')
	b = append(b, l.time(e.Start.Add(e.Took))...)
	b = append(b, ` "`...)
	if len(r.Method) == 0 {
		b = append(b, '-')
	} else {
		b = escape(b, r.Method)
		b = append(b, ' ')
		b = escape(b, r.Target)
		b = append(b, ' ')
		b = append(b, r.Proto...)
	}
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.Bytes, 10)
	b = append(b, ` "`...)
	b = field(b, r, "Referer")
	b = append(b, `" "`...)
	b = field(b, r, "User-Agent")
	return append(b, "\"\n"...)
}

func (l *Log) time(t time.Time) string {
	if s := t.Unix(); s != l.second || l.stamp == "" {
		l.second, l.stamp = s, t.Format("[02/Jan/2006:15:04:05 -0700]")
	}
	return l.stamp
}

// user returns the name that Basic credentials carry, never the password.
func user(r *bridge.Request) string {
	auth := string(r.Field("Authorization"))
	kind, coded, _ := strings.Cut(auth, " ")
	if !strings.EqualFold(kind, "basic") {
		return ""
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(coded))
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(string(plain), ":")
	return string(escape(nil, []byte(name)))
}

func field(b []byte, r *bridge.Request, name string) []byte {
	v := r.Field(name)
	if len(v) == 0 {
		return append(b, '-')
	}
	return escape(b, v)
}

func orDash(b []byte, s string) []byte {
	if s == "" {
		return append(b, '-')
	}
	return append(b, s...)
}

// escape keeps a client from ending a quoted field or a line.
func escape(b, v []byte) []byte {
	for _, c := range v {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c == 0x7f:
			b = fmt.Appendf(b, `\x%02x`, c)
		default:
			b = append(b, c)
		}
	}
	return b
}
