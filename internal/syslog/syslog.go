// Package syslog sends log lines to a syslog server, in gunicorn's form. What may
// enter: addresses, facilities and the form of messages. What may not: what is
// logged, which is internal/logs'.
package syslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/gowsgi/gowsgi/internal/queue"
	"github.com/hashicorp/go-hclog"
)

// DefaultAddress is gunicorn's on Linux.
const DefaultAddress = "udp://localhost:514"

// DefaultFacility is gunicorn's.
const DefaultFacility = "user"

const (
	queueSize   = 1 << 20 // bytes
	maxDatagram = 60_000  // bytes; a longer message does not fit into one
)

// Severity is how grave a message is (RFC 5424, 6.2.1).
type Severity int

// The severities that there are lines of.
const (
	Err     Severity = 3
	Warning Severity = 4
	Info    Severity = 6
	Debug   Severity = 7
)

var facilities = map[string]int{
	"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "security": 4, "syslog": 5, "lpr": 6, "news": 7,
	"uucp": 8, "cron": 9, "authpriv": 10, "ftp": 11, "local0": 16, "local1": 17, "local2": 18, "local3": 19,
	"local4": 20, "local5": 21, "local6": 22, "local7": 23,
}

// Config says where messages go and how they begin.
type Config struct {
	Address  string // udp://HOST:PORT, tcp://HOST:PORT, unix://PATH, with #dgram or #stream
	Facility string
	Prefix   string // a message is from gunicorn.PREFIX.access or .error
}

// Writer sends messages, never waiting.
type Writer struct {
	facility int
	prefix   string
	pid      string
	address  address
	out      queue.Sender
}

// address is where a server listens.
type address struct {
	networks []string // tried in this order
	name     string
}

// New returns a writer; log must not lead back to it. That the server is not there
// is no error: it may come.
func New(c Config, log hclog.Logger) (*Writer, error) {
	facility, ok := facilities[strings.ToLower(c.Facility)]
	if !ok {
		return nil, fmt.Errorf("the syslog facility %q is not known", c.Facility)
	}
	a, err := parse(c.Address)
	if err != nil {
		return nil, fmt.Errorf("the syslog address %q: %w", c.Address, err)
	}
	w := &Writer{facility: facility, prefix: "gunicorn." + c.Prefix + ".", pid: strconv.Itoa(os.Getpid()), address: a}
	w.out = queue.Sender{What: "syslog", Dial: w.dial, Log: log}
	w.out.Start(queueSize)
	return w, nil
}

var errAddress = errors.New("it must be udp://HOST:PORT, tcp://HOST:PORT or unix://PATH, which may end in #dgram or #stream")

func parse(text string) (address, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return address{}, errAddress
	}
	switch scheme {
	case "udp", "tcp":
		name, err := hostPort(rest)
		return address{networks: []string{scheme}, name: name}, err
	case "unix":
		path, kind := rest, ""
		if i := strings.LastIndexByte(rest, '#'); i >= 0 {
			path, kind = rest[:i], rest[i+1:]
		}
		networks, ok := map[string][]string{
			"": {"unixgram", "unix"}, "dgram": {"unixgram"}, "stream": {"unix"},
		}[kind]
		if !ok || path == "" {
			return address{}, errAddress
		}
		return address{networks: networks, name: path}, nil
	}
	return address{}, errAddress
}

func hostPort(text string) (string, error) {
	host, port := text, "514"
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.Contains(text[i:], "]") {
		host, port = text[:i], text[i+1:]
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "" {
		host = "localhost"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q is no port", port)
	}
	return net.JoinHostPort(host, port), nil
}

func (w *Writer) dial(ctx context.Context) (net.Conn, error) {
	var errs []error
	for _, network := range w.address.networks {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, w.address.name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if network == "tcp" || network == "unix" {
			c = queue.Watched(c)
		}
		return framed{c, network}, nil
	}
	return nil, errors.Join(errs...)
}

// framed ends messages as the transport needs it.
type framed struct {
	net.Conn
	network string
}

// Write sends one message.
func (f framed) Write(p []byte) (int, error) {
	switch f.network {
	case "tcp":
		// A newline ends a message there (RFC 6587, 3.4.2); those within are written
		// as rsyslog would write them into its files.
		p = append(bytes.ReplaceAll(p, []byte("\n"), []byte("#012")), '\n')
	case "unix":
		p = append(p[:len(p):len(p)], 0) // as syslog(3) of the C library
	default:
		p = p[:min(len(p), maxDatagram)]
	}
	return f.Conn.Write(p)
}

// Send sends a message from the log of that name, "access" or "error".
func (w *Writer) Send(name string, s Severity, text []byte) {
	var room [256]byte
	b := append(room[:0], '<')
	b = strconv.AppendInt(b, int64(w.facility<<3|int(s)), 10)
	b = append(append(append(b, '>'), w.prefix...), name...)
	b = append(append(append(b, ": ["...), w.pid...), "] "...)
	w.out.Put(b, bytes.TrimRight(text, "\n"))
}

// Close sends what is left, for a moment at most.
func (w *Writer) Close() { w.out.Close() }
