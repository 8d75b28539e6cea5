package gowsgi

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
)

// prepare reads r's body into x and makes its environ.
func (a *App) prepare(x *bridge.Exchange, w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodConnect {
		return &RequestError{Status: http.StatusNotImplemented, Err: errors.New("a WSGI application is no proxy: CONNECT is not served")}
	}
	script, path, err := a.paths(r)
	if err != nil {
		return err
	}
	length, err := a.readBody(x, r)
	if err != nil {
		return err
	}
	x.NoBody = r.Method == http.MethodHead
	f := flats.Get().(*flat)
	defer f.release()
	f.fill(r, path)
	f.req.BodyLength = length
	f.req.Peer.Unix = f.req.Peer.Unix && a.config.ForwardedAllowIPs != "" // a peer on a unix socket is always trusted
	if x.Record, err = a.rules.Environ(x.Record[:0], &f.req); err != nil {
		var bad *http1.Error
		if errors.As(err, &bad) {
			err = &RequestError{Status: bad.Status, Err: errors.New(bad.Cause)}
		}
		return err
	}
	if script != "" {
		x.Record = x.Record.Append("SCRIPT_NAME", script)
	}
	if a.config.Environ == nil {
		return nil
	}
	for name, value := range a.config.Environ(r) {
		if reason := reserved(name, value); reason != "" {
			return &EnvironError{Name: name, Reason: reason}
		}
		x.Record = x.Record.Append(name, value) // the last of a name counts
	}
	return nil
}

// reserved says why Config.Environ must not give a variable; "" if it may.
func reserved(name, value string) string {
	switch {
	case name == "":
		return "it has no name"
	case name == "wsgi.url_scheme":
		if value != "http" && value != "https" {
			return "it must be http or https"
		}
	case strings.HasPrefix(name, "wsgi."):
		return "it is the server's own, and no text"
	case name == "REQUEST_METHOD" || name == "CONTENT_LENGTH":
		return "the server goes by the request's own"
	}
	return ""
}

var errPrefix = errors.New("the path is not under the application's prefix")

// paths splits r's path, decoded, into what the application is mounted under and the
// rest. Handlers such as http.StripPrefix cut r.URL.Path alone, so what they have cut
// shows by the request's target; Config.Prefix is cut here unless one of them did.
func (a *App) paths(r *http.Request) (script, path string, err error) {
	path = r.URL.Path
	if full := fullPath(r); full != path {
		if script = strings.TrimSuffix(full, path); script == full && path != "" {
			script = "" // something else was done to the path
		}
	}
	if path != "*" && (path == "" || path[0] != '/') && (path != "" || strings.HasSuffix(script, "/")) {
		path = "/" + path // of StripPrefix("/x/")
	}
	script = strings.TrimRight(script, "/")
	prefix := a.config.Prefix
	if prefix == "" || strings.HasSuffix(script, prefix) {
		return script, path, nil
	}
	rest, ok := strings.CutPrefix(path, prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return "", "", &RequestError{Status: http.StatusNotFound, Err: fmt.Errorf("%w, %s", errPrefix, prefix)}
	}
	return script + prefix, rest, nil
}

// fullPath is the path of the request's target, decoded.
func fullPath(r *http.Request) string {
	raw, _, _ := strings.Cut(r.RequestURI, "?")
	if raw == r.URL.Path || raw == "" {
		return r.URL.Path
	}
	if raw[0] != '/' { // absolute, or *
		u, err := url.ParseRequestURI(raw)
		if err != nil {
			return r.URL.Path
		}
		return u.Path
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return r.URL.Path
	}
	return path
}

// readBody reads the whole body into x; length is -1 without one.
func (a *App) readBody(x *bridge.Exchange, r *http.Request) (length int64, err error) {
	limit := a.config.MaxBody
	if limit > 0 && r.ContentLength > limit {
		return 0, tooLarge(limit)
	}
	if r.Body != nil && r.Body != http.NoBody {
		if err := x.Body.Fill(r.Body, limit, a.config.BodyMemory, a.config.TempDir); err != nil {
			return 0, bodyError(err)
		}
	}
	if r.ContentLength == 0 && x.Body.Size() == 0 && r.Header["Content-Length"] == nil {
		return -1, nil
	}
	return x.Body.Size(), nil
}

func tooLarge(limit int64) error {
	return &RequestError{Status: http.StatusRequestEntityTooLarge, Err: fmt.Errorf("the body is larger than %d bytes", limit)}
}

func bodyError(err error) error {
	var large *http.MaxBytesError
	var bad *http1.Error
	status := http.StatusBadRequest
	switch {
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case errors.As(err, &bad):
		status = bad.Status
	case errors.Is(err, os.ErrDeadlineExceeded):
		status = http.StatusRequestTimeout
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("the body ended early: %w", err)
	}
	return &RequestError{Status: status, Err: fmt.Errorf("reading the body: %w", err)}
}

// flat is a request in the form that package wsgi takes, and the memory for it.
type flat struct {
	req    bridge.Request
	fields []http1.Field
	text   []byte // what req and fields point to
}

var flats = sync.Pool{New: func() any { return &flat{} }}

// keepText is the largest memory that a flat keeps for the next request, in bytes.
const keepText = 64 << 10

func (f *flat) release() {
	f.req = bridge.Request{}
	f.fields, f.text = f.fields[:0], f.text[:0]
	if cap(f.text) > keepText {
		*f = flat{}
	}
	flats.Put(f)
}

// add copies s; it stays valid when text moves.
func (f *flat) add(s string) []byte {
	start := len(f.text)
	f.text = append(f.text, s...)
	return f.text[start:len(f.text):len(f.text)]
}

func (f *flat) fill(r *http.Request, path string) {
	target := r.RequestURI
	if target == "" { // not from a server
		target = r.URL.RequestURI()
	}
	f.req = bridge.Request{
		Method: f.add(r.Method), Target: f.add(target), Path: f.add(path), Query: f.add(r.URL.RawQuery),
		Proto: r.Proto, Host: f.add(r.Host), Scheme: "http",
	}
	if strings.Contains(path, "%") { // it will be decoded once more
		f.req.Path = f.add(strings.ReplaceAll(path, "%", "%25"))
	}
	if r.TLS != nil {
		f.req.Scheme = "https"
	}
	for name, values := range r.Header {
		key := f.add(name)
		for _, value := range values {
			f.fields = append(f.fields, http1.Field{Name: key, Value: f.add(value)})
		}
	}
	f.req.Fields = f.fields
	f.req.Local, f.req.Peer = endpoints(r)
}

// endpoints are the ends of r's connection. Without one, as for a request of
// httptest.NewRequest, the server is who the client asks for.
func endpoints(r *http.Request) (local, peer bridge.Endpoint) {
	local.Unix = true
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		local = bridge.EndpointOf(addr)
	}
	if host, port, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return local, bridge.Endpoint{Addr: host, Port: port}
	}
	if _, err := netip.ParseAddr(r.RemoteAddr); err == nil { // of middleware that asks a proxy
		return local, bridge.Endpoint{Addr: r.RemoteAddr}
	}
	return local, bridge.Endpoint{Addr: r.RemoteAddr, Unix: local.Unix}
}
