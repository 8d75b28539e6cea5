package uwsgiconf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folder writes files into a new folder; "NAME\n" is followed by its text.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// lines are options as uWSGI's --show-config prints them.
func show(options []Option) string {
	var b strings.Builder
	for _, o := range options {
		fmt.Fprintf(&b, "%s = %s\n", o.Name, o.Value)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var testEnv = []string{"A=1", "B=$(A)", "EMPTY=", "HOME=/root", "UWSGI_HTTP_SOCKET=:80", "UWSGI_RELOADS=3", "NOT_UWSGI_X=1"}

// TestRead: the expected text is what uWSGI 2.0.30 prints with --show-config for the
// same file and environment, but for the blocks' ends, which it lists too.
func TestRead(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"spaces and comments", "[uwsgi]\n  a = 1 \n\tb=2\n; c = 3\n# d = 4\n  ; e\n\nf =\ng\nh==x=y\r\n",
			"a = 1\nb = 2\nf = \ng = \nh = =x=y"},
		{"no comment behind a value", "[uwsgi]\na = 1 ; x\nb = 2 # y", "a = 1 ; x\nb = 2 # y"},
		{"one section counts", "[other]\na = 1\n[uwsgi]\nb = 2\n[more]\nc = 3\n[uwsgi]\nd = 4", "b = 2\nd = 4"},
		{"no continued lines", "[uwsgi]\na = 1 \\\n  b", "a = 1 \\\nb = "},

		{"magic", "[uwsgi]\na = %n.%e %s %x|%% %q|\nb = %c%", "a = t.ini t.ini |% |\nb = DIR"},
		{"a percent sign at the end of a line takes the next to it", "[uwsgi]\na = z%\nb = 1", "a = zb = 1"},
		{"a percent sign before a bracket", "[uwsgi]\na = %(b) %%(b)\nb = %%d", "a = %d %d\nb = %d"},

		{"environment", "[uwsgi]\na = $(A)\nb = $(B)\nc = $(NONE)\nd = $(EMPTY).\ne = x$(B)", "a = 1\nb = $(A)\nc = $(NONE)\nd = .\ne = x1"},
		{"defaults, as in 2.1", "[uwsgi]\na = $(NONE:-x)\nb = $(NONE-y)\nc = $(EMPTY:-z)\nd = $(EMPTY-w).", "a = x\nb = y\nc = z\nd = ."},
		{"contents of a file", "[uwsgi]\na = @(text)", "a = hello"},
		{"placeholders", "[uwsgi]\nbase = /srv\nchdir = %(base)/x\nno = %(none)\nlate = %(later)\nlater = 1\nempty = %()", "base = /srv\nchdir = /srv/x\nno = %(none)\nlate = 1\nlater = 1\nempty = %()"},
		{"the first of a name", "[uwsgi]\na = 1\na = 2\nb = %(a)", "a = 1\na = 2\nb = 1"},
		{"placeholders in placeholders", "[uwsgi]\na = 1\nb1 = x\nc = z%(b%(a))", "a = 1\nb1 = x\nc = zx"},
		{"only the inner one at the beginning", "[uwsgi]\na = 1\nb1 = x\nc = %(b%(a))", "a = 1\nb1 = x\nc = %(b1)"},
		{"sums", "[uwsgi]\nn = 3\na = %(n + 4)\nb = %(n * 2 + 1)\nc = %(n n)\nd = %(n / 0)\ne = %(n ++)\nf = %(n - 5)\ng = %(n --)\nh = %(n none)",
			"n = 3\na = 7\nb = 7\nc = 33\nd = 0\ne = 4\nf = -2\ng = 2\nh = 3"},
		{"no brackets in sums", "[uwsgi]\nn = 3\na = %((n * 2) + 1)", "n = 3\na = 1"},

		{"if-env", "[uwsgi]\nif-env = A\na = %(_)\nendif =\nif-env = A=2\nb = 1\nendif =\nif-env = A=1\nc = %(_)%(_)\nend =\nif-not-env = NONE\nd = %(_)\nend-if =",
			"if-env = A\na = 1\nif-env = A=2\nif-env = A=1\nc = 11\nif-not-env = NONE\nd = %(_)"},
		{"if-opt", "[uwsgi]\na = 7\nif-opt = a\nb = %(_)\nendif =\nif-opt = a=8\nc = 1\nendif =\nif-not-opt = z\nd = 1\nendif =", "a = 7\nif-opt = a\nb = 7\nif-opt = a=8\nif-not-opt = z\nd = 1"},
		{"if-file and if-dir", "[uwsgi]\nif-file = text\na = %(_)\nendif =\nif-dir = text\nb = 1\nendif =\nif-not-dir = text\nc = 1\nendif =\nif-exists = sub\nd = %(_)\nendif =\nif-dir = sub\ne = 1\nendif =\nif-not-exists = none\nf = 1\nendif =",
			"if-file = text\na = text\nif-dir = text\nif-not-dir = text\nc = 1\nif-exists = sub\nd = sub\nif-dir = sub\ne = 1\nif-not-exists = none\nf = 1"},
		{"if-hostname", "[uwsgi]\nif-hostname = surely.not.this\na = 1\nendif =\nif-not-hostname = surely.not.this\nb = 1\nendif =", "if-hostname = surely.not.this\nif-not-hostname = surely.not.this\nb = 1"},
		{"if-reload is false at the start", "[uwsgi]\nif-reload =\na = 1\nendif =\nif-not-reload =\nb = 1\nendif =", "if-reload = \nif-not-reload = \nb = 1"},
		{"for goes line by line", "[uwsgi]\nfor = x y\na = %(_)1\nb = %(_)2\nendfor =\nc = 1", "for = x y\na = x1\na = y1\nb = x2\nb = y2\nc = 1"},
		{"for-times", "[uwsgi]\nfor-times = 3\na = %(_)\nend-for =", "for-times = 3\na = 1\na = 2\na = 3"},
		{"for-readline", "[uwsgi]\nfor-readline = two\na = %(_)\nendfor =", "for-readline = two\na = one\na = two"},
		{"for-glob", "[uwsgi]\nfor-glob = sub/*.x\na = %(_)\nendfor =\nfor-glob = none*\nb = %(_)\nendfor =\nfor-glob = su*\nc = %(_)\nendfor =",
			"for-glob = sub/*.x\na = sub/a.x\na = sub/b.x\nfor-glob = none*\nb = none*\nfor-glob = su*\nc = sub/"},
		{"a block that does not end", "[uwsgi]\nif-env = NONE\na = 1\n[other]\nb = 1", "if-env = NONE"},
		{"an include in a block is whole", "[uwsgi]\nif-env = A\ninclude = inc.ini\nendif =\nb = 1", "if-env = A\ninclude = inc.ini\ni = inc t 1 1\nb = 1"},

		{"include", "[uwsgi]\ninclude = inc.ini\nb = 2", "include = inc.ini\ni = inc t 1 2\nb = 2"},
		{"inherit is read last, and not expanded", "[uwsgi]\ninherit = inc.ini\nb = 2", "inherit = inc.ini\nb = 2\ni = inc t $(A) %(b)"},
		{"a section of the same file", "[uwsgi]\nini = :two\nb = 1\n[two]\nc = %x", "ini = :two\nc = two\nb = 1"},
		{"a section of another file", "[uwsgi]\nini = inc.ini:other", "ini = inc.ini:other\no = other"},
		{"yaml from ini", "[uwsgi]\nyaml = y.yaml", "yaml = y.yaml\ny = 1"},
		{"set", "[uwsgi]\nset = a=1\nset-placeholder = b=2=3\nc = %(a)%(b)", "set = a=1\na = 1\nset-placeholder = b=2=3\nb = 2=3\nc = 12=3"},
	} {
		dir := folder(t, map[string]string{
			"t.ini": tt.in, "text": "hello\n", "two": "one\ntwo\r\n", "sub/a.x": "", "sub/b.x": "",
			"inc.ini": "[uwsgi]\ni = %n %N $(A) %(b)\n[other]\no = %x", "y.yaml": "uwsgi:\n  y: 1",
		})
		want := "http-socket = :80\n" + strings.ReplaceAll(tt.want, "DIR", filepath.Base(dir))
		options, err := Read("t.ini", INI, testEnv, dir)
		if got := show(options); err != nil || got != want {
			t.Errorf("%s:\n%s\ngot  %q, %v\nwant %q", tt.name, tt.in, got, err, want)
		}
	}
}

