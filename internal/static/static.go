package static

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gowsgi/gowsgi/bridge"
)

// Files are folders whose files are served. Safe for concurrent use.
type Files struct {
	places []place
	index  []string
	safe   []string
}

// place is a folder, or one file, under a path.
type place struct {
	path string // without a slash at its end
	root string
}

// New reads --static-map (/PATH=DIR), --check-static, --static-index and
// --static-safe. Relative folders start in dir. It returns nil where there are
// neither of the first two.
func New(maps, check, index, safe []string, dir string) (*Files, error) {
	dir, err := filepath.Abs(dir) // the application may change the folder
	if err != nil {
		return nil, err
	}
	whole := func(path string) string {
		if filepath.IsAbs(path) {
			return filepath.Clean(path)
		}
		return filepath.Join(dir, path)
	}
	f := &Files{index: index}
	for _, root := range check { // uWSGI looks at them first
		if root == "" {
			return nil, errors.New("--check-static: the folder is missing")
		}
		f.places = append(f.places, place{"", whole(root)})
	}
	for _, text := range maps {
		path, root, ok := strings.Cut(text, "=")
		if !ok || path == "" || path[0] != '/' || root == "" {
			return nil, fmt.Errorf("--static-map %s: it must be /PATH=DIR", text)
		}
		f.places = append(f.places, place{strings.TrimRight(path, "/"), whole(root)})
	}
	for _, name := range index {
		if name == "" || strings.Contains(name, "/") {
			return nil, fmt.Errorf("--static-index %s: it must be the name of a file", name)
		}
	}
	for _, path := range safe {
		f.safe = append(f.safe, whole(path))
	}
	if f.places == nil {
		return nil, nil
	}
	return f, nil
}

// Answer answers a request with a file, or returns false: then the application has
// to. That is so too if the file cannot be opened. It is wsgi.Rules.Static.
func (f *Files) Answer(r *bridge.Request, x *bridge.Exchange) bool {
	if m := string(r.Method); m != "GET" && m != "HEAD" {
		return false
	}
	path := x.Record.Lookup("PATH_INFO")
	if path == "" || strings.IndexByte(path, 0) >= 0 {
		return false
	}
	for _, p := range f.places {
		rest, ok := strings.CutPrefix(path, p.path)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		if file, info := f.open(p.root, rest); file != nil {
			serve(r, x, file, info)
			return true
		}
	}
	return false
}

// open opens the file that a path names in a folder, or the folder's index. Links
// may lead anywhere in the folder, or to a safe one, as in uWSGI.
func (f *Files) open(root, rest string) (*os.File, os.FileInfo) {
	for part := range strings.SplitSeq(rest, "/") {
		if part == ".." {
			return nil, nil
		}
	}
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, nil
	}
	name := root
	if rest != "" {
		name = filepath.Join(root, rest)
	}
	file, info := f.openIn(root, name)
	switch {
	case file == nil:
		return nil, nil
	case info.Mode().IsRegular():
		if strings.HasSuffix(rest, "/") {
			file.Close()
			return nil, nil
		}
		return file, info
	}
	file.Close()
	if !info.IsDir() {
		return nil, nil
	}
	for _, index := range f.index {
		file, info := f.openIn(root, filepath.Join(name, index))
		if file == nil {
			continue
		}
		if info.Mode().IsRegular() {
			return file, info
		}
		file.Close()
	}
	return nil, nil
}

// openIn opens what lies in root or in a safe folder, after links.
func (f *Files) openIn(root, name string) (*os.File, os.FileInfo) {
	real, err := filepath.EvalSymlinks(name)
	if err != nil || !within(real, root) && !slices.ContainsFunc(f.safe, func(safe string) bool { return within(real, safe) }) {
		return nil, nil
	}
	// A pipe that nobody writes to must not hold the request.
	if info, err := os.Stat(real); err != nil || !info.Mode().IsRegular() && !info.IsDir() {
		return nil, nil
	}
	file, err := os.Open(real)
	if err != nil {
		return nil, nil
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, nil
	}
	return file, info
}

func within(path, folder string) bool {
	rest, ok := strings.CutPrefix(path, folder)
	return ok && (rest == "" || rest[0] == '/' || folder == "/")
}
