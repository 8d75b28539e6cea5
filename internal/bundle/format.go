package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Format is the version of the format; a launcher opens archives of its own only.
const Format = 1

// Mark is a text that launchers of this format have in them.
const Mark = "a launcher of gowsgi, format 1"

// Index says what is in an archive.
type Index struct {
	Program     string  `json:"program"`         // the file that a launcher starts
	Interpreter string  `json:"interpreter"`     // the dynamic linker, for files with a Place
	Epoch       int64   `json:"epoch,omitempty"` // the files' time, in seconds since 1970; 0: that of unpacking
	Frames      []Frame `json:"frames"`
	Files       []File  `json:"files"`
}

// Frame is a part of the files' bytes, packed. Sizes are in bytes.
type Frame struct {
	Packed int64  `json:"packed"`
	Raw    int64  `json:"raw"`
	SHA256 string `json:"sha256"` // of the packed bytes, in hexadecimal
}

// File is one entry. Its name has slashes and stays below the folder.
type File struct {
	Name  string `json:"name"`
	Size  int64  `json:"size,omitempty"`
	Exec  bool   `json:"exec,omitempty"`
	Dir   bool   `json:"dir,omitempty"`   // an empty folder
	Link  string `json:"link,omitempty"`  // a symbolic link, to this
	Place int64  `json:"place,omitempty"` // of PlaceSize bytes for the path of the interpreter; 0: none
}

// PlaceSize is what a path may need (PATH_MAX, with its NUL).
const PlaceSize = 4096

// trailer is the end of a file.
type trailer struct {
	Index  uint64 // size
	Frames uint64 // size
	SHA256 [sha256.Size]byte
	Format uint64
	Magic  [8]byte
}

var magic = [8]byte{'g', 'o', 'w', 's', 'g', 'i', '\n', 0xff}

// maxIndex bounds what is read for an index, packed and raw.
const maxIndex = 256 << 20

// ErrNone is that a file has no archive.
var ErrNone = errors.New("there is no archive in the file")

// Archive is an archive that is open for reading.
type Archive struct {
	Index   Index
	Content string // the hash of all of it, in hexadecimal

	file  io.ReaderAt
	begin int64 // of the first frame
}

// Open reads the index of a file's archive; ErrNone where there is none. The file
// stays the caller's, and open while the archive is used.
func Open(f *os.File) (*Archive, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a, err := open(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("reading the archive in %s: %w", f.Name(), err)
	}
	return a, nil
}

func open(f io.ReaderAt, size int64) (*Archive, error) {
	var t trailer
	length := int64(binary.Size(t))
	if size < length {
		return nil, ErrNone
	}
	if err := binary.Read(io.NewSectionReader(f, size-length, length), binary.LittleEndian, &t); err != nil {
		return nil, err
	}
	switch {
	case t.Magic != magic:
		return nil, ErrNone
	case t.Format != Format:
		return nil, fmt.Errorf("its format is %d, not %d", t.Format, Format)
	case t.Index > maxIndex || t.Frames > uint64(size) || int64(t.Index+t.Frames)+length > size:
		return nil, errors.New("it is cut short")
	}
	packed := make([]byte, t.Index)
	if _, err := f.ReadAt(packed, size-length-int64(t.Index)); err != nil {
		return nil, err
	}
	if sha256.Sum256(packed) != t.SHA256 {
		return nil, errors.New("its index is damaged")
	}
	text, err := unpack(packed, maxIndex)
	if err != nil {
		return nil, err
	}
	a := &Archive{Content: hex.EncodeToString(t.SHA256[:]), file: f, begin: size - length - int64(t.Index+t.Frames)}
	if err := json.Unmarshal(text, &a.Index); err != nil {
		return nil, err
	}
	return a, a.check(int64(t.Frames))
}

// check makes sure that nothing lies outside: neither of the file nor, by its name,
// of the folder.
func (a *Archive) check(frames int64) error {
	var packed, raw, sizes int64
	for _, f := range a.Index.Frames {
		if f.Packed < 0 || f.Raw < 0 || f.Raw > frameSize {
			return errors.New("its frames are odd")
		}
		packed += f.Packed
		raw += f.Raw
	}
	for _, f := range a.Index.Files {
		if !filepath.IsLocal(f.Name) || f.Size < 0 || f.Place < 0 || f.Place > 0 && f.Place+PlaceSize > f.Size {
			return fmt.Errorf("its file %q is odd", f.Name)
		}
		sizes += f.Size
	}
	if packed != frames || raw != sizes || raw == 0 {
		return errors.New("its sizes do not match")
	}
	return nil
}

// frame reads, checks and unpacks the i-th frame.
func (a *Archive) frame(i int) ([]byte, error) {
	f := a.Index.Frames[i]
	at := a.begin
	for _, before := range a.Index.Frames[:i] {
		at += before.Packed
	}
	packed := make([]byte, f.Packed)
	if _, err := a.file.ReadAt(packed, at); err != nil {
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != f.SHA256 {
		return nil, errors.New("the archive is damaged")
	}
	raw, err := unpack(packed, f.Raw)
	if err != nil {
		return nil, fmt.Errorf("unpacking the archive: %w", err)
	}
	if int64(len(raw)) != f.Raw {
		return nil, errors.New("unpacking the archive: the sizes do not match")
	}
	return raw, nil
}

func unpack(packed []byte, limit int64) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(max(limit, 1<<20))))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(packed, nil)
}

// finish writes the index and the trailer, and returns the content's name.
func finish(w io.Writer, index *Index, pack func([]byte) []byte) (string, error) {
	text, err := json.Marshal(index)
	if err != nil {
		return "", err
	}
	packed := pack(text)
	t := trailer{Index: uint64(len(packed)), SHA256: sha256.Sum256(packed), Format: Format, Magic: magic}
	for _, f := range index.Frames {
		t.Frames += uint64(f.Packed)
	}
	var end bytes.Buffer
	if err := binary.Write(&end, binary.LittleEndian, &t); err != nil {
		return "", err
	}
	_, err = w.Write(slices.Concat(packed, end.Bytes()))
	return hex.EncodeToString(t.SHA256[:]), err
}
