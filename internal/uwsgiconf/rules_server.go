package uwsgiconf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gowsgi/gowsgi/internal/settings"
)

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
