package uwsgiconf

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gowsgi/gowsgi/internal/settings"
)

var bindSetting = settings.Lookup("bind")

// rule is what to do with an option: set something, or just say text.
type rule struct {
	set      func(*converter, Option)
	fate     Fate
	text     string
	negative bool // a switch that matters when it is off too
}

// text, whole and the others make rules that set one setting.
func text(name string) rule {
	return rule{set: func(c *converter, o Option) { c.set(o, name, o.Value) }}
}

func inFolder(name string) rule {
	return rule{set: func(c *converter, o Option) { c.set(o, name, c.path(o.Value)) }}
}

func listed(name string) rule {
	return rule{set: func(c *converter, o Option) { c.append(o, name, o.Value) }}
}

func listedPath(name string) rule {
	return rule{set: func(c *converter, o Option) { c.append(o, name, c.path(o.Value)) }}
}

func whole(name string, note string) rule {
	return rule{set: func(c *converter, o Option) { c.set(o, name, strconv.Itoa(c.number(o))); c.remark(note) }}
}

func megabytes(name string) rule {
	return rule{set: func(c *converter, o Option) {
		if f, err := strconv.ParseFloat(o.Value, 64); err == nil && strings.Contains(o.Value, ".") {
			c.set(o, name, strconv.Itoa(int(f*(1<<20))))
			return
		}
		c.set(o, name, strconv.Itoa(c.number(o)<<20))
	}}
}

func does(set func(*converter, Option)) rule { return rule{set: set} }
func needless(text string) rule              { return rule{fate: Needless, text: text} }
func lost(text string) rule                  { return rule{fate: Lost, text: text} }
func refused(text string) rule               { return rule{fate: Refused, text: text} }

// remark adds to what is said of an option that was kept.
func (c *converter) remark(text string) {
	if text != "" {
		c.add(c.note.Fate, text)
	}
}

// rules has what is known of uWSGI's options; family knows of the rest.
var rules = map[string]rule{}

func init() {
	for _, group := range []map[string]rule{applicationRules, socketRules, processRules, limitRules, fileRules, logRules, otherRules} {
		for names, r := range group {
			for name := range strings.FieldsSeq(names) {
				if _, twice := rules[name]; twice {
					panic("uwsgiconf: two rules for " + name)
				}
				rules[name] = r
			}
		}
	}
}

// each key below may be several names.

