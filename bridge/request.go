package bridge

import (
	"net/netip"
	"strings"

	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/bridge/uwsgi"
)

// Request is one request as a front received it, its body complete. The slices
// point into the connection's buffer: they hold until the answer is written.
type Request struct {
	Method, Target []byte // as received
	Path, Query    []byte // of the target, still percent-encoded
	Proto          string // "HTTP/1.1"
	Host           []byte // the Host field or, before it, an absolute target's authority
	Fields         []http1.Field
	Scheme         string // "http" or "https"

	// BodyLength is the size of the complete body in bytes; -1 when the
	// request came without one (no length, no transfer coding).
	BodyLength int64

	Peer  Endpoint // the client's end of the connection
	Local Endpoint // the listener's end
	Proxy Endpoint // who named Peer by the PROXY protocol; zero without it

	// App is the application that Prepare has chosen, by its number among those that
	// the executors know; 0 where there is one.
	App int

	// UWSGI is the packet that the request came as, nil for HTTP. What is above was
	// taken from it, but for Scheme and Peer, which are the web server's own; names of
	// its HTTP_* variables are not to be used: Fields has them.
	UWSGI *uwsgi.Packet
}

// Endpoint is one end of a connection in the form that an environ wants.
type Endpoint struct {
	Addr, Port string // Port is "" for a unix socket
	Unix       bool
	IP         netip.Addr // Addr's, so that it is parsed once; may be missing
}

// Field returns the value of the first field of that name (any case), nil
// without one.
func (r *Request) Field(name string) []byte {
	for i := range r.Fields {
		if strings.EqualFold(string(r.Fields[i].Name), name) {
			return r.Fields[i].Value
		}
	}
	return nil
}
