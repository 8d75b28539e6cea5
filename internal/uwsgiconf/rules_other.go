package uwsgiconf

import (
	"path/filepath"
	"slices"
	"strings"
)

const hooksText = "programs and functions are not run at such times: a unit of systemd, or the hooks of a gunicorn.conf.py, can do it"

var otherRules = map[string]rule{
	"stats stats-server": does(func(c *converter, o Option) {
		address := o.Value
		if !strings.Contains(address, ":") || strings.HasPrefix(address, "/") {
			address = "unix:" + c.path(address)
		}
		if c.on("stats-http") {
			address = "http://" + strings.TrimPrefix(address, "unix:")
			if !strings.Contains(o.Value, ":") {
				c.say(Refused, "HTTP on a unix socket is not done: name HOST:PORT")
				return
			}
		}
		c.set(o, "stats", address)
	}),
	"stats-http": needless("see stats"),
	"stats-min stats-minified stats-no-cores stats-no-metrics": needless("the figures are the same"),
	"plugin plugins need-plugin need-plugins":                  does(plugins),
	"plugins-dir plugin-dir plugins-list plugin-list autoload": needless("there are no plugins"),
	"add-header": does(func(c *converter, o Option) {
		name, value, _ := strings.Cut(o.Value, ":")
		if strings.EqualFold(name, "connection") && strings.EqualFold(strings.TrimSpace(value), "close") {
			c.set(o, "keepalive", "0")
			return
		}
		c.say(Lost, "answers are the application's: let it, or nginx, add the field")
	}),
	"del-header rem-header collect-header pull-header response-header-collect": lost("answers are the application's: let it, or nginx, change their fields"),
	"show-config":         needless("see --print-config"),
	"print iprint":        needless("it prints something while uWSGI starts"),
	"fallback-config":     lost("a server that cannot start ends"),
	"envdir early-envdir": refused("set the variables with env"),
	"unenv":               refused("unset the variable before the server starts"),
	"force-cwd chdir2":    refused("say chdir"),
	"profiler":            lost("profile with py-spy or cProfile"),
	"backtrace-depth no-threads-wait signal-bufsize signals-bufsize rpc-max reaper": needless("nothing here needs it"),
	"locks": lost("uwsgi.lock() is refused: see docs/uwsgi.md"),
	"wait-for-fs wait-for-file wait-for-dir wait-for-mountpoint wait-for-interface wait-for-iface wait-for-socket": refused(
		"let the unit of systemd, or the container, wait for it"),
	"upload-progress":  lost("it is not told"),
	"vhost vhost-host": refused("names of hosts are not looked at: run a server for each"),
	"error-page-403 error-page-404 error-page-500": lost("let nginx show pages for errors: error_page"),
	"subscribe subscribe-to subscribe2":            refused("there is no router to register with: list the servers in nginx"),
	"notfound-log":                                 needless("the access log has it"),

	"pcre-jit":           needless("there are no routes"),
	"weight auto-weight": needless("there is no router"),
	"notify-socket":      needless("systemd is told when NOTIFY_SOCKET is there"),
}

// here are plugins whose work is done in any case; the number is that of a Python.
func plugins(c *converter, o Option) {
	here := []string{"python", "http", "corerouter", "cheaper_busyness", "gevent", "logfile", "logsocket", "syslog", "rsyslog",
		"stats_pusher_statsd", "router_static", "cheaper_backlog2", "0", "wsgi", "threads"}
	var other []string
	for name := range strings.SplitSeq(o.Value, ",") {
		name = strings.TrimSpace(name)
		base := strings.TrimRight(strings.TrimSuffix(filepath.Base(name), "_plugin.so"), "0123456789.")
		if name != "" && base != "" && !slices.Contains(here, base) && !slices.Contains(here, name) {
			other = append(other, name)
		}
	}
	if len(other) > 0 {
		c.say(Refused, "there are no plugins: "+strings.Join(other, ", "))
		return
	}
	c.say(Needless, "it is built in")
}

// family decides about options that have no rule of their own, by what they begin
// with.
func family(name string) (Fate, string) {
	for _, f := range families {
		for prefix := range strings.FieldsSeq(f.prefixes) {
			if strings.HasPrefix(name, prefix) {
				return Refused, f.text
			}
		}
	}
	return Lost, "it has no counterpart"
}

var families = []struct{ prefixes, text string }{
	{"route final-route error-route response-route", "there are no routes: let nginx decide, or the application; --max-body limits bodies"},
	{"attach- smart-attach- legion-attach legion-smart", "no other program is run beside the workers: have systemd, or the container, run it"},
	{"cron unique-cron curl-cron legion-cron timer rbtimer signal-timer signal-rbtimer", "nothing is run at times: use cron, a systemd timer, or Celery beat"},
	{"spooler", "there is no spooler: use a task queue such as Celery, RQ or Huey"},
	{"mule farm", "there are no mules: use a task queue such as Celery, RQ or Huey"},
	{"cache load-file-in-cache add-cache check-cache", "there is no cache: use Redis or memcached"},
	{"queue", "there is no queue: use Redis"},
	{"sharedarea py-sharedarea", "there is no memory that the workers share: use Redis"},
	{"hook- exec- call- mount-as umount- mount- worker-mount after-request", hooksText},
	{"emperor vassal imperial early-emperor zerg", "each application is a server of its own here: have systemd run them"},
	{"fastrouter rawrouter sslrouter http-subscription http-resubscribe http-use http-zerg forkpty tuntap subscription",
		"there is no router: nginx does that work"},
	{"https sni ssl suwsgi", "TLS has --certfile and --keyfile alone"},
	{"cgi php psgi perl rack rails ruby rb rvm gemset lua jwsgi jvm ring clojure mono go gccgo v8 pypy xslt webdav pty zeromq zmq mongrel2 symcall dumbloop",
		"Python applications are served, by WSGI, and nothing else"},
	{"http-websockets websocket", "WebSockets are not spoken: use uvicorn or granian for those"},
	{"alarm log-alarm segfault-alarm lq-alarm listen-queue-alarm backlog-alarm not-log-alarm not-alarm-log metric-alarm", "there are no alarms: watch the log, or --stats"},
	{"legion", "there are no legions"},
	{"jail pivot namespace ns setns unshare cgroup cap", "use the sandboxing of a unit of systemd, or a container"},
	{"remap-modifier allowed-modifiers http-modifier http-var", "it is not done here: let nginx set it"},
}
