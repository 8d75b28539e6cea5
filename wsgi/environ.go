package wsgi

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/gowsgi/gowsgi/bridge"
)

func (u *Rules) appendVariables(rec bridge.Record, r *bridge.Request, trusted bool) (bridge.Record, error) {
	rec = rec.AppendBytes("REQUEST_METHOD", r.Method)
	rec = rec.AppendBytes("RAW_URI", r.Target) // gunicorn's name for it
	rec = rec.AppendBytes("REQUEST_URI", r.Target)
	script, path, err := u.scriptName(r, trusted)
	if err != nil {
		return rec, err
	}
	if u.Mounts != nil {
		script, path = u.mount(r, decode(nil, script), decode(nil, path))
		rec = rec.AppendBytes("SCRIPT_NAME", script).AppendBytes("PATH_INFO", path)
	} else {
		if len(script) > 0 {
			rec = appendDecoded(rec, "SCRIPT_NAME", script)
		}
		rec = appendDecoded(rec, "PATH_INFO", path)
	}
	rec = rec.AppendBytes("QUERY_STRING", r.Query)
	rec = rec.Append("SERVER_PROTOCOL", r.Proto)
	rec = rec.Append("wsgi.url_scheme", r.Scheme)
	rec = appendServer(rec, r)
	if r.Proxy.Addr != "" { // gunicorn's names
		rec = rec.Append("PROXY_ADDR", r.Proxy.Addr).Append("PROXY_PORT", r.Proxy.Port)
	}
	return u.appendFields(appendClient(rec, r), r, trusted)
}

// appendClient tells of the client: its address, whether it uses TLS, and the size of
// what it has sent.
func appendClient(rec bridge.Record, r *bridge.Request) bridge.Record {
	rec = rec.Append("REMOTE_ADDR", r.Peer.Addr)
	if r.Peer.Port != "" {
		rec = rec.Append("REMOTE_PORT", r.Peer.Port)
	}
	if r.Scheme == "https" {
		rec = rec.Append("HTTPS", "on") // RFC 3875's servers and PEP 3333's example
	}
	if r.BodyLength >= 0 {
		var digits [20]byte
		rec = rec.AppendBytes("CONTENT_LENGTH", strconv.AppendInt(digits[:0], r.BodyLength, 10))
	}
	return rec
}

// scriptName splits the path into the prefix that the application is mounted under
// and the rest. The prefix is the trusted peer's SCRIPT_NAME field, else the
// server's own.
func (u *Rules) scriptName(r *bridge.Request, trusted bool) (script, rest []byte, err error) {
	script = u.ScriptName
	if trusted && len(u.ForwarderNames) > 0 {
		for i := range r.Fields {
			if name := r.Fields[i].Name; named(name, "script_name") {
				if keep, _ := u.keepsUnderscore(name, trusted); keep {
					script = r.Fields[i].Value
				}
			}
		}
	}
	script = bytes.TrimRight(script, "/")
	if len(script) == 0 || string(r.Path) == "*" {
		return nil, r.Path, nil
	}
	rest, ok := bytes.CutPrefix(r.Path, script)
	if !ok || len(rest) > 0 && rest[0] != '/' {
		return nil, nil, errScriptName
	}
	return script, rest, nil
}

// appendServer names the server as the listener is bound; behind a unix socket,
// which has no name that a URL could be built from, as the client calls it.
func appendServer(rec bridge.Record, r *bridge.Request) bridge.Record {
	if !r.Local.Unix {
		name := r.Local.Addr
		if strings.IndexByte(name, ':') >= 0 {
			name = "[" + name + "]" // RFC 3875, 4.1.14
		}
		return rec.Append("SERVER_NAME", name).Append("SERVER_PORT", r.Local.Port)
	}
	name, port := askedServer(r)
	return rec.Append("SERVER_NAME", name).Append("SERVER_PORT", port)
}

// askedServer is the server as the client calls it.
func askedServer(r *bridge.Request) (name, port string) {
	name, port = splitHost(string(r.Host))
	if name == "" {
		name = "localhost"
	}
	if port == "" {
		port = "80"
		if r.Scheme == "https" {
			port = "443"
		}
	}
	return name, port
}

// splitHost splits a valid Host value; brackets of an IPv6 address stay.
func splitHost(host string) (name, port string) {
	for i := len(host) - 1; i >= 0; i-- {
		switch c := host[i]; {
		case c == ':':
			return host[:i], host[i+1:]
		case c < '0' || c > '9':
			return host, ""
		}
	}
	return host, ""
}

// appendDecoded writes a part of the path percent-decoded (RFC 3875, 4.1.5 and
// 4.1.13), as bytes that become latin-1 text (PEP 3333, "Unicode Issues"). A percent
// sign without two hex digits stays as it is, as with urllib's unquote.
func appendDecoded(rec bridge.Record, name string, path []byte) bridge.Record {
	rec, start := rec.Open()
	rec = append(rec, name...)
	rec = decode(rec, path)
	rec.Close(start, len(name))
	return rec
}

// decode appends path to dst, percent-decoded.
func decode(dst, path []byte) []byte {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			hi, lo := unhex(path[i+1]), unhex(path[i+2])
			if hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
