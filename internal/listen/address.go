package listen

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// address is what one --bind asks for: exactly one of its fields is set.
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
	if number, ok := strings.CutPrefix(bind, "fd://"); ok {
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 3 {
			return address{}, fmt.Errorf("--bind %s: it must be fd://N with N from 3 on", bind)
		}
		return address{fd: fd}, nil
	}
	if path, ok := strings.CutPrefix(bind, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" {
			return address{}, fmt.Errorf("--bind %s: the path is missing", bind)
		}
		if !filepath.IsAbs(path) && dir != "" {
			path = filepath.Join(dir, path)
		}
		return address{unix: path}, nil
	}
	tcp, err := parseTCP(bind)
	return address{tcp: tcp}, err
}

// parseTCP reads HOST:PORT; as with gunicorn the port may be missing (8000), and
// HOST may be, which means every interface.
func parseTCP(bind string) (string, error) {
	if strings.Contains(bind, "://") {
		return "", fmt.Errorf("--bind %s: it must be HOST:PORT, unix:PATH or fd://N", bind)
	}
	whole := bind
	if strings.HasPrefix(bind, "[") && strings.HasSuffix(bind, "]") || !strings.Contains(bind, ":") {
		whole += ":8000"
	}
	host, port, err := net.SplitHostPort(whole)
	if err != nil {
		return "", fmt.Errorf("--bind %s: it must be HOST:PORT (an IPv6 host in brackets)", bind)
	}
	if strings.HasPrefix(bind, "[") {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", fmt.Errorf("--bind %s: what is in brackets must be an IPv6 address", bind)
		}
	}
	if port == "" {
		port = "8000"
	}
	return net.JoinHostPort(host, port), nil
}