var applicationRules = map[string]rule{
	"module wsgi":    does(func(c *converter, o Option) { c.module = o }),
	"file wsgi-file": does(func(c *converter, o Option) { c.file = o }),
	"callable":       does(func(c *converter, o Option) { c.callable = o }),
	"mount": does(func(c *converter, o Option) {
		path, app, ok := strings.Cut(o.Value, "=")
		switch {
		case !ok || path == "" || app == "":
			c.say(Refused, "it must be /PATH=MODULE:APP")
		case path[0] != '/':
			c.say(Refused, "names of hosts are not looked at: it must be /PATH=MODULE:APP")
		case strings.HasSuffix(app, ".py"), strings.HasSuffix(app, ".wsgi"):
			c.append(o, "mounts", path+"="+c.fileSpec(app))
		case strings.Contains(app, ":"):
			c.append(o, "mounts", o.Value)
		default:
			c.say(Refused, "only MODULE:APP and files of Python can be mounted")
		}
	}),
	"manage-script-name": needless("a mount always takes its path from PATH_INFO"),
	"no-default-app":     needless("see mount"),
	"chdir":              text("chdir"),
	"pythonpath python-path pp": does(func(c *converter, o Option) {
		c.lists = orMap(c.lists)
		found, err := filepath.Glob(c.path(o.Value))
		if err != nil || len(found) == 0 || !strings.ContainsAny(o.Value, "*?[") {
			found = []string{o.Value}
		}
		c.lists["pythonpath"] = append(c.lists["pythonpath"], found...)
		c.set(o, "pythonpath", strings.Join(c.lists["pythonpath"], ","))
	}),
	"home virtualenv venv pyhome": does(func(c *converter, o Option) { c.set(o, "python", filepath.Join(c.path(o.Value), "bin", "python")) }),
	"env": does(func(c *converter, o Option) {
		if !strings.Contains(o.Value, "=") {
			o.Value += "="
		}
		c.append(o, "raw_env", o.Value)
	}),
	"need-app":           needless("an application that does not load ends the server"),
	"lazy-apps lazy":     needless("each worker imports the application itself"),
	"single-interpreter": needless("there is one interpreter in each worker"),
	"enable-threads":     needless("threads of the application always run"),
	"py-call-osafterfork py-call-uwsgi-fork-hooks":               needless("Python knows of its forks"),
	"wsgi-disable-file-wrapper":                                  needless("wsgi.file_wrapper takes any file, in memory too"),
	"wsgi-accept-buffer wsgi-accept-buffers":                     lost("the application must give bytes (PEP 3333)"),
	"wsgi-strict":                                                needless("PEP 3333 is kept"),
	"wsgi-env-behavior wsgi-env-behaviour":                       needless("each request has an environ of its own"),
	"wsgi-manage-chunked-input http-chunked-input http-raw-body": needless("chunked bodies are taken, whole, with wsgi.input_terminated"),
	"honour-stdin close-on-exec close-on-exec2":                  needless("it is so"),
	"py-auto-reload py-autoreload python-auto-reload python-autoreload": does(func(c *converter, o Option) {
		if c.number(o) > 0 {
			c.set(o, "reload", true)
			c.remark("changes are seen at once")
		}
	}),
	"py-executable py-sys-executable": needless("sys.executable is that of the virtual environment"),
	"py-tracebacker":                  lost("a request that takes longer than --timeout has its stack logged; py-spy shows those of others"),
	"pyargv":                          lost("sys.argv is [\"gowsgi\"]"),
	"optimize":                        lost("set PYTHONOPTIMIZE in the environment"),
	"no-site":                         refused("Python is started with its site"),
	"import pyimport py-import python-import shared-import shared-pyimport shared-py-import shared-python-import": refused(
		"import the module in the application's own"),
	"pymodule-alias post-pymodule-alias": refused("put the module under that name where Python finds it"),
	"exception-handler":                  lost("what the application raises goes to the log"),
	"catch-exceptions":                   lost("clients are not shown what the application raises: --debug-errors does, in development"),
	"reload-os-env":                      lost("os.environ is not read anew"),
	"eval":                               refused("write the code into a module"),
	"paste paste-logger paste-name":      refused("write a module with application = paste.deploy.loadapp(\"config:/path/to/FILE\") and name that"),
	"pecan":                              refused("write a module with application = pecan.deploy.deploy(\"FILE\") and name that"),
	"web3 pump wsgi-lite python-raw":     refused("only WSGI is served"),
	"python py pyrun pyshell pyshell-oneshot python-worker-override": refused("run it with Python itself"),
}

func orMap(m map[string][]string) map[string][]string {
	if m == nil {
		m = map[string][]string{}
	}
	return m
}

var socketRules = map[string]rule{
	"socket":                                            does(listens("")),
	"uwsgi-socket":                                      does(listens("uwsgi")),
	"http httprouter":                                   does(listens("http")),
	"http-socket http11-socket":                         does(listens("http")),
	"https https-socket":                                does(listens("https")),
	"fastcgi-socket fastcgi-nph-socket":                 does(listens("FastCGI")),
	"scgi-socket scgi-nph-socket":                       does(listens("SCGI")),
	"raw-socket puwsgi-socket":                          does(listens("of this socket")),
	"protocol socket-protocol":                          does(func(c *converter, o Option) { c.protocol = strings.ToLower(o.Value) }),
	"http-to-https":                                     refused("redirect in nginx"),
	"http-to http-use-socket http-fallback":             refused("requests are served by this server's own workers: let nginx pass them to others"),
	"shared-socket undeferred-shared-socket map-socket": refused("name the address itself"),
	"listen":     whole("backlog", ""),
	"reuse-port": rule{set: func(c *converter, o Option) { c.set(o, "reuse_port", true) }},
	"vacuum":     needless("sockets and the pid file are always removed"),
	"http-keepalive so-keepalive": does(func(c *converter, o Option) {
		if o.Name == "http-keepalive" && c.number(o) > 1 {
			c.set(o, "keepalive", strconv.Itoa(c.number(o)))
			return
		}
		c.say(Needless, "connections are kept for --keep-alive seconds")
	}),
	"http-auto-chunked":    needless("an answer without a length is chunked for HTTP/1.1"),
	"http-manage-expect":   needless("Expect: 100-continue is answered"),
	"http-timeout":         lost("an answer may take as long as harakiri says"),
	"http-headers-timeout": whole("header_timeout", ""),
	"http-connect-timeout http-buffer-size http-events http-processes http-workers http-quiet http-cheap http-post-buffering http-post-buffering-dir http-gracetime": needless(
		"there is no process between the client and the workers"),
	"http-enable-proxy-protocol enable-proxy-protocol": does(func(c *converter, o Option) { c.set(o, "proxy_protocol", "auto") }),
	"socket-timeout": does(func(c *converter, o Option) {
		seconds := strconv.Itoa(max(1, c.number(o)))
		c.set(o, "read_timeout", seconds)
		c.set(o, "write_timeout", seconds)
	}),
	"socket-send-timeout socket-write-timeout so-send-timeout so-write-timeout": does(func(c *converter, o Option) {
		c.set(o, "write_timeout", strconv.Itoa(max(1, c.number(o))))
	}),
	"tcp-nodelay tcp-fast-open tcp-fastopen no-defer-accept socket-sndbuf socket-rcvbuf freebind": needless("it is left to the system"),
	"umask": text("umask"),
}

