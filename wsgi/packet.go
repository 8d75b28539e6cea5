package wsgi

import (
	"bytes"
	"slices"
	"strings"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/bridge/uwsgi"
)

// packetEnviron is Environ for what came by the uwsgi protocol. The variables are a
// web server's word, which goes into the environ as it is, but for what PEP 3333 wants
// in another form and for what is ours to say. None of them has an effect on this
// server: not UWSGI_FILE nor any other by which uWSGI loads code or opens files.
func (u *Rules) packetEnviron(rec bridge.Record, r *bridge.Request) (bridge.Record, error) {
	s := readSaid(r.UWSGI)
	r.Scheme = s.scheme()
	if s.addr != "" {
		r.Peer = bridge.Endpoint{Addr: s.addr, Port: s.port}
		if s.addr == "unix:" { // nginx's name for a client on its own unix socket
			r.Peer = bridge.Endpoint{Unix: true}
		}
		// The web server passes on what clients send: so it is by the client's address
		// that forwarding fields are believed, as if it had come here by itself. With "*"
		// each client could choose its address then.
		if u.Proxies.names(r.Peer) {
			if err := u.forward(r); err != nil {
				return rec, err
			}
		}
	}
	script, path, err := u.packetPath(r, &s)
	if err != nil {
		return rec, err
	}
	if u.Mounts != nil {
		script, path = u.mount(r, script, path)
	}
	rec = rec.AppendBytes("REQUEST_METHOD", r.Method)
	rec = rec.AppendBytes("RAW_URI", r.Target)
	rec = rec.AppendBytes("REQUEST_URI", r.Target)
	rec = rec.AppendBytes("SCRIPT_NAME", script).AppendBytes("PATH_INFO", path)
	rec = rec.AppendBytes("QUERY_STRING", r.Query)
	rec = rec.Append("SERVER_PROTOCOL", r.Proto)
	rec = rec.Append("wsgi.url_scheme", r.Scheme)
	rec = appendSaidServer(rec, r, &s)
	rec = appendClient(rec, r)
	for i := range r.UWSGI.Vars {
		if v := &r.UWSGI.Vars[i]; passes(v.Name) {
			rec = rec.AppendPair(v.Name, v.Value)
		}
	}
	return u.appendFields(rec, r, false) // none of the names has an underscore any more
}

// said is what the environ does not take over as it is.
type said struct {
	addr, port             string // the client's
	serverName, serverPort []byte
	script, path           []byte
	hasPath                bool
	https, own, request    []byte // HTTPS, UWSGI_SCHEME, REQUEST_SCHEME
}

func readSaid(p *uwsgi.Packet) said {
	var s said
	for i := range p.Vars {
		v := p.Vars[i].Value
		switch string(p.Vars[i].Name) {
		case "REMOTE_ADDR":
			s.addr = string(v)
		case "REMOTE_PORT":
			s.port = string(v)
		case "SERVER_NAME":
			s.serverName = v
		case "SERVER_PORT":
			s.serverPort = v
		case "SCRIPT_NAME":
			s.script = v
		case "PATH_INFO":
			s.path, s.hasPath = v, true
		case "HTTPS":
			s.https = v
		case "UWSGI_SCHEME":
			s.own = v
		case "REQUEST_SCHEME":
			s.request = v
		}
	}
	return s
}

// scheme is that by which the client reached the web server. The order is uWSGI's,
// which does not know REQUEST_SCHEME; nginx's uwsgi_params has it beside HTTPS.
func (s *said) scheme() string {
	secure := false
	switch own := string(s.own); {
	case own == "https" || own == "http":
		secure = own == "https"
	case len(s.https) > 0:
		secure = slices.Contains([]string{"on", "1", "true", "yes"}, strings.ToLower(string(s.https)))
	default:
		secure = string(s.request) == "https"
	}
	if secure {
		return "https"
	}
	return "http"
}

var errPacketScript = &http1.Error{Status: 400, Cause: "a uwsgi packet whose SCRIPT_NAME does not begin with a slash"}

// packetPath returns SCRIPT_NAME and PATH_INFO, both decoded. A web server that knows
// of a mount says so by SCRIPT_NAME, and takes it from PATH_INFO itself or, by
// modifier 30, has that done here.
func (u *Rules) packetPath(r *bridge.Request, s *said) (script, path []byte, err error) {
	path = s.path
	if !s.hasPath {
		path = decode(nil, r.Path)
	}
	script = bytes.TrimRight(s.script, "/")
	switch {
	case len(script) > 0 && script[0] != '/':
		return nil, nil, errPacketScript
	case len(script) > 0:
		if r.UWSGI.Modifier1 == uwsgi.ModifierPathInfo || !s.hasPath {
			if rest, ok := cutMount(path, script); ok {
				path = rest
			}
		}
	case len(u.ScriptName) > 0 && string(path) != "*":
		var ok bool
		script = decode(nil, u.ScriptName)
		if path, ok = cutMount(path, script); !ok {
			return nil, nil, errScriptName
		}
	}
	if len(path) == 0 && len(script) > 0 || string(path) == "*" {
		return script, path, nil
	}
	if len(path) == 0 || path[0] != '/' { // nginx's $1 of `location ~ ^/app/(.*)`
		path = append([]byte("/"), path...)
	}
	return script, path, nil
}

// cutMount takes the prefix script, whole segments, from path.
func cutMount(path, script []byte) (rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(path, script)
	return rest, ok && (len(rest) == 0 || rest[0] == '/')
}

// appendSaidServer names the server as the web server does, or as the client calls
// it: nginx without a server_name sends an empty one, which PEP 3333 rules out.
func appendSaidServer(rec bridge.Record, r *bridge.Request, s *said) bridge.Record {
	if len(s.serverName) > 0 && len(s.serverPort) > 0 {
		return rec.AppendBytes("SERVER_NAME", s.serverName).AppendBytes("SERVER_PORT", s.serverPort)
	}
	name, port := askedServer(r)
	if len(s.serverName) > 0 {
		name = string(s.serverName)
	}
	if len(s.serverPort) > 0 {
		port = string(s.serverPort)
	}
	return rec.Append("SERVER_NAME", name).Append("SERVER_PORT", port)
}

// passes tells whether a variable goes into the environ under its name: not those
// that packetEnviron has written, nor HTTP_*, which appendFields writes, nor what an
// application takes for the server's own word.
func passes(name []byte) bool {
	switch string(name) {
	case "REQUEST_METHOD", "RAW_URI", "REQUEST_URI", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING",
		"SERVER_PROTOCOL", "SERVER_NAME", "SERVER_PORT", "SERVER_SOFTWARE", "REMOTE_ADDR", "REMOTE_PORT",
		"HTTPS", "CONTENT_TYPE", "CONTENT_LENGTH":
		return false
	}
	return !bytes.HasPrefix(name, []byte("HTTP_")) && !bytes.HasPrefix(name, []byte("wsgi."))
}
