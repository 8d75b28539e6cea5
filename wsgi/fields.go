package wsgi

import (
	"bytes"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
)

// specialKey is the key of a field that does not become HTTP_*; "" keeps it out of the
// environ.
func specialKey(name []byte) (key string, ok bool) {
	switch string(name) {
	case "CONTENT_TYPE":
		return "CONTENT_TYPE", true
	case "CONTENT_LENGTH", // the body's own size speaks
		// The body is decoded already: an application that saw the coding would
		// decode it again.
		"TRANSFER_ENCODING", "TRAILER",
		"PROXY": // HTTP_PROXY means something else to HTTP clients: httpoxy.org
		return "", true
	}
	return "", false
}

// appendFields writes the request's fields under their CGI names (RFC 3875,
// 4.1.18). A name with "_" is dropped: it would land on the key of the field with
// "-" and let a client speak for a proxy (gunicorn's header_map=drop). Fields of
// one name are joined in their order by a comma (RFC 9110, 5.3), cookies by "; "
// (RFC 6265, 5.4, for HTTP/2 RFC 9113, 8.2.3).
func (u *Rules) appendFields(rec bridge.Record, r *bridge.Request, trusted bool) (bridge.Record, error) {
	var names nameSet
	for i := range r.Fields {
		names.add(r.Fields[i].Name)
	}
	host := false
	repeats := u.link(r.Fields)
	for i := range r.Fields {
		f := &r.Fields[i]
		repeated := names.mayRepeat(f.Name)
		if names.underscores && hasUnderscore(f.Name) {
			if keep, err := u.keepsUnderscore(f.Name, trusted); err != nil {
				return rec, err
			} else if !keep {
				continue
			}
		} else if names.underscores && trusted && u.overruled(r.Fields, f.Name) {
			continue
		}
		if repeated && u.firstOf(r.Fields, i, repeats) < i {
			continue // joined to the first
		}
		var start int
		rec, start = rec.Open()
		body := len(rec)
		rec = appendKey(rec, f.Name)
		nameLen := len(rec) - body
		if key, ok := specialKey(rec[body+len("HTTP_"):]); ok {
			if key == "" {
				rec = rec[:start]
				continue
			}
			rec = append(rec[:body], key...)
			nameLen = len(key)
		}
		if string(rec[body:]) == "HTTP_HOST" {
			host = true
			rec = append(rec, r.Host...) // an absolute target's authority goes before it
		} else {
			rec = append(rec, f.Value...)
			if repeated {
				rec = u.joinRest(rec, r.Fields, i, repeats)
			}
		}
		rec.Close(start, nameLen)
	}
	if !host && len(r.Host) > 0 {
		rec = rec.AppendBytes("HTTP_HOST", r.Host) // a target's, or a proxy's word for it
	}
	return rec, nil
}

// overruled tells whether a trusted peer's field with "_" stands for the same key:
// what it says must not be joined with, or replaced by, what came under the name
// with "-".
func (u *Rules) overruled(fields []http1.Field, name []byte) bool {
	if u.HeaderMap == Dangerous || len(u.ForwarderNames) == 0 {
		return false
	}
	for i := range fields {
		other := fields[i].Name
		if len(other) == len(name) && hasUnderscore(other) && sameDashed(other, name) {
			if keep, _ := u.keepsUnderscore(other, true); keep {
				return true
			}
		}
	}
	return false
}

// sameDashed compares names of one length but for case and "-" or "_".
func sameDashed(a, b []byte) bool {
	for i := range a {
		if keyByte[a[i]] != keyByte[b[i]] {
			return false
		}
	}
	return true
}

// keyByte has what each byte of a name becomes in its key.
var keyByte = func() (t [256]byte) {
	for i := range t {
		switch c := byte(i); {
		case c == '-':
			t[i] = '_'
		case 'a' <= c && c <= 'z':
			t[i] = c - ('a' - 'A')
		default:
			t[i] = c
		}
	}
	return t
}()

func appendKey(rec bridge.Record, name []byte) bridge.Record {
	rec = append(rec, "HTTP_"...)
	start := len(rec)
	rec = append(rec, name...)
	for i, c := range rec[start:] {
		rec[start+i] = keyByte[c]
	}
	return rec
}

func hasUnderscore(name []byte) bool { return bytes.IndexByte(name, '_') >= 0 }

// manyFields is from how many on fields are linked: comparing each with each takes
// longer then. HTTP's are limited by number, those of a uwsgi packet by size alone.
const manyFields = 128

// links are the fields of one key: its first, and the next after each, 0 for none.
type links struct{ first, next []int }

// link finds the fields of one key; nil for so few that comparing is quicker.
func (u *Rules) link(fields []http1.Field) *links {
	if len(fields) < manyFields {
		return nil
	}
	l := &links{first: make([]int, len(fields)), next: make([]int, len(fields))}
	last := make(map[string]int, len(fields))
	var key []byte
	for i := range fields {
		key = key[:0]
		for _, c := range fields[i].Name {
			if u.HeaderMap == Dangerous {
				c = keyByte[c]
			} else {
				c = fold(c)
			}
			key = append(key, c)
		}
		l.first[i] = i
		if j, ok := last[string(key)]; ok {
			l.first[i], l.next[j] = l.first[j], i
		}
		last[string(key)] = i
	}
	return l
}

func (u *Rules) firstOf(fields []http1.Field, i int, l *links) int {
	if l != nil {
		return l.first[i]
	}
	for j := range i {
		if u.sameKey(fields[j].Name, fields[i].Name) {
			return j
		}
	}
	return i
}

// joinRest appends the values of the later fields that have fields[i]'s key.
func (u *Rules) joinRest(rec bridge.Record, fields []http1.Field, i int, l *links) bridge.Record {
	sep := ","
	if named(fields[i].Name, "cookie") {
		sep = "; "
	}
	if l != nil {
		for j := l.next[i]; j > 0; j = l.next[j] {
			rec = append(rec, sep...)
			rec = append(rec, fields[j].Value...)
		}
		return rec
	}
	for j := i + 1; j < len(fields); j++ {
		if u.sameKey(fields[j].Name, fields[i].Name) {
			rec = append(rec, sep...)
			rec = append(rec, fields[j].Value...)
		}
	}
	return rec
}

// sameKey tells whether two names make one key: but for case, and, where names with
// "_" are let through, for "-" and "_".
func (u *Rules) sameKey(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	if u.HeaderMap == Dangerous {
		return sameDashed(a, b)
	}
	for i := range a {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// nameSet answers "are there more fields of this name's key?" with a bit for each of 256
// classes of names: a no is certain, a yes has to be checked. (Comparing each of 50
// fields with each took two thirds of hello's CPU time.)
type nameSet struct {
	once, twice [4]uint64
	underscores bool // some name has one
}

// class looks at four bytes, those where names differ most.
func class(name []byte) (word int, bit uint64) {
	n := len(name)
	h := uint32(n)
	if n > 0 {
		h = h*31 + uint32(keyByte[name[0]])
		h = h*31 + uint32(keyByte[name[n/2]])
		h = h*31 + uint32(keyByte[name[max(n-2, 0)]])
		h = h*31 + uint32(keyByte[name[n-1]])
	}
	return int(h >> 6 & 3), 1 << (h & 63)
}

func (s *nameSet) add(name []byte) {
	word, bit := class(name)
	s.twice[word] |= s.once[word] & bit
	s.once[word] |= bit
	s.underscores = s.underscores || hasUnderscore(name)
}

func (s *nameSet) mayRepeat(name []byte) bool {
	word, bit := class(name)
	return s.twice[word]&bit != 0
}
