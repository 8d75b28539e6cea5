// Package deps holds the tests that keep the rooms apart: which package may
// import which, and that each says what it is for. Nothing else may enter.
package deps

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/gowsgi/gowsgi"

// mayImport lists, for each package of the module, which others of the module it
// may import. A package that is not listed may import none: a new room states its
// doors here. "." is the one at the module's root.
var mayImport = map[string][]string{
	".":                  {"bridge", "bridge/http1", "wsgi", "pyembed"},
	"bridge/http1":       {},
	"bridge/uwsgi":       {},
	"bridge":             {"bridge/http1", "bridge/uwsgi", "internal/board"},
	"wsgi":               {"bridge", "bridge/http1", "bridge/uwsgi"},
	"internal/accesslog": {"bridge", "bridge/http1"},
	"internal/board":     {},
	"internal/bundle":    {},
	"internal/listen":    {},
	"internal/logs":      {"bridge", "internal/accesslog", "internal/queue", "internal/statsd", "internal/syslog"},
	"internal/master":    {"internal/board"},
	"internal/onefile":   {"internal/bundle", "internal/unpacked"},
	"internal/queue":     {},
	"internal/reload":    {},
	"internal/service":   {},
	"internal/settings":  {},
	"internal/static":    {"bridge"},
	"internal/stats":     {"bridge"},
	"internal/statsd":    {"internal/queue"},
	"internal/syslog":    {"internal/queue"},
	"internal/touch":     {},
	"internal/unpacked":  {},
	"internal/uwsgiconf": {"internal/settings"},
	"python":             {},
	"pyembed":            {"bridge", "internal/unpacked", "python"},
	"cmd/gowsgi": {"bridge", "bridge/http1", "bridge/uwsgi", "wsgi", "internal/listen", "internal/logs", "internal/master",
		"internal/onefile", "internal/reload", "internal/service", "internal/settings", "internal/static", "internal/stats", "internal/statsd", "internal/syslog",
		"internal/touch", "internal/unpacked", "internal/uwsgiconf", "pyembed", "python"},
	"cmd/gowsgi-launcher": {"internal/bundle", "internal/unpacked"},
	"examples/goapi":      {"."},
	"examples/gocall":     {".", "pyembed"},
	"internal/deps":       {},
	"tests/gohandler":     {"."},
}

// isCommand tells whether a package is a program: none imports those.
func isCommand(name string) bool {
	return strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "examples/") || strings.HasPrefix(name, "tests/")
}

// outside lists the packages from other modules that a package may import; main
// may import any.
var outside = map[string][]string{
	"bridge":          {"github.com/hashicorp/go-hclog", "github.com/pires/go-proxyproto", "golang.org/x/sys/unix"},
	"internal/board":  {"golang.org/x/sys/unix"},
	"internal/bundle": {"github.com/klauspost/compress/zstd", "golang.org/x/sys/unix"},
	"internal/logs":   {"github.com/hashicorp/go-hclog", "golang.org/x/sys/unix"},
	"internal/master": {"github.com/hashicorp/go-hclog"},
	"internal/queue":  {"github.com/hashicorp/go-hclog"},
	"internal/reload": {"github.com/fsnotify/fsnotify", "github.com/hashicorp/go-hclog"},
	"internal/statsd": {"github.com/hashicorp/go-hclog"},
	"internal/syslog": {"github.com/hashicorp/go-hclog"},
}

// pure are packages of functions of bytes: no sockets, files, clocks, goroutines.
var pure = map[string][]string{
	"bridge/http1": {"net", "os", "io", "time", "sync", "syscall", "bufio", "context", "log", "unsafe", "runtime"},
	"bridge/uwsgi": {"net", "os", "io", "time", "sync", "syscall", "bufio", "context", "log", "unsafe", "runtime"},
	"wsgi":         {"net", "os", "io", "time", "sync", "syscall", "bufio", "context", "log", "unsafe", "runtime"},
}

// room is one package's files, tests left out.
type room struct {
	imports []string
	doc     string
	files   int
}

func rooms(t *testing.T) map[string]*room {
	t.Helper()
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	found := map[string]*room{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != root {
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
				return filepath.SkipDir // another module
			}
		}
		if d.IsDir() && p != root && (name[0] == '.' || name == "testdata" || name == "build" || name == "dist") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		folder = filepath.ToSlash(folder)
		isOwnTest := folder == "internal/deps" // which has no other file
		if strings.HasSuffix(name, "_test.go") && !isOwnTest {
			return nil
		}
		if found[folder] == nil {
			found[folder] = &room{}
		}
		return read(found[folder], p)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(r *room, file string) error {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	r.files++
	for _, i := range f.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return err
		}
		r.imports = append(r.imports, name)
	}
	if doc := docOf(f); len(doc) > len(r.doc) {
		r.doc = doc
	}
	return nil
}

func docOf(f *ast.File) string {
	if f.Doc == nil {
		return ""
	}
	return f.Doc.Text()
}

func TestImportsPointOneWay(t *testing.T) {
	for name, r := range rooms(t) {
		allowed, listed := mayImport[name]
		if !listed {
			t.Errorf("package %s is new: say in mayImport what it may import", name)
		}
		for _, i := range r.imports {
			inside, ok := strings.CutPrefix(i, module+"/")
			if i == module {
				inside, ok = ".", true
			}
			if ok && !slices.Contains(allowed, inside) {
				t.Errorf("%s imports %s", name, inside)
			}
		}
	}
}

func TestImportsFromOutside(t *testing.T) {
	for name, r := range rooms(t) {
		if strings.HasPrefix(name, "cmd/") {
			continue
		}
		for _, i := range r.imports {
			first, _, _ := strings.Cut(i, "/")
			if strings.Contains(first, ".") && !strings.HasPrefix(i, module) && !slices.Contains(outside[name], i) {
				t.Errorf("%s imports %s", name, i)
			}
		}
	}
}

func TestOnlyPyembedHasCgo(t *testing.T) {
	all := rooms(t)
	for name, r := range all {
		if slices.Contains(r.imports, "C") != (name == "pyembed") {
			t.Errorf("import \"C\" in %s: %t", name, name != "pyembed")
		}
	}
}

func TestPureRoomsDoNoIO(t *testing.T) {
	all := rooms(t)
	for name, forbidden := range pure {
		for _, i := range all[name].imports {
			first, _, _ := strings.Cut(i, "/")
			if slices.Contains(forbidden, first) && i != "net/netip" { // values, no sockets
				t.Errorf("%s imports %s", name, i)
			}
		}
	}
}

func TestPackagesHaveDocs(t *testing.T) {
	for name, r := range rooms(t) {
		want := "Package " + path.Base(name) + " "
		if name == "." {
			want = "Package " + path.Base(module) + " "
		}
		if isCommand(name) {
			want = "Command " + path.Base(name) + " "
		}
		if !strings.HasPrefix(r.doc, want) {
			t.Errorf("%s: its doc comment begins %.30q, want %q", name, r.doc, want)
		}
	}
	for name := range mayImport {
		if rooms(t)[name] == nil {
			t.Errorf("mayImport lists %s, which is not there", name)
		}
	}
}
