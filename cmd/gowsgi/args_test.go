package main

import (
	"bytes"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/internal/accesslog"
	"github.com/gowsgi/gowsgi/internal/listen"
	"github.com/gowsgi/gowsgi/internal/logs"
	"github.com/gowsgi/gowsgi/internal/reload"
	"github.com/gowsgi/gowsgi/wsgi"
	"github.com/hashicorp/go-hclog"
	"github.com/urfave/cli/v2"
)

func TestGatherFlags(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"gowsgi", "gowsgi"},
		{"gowsgi --version", "gowsgi --version"},
		{"gowsgi nothing -b :1", "gowsgi nothing -b :1"},
		{"gowsgi run", "gowsgi run --"},
		{"gowsgi run app", "gowsgi run -- app"},
		{"gowsgi run app -b :8000", "gowsgi run --bind=:8000 -- app"},
		{"gowsgi run -b :8000 app", "gowsgi run --bind=:8000 -- app"},
		{"gowsgi run app --bind :8000 --threads 4", "gowsgi run --bind=:8000 --threads=4 -- app"},
		{"gowsgi run app --bind=:8000", "gowsgi run --bind=:8000 -- app"},
		{"gowsgi run app -bind :8000", "gowsgi run --bind=ind -- app :8000"}, // as gunicorn reads it
		{"gowsgi run app -b:8000", "gowsgi run --bind=:8000 -- app"},
		{"gowsgi run app -b=:8000", "gowsgi run --bind=:8000 -- app"},
		{"gowsgi run -b127.0.0.1:8000 app", "gowsgi run --bind=127.0.0.1:8000 -- app"},
		{"gowsgi run app -eA=1 -e B=2", "gowsgi run --env=A=1 --env=B=2 -- app"},
		{"gowsgi run app --env A=--threads", "gowsgi run --env=A=--threads -- app"},
		{"gowsgi run --env --threads app", "gowsgi run --env=--threads -- app"}, // a value, whatever it looks like
		{"gowsgi run --access-logfile - app", "gowsgi run --access-logfile=- -- app"},
		{"gowsgi run -- app -b :8000", "gowsgi run -- app -b :8000"},
		{"gowsgi run -b :1 -- --odd", "gowsgi run --bind=:1 -- --odd"},
		{"gowsgi run - app", "gowsgi run -- - app"},
		{"gowsgi run app --help", "gowsgi run --help"},
		{"gowsgi run app -h", "gowsgi run --help"},
		{"gowsgi run app --nothing 3", "gowsgi run --nothing -- app 3"},
		{"gowsgi run a b -b :1 c", "gowsgi run --bind=:1 -- a b c"},
		{"gowsgi check app --python py", "gowsgi check --python=py -- app"},
		{"gowsgi check app -b:1", "gowsgi check -b:1 -- app"}, // check has no -b
		{"gowsgi version x", "gowsgi version -- x"},
	} {
		var out bytes.Buffer
		got := gatherFlags(newApp(&out, &out), strings.Fields(tt.in))
		if want := strings.Fields(tt.want); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %q\nwant %q", tt.in, got, want)
		}
	}
}

func TestGatherFlagsLeavesItsArgument(t *testing.T) {
	args := []string{"gowsgi", "run", "app", "-b", ":1"}
	var out bytes.Buffer
	gatherFlags(newApp(&out, &out), args)
	if want := []string{"gowsgi", "run", "app", "-b", ":1"}; !reflect.DeepEqual(args, want) {
		t.Errorf("args became %q", args)
	}
}

// parse returns the configuration that a command line makes.
func parse(t *testing.T, args ...string) (cfg *config, err error) {
	t.Helper()
	var out bytes.Buffer
	app := newApp(&out, &out)
	for _, c := range app.Commands {
		if c.Name == "run" {
			c.Action = func(ctx *cli.Context) (err error) { cfg, err = commandConfig(ctx); return err }
		}
	}
	err = app.Run(gatherFlags(app, append([]string{"gowsgi", "run"}, args...)))
	return cfg, err
}