var processRules = map[string]rule{
	"processes workers": whole("workers", ""),
	"threads":           whole("threads", ""),
	"master":            needless("there always is one"),
	"cheaper":           does(func(c *converter, o Option) { c.number(o) }),
	"cheaper-initial": does(func(c *converter, o Option) {
		c.number(o)
		if _, ok := c.last["cheaper"]; !ok {
			c.say(Needless, "it says nothing without cheaper")
		}
	}),
	"cheaper-algo cheaper-step cheaper-overload cheaper-busyness-backlog-alert cheaper-busyness-backlog-multiplier " +
		"cheaper-busyness-backlog-nonzero cheaper-busyness-backlog-step cheaper-busyness-max cheaper-busyness-min " +
		"cheaper-busyness-multiplier cheaper-busyness-penalty cheaper-busyness-verbose": needless("workers are started while requests wait, and ended when some are idle"),
	"cheaper-rss-limit-soft cheaper-rss-limit-hard": lost("memory does not limit how many workers there are"),
	"idle cheap die-on-idle":                        lost("at least one worker is there at any time"),
	"harakiri":                                      whole("timeout", "the log has the Python stack; other requests of the worker finish"),
	"harakiri-verbose":                              needless("the log has the Python stack"),
	"harakiri-graceful-timeout harakiri-graceful-signal harakiri-queue-threshold harakiri-no-arh no-harakiri-arh no-harakiri-after-req-hook": needless(
		"the request is given up, its worker replaced once its others are done"),
	"max-requests":                     whole("max_requests", ""),
	"max-requests-delta":               whole("max_requests_jitter", "by chance rather than by the worker's number"),
	"max-worker-lifetime":              whole("max_lifetime", ""),
	"max-worker-lifetime-delta":        needless("lifetimes differ by up to a tenth"),
	"min-worker-lifetime":              needless("a worker is replaced only when another serves"),
	"reload-on-rss evil-reload-on-rss": megabytes("max_rss"),
	"reload-on-as evil-reload-on-as reload-on-uss reload-on-pss": lost("only resident memory is looked at: reload-on-rss"),
	"reload-on-exception reload-on-exception-type reload-on-exception-value reload-on-exception-repr": lost(
		"a worker goes on after an exception"),
	"reload-on-fd brutal-reload-on-fd": refused("it is not done here"),
	"worker-reload-mercy reload-mercy": does(func(c *converter, o Option) {
		if other, ok := c.last["worker-reload-mercy"]; ok && other.Name != o.Name {
			c.say(Needless, "see worker-reload-mercy")
			return
		}
		c.set(o, "graceful_timeout", strconv.Itoa(max(1, c.number(o))))
	}),
	"die-on-term": rule{negative: true, set: func(c *converter, o Option) {
		c.say(Needless, "TERM stops the server")
		if !truth(o.Value) {
			c.say(Lost, "TERM stops the server; HUP reloads it")
		}
	}},
	"hook-master-start": does(func(c *converter, o Option) {
		if n, signal, ok := strings.Cut(o.Value, " "); ok && (n == "unix_signal:15" || n == "unix_signal:TERM") &&
			slices.Contains([]string{"gracefully_kill_them_all", "graceful"}, strings.TrimSpace(signal)) {
			c.say(Needless, "TERM lets requests finish")
			return
		}
		c.say(Refused, hooksText)
	}),
	"no-orphans": needless("workers end with their master"),
	"thunder-lock thunder-lock-watchdog lock-engine ftok": needless("one worker takes a connection"),
	"gevent": does(func(c *converter, o Option) {
		n := c.number(o)
		c.set(o, "threads", strconv.Itoa(max(1, min(n, greenThreads))))
		c.add(Lost, fmt.Sprintf("there are no greenlets: up to %d threads run the application in each worker", greenThreads))
	}),
	"gevent-monkey-patch gevent-early-monkey-patch gevent-wait-for-hub": needless("threads need no patched modules"),
	"async ugreen": lost("threads run the application: see --threads"),
	"loop asyncio tornado greenlet stackless fiber coroae":                    refused("there are no event loops: threads run the application"),
	"thread-stack-size thread-stacksize threads-stack-size threads-stacksize": needless("stacks are as large as the system has them"),
	"touch-reload touch-workers-reload touch-chain-reload":                    listedPath("touch_reload"),
	"fs-reload fs-brutal-reload":                                              refused("--reload watches the application's files, --reload-extra-file others"),
	"master-fifo":                                                             lost("signals do what it does: HUP reloads, TERM stops, TTIN and TTOU add and remove a worker"),
	"exit-on-reload re-fork refork re-fork-as-root refork-as-root re-fork-post-jail refork-post-jail": needless("a reload starts new processes"),
	"skip-atexit skip-atexit-teardown": lost("functions of atexit run when a worker ends"),
	"worker-exec worker-exec2":         refused("workers run the application"),
	"cpu-affinity":                     lost("the system decides: taskset can"),
	"ping ping-timeout heartbeat":      needless("workers are asked once a second"),
}

