package uwsgi

import "fmt"

// Error says why a packet is refused, and with which status to answer: web servers
// read an HTTP answer whatever they have sent.
type Error struct {
	Status int
	Cause  string // for the log; holds nothing that the client sent but numbers
}

// Error gives the status and the cause.
func (e *Error) Error() string { return fmt.Sprintf("uwsgi: %d: %s", e.Status, e.Cause) }

var (
	errNameEmpty = &Error{400, "uwsgi packet with a variable without a name"}
	errShape     = &Error{400, "uwsgi packet whose size contradicts its variables' lengths"}

	errHTTP = &Error{400, "HTTP where the uwsgi protocol is spoken: use uwsgi_pass in nginx, or bind http://"}
	errTLS  = &Error{400, "a TLS handshake where the uwsgi protocol is spoken"}
	errHAP  = &Error{400, "the PROXY protocol where the uwsgi protocol is spoken"}

	errLength      = &Error{400, "CONTENT_LENGTH is not digits alone"}
	errLengthRange = &Error{413, "CONTENT_LENGTH past 63 bits"}
	errLengthTwice = &Error{400, "two CONTENT_LENGTHs that differ"}
)

func tooLarge(size, limit int) *Error {
	return &Error{431, fmt.Sprintf("uwsgi packet of %d bytes, where --buffer-size allows %d", size, limit)}
}

// stranger tells what a first byte that no modifier of ours is may mean.
func stranger(head [HeaderSize]byte) *Error {
	letters := true
	for _, c := range head {
		letters = letters && ('A' <= c && c <= 'Z' || c == ' ')
	}
	switch {
	case head[0] == 0x16 && head[1] == 3: // RFC 8446, 5.1
		return errTLS
	case string(head[:]) == "PROX" || string(head[:]) == "\r\n\r\n":
		return errHAP
	case letters: // a method
		return errHTTP
	}
	return &Error{501, fmt.Sprintf("uwsgi packet with modifier %d: this server takes 0 and 30, requests for Python, and 100, a ping", head[0])}
}
