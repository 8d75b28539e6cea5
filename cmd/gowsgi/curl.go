package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/bridge/uwsgi"
	"github.com/urfave/cli/v2"
)

func curlCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "curl", Usage: "send a request by the uwsgi protocol, as a web server would, and print the answer",
		ArgsUsage: "URL",
		Description: "URL is uwsgi://HOST:PORT/PATH or uwsgi+unix:SOCKET:/PATH. The whole answer goes to\n" +
			"stdout, what it took to stderr. Exit status: 0 for a whole answer, 1 for none.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "request", Aliases: []string{"X"}, Usage: "the `METHOD` (default: GET, or POST with --data)"},
			&cli.BoolFlag{Name: "head", Aliases: []string{"I"}, Usage: "ask by HEAD"},
			&cli.StringSliceFlag{Name: "header", Aliases: []string{"H"}, Usage: "a header field of the client's, `'NAME: VALUE'` (repeatable)"},
			&cli.StringFlag{Name: "data", Aliases: []string{"d"}, Usage: "the body: `TEXT`, or @FILE"},
			&cli.StringSliceFlag{Name: "var", Usage: "a variable of the packet, `NAME=VALUE` (repeatable)"},
			&cli.UintFlag{Name: "modifier1", Usage: "the packet's first modifier, `N`: 30 to have SCRIPT_NAME taken from PATH_INFO, 100 for a ping"},
			&cli.DurationFlag{Name: "timeout", Value: 30 * time.Second, Usage: "how long the answer may take, a `TIME` such as 2s"},
		},
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return errors.New("say one URL, as in `gowsgi curl uwsgi://127.0.0.1:3031/path`")
			}
			r, err := newUWSGIRequest(c)
			if err != nil {
				return err
			}
			return r.send(stdout, stderr, c.Duration("timeout"))
		},
	}
}

// uwsgiRequest is one request to a server that speaks the uwsgi protocol.
type uwsgiRequest struct {
	network, address string
	method           string
	packet           uwsgi.Packet
	body             []byte
}

// uwsgiTarget splits an address into where to connect and what to ask for there.
func uwsgiTarget(address string) (network, where, target string, err error) {
	if rest, ok := strings.CutPrefix(address, "uwsgi+unix:"); ok {
		where, target, _ = strings.Cut(rest, ":/")
		return "unix", where, "/" + target, nil
	}
	rest, ok := strings.CutPrefix(address, "uwsgi://")
	if !ok {
		return "", "", "", fmt.Errorf("%s: it must be uwsgi://HOST:PORT/PATH or uwsgi+unix:SOCKET:/PATH", address)
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	where, target = rest[:end], rest[end:]
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	if _, _, err := net.SplitHostPort(where); err != nil {
		return "", "", "", fmt.Errorf("%s: %w", address, err)
	}
	return "tcp", where, target, nil
}

func newUWSGIRequest(c *cli.Context) (*uwsgiRequest, error) {
	r := &uwsgiRequest{}
	var target string
	var err error
	if r.network, r.address, target, err = uwsgiTarget(c.Args().First()); err != nil {
		return nil, err
	}
	if n := c.Uint("modifier1"); n > 255 {
		return nil, fmt.Errorf("--modifier1 %d: it must be from 0 to 255", n)
	}
	r.packet.Modifier1 = byte(c.Uint("modifier1"))
	if file, ok := strings.CutPrefix(c.String("data"), "@"); ok {
		if r.body, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
	} else {
		r.body = []byte(c.String("data"))
	}
	switch {
	case c.IsSet("request"):
		r.method = c.String("request")
	case c.Bool("head"):
		r.method = http.MethodHead
	case c.IsSet("data"):
		r.method = http.MethodPost
	default:
		r.method = http.MethodGet
	}
	if r.packet.Modifier1 == uwsgi.ModifierPing {
		return r, nil
	}
	return r, r.addVars(c, target)
}

// addVars makes the variables that nginx's uwsgi_params make. Those of the command line
// come last, which is what counts.
func (r *uwsgiRequest) addVars(c *cli.Context, target string) error {
	path, query, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return err
	}
	name, host, port, length, kind := "localhost", "localhost", "80", "", ""
	if r.network == "tcp" {
		host = r.address
		name, port, _ = net.SplitHostPort(host) // uwsgiTarget has looked at it
	}
	if c.IsSet("data") {
		length, kind = strconv.Itoa(len(r.body)), "application/x-www-form-urlencoded"
	}
	for _, v := range [][2]string{
		{"QUERY_STRING", query}, {"REQUEST_METHOD", r.method}, {"CONTENT_TYPE", kind}, {"CONTENT_LENGTH", length},
		{"REQUEST_URI", target}, {"PATH_INFO", decoded}, {"SERVER_PROTOCOL", "HTTP/1.1"}, {"REQUEST_SCHEME", "http"},
		{"REMOTE_ADDR", "127.0.0.1"}, {"SERVER_PORT", port}, {"SERVER_NAME", name},
		{"HTTP_HOST", host}, {"HTTP_USER_AGENT", "gowsgi-curl"}, {"HTTP_ACCEPT", "*/*"},
	} {
		r.add(v[0], v[1])
	}
	for _, field := range c.StringSlice("header") {
		name, value, ok := strings.Cut(field, ":")
		if !ok || name == "" {
			return fmt.Errorf("--header: %q is not NAME: VALUE", field)
		}
		name = strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		if name != "CONTENT_TYPE" {
			name = "HTTP_" + name
		}
		r.add(name, strings.TrimSpace(value))
	}
	for _, pair := range c.StringSlice("var") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return fmt.Errorf("--var: %q is not NAME=VALUE", pair)
		}
		r.add(name, value)
	}
	return nil
}