var limitRules = map[string]rule{
	"buffer-size":            does(bufferSize),
	"limit-post":             whole("max_body", ""),
	"post-buffering":         needless("bodies are always read before the application is called"),
	"post-buffering-bufsize": needless("see --body-memory"),
	"limit-as limit-nproc":   lost("the system limits it: LimitAS and LimitNPROC in a unit of systemd, or ulimit"),
	"max-fd":                 needless("the limit is raised to what the system allows"),
	"max-vars":               lost("see --limit-request-fields"),
	"response-headers-limit": needless("an answer may have any number of fields"),
	"chunked-input-limit chunked-input-timeout body-read-warning": needless("bodies are read before the application is called"),
	"ignore-sigpipe ignore-write-errors disable-write-exception write-errors-tolerance write-errors-exception-only": needless(
		"a client that leaves raises nothing in the application"),
	"ksm never-swap prio unshare": lost("it is left to the system"),
}

// bufferSize: in uWSGI it holds a request's whole head.
func bufferSize(c *converter, o Option) {
	n := min(c.number(o), maxPacket)
	if s := settings.Lookup("buffer_size"); s != nil {
		c.set(o, "buffer_size", strconv.Itoa(n))
	}
	for _, name := range []string{"limit_request_line", "limit_request_field_size"} {
		if n > settings.Lookup(name).Default.(int) {
			c.set(o, name, strconv.Itoa(n))
		}
	}
}

// maxPacket is what the size of a uwsgi packet has room for.
const maxPacket = 65535

var fileRules = map[string]rule{
	"static-map": does(func(c *converter, o Option) {
		path, dir, ok := strings.Cut(o.Value, "=")
		if !ok || path == "" || dir == "" {
			c.say(Refused, "it must be /PATH=DIR")
			return
		}
		c.append(o, "static_map", path+"="+c.path(dir))
	}),
	"static-map2": does(func(c *converter, o Option) {
		path, dir, ok := strings.Cut(o.Value, "=")
		if !ok || path == "" || dir == "" {
			c.say(Refused, "it must be /PATH=DIR")
			return
		}
		c.append(o, "static_map", path+"="+filepath.Join(c.path(dir), path))
	}),
	"check-static":         listedPath("check_static"),
	"static-index":         listed("static_index"),
	"static-safe":          listedPath("static_safe"),
	"static-check":         listedPath("check_static"),
	"check-static-docroot": refused("the folders are named here: --check-static"),
	"static-expires static-expires-mtime static-expires-path-info static-expires-path-info-mtime static-expires-type " +
		"static-expires-type-mtime static-expires-uri static-expires-uri-mtime": lost("files have Last-Modified and ETag, but no Expires: let nginx serve them"),
	"static-gzip static-gzip-all static-gzip-dir static-gzip-ext static-gzip-prefix static-gzip-suffix": lost("files are sent as they are: let nginx serve them"),
	"static-skip-ext": refused("leave such files out of the folder"),
	"static-cache-paths static-cache-paths-name": needless("paths are looked up at each request"),
	"fileserve-mode file-serve-mode":             lost("files are sent by this server"),
	"mimefile mime-file":                         needless("types are the system's"),
	"offload-threads offload-thread":             needless("files are sent without Python"),
	"pidfile":                                    does(func(c *converter, o Option) { c.set(o, "pidfile", absolute(o.Value)) }),
	"pidfile2":                                   inFolder("pidfile"),
	"safe-pidfile":                               does(func(c *converter, o Option) { c.set(o, "pidfile", absolute(o.Value)) }),
	"safe-pidfile2":                              inFolder("pidfile"),
	"uid":                                        text("user"),
	"gid":                                        text("group"),
	"immediate-uid":                              text("user"),
	"immediate-gid":                              text("group"),
	"no-initgroups":                              needless("see --initgroups"),
	"add-gid":                                    lost("see --initgroups"),
	"drop-after-init drop-after-apps master-as-root": needless("the workers run as --user, the master stays who it is"),
	"chroot":             refused("use RootDirectory in a unit of systemd, or a container"),
	"chmod chmod-socket": does(socketMode),
	"chown-socket":       does(socketOwner),
	"abstract-socket":    refused("sockets in the abstract namespace are not listened on"),
	"procname":           text("proc_name"),
	"procname-master":    text("proc_name"),
	"auto-procname procname-prefix procname-prefix-spaced procname-append": lost("see --name"),
}

