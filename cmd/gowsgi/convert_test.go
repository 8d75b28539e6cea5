package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/internal/settings"
	"github.com/gowsgi/gowsgi/internal/uwsgiconf"
	"github.com/mattn/go-shellwords"
	"github.com/urfave/cli/v2"
)

const manyOptions = `[uwsgi]
strict = true
set-placeholder = base=/srv/my app
chdir = %(base)
home = %(base)/venv
module = site.wsgi:make("it's")
mount = /api=api:app
socket = 127.0.0.1:3031
http-socket = /run/a.sock
chmod-socket = 660
processes = 8
cheaper = 2
threads = 4
harakiri = 30
harakiri-verbose = true
env = A=1,2
env = B=$HOME "x"
static-map = /static=static
stats = 127.0.0.1:1717
reload-on-rss = 256
umask = 022
logto = /var/log/app.log
log-format = %(addr) 100%% "%(uri)"
log-4xx = true
touch-reload = reload.me
`

func converted(t *testing.T, text string) (*uwsgiconf.Conversion, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.ini")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	options, err := uwsgiconf.Read(path, uwsgiconf.INI, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return uwsgiconf.Convert(options), path
}

// TestConvertedCommandLine: a shell and this program read from it what was meant.
func TestConvertedCommandLine(t *testing.T) {
	made, _ := converted(t, manyOptions)
	command, _, _ := strings.Cut(commandLine(made), "\n\n")
	words, err := shellwords.Parse(strings.ReplaceAll(command, "\\\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var typed *settings.Values
	var app string
	program := newApp(&out, &out)
	for _, c := range program.Commands {
		if c.Name == "run" {
			c.Action = func(c *cli.Context) (err error) {
				app = c.Args().First()
				typed, err = flagValues(c)
				return err
			}
		}
	}
	if err := program.Run(gatherFlags(program, words)); err != nil {
		t.Fatalf("%v\n%s", err, command)
	}
	same(t, typed, made.Values)
	if app != `site.wsgi:make("it's")` {
		t.Errorf("the application is %s", app)
	}
}

func same(t *testing.T, got, want *settings.Values) {
	t.Helper()
	for name, value := range want.Complete() {
		a, _ := json.Marshal(got.Complete()[name])
		b, _ := json.Marshal(value)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: %s, want %s", name, a, b)
		}
	}
}

func TestConvertCommand(t *testing.T) {
	made, path := converted(t, manyOptions)
	if len(setSettings(made)) < 20 {
		t.Fatalf("only %d settings", len(setSettings(made)))
	}
	var out, errors bytes.Buffer
	if code := run([]string{"gowsgi", "convert", path}, &out, &errors); code != exitOK || errors.Len() > 0 {
		t.Fatalf("%d, %s", code, errors.String())
	}
	for _, want := range []string{
		"gowsgi run \\\n    --bind uwsgi://127.0.0.1:3031 \\\n    --bind unix:/run/a.sock \\\n",
		"    --socket-mode 0o660 \\\n", "    --chdir '/srv/my app' \\\n", "    --umask 0o22 \\\n", "    'site.wsgi:make(\"it'\\''s\")'\n\n",
		"# " + path + ":24: log-4xx = true: lost: the access log has all requests or none\n",
		"\n# " + path + ":15: harakiri-verbose = true: the log has the Python stack\n",
		"\n# preload: without lazy-apps uWSGI imports the application once and forks\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	if code := run([]string{"gowsgi", "convert", "--config", path}, &out, &errors); code != exitOK {
		t.Fatalf("%d, %s", code, errors.String())
	}
	for _, want := range []string{
		`wsgi_app = "site.wsgi:make(\"it's\")"`, `bind = ["uwsgi://127.0.0.1:3031", "unix:/run/a.sock"]`, "socket_mode = 0o660\n",
		`raw_env = ["A=1,2", "B=$HOME \"x\""]`, "preload_app = True\n", "umask = 0o22\n",
		"# Say --python '/srv/my app/venv/bin/python' on the command line.\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestConvertThatCannot(t *testing.T) {
	_, path := converted(t, "[uwsgi]\nmodule = a\ncron = 1 2 3 4 5 x\nspooler = /s\n")
	for _, tt := range []struct {
		args   []string
		stdout string
		stderr string
	}{
		{[]string{path}, "# " + path + ":3: cron = 1 2 3 4 5 x: REFUSED: nothing is run at times", "gowsgi: 2 of the options cannot be converted"},
		{[]string{path + ":none"}, "", "gowsgi: " + path + ":1: it has no section \"none\""},
		{[]string{"none.ini"}, "", "gowsgi: stat "},
		{nil, "", "gowsgi: say which file"},
		{[]string{"--yaml", path}, "", "gowsgi: " + path + ":1: it has no section"},
	} {
		var out, errors bytes.Buffer
		code := run(append([]string{"gowsgi", "convert"}, tt.args...), &out, &errors)
		if code != exitConfig || !strings.Contains(out.String(), tt.stdout) || !strings.HasPrefix(errors.String(), tt.stderr) {
			t.Errorf("%q: %d\n%s\n%s", tt.args, code, out.String(), errors.String())
		}
	}
}

func TestShellWord(t *testing.T) {
	for text, want := range map[string]string{
		"a": "a", "/a-b_c.d:8000": "/a-b_c.d:8000", "A=1,2": "A=1,2", "": "''", "a b": "'a b'", "$HOME": "'$HOME'", "it's": `'it'\''s'`, "~": "'~'",
		"a\nb": "'a\nb'", "ä": "'ä'", "*": "'*'",
	} {
		if got := shellWord(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
