package syslog

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

const wait = 10 * time.Second

// server listens on network, and returns what New is given for it, and a function
// that returns the next message.
func server(t *testing.T, network, suffix string) (string, func() string) {
	t.Helper()
	address := "127.0.0.1:0"
	scheme := network
	if strings.HasPrefix(network, "unix") {
		address, scheme = filepath.Join(t.TempDir(), "log"), "unix"
	}
	if network == "udp" || network == "unixgram" {
		c, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return scheme + "://" + c.LocalAddr().String() + suffix, func() string {
			buf := make([]byte, 1<<16)
			c.SetReadDeadline(time.Now().Add(wait))
			n, _, err := c.ReadFrom(buf)
			if err != nil {
				t.Fatal(err)
			}
			return string(buf[:n])
		}
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	end := byte('\n')
	if network == "unix" {
		end = 0
	}
	var in *bufio.Reader
	return scheme + "://" + l.Addr().String() + suffix, func() string {
		if in == nil {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			c.SetReadDeadline(time.Now().Add(wait))
			in = bufio.NewReader(c)
		}
		m, err := in.ReadString(end)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		return strings.TrimSuffix(m, string(end))
	}
}

func TestMessages(t *testing.T) {
	for _, tt := range []struct{ network, suffix string }{
		{"udp", ""}, {"tcp", ""}, {"unixgram", ""}, {"unixgram", "#dgram"}, {"unix", ""}, {"unix", "#stream"},
	} {
		t.Run(tt.network+tt.suffix, func(t *testing.T) {
			address, next := server(t, tt.network, tt.suffix)
			w, err := New(Config{Address: address, Facility: "Local3", Prefix: "site"}, hclog.NewNullLogger())
			if err != nil {
				t.Fatal(err)
			}
			w.Send("access", Info, []byte("GET /\n"))
			w.Send("error", Err, []byte("one\ntwo\n"))
			newline := "\n"
			if tt.network == "tcp" {
				newline = "#012" // it ends messages there
			}
			for _, want := range []string{
				fmt.Sprintf("<158>gunicorn.site.access: [%d] GET /", os.Getpid()),
				fmt.Sprintf("<155>gunicorn.site.error: [%d] one%stwo", os.Getpid(), newline),
			} {
				if got := next(); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			w.Close()
		})
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	address, next := server(t, "udp", "")
	w, err := New(Config{Address: address, Facility: "user", Prefix: "p"}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Send("error", Err, make([]byte, 100_000))
	w.Send("error", Err, []byte("next"))
	if n := len(next()); n != maxDatagram {
		t.Errorf("%d bytes", n)
	}
	if got := next(); !strings.HasSuffix(got, "] next") {
		t.Errorf("then %q", got)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"udp://localhost:514": "[udp] localhost:514", "udp://LOGS": "[udp] logs:514", "udp://": "[udp] localhost:514",
		"tcp://[::1]:6514": "[tcp] [::1]:6514", "tcp://[::1]": "[tcp] [::1]:514",
		"unix:///dev/log": "[unixgram unix] /dev/log", "unix:///dev/log#dgram": "[unixgram] /dev/log",
		"unix:///dev/log#stream": "[unix] /dev/log",
		"unix:///dev/log#other":  "", "unix://": "", "localhost:514": "", "http://h": "", "udp://h:port": "", "udp://h:0": "", "": "",
	} {
		a, err := parse(text)
		got := ""
		if err == nil {
			got = fmt.Sprint(a.networks, " ", a.name)
		}
		if got != want {
			t.Errorf("%q: %q (%v), want %q", text, got, err, want)
		}
	}
}

func TestBadConfig(t *testing.T) {
	for _, c := range []Config{{DefaultAddress, "nobody", ""}, {"nowhere", DefaultFacility, ""}} {
		if _, err := New(c, hclog.NewNullLogger()); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
}
