package statsd

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func receive(t *testing.T, c net.PacketConn) string {
	t.Helper()
	buf := make([]byte, 1<<16)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, _, err := c.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// TestMetrics: to real sockets, in gunicorn's form (its instrument/statsd.py).
func TestMetrics(t *testing.T) {
	for _, tt := range []struct {
		network, address, prefix, tags string
		want                           []string
	}{
		{"udp", "127.0.0.1:0", "", "", []string{
			"gunicorn.request.duration:1234.567|ms", "gunicorn.requests:1|c|@1.0", "gunicorn.request.status.404:1|c|@1.0",
			"gunicorn.workers:3|g", "gunicorn.backlog:7|h", "gunicorn.log.error:1|c|@1.0",
		}},
		{"unixgram", filepath.Join(t.TempDir(), "statsd"), "site.web..", "a:b,c", []string{
			"site.web.gunicorn.request.duration:1234.567|ms|#a:b,c", "site.web.gunicorn.requests:1|c|@1.0|#a:b,c",
			"site.web.gunicorn.request.status.404:1|c|@1.0|#a:b,c", "site.web.gunicorn.workers:3|g|#a:b,c",
			"site.web.gunicorn.backlog:7|h|#a:b,c", "site.web.gunicorn.log.error:1|c|@1.0|#a:b,c",
		}},
	} {
		t.Run(tt.network, func(t *testing.T) {
			server, err := net.ListenPacket(tt.network, tt.address)
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			host := server.LocalAddr().String()
			if tt.network == "unixgram" {
				host = "unix://" + host
			}
			c, err := New(Config{Host: host, Prefix: tt.prefix, Tags: tt.tags}, hclog.NewNullLogger())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.Request(404, 1234567*time.Microsecond)
			c.Gauge("gunicorn.workers", 3)
			c.Histogram("gunicorn.backlog", 7)
			c.Increment("gunicorn.log.error")
			var got []string
			for len(got) < len(tt.want) {
				got = append(got, strings.Split(receive(t, server), "\n")...)
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	for host, want := range map[string]string{
		"localhost:8125": "udp localhost:8125", "localhost": "udp localhost:8125", "[::1]:1": "udp [::1]:1",
		"[::1]": "udp [::1]:8125", "unix:///run/statsd": "unixgram /run/statsd", "unix:/run/statsd": "unixgram /run/statsd",
		"unix:8125": "udp unix:8125", "unix://": "", ":1": "", "": "", "h:x": "", "h:0": "", "h:99999": "",
	} {
		network, address, err := parse(host)
		if got := strings.TrimSpace(network + " " + address); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q (%v), want %q", host, got, err, want)
		}
	}
}

func TestNilClientSendsNothing(*testing.T) {
	var c *Client
	c.Request(200, time.Second)
	c.Gauge("a", 1)
	c.Increment("b")
	c.Histogram("c", 1)
	c.Close()
}

func TestRequestsCostNoAllocation(t *testing.T) {
	c, err := New(Config{Host: "127.0.0.1:9", Prefix: "p", Tags: "a:b"}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	c.Close() // what is put now goes nowhere: only the making counts
	if n := testing.AllocsPerRun(100, func() { c.Request(200, time.Second) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