func networks(t *testing.T, s string) wsgi.Networks {
	t.Helper()
	n, err := wsgi.ParseNetworks(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDefaults(t *testing.T) {
	t.Setenv("GOWSGI_PYTHON", "")
	t.Setenv("WEB_CONCURRENCY", "")
	got, err := parse(t, "myapp:app")
	if err != nil {
		t.Fatal(err)
	}
	want := &config{
		app: "myapp:app", sites: sites{apps: []string{"myapp:app"}}, binds: []string{"127.0.0.1:8000"}, threads: 1, logs: logsOf("myapp:app", hclog.Info),
		processes: processes{workers: 1, timeout: 30 * time.Second, backlog: 2048, reload: reloading{engine: reload.Auto}},
		graceful:  30 * time.Second, limits: bridge.DefaultLimits(), protocol: listen.HTTP, allowUWSGI: networks(t, "127.0.0.1,::1"),
		pool:  bridge.PoolLimits{Queue: 2048, Wait: 30 * time.Second},
		watch: watchConfig{timeout: 30 * time.Second, stuck: time.Minute},
		rules: &wsgi.Rules{
			Proxies: networks(t, "127.0.0.1,::1"), ForwarderNames: []string{"SCRIPT_NAME", "PATH_INFO"}, ScriptName: []byte{},
			SecureScheme: []wsgi.SchemeField{
				{Name: "x-forwarded-proto", HTTPS: "https"}, {Name: "x-forwarded-protocol", HTTPS: "ssl"}, {Name: "x-forwarded-ssl", HTTPS: "on"},
			},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// logsOf is what is logged where nobody says so.
func logsOf(name string, level hclog.Level) logs.Config {
	return logs.Config{
		Error: "-", Level: level, AccessFormat: accesslog.Default,
		Python: logs.Python{
			LoggerClass: "gunicorn.glogging.Logger", LogConfigDict: map[string]any{}, Settings: map[string]any{"proc_name": name},
		},
	}
}

func TestEveryFlag(t *testing.T) {
	t.Setenv("GOWSGI_TEST_A", "")
	got, err := parse(t, "myapp:app", "-b:8001", "-b", "[::1]:8002", "--threads", "4", "--chdir", "/srv", "--python", "py",
		"--pythonpath", "a,b", "--env", "GOWSGI_TEST_A=1,2=3", "--log-level", "WARNING", "--access-logfile", "-",
		"--graceful-timeout", "0.5", "--keep-alive", "1", "--header-timeout", "2", "--read-timeout", "3", "--write-timeout", "4",
		"--limit-request-line", "5", "--limit-request-fields", "6", "--limit-request-field_size", "7", "--max-body", "8",
		"--body-memory", "9", "--queue-size", "10", "--queue-timeout", "11", "--min-body-rate", "12", "--debug-errors",
		"--header-map", "refuse", "--forwarded-allow-ips", "10.0.0.0/8", "--forwarder-headers", "remote_user",
		"--secure-scheme-headers", "X-Proto=tls", "--forwarded-host", "-w3", "--max-requests", "14", "--max-requests-jitter", "15",
		"--umask", "0o007", "-p", "pid", "--min-workers", "2", "--max-workers", "5", "-t", "16", "-D", "-R", "--backlog", "17",
		"--reuse-port", "-u", "www", "-g", "staff", "--initgroups", "--stuck-timeout", "18", "--max-rss", "19", "--max-lifetime", "20",
		"--reload", "--reload-engine", "poll", "--reload-extra-file", "templates/*.html", "--reload-extra-file", "gone", "-c", "conf.py",
		"--protocol", "uwsgi", "--uwsgi-allow-from", "10.0.0.1", "--buffer-size", "18", "--socket-mode", "660", "--socket-owner", "www:staff")
	if err != nil {
		t.Fatal(err)
	}
	otherLogs := logsOf("myapp:app", hclog.Warn)
	otherLogs.Access, otherLogs.Dir = "-", "/srv"
	want := &config{
		app: "myapp:app", sites: sites{apps: []string{"myapp:app"}}, binds: []string{":8001", "[::1]:8002"}, threads: 4, dir: "/srv", python: "py",
		pythonPath: []string{"a", "b"}, logs: otherLogs, graceful: 500 * time.Millisecond,
		limits: bridge.Limits{
			Head: http1.Limits{RequestLine: 5, Fields: 6, FieldSize: 7}, MaxBody: 8, BodyMemory: 9, BodyRate: 12,
			IdleTime: time.Second, HeadTime: 2 * time.Second, ReadTime: 3 * time.Second, WriteTime: 4 * time.Second,
			Packet: 18,
		},
		protocol: listen.UWSGI, allowUWSGI: networks(t, "10.0.0.1"),
		pool: bridge.PoolLimits{Queue: 10, Wait: 11 * time.Second},
		rules: &wsgi.Rules{
			HeaderMap: wsgi.Refuse, Proxies: networks(t, "10.0.0.0/8"), ForwarderNames: []string{"REMOTE_USER"}, ScriptName: []byte{},
			SecureScheme: []wsgi.SchemeField{{Name: "x-proto", HTTPS: "tls"}}, Host: true,
		},
		debug: true,
		watch: watchConfig{timeout: 16 * time.Second, stuck: 18 * time.Second, maxRSS: 19, maxLifetime: 20 * time.Second, reload: true},
		processes: processes{
			workers: 3, minWorkers: 2, maxWorkers: 5, maxRequests: 14, jitter: 15, timeout: 16 * time.Second, umask: 7, pidFile: "pid",
			daemon: true, keepOutput: true, backlog: 17, reusePort: true, user: "www", group: "staff", initGroups: true,
			reload:     reloading{on: true, engine: reload.Poll, extra: []string{"templates/*.html", "gone", "conf.py"}},
			socketMode: 0o660, socketOwner: "www:staff",
		},
		warnings: []string{"--reload-extra-file: there is no gone yet"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if v := os.Getenv("GOWSGI_TEST_A"); v != "1,2=3" {
		t.Errorf("--env set %q", v)
	}
}

// TestHeadSettings: gunicorn's switches for its parser, and its limits of 0.
func TestHeadSettings(t *testing.T) {
	for args, want := range map[string]http1.Limits{
		"--strip-header-spaces":                {Permit: http1.Permit{HeaderSpaces: true}},
		"--permit-obsolete-folding":            {Permit: http1.Permit{Folding: true}},
		"--permit-unconventional-http-method":  {Permit: http1.Permit{AnyMethod: true}},
		"--permit-unconventional-http-version": {Permit: http1.Permit{AnyVersion: true}},
		"--casefold-http-method":               {Permit: http1.Permit{CasefoldMethod: true}},
		"":                                     {},
	} {
		cfg, err := parse(t, append([]string{"app", "--limit-request-line=0", "--limit-request-fields=0", "--limit-request-field_size=0"}, strings.Fields(args)...)...)
		want.FieldSize = http1.DefaultLimits().FieldSize
		if err != nil || cfg.limits.Head != want {
			t.Errorf("%q: %+v, %v", args, cfg.limits.Head, err)
		}
	}
}

// TestBothFormsOfAFlag: a repeatable flag may come in its short and its long form.
func TestBothFormsOfAFlag(t *testing.T) {
	got, err := parse(t, "app", "-b", ":1", "--bind", ":2", "--bind=:3")
	if err != nil || !slices.Equal(got.binds, []string{":1", ":2", ":3"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestProxyProtocolFlag(t *testing.T) {
	for mode, want := range map[string][2]bool{"v1": {true, false}, "v2": {false, true}, "auto": {true, true}} {
		got, err := parse(t, "app", "--proxy-protocol", mode, "--proxy-allow-from", "192.0.2.0/24")
		if err != nil || [2]bool{got.proxy.V1, got.proxy.V2} != want ||
			!got.proxy.Allow(bridge.Endpoint{Addr: "192.0.2.7"}) || got.proxy.Allow(bridge.Endpoint{Addr: "127.0.0.1"}) {
			t.Errorf("%s: %+v, %v", mode, got, err)
		}
	}
	if got, err := parse(t, "app"); err != nil || got.proxy != nil {
		t.Errorf("without the flag: %+v, %v", got, err)
	}
}

func TestPythonFromTheEnvironment(t *testing.T) {
	t.Setenv("GOWSGI_PYTHON", "py")
	if got, err := parse(t, "app"); err != nil || got.python != "py" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := parse(t, "app", "--python", "other"); err != nil || got.python != "other" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWorkersFromTheEnvironment(t *testing.T) {
	t.Setenv("WEB_CONCURRENCY", "4")
	if got, err := parse(t, "app"); err != nil || got.workers != 4 || !got.multiProcess() {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := parse(t, "app", "--workers", "1"); err != nil || got.workers != 1 || got.multiProcess() {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := parse(t, "app", "-w1", "--max-workers=2"); err != nil || !got.multiProcess() {
		t.Errorf("%+v, %v", got, err)
	}
	t.Setenv("WEB_CONCURRENCY", "many")
	if _, err := parse(t, "app"); err == nil || !strings.Contains(err.Error(), "WEB_CONCURRENCY") {
		t.Errorf("WEB_CONCURRENCY=many: %v", err)
	}
}

func TestScale(t *testing.T) {
	for args, want := range map[string][2]int{
		"-w3":                                 {3, 3},
		"-w3 --max-workers 5":                 {3, 5},
		"-w3 --min-workers 1 --max-workers 5": {1, 5},
		"-w3 --min-workers 1 --max-workers 3": {1, 3},
		"-w3 --min-workers 2":                 {},
		"-w3 --max-workers 2":                 {},
		"-w3 --min-workers 4 --max-workers 5": {},
	} {
		cfg, err := parse(t, append([]string{"app"}, strings.Fields(args)...)...)
		if (err != nil) != (want == [2]int{}) {
			t.Errorf("%s: %v", args, err)
		}
		if err != nil {
			continue
		}
		if least, most, err := cfg.scale(); err != nil || [2]int{least, most} != want {
			t.Errorf("%s: %d, %d, %v; want %v", args, least, most, err, want)
		}
	}
}

func TestLogLevels(t *testing.T) {
	for name, want := range map[string]hclog.Level{
		"debug": hclog.Debug, "Info": hclog.Info, "warning": hclog.Warn, "warn": hclog.Warn, "ERROR": hclog.Error, "critical": hclog.Error,
	} {
		if got, err := parse(t, "app", "--log-level", name); err != nil || got.logs.Level != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestConfigErrors: each names the flag.
func TestConfigErrors(t *testing.T) {
	for args, want := range map[string]string{
		"":                                  "no application",
		"app other":                         "one application at a time",
		"app --threads 0":                   "--threads",
		"app --threads 1001":                "--threads",
		"app --threads many":                "threads",
		"app --log-level loud":              "--log-level",
		"app --env NAME":                    "--env",
		"app --env =value":                  "--env",
		"app --graceful-timeout -1":         "--graceful-timeout",
		"app --keep-alive -1":               "--keep-alive",
		"app --header-timeout 0":            "--header-timeout",
		"app --read-timeout 0":              "--read-timeout",
		"app --write-timeout 0":             "--write-timeout",
		"app --queue-timeout 0":             "--queue-timeout",
		"app --queue-size 0":                "--queue-size",
		"app --limit-request-line -1":       "--limit-request-line",
		"app --limit-request-fields -5":     "--limit-request-fields",
		"app --limit-request-field_size -1": "--limit-request-field_size",
		"app --limit-request-field-size -1": "--limit-request-field_size",
		"app --workers 0":                   "--workers",
		"app --max-requests -1":             "--max-requests",
		"app --max-requests-jitter -1":      "--max-requests-jitter",
		"app --umask rw":                    "--umask",
		"app --umask 01000":                 "--umask",
		"app --nothing":                     "nothing",
	} {
		if _, err := parse(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", args, err, want)
		}
	}
}

// TestTimesAreInRange: what a float can say and a duration cannot.
func TestTimesAreInRange(t *testing.T) {
	for _, seconds := range []string{"NaN", "Inf", "1e10", "1e300", "1e-10"} {
		cfg, err := parse(t, "app", "--graceful-timeout", seconds)
		if err == nil && (cfg.graceful <= 0 || cfg.graceful == math.MaxInt64) {
			t.Errorf("--graceful-timeout %s was taken for %v", seconds, cfg.graceful)
		}
	}
}

// listenBusy returns an address that is taken until the test ends.
func listenBusy(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestUsageErrors: exit code 1, one line on stderr, nothing on stdout.
func TestUsageErrors(t *testing.T) {
	busy := listenBusy(t)
	for _, tt := range []struct{ args, want string }{
		{"nothing", `did you mean`},
		{"myapp:app", "gowsgi run myapp:app"},
		{"run", "no application"},
		{"run a b", "too many"},
		{"run app --nothing", "--help"},
		{"run app --threads x", "threads"},
		{"run app -b", "needs an argument"},
		{"run app --bind", "needs an argument"},
		{"run app --bind https://x", "HOST:PORT"},
		{"run app --bind uwsgi+x", "HOST:PORT"},
		{"run app --socket-mode 680", "from 0 to 511"},
		{"run app --buffer-size 65536", "from 1 to 65535"},
		{"run app --uwsgi-allow-from localhost", "--uwsgi-allow-from"},
		{"run app --bind uwsgi://:0 --proxy-protocol", "--proxy-protocol"},
		{"run app --bind :0 --protocol uwsgi --proxy-protocol", "--proxy-protocol"},
		{"run app --bind unix:s --socket-owner no-such-user", "there is no such user"},
		{"run app --bind " + busy, busy},
		{"run app -w2 --bind " + busy, busy},
		{"run app --bind fd://99", "descriptor 99"},
		{"check", "no application"},
		{"check app -b:1", "-b:1"},
		{"check app --python no-such-python", "no Python found"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(append([]string{"gowsgi"}, strings.Fields(tt.args)...), &stdout, &stderr)
			text := stderr.String()
			if code != exitConfig || !strings.Contains(text, tt.want) || !strings.HasPrefix(text, "gowsgi: ") ||
				strings.Count(text, "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("exit %d, stdout %q, stderr %q; want 1 and one line with %q", code, stdout.String(), text, tt.want)
			}
		})
	}
}

// TestVersion compares with a file in testdata: the version is a release's name,
// changed on purpose.
func TestVersion(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run([]string{"gowsgi", "version"}, &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
		t.Errorf("exit %d, stderr %q", code, stderr.String())
	}
	want, err := os.ReadFile(filepath.Join("testdata", "version.golden"))
	if err != nil {
		t.Fatal(err)
	}
	if got := stdout.String(); got != string(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestHelp goes to stdout, with exit code 0, and names every command and flag.
func TestHelp(t *testing.T) {
	for args, want := range map[string][]string{
		"gowsgi":              {"run", "check", "version"},
		"gowsgi --help":       {"run", "check", "version"},
		"gowsgi run --help":   {"--bind", "--threads", "--graceful-timeout", "--chdir", "--python", "MODULE[:ATTRIBUTE]"},
		"gowsgi run app -h":   {"--bind"},
		"gowsgi check --help": {"--python", "Exit status: 0"},
		"gowsgi --version":    {"gowsgi version"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(args), &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
			t.Errorf("%s: exit %d, stderr %q", args, code, stderr.String())
		}
		for _, w := range want {
			if !strings.Contains(stdout.String(), w) {
				t.Errorf("%s does not mention %q", args, w)
			}
		}
	}
}

// cli's own way to a flag's names is what flagsOf spares it.
func TestFlagsKnowTheirNames(t *testing.T) {
	for _, f := range flagsOf() {
		var own cli.Flag
		switch f := f.(type) {
		case *boolFlag:
			own = f.BoolFlag
		case *listFlag:
			own = f.StringSliceFlag
		case *stringFlag:
			own = f.StringFlag
		default:
			t.Fatalf("%T", f)
		}
		if !slices.Equal(f.Names(), own.Names()) {
			t.Errorf("%v instead of %v", f.Names(), own.Names())
		}
	}
}
