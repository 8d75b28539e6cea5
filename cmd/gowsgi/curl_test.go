package main

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge/uwsgi"
)

// answering answers one connection with fixed bytes, and returns what was asked.
func answering(t *testing.T, network, address, answer string) (string, <-chan string) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		var p uwsgi.Parser
		p.Reset(uwsgi.MaxSize)
		var b []byte
		n := 0
		length := int64(0)
		for n == 0 || int64(len(b)-n) < length {
			piece := make([]byte, 1000)
			got, err := c.Read(piece)
			if err != nil {
				break
			}
			b = append(b, piece[:got]...)
			if n, _ = p.Parse(b); n > 0 {
				length, _ = p.Packet.ContentLength()
			}
		}
		var text strings.Builder
		text.WriteString(string(rune('0' + p.Packet.Modifier1%10)))
		for _, v := range p.Packet.Vars {
			text.WriteString("\n" + string(v.Name) + "=" + string(v.Value))
		}
		asked <- text.String() + "\n\n" + string(b[n:])
		_, _ = io.WriteString(c, answer)
	}()
	return l.Addr().String(), asked
}

func TestCurl(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello"
	for _, tt := range []struct {
		name, args, answer string
		code               int
		stdout, stderr     string // stderr: a pattern
		asked              []string
	}{
		{"plain", "URL/a%20b?c=%20", ok, 0, ok, `^connected after \d+\.\d ms, first byte after \d+\.\d ms, all after \d+\.\d ms; 5 bytes of body\n$`,
			[]string{"0", "REQUEST_METHOD=GET", "PATH_INFO=/a b", "QUERY_STRING=c=%20", "REQUEST_URI=/a%20b?c=%20", "CONTENT_LENGTH="}},
		{"no path", "URL", ok, 0, ok, "5 bytes", []string{"PATH_INFO=/", "REQUEST_URI=/"}},
		{"options", "URL/ -X PUT -H X-A:1 -H Host:h -H Content-Type:a/b -d body --var REMOTE_ADDR=192.0.2.1 --modifier1 30", ok, 0, ok, "5 bytes",
			[]string{"REQUEST_METHOD=PUT", "HTTP_X_A=1", "HTTP_HOST=h", "CONTENT_TYPE=a/b", "CONTENT_LENGTH=4", "REMOTE_ADDR=192.0.2.1", "body"}},
		{"POST", "URL/ -d x", ok, 0, ok, "5 bytes", []string{"REQUEST_METHOD=POST", "CONTENT_TYPE=application/x-www-form-urlencoded"}},
		{"HEAD", "URL/ -I", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", " 0 bytes", []string{"REQUEST_METHOD=HEAD"}},
		{"to the end", "URL/", "HTTP/1.1 500 Oh\r\n\r\nbroken\n", 0, "HTTP/1.1 500 Oh\r\n\r\nbroken\n", " 7 bytes", nil},
		{"short", "URL/", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 1, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "not whole", nil},
		{"no HTTP", "URL/", "hello", 1, "hello", "no HTTP answer", nil},
		{"nothing", "URL/", "", 1, "", "no answer: EOF", nil},
		{"ping", "URL --modifier1 100", "\x64\x00\x00\x01", 0, "pong\n", "", nil},
		{"ping with a warning", "URL --modifier1 100", "\x64\x04\x00\x01busy", 0, "pong busy\n", "", nil},
		{"ping, no pong", "URL --modifier1 100", "HTTP", 1, "", "no answer to a ping", nil},
	} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(tt.name+"/"+network, func(t *testing.T) {
				address, prefix := "127.0.0.1:0", "uwsgi://"
				if network == "unix" {
					address, prefix = filepath.Join(t.TempDir(), "s"), "uwsgi+unix:"
				}
				address, asked := answering(t, network, address, tt.answer)
				if network == "unix" && strings.HasPrefix(tt.args, "URL/") {
					address += ":"
				}
				var stdout, stderr bytes.Buffer
				args := append([]string{"gowsgi", "curl"}, strings.Fields(strings.Replace(tt.args, "URL", prefix+address, 1))...)
				code := run(args, &stdout, &stderr)
				if code != tt.code || stdout.String() != tt.stdout || !regexp.MustCompile(tt.stderr).MatchString(stderr.String()) {
					t.Errorf("exit %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
				}
				lines := strings.Split(<-asked, "\n")
				for _, want := range tt.asked {
					if !slices.Contains(lines, want) {
						t.Errorf("asked %q, without %s", lines, want)
					}
				}
			})
		}
	}
}

func TestCurlUsageErrors(t *testing.T) {
	for args, want := range map[string]string{
		"":                              "say one URL",
		"uwsgi://h:1 uwsgi://h:2":       "say one URL",
		"http://h":                      "it must be uwsgi://HOST:PORT",
		"uwsgi://h":                     "missing port",
		"uwsgi://h:1/%zz":               "invalid URL escape",
		"uwsgi://h:1 --modifier1 256":   "from 0 to 255",
		"uwsgi://h:1 -H x":              "NAME: VALUE",
		"uwsgi://h:1 --var x":           "NAME=VALUE",
		"uwsgi://h:1 -d @no-such-file":  "no-such-file",
		"uwsgi+unix:/no/such/socket:/":  "no such file",
		"uwsgi://h:1 --no-such-option":  "no-such-option",
		"uwsgi://127.0.0.1:1 --timeout": "timeout",
	} {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"gowsgi", "curl"}, strings.Fields(args)...), &stdout, &stderr)
		if code != exitConfig || stdout.Len() > 0 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", args, code, stdout.String(), stderr.String())
		}
	}
}
