package bridge

import (
	"errors"
	"fmt"
	"os"
)

// Body is a request's body, complete before the application sees it: in memory
// up to a limit, past it in a temporary file that has no name any more. So a
// slow upload holds no Python thread and a large one no memory.
type Body struct {
	mem  []byte
	file *os.File
	size int64
}

// keepBody is the largest memory that a body keeps for the next request on its
// connection, in bytes.
const keepBody = 64 << 10

// Size returns the bytes received so far.
func (b *Body) Size() int64 { return b.size }

// Bytes returns the body that lies in memory; nil when it is in a file.
func (b *Body) Bytes() []byte {
	if b.file != nil {
		return nil
	}
	return b.mem
}

// File returns the file that holds the body, at any position; nil when it is in
// memory. The body keeps owning it: who needs it longer duplicates it.
func (b *Body) File() *os.File { return b.file }

// Write appends p; past memLimit bytes everything moves to a file in dir (the
// system's folder for temporary files when "").
func (b *Body) write(p []byte, memLimit int64, dir string) error {
	if b.file == nil && b.size+int64(len(p)) > memLimit {
		if err := b.spill(dir); err != nil {
			return err
		}
	}
	if b.file != nil {
		if _, err := b.file.Write(p); err != nil {
			return fmt.Errorf("writing a request body to a temporary file: %w", err)
		}
	} else {
		b.mem = append(b.mem, p...)
	}
	b.size += int64(len(p))
	return nil
}

func (b *Body) spill(dir string) error {
	f, err := os.CreateTemp(dir, "gowsgi-body-")
	if err != nil {
		return fmt.Errorf("making a temporary file for a request body (TMPDIR says where): %w", err)
	}
	if err := errors.Join(os.Remove(f.Name()), writeAll(f, b.mem)); err != nil {
		f.Close()
		return fmt.Errorf("moving a request body to a temporary file: %w", err)
	}
	b.file, b.mem = f, nil
	return nil
}

func writeAll(f *os.File, p []byte) error {
	_, err := f.Write(p)
	return err
}

// reset makes the body empty again and closes its file.
func (b *Body) reset() {
	if b.file != nil {
		b.file.Close() // an unlinked temporary: nothing to lose
		b.file = nil
	}
	b.mem = b.mem[:0]
	if cap(b.mem) > keepBody {
		b.mem = nil
	}
	b.size = 0
}