func TestPlaces(t *testing.T) {
	dir := folder(t, map[string]string{
		"t.ini": "[uwsgi]\n\na = z%\nb = 1\nc = 2\ninclude = inc.ini\nfor = x y\nd = 1\nendfor =\n", "inc.ini": "\n[uwsgi]\ni = 1\n",
	})
	options, err := Read("t.ini", INI, testEnv, dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range options {
		got = append(got, o.Name+" "+o.Place.String())
	}
	want := []string{"http-socket the environment", "a t.ini:3", "c t.ini:5", "include t.ini:6", "i inc.ini:3", "for t.ini:7", "d t.ini:8", "d t.ini:8"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestSectionOfTheFirstFile(t *testing.T) {
	dir := folder(t, map[string]string{"t.ini": "[uwsgi]\na = 1\n[dev]\nb = %x %X\n"})
	if options, err := Read("t.ini:dev", INI, nil, dir); err != nil || show(options) != "b = dev dev" {
		t.Errorf("%q, %v", show(options), err)
	}
}

func TestMagicOfTheFile(t *testing.T) {
	dir := folder(t, map[string]string{"conf/app.tar.ini": "[uwsgi]\na = %d|%s|%n|%e|%c|%p|%o|%0|%v\n"})
	if err := os.Symlink("conf/app.tar.ini", filepath.Join(dir, "link.ini")); err != nil {
		t.Fatal(err)
	}
	first := strings.Split(dir, "/")[1]
	for path, want := range map[string]string{
		"conf/app.tar.ini": "DIR/conf/|app.tar.ini|app.tar|ini|conf|DIR/conf/app.tar.ini|conf/app.tar.ini|FIRST|DIR",
		"link.ini":         "DIR/|link.ini|link|ini|BASE|DIR/link.ini|link.ini|FIRST|DIR", // a link keeps its name
	} {
		want = strings.NewReplacer("DIR", dir, "FIRST", first, "BASE", filepath.Base(dir)).Replace("a = " + want)
		if options, err := Read(path, INI, nil, dir); err != nil || show(options) != want {
			t.Errorf("%s: %q, %v, want %q", path, show(options), err, want)
		}
	}
}

// TestReadErrors: each tells the place and the reason.
func TestReadErrors(t *testing.T) {
	for in, want := range map[string]string{
		"[other]\na = 1": `t.ini:1: it has no section "uwsgi"`,
		"":               `t.ini:1: it has no section "uwsgi"`,
		"[uwsgi]\nif-env = A\nif-env = B\nendif =":                    "t.ini:3: if-env: a block in another (that of line 2)",
		"[uwsgi]\nif-env = A\nfor = a\nendif =":                       "t.ini:3: for: a block in another (that of line 2)",
		"[uwsgi]\nif-env = A\nelse =\nendif =":                        "t.ini:3: else: uWSGI 2.0 has no else",
		"[uwsgi]\nif-plugin = x\na = 1\nendif =":                      "t.ini:2: if-plugin: this condition is not known here",
		"[uwsgi]\nif-hostname-match = x\na = 1\nendif =":              "t.ini:2: if-hostname-match: this condition",
		"[uwsgi]\nfor-times = 99999999\na = 1\nendfor =":              "t.ini:2: for-times: more than 10000 times",
		"[uwsgi]\nfor-readline = none\na = 1\nendfor =":               "t.ini:2: for-readline: ",
		"[uwsgi]\na = 1\ninclude = none.ini":                          "t.ini:3: stat ",
		"[uwsgi]\ninherit = t.ini":                                    "t.ini:2: files include each other without end",
		"[uwsgi]\nfor-times = 9999\n" + strings.Repeat("a = 1\n", 11): "t.ini:13: a: these are too many options",
		"[uwsgi]\na = 1\nini = t.ini":                                 "t.ini:3: files include each other without end",
		"[uwsgi]\ninclude = a.xml":                                    "t.ini:2: include: a.xml: only .ini, .yaml and .yml are read",
		"[uwsgi]\ninherit = a.json":                                   "t.ini:2: inherit: a.json: only .ini",
		"[uwsgi]\nxml = a.xml":                                        "t.ini:2: xml: only ini and YAML are read",
		"[uwsgi]\nini = http://example.com/x.ini":                     "t.ini:2: http://example.com/x.ini: only files are read",
		"[uwsgi]\nset = a":                                            "t.ini:2: set: it must be NAME=VALUE",
		"[uwsgi]\ndeclare-option = a=b":                               "t.ini:2: declare-option: it is not done here",
		"[uwsgi]\na = x%(a)":                                          "t.ini:2: a: its value refers to itself",
		"[uwsgi]\na = x%(b)\nb = y%(a)":                               "t.ini:2: a: its value refers to itself",
		"[uwsgi]\na = @(none)":                                        "t.ini:2: a: stat ",
		"[uwsgi]\na = @(http://x/)":                                   "t.ini:2: a: open http://x/",
		"[uwsgi]\nstrict = true\nvaccum = true":                       "t.ini:3: vaccum: uWSGI has no such option (did you mean vacuum?), and the file says strict",
		"[uwsgi]\nstrict = true\nset = base=1\nx = %(base)":           "t.ini:3: base: uWSGI has no such option",
		"[uwsgi]\nini = :none":                                        `t.ini:1: it has no section "none"`,
		"[uwsgi]\ninclude = d.ini\n":                                  "d.ini:2: xml: only ini",
	} {
		dir := folder(t, map[string]string{"t.ini": in, "d.ini": "[uwsgi]\nxml = x"})
		if options, err := Read("t.ini", INI, testEnv, dir); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %q, error %v, want %s", in, show(options), err, want)
		}
	}
	if _, err := Read("none.ini", INI, nil, t.TempDir()); err == nil || !strings.Contains(err.Error(), "none.ini: no such file") {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, in := range []string{"[uwsgi]\nstrict = true\nset-ph = base=1\nchdir = %(base)", "[uwsgi]\nstrict = false\nx = 1"} {
		if _, err := Read("t.ini", INI, nil, folder(t, map[string]string{"t.ini": in})); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestYAML(t *testing.T) {
	for in, want := range map[string]string{
		"uwsgi:\n  a: 1\n  b: two words\n":                                                    "a = 1\nb = two words",
		"---\nother:\n  x: 1\n\n# c\nuwsgi: # c\n    a: 1 # c\n\n    b: x#y\nmore:\n  z: 1\n": "a = 1\nb = x#y",
		"uwsgi:\n  env: A=1\n  env: B=2\n":                                                    "env = A=1\nenv = B=2",
		"uwsgi:\n  env:\n    - A=1\n    - 'B=2 # x'\n  c: 3\n":                                "env = A=1\nenv = B=2 # x\nc = 3",
		"uwsgi:\n  env:\n  - A=1\n  - B=2\n  c: 3\n":                                          "env = A=1\nenv = B=2\nc = 3",
		"uwsgi:\n  env: [A=1, \"B=2\"]\n":                                                     "env = A=1\nenv = B=2",
		"uwsgi:\n  a: 'it''s'\n  b: \"t\\tx\"\n  \"c\": 1\n":                                  "a = it's\nb = t\tx\nc = 1",
		"uwsgi:\n  base: /srv\n  chdir: %(base)/x\n  n: %n\n":                                 "base = /srv\nchdir = /srv/x\nn = t",
		"uwsgi:\n  socket: :3031\n  http: 127.0.0.1:80\n":                                     "socket = :3031\nhttp = 127.0.0.1:80",
		"uwsgi:\n  if-env: A\n  a: 1\n  endif: ''\n  b: 2\n":                                  "if-env = A\na = 1\nb = 2",
		"uwsgi:\r\n  a: 1\r\n":                                                                "a = 1",
	} {
		dir := folder(t, map[string]string{"t.yaml": in})
		if options, err := Read("t.yaml", YAML, []string{"A=1"}, dir); err != nil || show(options) != want {
			t.Errorf("%q: %q, %v, want %q", in, show(options), err, want)
		}
	}
	for in, want := range map[string]string{
		"uwsgi:\n  a:\n    b: 1\n":   "t.yaml:3: only NAME: VALUE and lists",
		"uwsgi:\n  a: {b: 1}\n":      "t.yaml:2: only NAME: VALUE and lists",
		"uwsgi:\n  a: &x 1\n":        "t.yaml:2: only NAME: VALUE and lists",
		"uwsgi:\n  a: |\n    x\n":    "t.yaml:2: only NAME: VALUE and lists",
		"uwsgi:\n  a: 1\n   b: 2\n":  "t.yaml:3: only NAME: VALUE and lists",
		"uwsgi:\n  a\n":              "t.yaml:2: only NAME: VALUE and lists",
		"uwsgi:\n  a: 'x\n":          "t.yaml:2: a quoted text must end on its line",
		"uwsgi:\n  a: [1,\n":         "t.yaml:2: a list in brackets must be on one line",
		"uwsgi:\n\ta: 1\n":           "t.yaml:2: YAML is indented by spaces",
		"uwsgi: {a: 1}\n":            "t.yaml:1: the section uwsgi must be a mapping",
		"other:\n  a: 1\n":           `t.yaml:1: it has no section "uwsgi"`,
		"uwsgi:\n  a: 1\n  xml: b\n": "t.yaml:3: xml: only ini",
	} {
		dir := folder(t, map[string]string{"t.yaml": in})
		if options, err := Read("t.yaml", YAML, nil, dir); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %q, error %v, want %s", in, show(options), err, want)
		}
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{"vaccum": "vacuum", "proceses": "processes", "chmod-sokcet": "chmod-socket", "base": "", "app_dir": "", "x": ""} {
		if got := nearest(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("[uwsgi]\na = %(b) $(A) @(x)\nb = %n\nif-env = A\nc = %(_)\nendif =\nfor = x y\nd = 1\nendfor =\n")
	f.Add("uwsgi:\n  a: [1, 'x']\n  b:\n    - c\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "@(") || strings.Contains(text, "for-readline") {
			return // they read files of this machine
		}
		dir := folder(t, map[string]string{"t": text})
		for _, format := range []Format{INI, YAML} {
			options, err := Read("t", format, []string{"A=1"}, dir)
			if err != nil {
				continue
			}
			for _, o := range options {
				if lines := strings.Count(text, "\n") + 1; o.Line < 1 || o.Line > lines {
					t.Errorf("%s is said to be in line %d of %d", o.Name, o.Line, lines)
				}
			}
			Convert(options)
		}
	})
}
