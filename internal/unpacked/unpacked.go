// Package unpacked tells a program of one file what was packed with it.
//
// What may enter: where things lie in the folder that a launcher has unpacked. What may
// not: packing and unpacking.
package unpacked

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Places in the folder. The Python is laid out as an installation, which the whole
// folder is the prefix of.
const (
	Marker  = "gowsgi.json" // the Bundle
	Bin     = "bin"         // the program and, as links to it, python
	Lib     = "lib"         // libpython, the standard library, the system's libraries
	App     = "app"         // the application's folder
	Library = "lib/libpython.so"
)

// FileVariable has the path of the one file, for a successor of this process.
const FileVariable = "GOWSGI_FILE"

// Bundle is what was packed.
type Bundle struct {
	Spec   string `json:"spec,omitempty"` // of the application; "": the program knows
	Python Python `json:"python"`

	dir string
}

// Python is the interpreter. Its paths are below the folder.
type Python struct {
	Version    string `json:"version"`
	Executable string `json:"executable"`
}

// Path is that of a place in the folder.
func (b *Bundle) Path(place string) string { return filepath.Join(b.dir, place) }

// Here returns what was packed with this program; nil where it runs from no such
// folder.
var Here = sync.OnceValues(func() (*Bundle, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil // not even that is known: it is no folder of ours, which needs /proc
	}
	return read(filepath.Dir(filepath.Dir(self)))
})

func read(dir string) (*Bundle, error) {
	text, err := os.ReadFile(filepath.Join(dir, Marker))
	if err != nil {
		return nil, nil
	}
	b := &Bundle{dir: dir}
	if err := json.Unmarshal(text, b); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, Marker), err)
	}
	return b, nil
}
