package reload

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestGlob: expectations are those of Python's glob.glob(pattern, recursive=True),
// less folders and temporary files.
func TestGlob(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"a.html", "b.htm", ".env", ".hidden/c.html", "sub/d.html", "sub/deep/e.html", "sub/deep/e.html~",
		"sub/__pycache__/x.html", "x[1].txt", `back\slash.txt`, "é.html",
	} {
		write(t, filepath.Join(dir, name), "")
	}
	must(t, os.Symlink(dir, filepath.Join(dir, "sub", "loop")))
	must(t, os.Symlink(filepath.Join(dir, "a.html"), filepath.Join(dir, "link.html")))
	for text, want := range map[string]string{
		"*.html":          "a.html link.html é.html",
		"*.htm?":          "a.html link.html é.html",
		"?.html":          "a.html é.html",
		"[ab].htm*":       "a.html b.htm",
		"[!a].htm*":       "b.htm é.html",
		".*":              ".env",
		".hidden/*":       ".hidden/c.html",
		"*/*.html":        "sub/d.html",
		"**/*.html":       "a.html link.html sub/d.html sub/deep/e.html é.html",
		"**/deep/*":       "sub/deep/e.html",
		"**/**/e.html":    "sub/deep/e.html",
		"sub/**":          "sub/d.html sub/deep/e.html",
		"sub/loop/*.html": "sub/loop/a.html sub/loop/link.html sub/loop/é.html",
		"x[[]1].txt":      "x[1].txt",
		`*\*`:             `back\slash.txt`,
		"nothing/*":       "",
		"a.html/*":        "",
		"**.html":         "a.html link.html é.html",
	} {
		for _, p := range []pattern{{dir, text}, {dir, "./" + text}, {"/", filepath.Join(dir, text)}} {
			var got []string
			for _, path := range p.glob() {
				got = append(got, strings.TrimPrefix(path, dir+"/"))
			}
			slices.Sort(got)
			if got := strings.Join(got, " "); got != want {
				t.Errorf("%v: %s, want %s", p, got, want)
			}
		}
	}
}

// TestGlobBase: what the folder is called is no part of the pattern.
func TestGlobBase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[a]*")
	path := filepath.Join(dir, "x.html")
	write(t, path, "")
	t.Chdir(dir)
	w := watch(t, Options{Extra: []string{"x.html", "*.html"}})
	done(w)
	time.Sleep(2 * quick)
	write(t, path, "x")
	expect(t, w, path)
}
