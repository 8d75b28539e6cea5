package bridge

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func pairs(r Record) [][2]string {
	var all [][2]string
	for name, value := range r.All {
		all = append(all, [2]string{string(name), string(value)})
	}
	return all
}

func TestRecord(t *testing.T) {
	var r Record
	r = r.Append("A", "1").AppendBytes("", []byte("no name")).Append("B", "")
	r, start := r.Open()
	r = append(r, "NAME"...)
	r = append(r, "value"...)
	r.Close(start, len("NAME"))
	r = r.Append("A", "2\x00\xff")
	want := [][2]string{{"A", "1"}, {"", "no name"}, {"B", ""}, {"NAME", "value"}, {"A", "2\x00\xff"}}
	if got := pairs(r); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for name, want := range map[string]string{"A": "2\x00\xff", "B": "", "NAME": "value", "none": ""} {
		if got := r.Lookup(name); got != want {
			t.Errorf("Lookup(%q) = %q, want %q", name, got, want)
		}
	}
	seen := 0
	for range r.All {
		seen++
		break
	}
	if seen != 1 {
		t.Error("All goes on after a break")
	}
	layout := Record(nil).Append("ab", "c")
	if !bytes.Equal(layout, []byte("\x02\x00\x00\x00\x01\x00\x00\x00abc")) {
		t.Errorf("layout %q: package pyembed reads it in C", layout)
	}
}

// FuzzRecord: what was appended is read back, by whichever way it went in; and
// bytes that are no record are walked without a panic.
func FuzzRecord(f *testing.F) {
	f.Add("NAME", "value", "", "\x00\xff")
	f.Add("", "", strings.Repeat("x", 70_000), "\xff\xff\xff\xff\xff\xff\xff\xff")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		r := Record(nil).Append(n1, v1)
		r, start := r.Open()
		r = append(append(r, n2...), v2...)
		r.Close(start, len(n2))
		r = r.AppendBytes(n1, []byte(v2))
		want := [][2]string{{n1, v1}, {n2, v2}, {n1, v2}}
		if got := pairs(r); !reflect.DeepEqual(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := pairs(r[:len(r)-1]); len(got) != 2 {
			t.Errorf("a cut record has %d variables", len(got))
		}
		_ = pairs(Record(n1 + v1 + n2 + v2))
	})
}
