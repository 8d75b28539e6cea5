package uwsgiconf

import (
	"path/filepath"
	"strconv"
	"strings"
)

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
