package uwsgiconf

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/internal/settings"
)

// converted reads a section's lines and converts them.
func converted(t *testing.T, lines string) *Conversion {
	t.Helper()
	dir := folder(t, map[string]string{"t.ini": "[uwsgi]\n" + lines})
	options, err := Read("t.ini", INI, nil, dir)
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return Convert(options)
}

// alike is what every conversion of these tests has.
var alike = []string{"timeout 0", "uwsgi_module true", `accesslog "-"`}

// values are the settings that differ from the default, but for those.
func values(t *testing.T, c *Conversion) string {
	t.Helper()
	var all []string
	for i := range settings.All {
		s := &settings.All[i]
		if !c.Values.IsSet(s.Name) {
			continue
		}
		text, err := json.Marshal(c.Values.Complete()[s.Name])
		if err != nil {
			t.Fatal(err)
		}
		if one := s.Name + " " + string(text); !slices.Contains(alike, one) {
			all = append(all, one)
		}
	}
	if c.App != "" {
		all = append(all, "app "+c.App)
	}
	return strings.Join(all, ", ")
}

// TestSettings: what options come to; separated by "; ", the settings in the order
// of the table.
func TestSettings(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ in, want string }{
		{"module = a.b", "app a.b"},
		{"module = a.b; callable = app", "app a.b:app"},
		{"callable = app; wsgi = a.b", "app a.b:app"},
		{"module = a.b:x; callable = app", "app a.b:x"},
		{"module = a.b:make()", "app a.b:make()"},
		{"wsgi-file = /srv/app.py", "app file:/srv/app.py:application"},
		{"file = sub/app.wsgi; callable = app", "app file:sub/app.wsgi:app"},
		{"wsgi-file = /srv/app.py; module = a.b", "app a.b"},
		{"mount = /a=m:app; module = x", `mounts ["/a=m:app"], app x`},
		{"mount = /a=m:app; mount = /b=/srv/b.py; callable = go", `mounts ["/a=m:app","/b=file:/srv/b.py:go"], app m:app`},
		{"mount = /a=m:app; no-default-app =", `mounts ["/a=m:app"]`},

		{"socket = 127.0.0.1:3031", `bind ["uwsgi://127.0.0.1:3031"]`},
		{"socket = :3031", `bind ["uwsgi://:3031"]`},
		{"socket = [::1]:3031", `bind ["uwsgi://[::1]:3031"]`},
		{"socket = /run/a.sock", `bind ["uwsgi+unix:/run/a.sock"]`},
		{"socket = a.sock", `bind ["uwsgi+unix:a.sock"]`},
		{"uwsgi-socket = :3031; http-socket = :80; http = :81", `bind ["uwsgi://:3031",":80",":81"]`},
		{"http11-socket = /run/a.sock", `bind ["unix:/run/a.sock"]`},
		{"socket = :80; protocol = http", `bind [":80"]`},
		{"protocol = HTTP; socket = /run/a:b.sock", `bind ["unix:/run/a:b.sock"]`},
		{"socket = fd://4", `bind ["fd://4"]`},
		{"https = :443,/c.pem,/k.pem", `bind [":443"], keyfile "/k.pem", certfile "/c.pem"`},
		{"https-socket = :443,c.pem,k.pem,HIGH,!ca.pem; chdir = /srv", `bind [":443"], chdir "/srv", keyfile "/srv/k.pem", certfile "/srv/c.pem", cert_reqs 2, ca_certs "/srv/ca.pem"`},
		{"listen = 1024", "backlog 1024"},
		{"reuse-port =", "reuse_port true"},
		{"chmod-socket = 664", "socket_mode 436"},
		{"chmod-socket =", "socket_mode 438"},
		{"chown-socket = www-data:www-data", `socket_owner "www-data:www-data"`},
		{"http-keepalive = 30", "keepalive 30"},
		{"http-keepalive =", ""},
		{"add-header = Connection: close", "keepalive 0"},
		{"socket-timeout = 300", "read_timeout 300, write_timeout 300"},
		{"enable-proxy-protocol =", `proxy_protocol "auto"`},

		{"processes = 4; lazy-apps = true", "workers 4"},
		{"workers = 4", "workers 4, preload_app true"},
		{"workers = 4; lazy = off", "workers 4, preload_app true"},
		{"processes = 1", ""},
		{"processes = 4 ; four; lazy-apps =", "workers 4"},
		{"processes = 10; cheaper = 2; lazy-apps =", "workers 2, min_workers 2, max_workers 10"},
		{"processes = 10; cheaper = 2; cheaper-initial = 5; lazy-apps =", "workers 5, min_workers 2, max_workers 10"},
		{"processes = 10; cheaper = 0; lazy-apps =", "min_workers 1, max_workers 10"},
		{"processes = 2; cheaper = 2; lazy-apps =", "workers 2"},
		{"processes = 4; cheaper-initial = 1; lazy-apps =", "workers 4"},
		{"threads = 8", "threads 8"},
		{"gevent = 100", "threads 64"},
		{"harakiri = 20", "timeout 20"},
		{"max-requests = 500; max-requests-delta = 10", "max_requests 500, max_requests_jitter 10"},
		{"max-worker-lifetime = 3600", "max_lifetime 3600"},
		{"reload-on-rss = 512", "max_rss 536870912"},
		{"evil-reload-on-rss = 0.5", "max_rss 524288"},
		{"worker-reload-mercy = 60", "graceful_timeout 60"},
		{"reload-mercy = 5; worker-reload-mercy = 8", "graceful_timeout 8"},
		{"touch-reload = /a; touch-chain-reload = b; chdir = /srv", `chdir "/srv", touch_reload ["/a","/srv/b"]`},
		{"py-autoreload = 1", "reload true"},
		{"py-autoreload = 0", ""},

		{"buffer-size = 32768", "limit_request_line 32768, limit_request_field_size 32768, buffer_size 32768"},
		{"buffer-size = 4096", "limit_request_line 4096, buffer_size 4096"},
		{"buffer-size = 65536", "limit_request_line 65535, limit_request_field_size 65535"},
		{"limit-post = 1048576", "max_body 1048576"},

		{"home = /venv", `python "/venv/bin/python"`},
		{"virtualenv = venv; chdir = /srv", `chdir "/srv", python "/srv/venv/bin/python"`},
		{"pythonpath = /a; pp = b", `pythonpath "/a,b"`},
		{"env = A=1; env = B=x=y; env = C", `raw_env ["A=1","B=x=y","C="]`},
		{"uid = www-data; gid = 33", `user "www-data", group "33"`},
		{"umask = 022", "umask 18"},
		{"pidfile = /run/a.pid", `pidfile "/run/a.pid"`},
		{"safe-pidfile = a.pid; chdir = /srv", `chdir "/srv", pidfile "` + here + `/a.pid"`}, // uWSGI writes it before chdir
		{"pidfile2 = a.pid; chdir = /srv", `chdir "/srv", pidfile "/srv/a.pid"`},
		{"procname = app", `proc_name "app"`},

		{"static-map = /static=/srv/static; static-map = /m=media; chdir = /srv", `chdir "/srv", static_map ["/static=/srv/static","/m=/srv/media"]`},
		{"static-map2 = /images=/var/www", `static_map ["/images=/var/www/images"]`},
		{"check-static = /srv; static-index = index.html; static-safe = /s", `check_static ["/srv"], static_index ["index.html"], static_safe ["/s"]`},

		{"stats = 127.0.0.1:1717", `stats "127.0.0.1:1717"`},
		{"stats = /tmp/s.sock", `stats "unix:/tmp/s.sock"`},
		{"stats-server = s.sock; chdir = /srv", `chdir "/srv", stats "unix:/srv/s.sock"`},
		{"stats = :1717; stats-http = true", `stats "http://:1717"`},

		{"logto = /l", `accesslog "/l", errorlog "/l"`},
		{"logto = /l; disable-logging = true", `errorlog "/l"`},
		{"logto = /l; req-logger = file:/r", `accesslog "/r", errorlog "/l"`},
		{"logger = stdio", ""},
		{"logger = app file:/l", `accesslog "/l", errorlog "/l"`},
		{"logger = syslog:app", "syslog true"},
		{"logger = rsyslog:10.0.0.1:514,app", `syslog_addr "udp://10.0.0.1:514", syslog true`},
		{"daemonize = /l", `daemon true, accesslog "/l", errorlog "/l"`},
		{`log-format = %%(addr) "%%(method) %%(uri)" %%(var.HTTP_X_ID) 5%%%`, `access_log_format "%(h)s \"%(m)s %({raw_uri}e)s\" %({x-id}i)s 5%%"`},
	} {
		c := converted(t, strings.ReplaceAll(tt.in, "; ", "\n"))
		if got := values(t, c); got != tt.want || c.Err() != nil {
			t.Errorf("%s\ngot  %s, %v\nwant %s", tt.in, got, c.Err(), tt.want)
		}
	}
}

