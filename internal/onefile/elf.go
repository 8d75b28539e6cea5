package onefile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gowsgi/gowsgi/internal/bundle"
)

// rpath is where programs find the packed C library.
const rpath = "$ORIGIN/../lib"

// object is what a shared object or a program says of what it needs.
type object struct {
	needed      []string
	search      []string // RPATH or RUNPATH
	runpath     bool     // the search path ends there
	interpreter string   // the path of its dynamic linker; "": it is a library
	machine     elf.Machine
}

// readObject returns nil where a file is no ELF object that is linked dynamically.
func readObject(r io.ReaderAt) (*object, error) {
	var head [4]byte
	if _, err := r.ReadAt(head[:], 0); err != nil || string(head[:]) != elf.ELFMAG {
		return nil, nil
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_DYNAMIC }) {
		return nil, nil
	}
	o := &object{machine: f.Machine}
	if o.needed, err = f.DynString(elf.DT_NEEDED); err != nil {
		return nil, err
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		paths, err := f.DynString(tag)
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			o.search, o.runpath = strings.Split(p, ":"), tag == elf.DT_RUNPATH
		}
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			text, err := io.ReadAll(p.Open())
			if err != nil {
				return nil, err
			}
			o.interpreter = strings.TrimRight(string(text), "\x00")
		}
	}
	return o, nil
}

func readObjectFile(path string) (*object, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readObject(f)
}

// relocatable returns a program, without what only debuggers need, whose dynamic linker's path can be written to a place
// of its own, at the end of the file: the kernel reads it from there (elf(5),
// PT_INTERP).
func relocatable(data []byte) ([]byte, int64, error) {
	o, err := readObject(bytes.NewReader(data))
	switch {
	case err != nil:
		return nil, 0, err
	case o == nil || o.interpreter == "":
		return nil, 0, errors.New("it is no program that is linked dynamically")
	case !strings.HasPrefix(filepath.Base(o.interpreter), "ld-linux"):
		return nil, 0, fmt.Errorf("it is linked to %s: only the GNU C library can be packed", o.interpreter)
	case !slices.Contains(o.search, rpath):
		return nil, 0, errors.New("it was not linked with this module's package pyembed")
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, 0, err
	}
	if f.Class != elf.ELFCLASS64 {
		return nil, 0, errors.New("it is no 64-bit program")
	}
	var head elf.Header64
	if err := binary.Read(bytes.NewReader(data), f.ByteOrder, &head); err != nil {
		return nil, 0, err
	}
	// What comes after the segments is for debuggers, and a third of the file.
	end := uint64(0)
	for _, p := range f.Progs {
		end = max(end, p.Off+p.Filesz)
	}
	head.Shoff, head.Shnum, head.Shstrndx = 0, 0, 0
	place := int64(end+15) &^ 15
	stripped := make([]byte, place+bundle.PlaceSize)
	copy(stripped, data[:end])
	data = stripped
	if _, err := binary.Encode(data, f.ByteOrder, head); err != nil {
		return nil, 0, err
	}
	for i, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			at := head.Phoff + uint64(i)*uint64(head.Phentsize)
			f.ByteOrder.PutUint64(data[at+8:], uint64(place)) // p_offset
			f.ByteOrder.PutUint64(data[at+32:], bundle.PlaceSize)
		}
	}
	return data, place, useRpath(data)
}

// useRpath turns DT_RUNPATH into DT_RPATH: the linker then goes on to search where
// those look that have loaded the object, which is how all find the packed libraries.
func useRpath(data []byte) error {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return err
	}
	const entry = 16
	for _, p := range f.Progs {
		if p.Type != elf.PT_DYNAMIC || f.Class != elf.ELFCLASS64 {
			continue
		}
		for at := p.Off; at+entry <= min(p.Off+p.Filesz, uint64(len(data))); at += entry {
			if elf.DynTag(f.ByteOrder.Uint64(data[at:])) == elf.DT_RUNPATH {
				f.ByteOrder.PutUint64(data[at:], uint64(elf.DT_RPATH))
			}
		}
	}
	return nil
}
