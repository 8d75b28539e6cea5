package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// frameSize is how much goes into a frame, in bytes: large enough to be packed
// well, small enough to be held once for each processor.
const frameSize = 8 << 20

// Source is a file to be written and where its bytes are.
type Source struct {
	File  // its Size is found out
	Group string
	Path  string // "": Data
	Data  []byte

	packed float64 // its share of its frames
}

// Packed is about how many bytes of the archive the file takes.
func (s *Source) Packed() int64 { return int64(s.packed) }

// frames packs what is written to it.
type frames struct {
	encoder *zstd.Encoder
	raw     []byte
	next    chan chan packed // in order
	stopped atomic.Bool      // nobody wants more
}

type packed struct {
	data []byte
	raw  int64
}

// Write writes an archive's frames, index and trailer, and returns the content's
// name. The same sources in the same order give the same bytes. A new Group begins a
// new frame: what has not changed is the same bytes in the next version.
func Write(w io.Writer, index Index, sources []*Source) (content string, err error) {
	// What side by side means must not change the bytes: each frame is one EncodeAll.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithWindowSize(frameSize),
		zstd.WithEncoderCRC(false)) // the index has a better sum
	if err != nil {
		return "", err
	}
	defer encoder.Close()
	f := &frames{encoder: encoder, next: make(chan chan packed, runtime.GOMAXPROCS(0))}
	read := make(chan error, 1)
	go func() {
		defer close(f.next)
		read <- f.readAll(sources)
	}()
	for one := range f.next {
		p := <-one
		if err == nil {
			_, err = w.Write(p.data)
		}
		if err != nil {
			f.stopped.Store(true)
			continue
		}
		sum := sha256.Sum256(p.data)
		index.Frames = append(index.Frames, Frame{Packed: int64(len(p.data)), Raw: p.raw, SHA256: hex.EncodeToString(sum[:])})
	}
	readErr := <-read
	if err != nil {
		return "", fmt.Errorf("writing the archive: %w", err)
	}
	if readErr != nil {
		return "", readErr
	}
	for _, s := range sources {
		index.Files = append(index.Files, s.File)
	}
	share(index.Frames, sources)
	return finish(w, &index, func(text []byte) []byte { return encoder.EncodeAll(text, nil) })
}

func (f *frames) readAll(sources []*Source) error {
	group := ""
	for _, s := range sources {
		if f.stopped.Load() {
			return nil
		}
		if s.Group != group {
			group = s.Group
			f.flush()
		}
		if err := f.add(s); err != nil {
			return fmt.Errorf("packing %s: %w", s.Name, err)
		}
	}
	f.flush()
	return nil
}

func (f *frames) add(s *Source) error {
	var from io.Reader = bytes.NewReader(s.Data)
	if s.Path != "" {
		file, err := os.Open(s.Path)
		if err != nil {
			return err
		}
		defer file.Close()
		from = file
	}
	s.Size = 0
	for {
		if f.raw == nil {
			f.raw = make([]byte, 0, frameSize)
		}
		n, err := io.ReadFull(from, f.raw[len(f.raw):cap(f.raw)])
		f.raw = f.raw[:len(f.raw)+n]
		s.Size += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
		f.flush()
	}
}

// flush has the frame packed, aside.
func (f *frames) flush() {
	if len(f.raw) == 0 {
		return
	}
	raw, done := f.raw, make(chan packed, 1)
	f.raw = nil
	f.next <- done
	go func() { done <- packed{f.encoder.EncodeAll(raw, nil), int64(len(raw))} }()
}

// share divides the frames' packed sizes among the files.
func share(frames []Frame, sources []*Source) {
	if len(frames) == 0 {
		return
	}
	i, left := 0, frames[0].Raw
	for _, s := range sources {
		s.packed = 0
		for size := s.Size; size > 0; {
			for left == 0 {
				i++
				left = frames[i].Raw
			}
			n := min(size, left)
			s.packed += float64(n) * float64(frames[i].Packed) / float64(frames[i].Raw)
			size -= n
			left -= n
		}
	}
}