func TestImplied(t *testing.T) {
	c := converted(t, "module = a")
	for _, name := range []string{"timeout", "uwsgi_module", "accesslog"} {
		if !c.Values.IsSet(name) {
			t.Errorf("%s is not set", name)
		}
	}
	if c := converted(t, "disable-logging =\nharakiri = 30"); c.Values.IsSet("accesslog") || c.Values.IsSet("timeout") {
		t.Errorf("%v", c.Values.Complete())
	}
	if got := c.Values.Where("timeout"); got != "uWSGI's default" {
		t.Errorf("where %q", got)
	}
	if got := converted(t, "\nworkers = 3").Values.Where("workers"); got != "workers in t.ini:3" {
		t.Errorf("where %q", got)
	}
}

// TestFates: what is said of options; "+" kept, "-" needless, "!" lost, "x" refused.
func TestFates(t *testing.T) {
	for in, want := range map[string]string{
		"master = true": "- there always is one", "vacuum = 1": "-", "die-on-term = true": "-", "die-on-term = false": "!", "need-app =": "-",
		"thunder-lock = true": "-", "enable-threads = false": "-", "enable-threads = true": "-", "single-interpreter =": "-", "post-buffering = 1": "-",
		"plugins = python3,http": "-", "plugin = /usr/lib/python_plugin.so": "-", "plugins = python39": "-", "plugins = php": "x there are no plugins: php",
		"hook-master-start = unix_signal:15 gracefully_kill_them_all": "-", "hook-master-start = exec:x": "x",
		"module = a ; b": "! a comment behind a value", "processes = 4 ; four": "+", "processes = 4x": `! uWSGI takes "4x" for 4`, "harakiri = 60s": "!",
		"processes = -1": "x", "processes = 2000": "x it must be from 1 to 1000", "processes = x": "x", "chmod-socket = rw": "x",
		"base = /srv": "! uWSGI has no such option, and nothing uses it", "vaccum = true": "! uWSGI has no such option (did you mean vacuum?)",
		"base = /srv\nchdir = %(base)": "-", "set-ph = base=/srv": "-",
		"harakiri = $(NONE)": "x the variable NONE is not in the environment", "log-date = $(NONE)": "-",
		"route = ^/a break:403": "x there are no routes", "route-if = a": "x", "attach-daemon = celery": "x no other program", "cron = 0 0 1 1 1 x": "x nothing is run at times",
		"spooler = /s": "x", "mule =": "x", "mules = 2": "x", "cache2 = name=x": "x there is no cache", "queue = 10": "x", "sharedarea = 1": "x",
		"hook-pre-app = exec:x": "x", "exec-asap = x": "x", "emperor = /etc": "x", "zerg = x": "x", "fastrouter = :1": "x", "subscribe-to = x": "x", "http-to = x": "x",
		"http-websockets = true": "x", "http-websockets = false": "- off", "php-docroot = /": "x Python applications", "psgi = x": "x", "lua = x": "x",
		"import = a": "x", "paste = config:/x": "x", "eval = x": "x", "env =": "+", "envdir = /e": "x", "chroot = /": "x", "loop = gevent": "x",
		"fastcgi-socket = :9000": "x the protocol FastCGI", "socket = @abstract": "x", "socket = =0": "x", "socket =": "x", "protocol = scgi\nsocket = :1": "x",
		"https = :443": "x", "https = :443,a,b\nhttp = :80": "x HTTP sockets are all HTTPS", "mount = /a=x": "x", "mount = example.com=a:b": "x", "mount = /a": "x",
		"static-map = /a": "x", "static-expires = /a 1": "!", "offload-threads = 2": "-", "touch-logreopen = /x": "!", "log-4xx = true": "!", "reload-on-as = 100": "!",
		"add-header = X-A: b": "!", "stats-http = true\nstats = /x": "x", "carbon = 1.2.3.4:1": "! it has no counterpart", "gevent = 10": "!",
		"log-format = %%(wid)": "! the access log has no wid", "socket = 0.0.0.0:1": "! packets are taken from this machine only", "socket = 127.0.0.1:1": "+", "http = 0.0.0.0:1": "+",
		"logger = zmq:x": "!", "memory-report = true": "-",
	} {
		c := converted(t, in)
		worst := slices.MaxFunc(c.Notes, func(a, b Note) int { return int(a.Fate) - int(b.Fate) })
		sign, text, _ := strings.Cut(want, " ")
		if got := "+-!x"[worst.Fate : worst.Fate+1]; got != sign || !strings.HasPrefix(worst.Text, text) {
			t.Errorf("%q: %s %s (%s), want %s", in, got, worst.Text, worst.Name, want)
		}
		if (c.Err() != nil) != (sign == "x") || (len(c.Warnings()) > 0) != (sign == "!") && sign != "x" {
			t.Errorf("%q: error %v, warnings %q", in, c.Err(), c.Warnings())
		}
	}
}

