package reload

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
	for pattern, want := range map[string]string{
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
		"sub/loop/*.html": "a.html link.html é.html",
		"x[[]1].txt":      "x[1].txt",
		`*\*`:             `back\slash.txt`,
		"nothing/*":       "",
		"a.html/*":        "",
		"**.html":         "a.html link.html é.html",
	} {
		var got []string
		for _, path := range glob(filepath.Join(dir, pattern)) {
			got = append(got, strings.TrimPrefix(path, dir+"/"))
		}
		if pattern == "sub/loop/*.html" {
			for i := range got {
				got[i] = filepath.Base(got[i])
			}
		}
		slices.Sort(got)
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
}
