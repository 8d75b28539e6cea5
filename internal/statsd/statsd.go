// Package statsd sends gunicorn's metrics to a statsd server. What may enter: the
// metrics' names and form. What may not: who counts what, which is internal/logs'.
package statsd

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/internal/queue"
	"github.com/hashicorp/go-hclog"
)

const (
	defaultPort = "8125"
	queueSize   = 256 << 10 // bytes
	// packetSize is what fits into one Ethernet frame with IPv6 and UDP around it.
	packetSize = 1432
)

// Config says where metrics go.
type Config struct {
	Host   string // HOST:PORT, unix://PATH
	Prefix string
	Tags   string // DogStatsD's, by commas
}

// Client sends metrics, never waiting. A nil one sends none.
type Client struct {
	prefix string
	tags   string
	out    queue.Sender
}

// New returns a client; log must not lead back to it. That the server is not there
// is no error: it may come.
func New(c Config, log hclog.Logger) (*Client, error) {
	network, address, err := parse(c.Host)
	if err != nil {
		return nil, err
	}
	s := &Client{prefix: strings.TrimRight(c.Prefix, ".")}
	if s.prefix != "" {
		s.prefix += "."
	}
	if c.Tags != "" {
		s.tags = "|#" + c.Tags
	}
	var dialer net.Dialer
	s.out = queue.Sender{
		What: "statsd", Join: packetSize, Log: log,
		Dial: func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, network, address) },
	}
	s.out.Start(queueSize)
	return s, nil
}

// parse reads an address as gunicorn does.
func parse(host string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(host, "unix:"); ok {
		if _, err := strconv.Atoi(path); err != nil { // unix:8125 is a host of that name
			path = strings.TrimPrefix(path, "//")
			if path == "" {
				return "", "", fmt.Errorf("the statsd address %q: it has no path", host)
			}
			return "unixgram", path, nil
		}
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || name == "" {
		return "", "", fmt.Errorf("the statsd address %q: it must be HOST:PORT or unix://PATH", host)
	}
	return "udp", net.JoinHostPort(name, port), nil
}

// Close sends what is left, for a moment at most.
func (c *Client) Close() {
	if c != nil {
		c.out.Close()
	}
}

// Request counts an answered request.
func (c *Client) Request(status int, took time.Duration) {
	if c == nil {
		return
	}
	var room [512]byte
	b := append(room[:0], c.prefix...)
	b = append(b, "gunicorn.request.duration:"...)
	b = strconv.AppendFloat(b, float64(took.Microseconds())/1000, 'f', 3, 64)
	b = c.end(b, "|ms")
	b = append(append(b, '\n'), c.prefix...)
	b = c.end(append(b, "gunicorn.requests:1"...), "|c|@1.0")
	b = append(append(b, '\n'), c.prefix...)
	b = strconv.AppendInt(append(b, "gunicorn.request.status."...), int64(status), 10)
	c.out.Put(c.end(append(b, ":1"...), "|c|@1.0"))
}

func (c *Client) end(b []byte, kind string) []byte {
	return append(append(b, kind...), c.tags...)
}

// Increment counts one more of what name says.
func (c *Client) Increment(name string) { c.send(name, 1, "|c|@1.0") }

// Gauge tells a present number.
func (c *Client) Gauge(name string, value int) { c.send(name, value, "|g") }

// Histogram tells one of many numbers.
func (c *Client) Histogram(name string, value int) { c.send(name, value, "|h") }

func (c *Client) send(name string, value int, kind string) {
	if c != nil {
		c.out.Put([]byte(c.prefix + name + ":" + strconv.Itoa(value) + kind + c.tags))
	}
}
