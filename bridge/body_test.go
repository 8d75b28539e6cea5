package bridge

import (
	"bytes"
	"io"
	"os"
	"testing"
)

func TestBodySpill(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name   string
		writes []int
		inFile bool
	}{
		{"nothing", nil, false},
		{"empty writes", []int{0, 0}, false},
		{"up to the limit", []int{60, 40}, false},
		{"past it at once", []int{101}, true},
		{"past it in steps", []int{60, 40, 1}, true},
		{"long past it", []int{60, 60, 5000, 1}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b Body
			for range 2 { // a body is used again
				var want []byte
				for _, n := range tt.writes {
					p := bytes.Repeat([]byte{byte(len(want) + 1)}, n)
					if err := b.write(p, 100, dir); err != nil {
						t.Fatal(err)
					}
					want = append(want, p...)
				}
				checkBody(t, &b, want, tt.inFile)
				if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
					t.Errorf("the folder holds %v (%v)", names, err)
				}
				f := b.File()
				b.reset()
				if b.Size() != 0 || len(b.Bytes()) != 0 || b.File() != nil {
					t.Error("not empty after reset")
				}
				if f != nil && f.Close() == nil {
					t.Error("reset left the file open")
				}
			}
		})
	}
}

func checkBody(t *testing.T, b *Body, want []byte, inFile bool) {
	t.Helper()
	if b.Size() != int64(len(want)) || (b.File() != nil) != inFile {
		t.Fatalf("size %d, file %v; want %d, %t", b.Size(), b.File(), len(want), inFile)
	}
	got := b.Bytes()
	if inFile {
		if got != nil {
			t.Error("bytes in memory beside the file")
		}
		var err error
		if got, err = io.ReadAll(io.NewSectionReader(b.File(), 0, 1<<30)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("holds %d bytes that are not the %d written", len(got), len(want))
	}
}

func TestBodyGivesLargeBuffersBack(t *testing.T) {
	var b Body
	for _, size := range []int{keepBody / 2, 4 * keepBody} {
		if err := b.write(make([]byte, size), 1<<30, ""); err != nil {
			t.Fatal(err)
		}
		b.reset()
		if kept := cap(b.mem); kept > keepBody || size < keepBody && kept == 0 {
			t.Errorf("keeps %d bytes after a body of %d", kept, size)
		}
	}
}

func TestBodyErrors(t *testing.T) {
	var b Body
	if err := b.write(make([]byte, 10), 1, t.TempDir()+"/missing"); err == nil {
		t.Error("no error without a folder")
	}
	if err := b.write(make([]byte, 10), 1, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	b.file.Close()
	if err := b.write(make([]byte, 10), 1, ""); err == nil {
		t.Error("no error from a closed file")
	}
	b.reset()
}