// absolute: uWSGI writes its pid file before chdir.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

func socketMode(c *converter, o Option) {
	mode := o.Value
	if mode == "" || mode == "true" {
		mode = "666"
	}
	if _, err := strconv.ParseUint(mode, 8, 16); err != nil {
		c.say(Refused, "it must be a mode such as 660")
		return
	}
	c.set(o, "socket_mode", mode)
}

func socketOwner(c *converter, o Option) { c.set(o, "socket_owner", o.Value) }

var logRules = map[string]rule{
	"disable-logging": needless("no access log"),
	"logto logto2":    does(func(c *converter, o Option) { c.set(o, "errorlog", o.Value) }),
	"daemonize daemonize2": does(func(c *converter, o Option) {
		c.set(o, "daemon", true)
		c.set(o, "errorlog", absolute(o.Value))
	}),
	"logger":                does(func(c *converter, o Option) { logger(c, o, "errorlog") }),
	"req-logger logger-req": does(func(c *converter, o Option) { logger(c, o, "accesslog") }),
	"log-format logformat": does(func(c *converter, o Option) {
		format, missing := logFormat(o.Value)
		c.set(o, "access_log_format", format)
		if len(missing) > 0 {
			c.add(Lost, "the access log has no "+strings.Join(missing, ", "))
		}
	}),
	"logformat-strftime log-format-strftime log-date logdate log-master log-micros log-prefix log-zero log-ioerror log-sendfile log-truncate log-drain " +
		"threaded-logger log-master-bufsize  log-x-forwarded-for": needless("the log has a form of its own"),
	"log-4xx log-5xx log-slow log-big":                                      lost("the access log has all requests or none"),
	"log-maxsize log-backupname log-reopen touch-logrotate touch-logreopen": lost("let logrotate move the log, and send USR1 to the master"),
	"logfile-chown logfile-chmod":                                           needless("the log belongs to --user"),
	"log-encoder log-req-encoder log-route log-req-route log-filter":        lost("see --log-json and --access-logformat"),
	"log-syslog": does(func(c *converter, o Option) {
		c.set(o, "syslog", true)
		if o.Value != "" && o.Value != "true" {
			c.set(o, "syslog_prefix", o.Value)
		}
	}),
	"memory-report": needless("--stats has each worker's memory"),
}

// logger reads uWSGI's [NAME] PLUGIN[:WHERE].
func logger(c *converter, o Option, setting string) {
	value := o.Value
	if name, rest, ok := strings.Cut(value, " "); ok && !strings.Contains(name, ":") {
		value = rest
	}
	kind, where, _ := strings.Cut(value, ":")
	switch kind {
	case "file":
		where, _, _ = strings.Cut(where, ",")
		where = strings.TrimPrefix(where, "logfile=")
		c.set(o, setting, where)
	case "stdio":
		c.set(o, setting, "-")
	case "syslog":
		c.set(o, "syslog", true)
	case "rsyslog":
		host, _, _ := strings.Cut(where, ",")
		if !strings.Contains(host, ":") {
			host += ":514"
		}
		c.set(o, "syslog", true)
		c.set(o, "syslog_addr", "udp://"+host)
	default:
		c.say(Lost, "logs go to a file, the terminal or syslog")
	}
}

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
