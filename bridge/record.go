package bridge

import "encoding/binary"

// Record is a request's variables in flat form, as they cross into the
// application's side in one piece: for each variable the length of its name and
// of its value (32 bits each, little-endian), then name and value. It holds no
// pointers, so that cgo may be given its address as it is.
type Record []byte

const recordHeader = 8

// Append adds a variable.
func (r Record) Append(name, value string) Record {
	r = binary.LittleEndian.AppendUint32(r, uint32(len(name)))
	r = binary.LittleEndian.AppendUint32(r, uint32(len(value)))
	r = append(r, name...)
	return append(r, value...)
}

// AppendBytes adds a variable whose value is not a string yet.
func (r Record) AppendBytes(name string, value []byte) Record {
	r = binary.LittleEndian.AppendUint32(r, uint32(len(name)))
	r = binary.LittleEndian.AppendUint32(r, uint32(len(value)))
	r = append(r, name...)
	return append(r, value...)
}

// AppendPair adds a variable whose name is not a string yet either.
func (r Record) AppendPair(name, value []byte) Record {
	r = binary.LittleEndian.AppendUint32(r, uint32(len(name)))
	r = binary.LittleEndian.AppendUint32(r, uint32(len(value)))
	r = append(r, name...)
	return append(r, value...)
}

// Open starts a variable whose bytes the caller appends itself: first the name,
// then the value. Close, given the same start and the name's length, fills in
// the lengths.
func (r Record) Open() (rec Record, start int) {
	return append(r, 0, 0, 0, 0, 0, 0, 0, 0), len(r)
}

// Close ends a variable that Open began at start.
func (r Record) Close(start, nameLen int) {
	valueLen := len(r) - start - recordHeader - nameLen
	binary.LittleEndian.PutUint32(r[start:], uint32(nameLen))
	binary.LittleEndian.PutUint32(r[start+4:], uint32(valueLen))
}

// All calls yield for each variable in order, until it returns false.
func (r Record) All(yield func(name, value []byte) bool) {
	for len(r) >= recordHeader {
		n := int(binary.LittleEndian.Uint32(r))
		v := int(binary.LittleEndian.Uint32(r[4:]))
		r = r[recordHeader:]
		if len(r) < n+v {
			return
		}
		if !yield(r[:n], r[n:n+v]) {
			return
		}
		r = r[n+v:]
	}
}

// Lookup returns the value of the last variable of that name, "" without one.
// It walks the record: for log lines, not for the hot path.
func (r Record) Lookup(name string) string {
	found := ""
	for n, v := range r.All {
		if string(n) == name {
			found = string(v)
		}
	}
	return found
}
