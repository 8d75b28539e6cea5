package uwsgi

import (
	"encoding/binary"
	"fmt"
)

// Get returns the value of the last variable of that name. A web server's
// configuration sets one twice to replace what an included file says.
func (p *Packet) Get(name string) (value []byte, ok bool) {
	for i := len(p.Vars) - 1; i >= 0; i-- {
		if string(p.Vars[i].Name) == name {
			return p.Vars[i].Value, true
		}
	}
	return nil, false
}

// ContentLength returns the body's size in bytes; -1 when none is announced: nginx
// sends an empty CONTENT_LENGTH then. An error is an *Error.
func (p *Packet) ContentLength() (int64, error) {
	length, last := int64(-1), int64(-1)
	for i := range p.Vars {
		if string(p.Vars[i].Name) != "CONTENT_LENGTH" {
			continue
		}
		last = -1
		if len(p.Vars[i].Value) == 0 {
			continue
		}
		n, err := parseLength(p.Vars[i].Value)
		switch {
		case err != nil:
			return 0, err
		case length >= 0 && n != length:
			return 0, errLengthTwice // which of them the sender means cannot be known
		}
		length, last = n, n
	}
	return last, nil // "" after a number takes it back: uwsgi_pass_request_body off
}

func parseLength(v []byte) (int64, error) {
	n := int64(0)
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, errLength
		}
		d := int64(c - '0')
		if n > (1<<63-1-d)/10 {
			return 0, errLengthRange
		}
		n = n*10 + d
	}
	return n, nil
}

// Append appends a packet to dst. It fails when the variables do not fit.
func Append(dst []byte, p *Packet) ([]byte, error) {
	size := 0
	for i := range p.Vars {
		v := &p.Vars[i]
		if len(v.Name) == 0 {
			return nil, fmt.Errorf("a variable without a name")
		}
		size += 4 + len(v.Name) + len(v.Value)
	}
	if size > MaxSize {
		return nil, fmt.Errorf("the variables have %d bytes; a uwsgi packet holds %d", size, MaxSize)
	}
	dst = append(dst, p.Modifier1, byte(size), byte(size>>8), p.Modifier2)
	for i := range p.Vars {
		for _, b := range [][]byte{p.Vars[i].Name, p.Vars[i].Value} {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(len(b)))
			dst = append(dst, b...)
		}
	}
	return dst, nil
}
