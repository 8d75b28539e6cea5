package listen

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// Protocol is what the clients of an address speak; "": the address does not say.
type Protocol string

// The protocols.
const (
	HTTP  Protocol = "http"
	UWSGI Protocol = "uwsgi"
)

// split takes the protocol from a --bind: http://HOST:PORT, uwsgi+unix:PATH...
func split(bind string) (p Protocol, rest string, tcp bool) {
	for _, p := range []Protocol{HTTP, UWSGI} {
		if rest, ok := strings.CutPrefix(bind, string(p)+"://"); ok {
			return p, rest, true
		}
		for _, kind := range []string{"unix:", "fd:"} {
			if rest, ok := strings.CutPrefix(bind, string(p)+"+"+kind); ok {
				return p, kind + rest, false
			}
		}
	}
	return "", bind, false
}

// Protocols returns what is spoken on each of n listeners that were opened for
// binds; fallback where these do not say. Sockets of systemd take the place of the
// binds one for one, or if there are more or fewer they all speak fallback.
func Protocols(binds []string, n int, fallback Protocol) []Protocol {
	all := make([]Protocol, n)
	for i := range all {
		all[i] = fallback
		if len(binds) == n {
			if p, _, _ := split(binds[i]); p != "" {
				all[i] = p
			}
		}
	}
	return all
}

// address is where one --bind wants to listen: exactly one of its fields is set.
type address struct {
	tcp  string // HOST:PORT
	unix string // a path
	fd   int    // a descriptor that listens already; 0: none, as stdin never does
}

// Check tells whether a --bind can be read.
func Check(bind string) error {
	_, err := parse(bind, "")
	return err
}

// parse reads a --bind as gunicorn does. Relative paths of unix sockets start in
// dir ("": the current folder).
func parse(bind, dir string) (address, error) {
	_, where, isTCP := split(bind)
	if isTCP {
		tcp, err := parseTCP(bind, where)
		return address{tcp: tcp}, err
	}
	if number, ok := strings.CutPrefix(where, "fd://"); ok {
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 3 {
			return address{}, fmt.Errorf("--bind %s: it must be fd://N with N from 3 on", bind)
		}
		return address{fd: fd}, nil
	}
	if path, ok := strings.CutPrefix(where, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" {
			return address{}, fmt.Errorf("--bind %s: the path is missing", bind)
		}
		if !filepath.IsAbs(path) && dir != "" {
			path = filepath.Join(dir, path)
		}
		return address{unix: path}, nil
	}
	tcp, err := parseTCP(bind, where)
	return address{tcp: tcp}, err
}

// parseTCP reads HOST:PORT; as with gunicorn the port may be missing (8000), and
// HOST may be, which means every interface.
func parseTCP(bind, where string) (string, error) {
	if strings.ContainsAny(where, "/+") {
		return "", fmt.Errorf("--bind %s: it must be HOST:PORT, unix:PATH or fd://N; with a protocol uwsgi://HOST:PORT, uwsgi+unix:PATH or uwsgi+fd://N, or the same with http", bind)
	}
	whole := where
	if strings.HasPrefix(where, "[") && strings.HasSuffix(where, "]") || !strings.Contains(where, ":") {
		whole += ":8000"
	}
	host, port, err := net.SplitHostPort(whole)
	if err != nil {
		return "", fmt.Errorf("--bind %s: it must be HOST:PORT (an IPv6 host in brackets)", bind)
	}
	if strings.HasPrefix(where, "[") {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", fmt.Errorf("--bind %s: what is in brackets must be an IPv6 address", bind)
		}
	}
	if port == "" {
		port = "8000"
	}
	return net.JoinHostPort(host, port), nil
}
