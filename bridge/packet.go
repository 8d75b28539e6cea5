package bridge

import (
	"bytes"
	"errors"

	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/bridge/uwsgi"
)

var errPacketMethod = &http1.Error{Status: 400, Cause: "a uwsgi packet whose REQUEST_METHOD is missing or no token"}

// FromPacket takes over from p what an HTTP head would have said; Peer and Local stay.
// Of a variable that is there twice the last counts: so a web server's configuration
// overrides what it includes. HTTP_* become Fields, under names with "-" that are
// written over those in p. An error is an *http1.Error.
func (r *Request) FromPacket(p *uwsgi.Packet) error {
	*r = Request{Proto: "HTTP/1.1", Scheme: "http", UWSGI: p, Fields: r.Fields[:0], Peer: r.Peer, Local: r.Local}
	var query, path bool
	var contentType []byte
	for i := range p.Vars {
		v := &p.Vars[i]
		switch string(v.Name) {
		case "REQUEST_METHOD":
			r.Method = v.Value
		case "REQUEST_URI":
			r.Target = v.Value
		case "PATH_INFO":
			r.Path, path = v.Value, true
		case "QUERY_STRING":
			r.Query, query = v.Value, true
		case "SERVER_PROTOCOL":
			r.Proto = proto(v.Value)
		case "CONTENT_TYPE":
			contentType = v.Value
		default:
			r.takeField(v)
		}
	}
	if len(contentType) > 0 {
		r.Fields = append(r.Fields, http1.Field{Name: []byte("Content-Type"), Value: contentType})
	}
	r.fillTarget(path, query)
	var err error
	if r.BodyLength, err = p.ContentLength(); err != nil {
		return refusal(err)
	}
	return checkMethod(r.Method)
}

// takeField makes a field of an HTTP_* variable. Its name gets "-" for "_" where it
// lies: web servers leave out fields whose names have a "_" themselves.
func (r *Request) takeField(v *uwsgi.Var) {
	name, ok := bytes.CutPrefix(v.Name, []byte("HTTP_"))
	if !ok {
		return
	}
	for i, b := range name {
		if b == '_' {
			name[i] = '-'
		}
	}
	switch string(name) {
	case "", "CONTENT-TYPE": // CONTENT_TYPE says it
		return
	case "HOST":
		r.Host = v.Value
	}
	r.Fields = append(r.Fields, http1.Field{Name: name, Value: v.Value})
}

// fillTarget makes of Target, Path and Query what the others say, where a
// configuration without uwsgi_params has left one out.
func (r *Request) fillTarget(path, query bool) {
	rawPath, rawQuery := splitTarget(r.Target)
	if !query {
		r.Query = rawQuery
	}
	switch {
	case !path:
		r.Path = rawPath
	case bytes.IndexByte(r.Path, '%') >= 0: // PATH_INFO is decoded, Path is not
		r.Path = bytes.ReplaceAll(r.Path, []byte("%"), []byte("%25"))
	}
	if len(r.Path) == 0 {
		r.Path = []byte("/")
	}
	if len(r.Target) == 0 {
		r.Target = r.Path
		if len(r.Query) > 0 {
			r.Target = bytes.Join([][]byte{r.Path, r.Query}, []byte("?"))
		}
	}
}

// splitTarget returns a target's path and query, percent-encoded; that of an
// absolute one without its authority.
func splitTarget(target []byte) (path, query []byte) {
	path, query, _ = bytes.Cut(target, []byte("?"))
	if len(path) == 0 || path[0] == '/' {
		return path, query
	}
	if _, rest, ok := bytes.Cut(path, []byte("://")); ok {
		path = rest[len(rest):]
		if i := bytes.IndexByte(rest, '/'); i >= 0 {
			path = rest[i:]
		}
	}
	return path, query
}

// proto returns a protocol's name; what has not HTTP's form counts as HTTP/1.1.
func proto(v []byte) string {
	switch string(v) {
	case "HTTP/1.1", "": // no allocation
		return "HTTP/1.1"
	case "HTTP/2.0":
		return "HTTP/2.0"
	}
	version, ok := bytes.CutPrefix(v, []byte("HTTP/"))
	if !ok || len(bytes.Trim(version, "0123456789.")) > 0 {
		return "HTTP/1.1"
	}
	return string(v)
}

// checkMethod demands a token (RFC 9110, 9.1): it goes into log lines too.
func checkMethod(method []byte) error {
	if len(method) == 0 {
		return errPacketMethod
	}
	for _, c := range method {
		if c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte(`"(),/:;<=>?@[\]{}`), c) >= 0 {
			return errPacketMethod
		}
	}
	if string(method) == "CONNECT" {
		return errConnect
	}
	return nil
}

// refusal makes an error of package uwsgi one that refuse knows.
func refusal(err error) error {
	var bad *uwsgi.Error
	if errors.As(err, &bad) {
		return &http1.Error{Status: bad.Status, Cause: bad.Cause}
	}
	return err
}