// add adds a variable, in the place of one of that name: fields would be joined.
func (r *uwsgiRequest) add(name, value string) {
	for i := range r.packet.Vars {
		if string(r.packet.Vars[i].Name) == name {
			r.packet.Vars[i].Value = []byte(value)
			return
		}
	}
	r.packet.Vars = append(r.packet.Vars, uwsgi.Var{Name: []byte(name), Value: []byte(value)})
}

// send sends the request, prints the answer, and says what it took.
func (r *uwsgiRequest) send(stdout, stderr io.Writer, limit time.Duration) error {
	wire, err := uwsgi.Append(nil, &r.packet)
	if err != nil {
		return err
	}
	start := time.Now()
	c, err := net.DialTimeout(r.network, r.address, limit)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(start.Add(limit)); err != nil {
		return err
	}
	connected := time.Since(start)
	go func() { _, _ = c.Write(append(wire, r.body...)) }() // an answer may come before it is all sent
	in := bufio.NewReader(c)
	if _, err := in.Peek(1); err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	first := time.Since(start)
	n, err := r.print(stdout, in)
	fmt.Fprintf(stderr, "connected after %s, first byte after %s, all after %s; %d bytes of body\n",
		milliseconds(connected), milliseconds(first), milliseconds(time.Since(start)), n)
	return err
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds()*1000, 'f', 1, 64) + " ms"
}

// print copies the answer as it comes, and tells whether it is whole.
func (r *uwsgiRequest) print(w io.Writer, in *bufio.Reader) (body int64, err error) {
	if r.packet.Modifier1 == uwsgi.ModifierPing {
		return printPong(w, in)
	}
	var head bytes.Buffer
	answer, err := http.ReadResponse(bufio.NewReaderSize(io.TeeReader(in, &head), 16), &http.Request{Method: r.method})
	if err != nil {
		_, _ = head.WriteTo(w)
		return 0, fmt.Errorf("what came is no HTTP answer: %w", err)
	}
	defer answer.Body.Close()
	// The reader has taken some of the body too: the head ends at the empty line.
	text, _, _ := bytes.Cut(head.Bytes(), []byte("\r\n\r\n"))
	if _, err := fmt.Fprintf(w, "%s\r\n\r\n", text); err != nil {
		return 0, err
	}
	body, err = io.Copy(w, answer.Body)
	if err != nil {
		return body, fmt.Errorf("the answer is not whole: %w", err)
	}
	return body, nil
}

// printPong prints the answer to a ping: a packet, which may have a warning.
func printPong(w io.Writer, in io.Reader) (int64, error) {
	var header [uwsgi.HeaderSize]byte
	if _, err := io.ReadFull(in, header[:]); err != nil || header[0] != uwsgi.ModifierPing {
		return 0, fmt.Errorf("no answer to a ping: %q", header)
	}
	warning := make([]byte, binary.LittleEndian.Uint16(header[1:]))
	if _, err := io.ReadFull(in, warning); err != nil {
		return 0, fmt.Errorf("the answer to a ping is not whole: %w", err)
	}
	_, err := fmt.Fprintln(w, strings.TrimSpace("pong "+string(warning)))
	return int64(len(warning)), err
}