func TestErrorNamesThePlace(t *testing.T) {
	c := converted(t, "module = a\n\ncron = 1 2 3 4 5 x\nroute = a b")
	if err := c.Err(); err == nil || !strings.HasPrefix(err.Error(), "t.ini:4: cron: nothing is run at times") {
		t.Errorf("%v", err)
	}
	c = converted(t, "\nlog-4xx = true")
	if got := c.Warnings(); len(got) != 1 || got[0] != "t.ini:3: log-4xx: the access log has all requests or none" {
		t.Errorf("%q", got)
	}
}

// TestEveryOptionHasAFate: whatever uWSGI knows is decided on, and is refused or lost
// if nothing is known of it.
func TestEveryOptionHasAFate(t *testing.T) {
	counts := map[Fate]int{}
	for name := range known() {
		if immediate[name] != nil || logics[name] != nil || strings.HasPrefix(name, "end") || name == "inherit" {
			continue // the reader's
		}
		c := Convert([]Option{{Name: name, Value: "1"}})
		if n := c.Notes[0]; n.Fate != Kept && n.Text == "" {
			t.Errorf("%s: %v without a word", name, n.Fate)
		} else {
			counts[n.Fate]++
		}
	}
	for name := range rules {
		if _, ok := known()[name]; !ok {
			t.Errorf("there is a rule for %s, which uWSGI does not have", name)
		}
	}
	if counts[Kept] < 60 || counts[Needless] < 100 || counts[Refused] < 400 {
		t.Errorf("counts %v", counts)
	}
	for _, f := range families {
		for prefix := range strings.FieldsSeq(f.prefixes) {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(known())), func(name string) bool {
				fate, text := family(name)
				return rules[name].text == "" && rules[name].set == nil && strings.HasPrefix(name, prefix) && fate == Refused && text == f.text
			}) {
				t.Errorf("no option has %q's reason", prefix)
			}
		}
	}
}

func TestOptionsOfTheModule(t *testing.T) {
	c := converted(t, "env = A=1\nenv = B=2\nmaster\nbase = x\nchdir = %(base)")
	want := map[string][]string{"env": {"A=1", "B=2"}, "master": {""}, "base": {"x"}, "chdir": {"x"}}
	if fmt.Sprint(c.Options) != fmt.Sprint(want) {
		t.Errorf("%v", c.Options)
	}
}

func TestPythonPathPatterns(t *testing.T) {
	dir := folder(t, map[string]string{"v/lib/python3.9/x": "", "v/lib/python3.10/x": ""})
	c := converted(t, "pythonpath = "+dir+"/v/lib/*\npythonpath = "+dir+"/none*")
	want := strings.Join([]string{filepath.Join(dir, "v/lib/python3.10"), filepath.Join(dir, "v/lib/python3.9"), dir + "/none*"}, ",")
	if got := c.Values.String("pythonpath"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
