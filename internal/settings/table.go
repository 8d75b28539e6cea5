package settings

// The table. Defaults are gunicorn's where RATIONALE.md gives no reason for others.

var configFile = section("Config File",
	Setting{Name: "config", Flags: []string{"config", "c"}, Kind: String, Default: "./gunicorn.conf.py",
		Usage: "read settings from `CONFIG`: a file, file:PATH or python:MODULE"},
	Setting{Name: "wsgi_app", Kind: String, Note: "the application when the command line names none"},
)

var serverSocket = section("Server Socket",
	Setting{Name: "bind", Flags: []string{"bind", "b"}, Kind: List, Default: []string{"127.0.0.1:8000"}, Env: "PORT",
		Usage: "listen on `ADDRESS`: HOST:PORT, unix:PATH or fd://N (repeatable); uwsgi://HOST:PORT, uwsgi+unix:PATH and uwsgi+fd://N for web servers that speak the uwsgi protocol; with PORT in the environment 0.0.0.0:$PORT is the default"},
	Setting{Name: "backlog", Flags: []string{"backlog"}, Kind: Int, Default: 2048, Min: 1, Max: 1 << 16,
		Usage: "connections that wait to be accepted, `N`"},
)

var workerProcesses = section("Worker Processes",
	Setting{Name: "workers", Flags: []string{"workers", "w"}, Kind: Int, Default: 1, Min: 1, Max: 1000, Env: "WEB_CONCURRENCY",
		Usage: "`N` processes that run the application"},
	Setting{Name: "worker_class", Flags: []string{"worker-class", "k"}, Kind: String, Default: "sync",
		Usage: "gunicorn's worker `CLASS`: sync, gthread; gevent and eventlet run as threads",
		Note:  "sync and gthread are the same here; gevent, eventlet, tornado and meinheld become threads, with a warning; ASGI classes are refused"},
	Setting{Name: "threads", Flags: []string{"threads"}, Kind: Int, Default: 1, Min: 1, Max: 1000,
		Usage: "`N` requests run in Python at a time, in each worker"},
	Setting{Name: "worker_connections", Flags: []string{"worker-connections"}, Kind: Int, Default: 1000, Min: 1, Max: 1 << 20,
		State: Ignored, Note: "connections cost no thread here; --threads is what runs at a time, --queue-size what waits",
		Usage: "gunicorn's limit of connections, `N`"},
	Setting{Name: "max_requests", Flags: []string{"max-requests"}, Kind: Int, Default: 0,
		Usage: "replace a worker that has served `N` requests; 0 for never"},
	Setting{Name: "max_requests_jitter", Flags: []string{"max-requests-jitter"}, Kind: Int, Default: 0,
		Usage: "up to `N` requests more, by chance, so that workers are not replaced at the same time"},
	Setting{Name: "timeout", Flags: []string{"timeout", "t"}, Kind: Seconds, Default: 30.0,
		Usage: "`SECONDS` that the application may go without giving the client anything, 0 for no limit; then the client gets 504, the log the Python stacks, and the worker is replaced",
		Note:  "for each request, whatever the worker class; the log shows where Python was"},
	Setting{Name: "graceful_timeout", Flags: []string{"graceful-timeout"}, Kind: Seconds, Default: 30.0,
		Usage: "`SECONDS` that requests may take to finish when a worker or the server stops"},
	Setting{Name: "keepalive", Flags: []string{"keep-alive"}, Kind: Seconds, Default: 75.0,
		Usage: "`SECONDS` an idle connection is kept; 0 closes each after its answer",
		Note:  "75 s instead of 2 s: an idle connection holds no thread"},
	Setting{Name: "min_workers", Flags: []string{"min-workers"}, Kind: Int, Default: 0, Max: 1000, Ours: true,
		Usage: "with --max-workers: at least `N` workers; 0: as many as --workers"},
	Setting{Name: "max_workers", Flags: []string{"max-workers"}, Kind: Int, Default: 0, Max: 1000, Ours: true,
		Usage: "start more workers, up to `N`, while requests have to wait, and end them again; 0: always --workers"},
	Setting{Name: "max_rss", Flags: []string{"max-rss"}, Kind: Int, Default: 0, Ours: true,
		Usage: "replace a worker that holds more than `BYTES` of memory; 0 for no limit"},
	Setting{Name: "max_lifetime", Flags: []string{"max-lifetime"}, Kind: Seconds, Default: 0.0, Ours: true,
		Usage: "replace a worker after `SECONDS`, up to a tenth more; 0 for never"},
	Setting{Name: "stuck_timeout", Flags: []string{"stuck-timeout"}, Kind: Seconds, Default: 60.0, Ours: true,
		Usage: "`SECONDS` for which C code may keep every Python thread from running before the worker is replaced; 0 for no limit"},
	Setting{Name: "queue_size", Flags: []string{"queue-size"}, Kind: Int, Default: 2048, Min: 1, Max: 1 << 24, Ours: true,
		Usage: "`N` requests may wait for a thread; further ones get 503"},
	Setting{Name: "queue_timeout", Flags: []string{"queue-timeout"}, Kind: Seconds, Default: 30.0, Min: 0.001, Max: maxSeconds, Ours: true,
		Usage: "`SECONDS` a request may wait for a thread before it gets 503"},
)

var security = section("Security",
	Setting{Name: "limit_request_line", Flags: []string{"limit-request-line"}, Kind: Int, Default: 4094, Max: 1 << 30, Usage: "`BYTES` of a request line, 0 for no limit but 1 MiB for the whole head"},
	Setting{Name: "limit_request_fields", Flags: []string{"limit-request-fields"}, Kind: Int, Default: 100, Max: 32768, Usage: "header fields in a request, `N`, 0 for 32768"},
	Setting{Name: "limit_request_field_size", Flags: []string{"limit-request-field_size", "limit-request-field-size"}, Kind: Int, Default: 8190, Max: 1 << 30,
		Usage: "`BYTES` of a header field, 0 for gunicorn's 8190"},
	Setting{Name: "max_body", Flags: []string{"max-body"}, Kind: Int, Default: 0, Ours: true, Usage: "`BYTES` of a request's body, 0 for no limit"},
	Setting{Name: "body_memory", Flags: []string{"body-memory"}, Kind: Int, Default: 1 << 20, Ours: true,
		Usage: "`BYTES` of a request's body kept in memory; a longer one goes to a temporary file"},
	Setting{Name: "header_timeout", Flags: []string{"header-timeout"}, Kind: Seconds, Default: 60.0, Min: 0.001, Max: maxSeconds, Ours: true,
		Usage: "`SECONDS` a request's head may take to arrive"},
	Setting{Name: "read_timeout", Flags: []string{"read-timeout"}, Kind: Seconds, Default: 60.0, Min: 0.001, Max: maxSeconds, Ours: true,
		Usage: "`SECONDS` without a byte of a request's body"},
	Setting{Name: "min_body_rate", Flags: []string{"min-body-rate"}, Kind: Int, Default: 100, Ours: true,
		Usage: "`BYTES` a second that a request's body has to come in with, measured after the first --read-timeout; 0 for no limit"},
	Setting{Name: "write_timeout", Flags: []string{"write-timeout"}, Kind: Seconds, Default: 60.0, Min: 0.001, Max: maxSeconds, Ours: true,
		Usage: "`SECONDS` without the client taking a byte of its answer"},
)

var debugging = section("Debugging",
	Setting{Name: "reload", Flags: []string{"reload"}, Kind: Bool, Default: false, Usage: "start the workers anew when the application's files change"},
	Setting{Name: "reload_engine", Flags: []string{"reload-engine"}, Kind: String, Default: "auto", Choices: []string{"auto", "poll", "inotify"},
		Usage: "how changes are seen: auto, poll (for file systems without inotify, such as shared folders) or inotify, an `ENGINE`"},
	Setting{Name: "reload_extra_files", Flags: []string{"reload-extra-file"}, Kind: List,
		Usage: "further `FILES` that --reload watches: paths and patterns (repeatable)"},
	Setting{Name: "spew", Flags: []string{"spew"}, Kind: Bool, Default: false, State: Ignored,
		Note: "py-spy shows what a worker executes without slowing it down", Usage: "gunicorn's trace of every line"},
	Setting{Name: "check_config", Flags: []string{"check-config"}, Kind: Bool, Default: false,
		Usage: "check the settings, import the application, and exit: 0 if all is well"},
	Setting{Name: "print_config", Flags: []string{"print-config"}, Kind: Bool, Default: false, Usage: "print every setting's value, and exit"},
	Setting{Name: "debug_errors", Flags: []string{"debug-errors"}, Kind: Bool, Default: false, Ours: true,
		Usage: "show clients the traceback of what failed: never in production"},
)

var mechanics = section("Server Mechanics",
	Setting{Name: "preload_app", Flags: []string{"preload"}, Kind: Bool, Default: false,
		Usage: "import the application once and fork the workers from there, so that they share its memory",
		Note:  "a reload imports it anew, unlike gunicorn's"},
	Setting{Name: "sendfile", Flags: []string{"no-sendfile"}, Kind: Bool, Default: true, Bare: false, State: Ignored,
		Note: "files go out by sendfile where the system can, and by copying where it cannot", Usage: "gunicorn's switch for sendfile()"},
	Setting{Name: "reuse_port", Flags: []string{"reuse-port"}, Kind: Bool, Default: false, Usage: "set SO_REUSEPORT, so that another server may listen on the same port",
		Note: "the workers still share one listener, so that none loses its backlog"},
	Setting{Name: "chdir", Flags: []string{"chdir"}, Kind: String, Usage: "change to `DIR` before the application is loaded"},
	Setting{Name: "daemon", Flags: []string{"daemon", "D"}, Kind: Bool, Default: false, Usage: "go to the background once the application serves",
		Note: "the command fails if the application does not load"},
	Setting{Name: "raw_env", Flags: []string{"env", "e"}, Kind: List, Usage: "set an environment variable, `NAME=VALUE` (repeatable)"},
	Setting{Name: "pidfile", Flags: []string{"pid", "p"}, Kind: String, Usage: "write the master's process number to `FILE`"},
	Setting{Name: "worker_tmp_dir", Flags: []string{"worker-tmp-dir"}, Kind: String, State: Ignored,
		Note: "workers tell their master that they live without a file; TMPDIR is where large bodies go", Usage: "gunicorn's `DIR` for its heartbeat files"},
	Setting{Name: "user", Flags: []string{"user", "u"}, Kind: String, Usage: "run the workers as `USER`, a name or number"},
	Setting{Name: "group", Flags: []string{"group", "g"}, Kind: String, Usage: "run the workers as `GROUP`, a name or number"},
	Setting{Name: "umask", Flags: []string{"umask", "m"}, Kind: Int, Default: 0, Max: 0o777, Usage: "the `MASK` of the mode of files and unix sockets, such as 0o007"},
	Setting{Name: "socket_mode", Flags: []string{"socket-mode"}, Kind: Int, Octal: true, Default: 0, Max: 0o777, Ours: true,
		Usage: "the `MODE` of unix sockets, such as 660; 0: what --umask leaves of 777"},
	Setting{Name: "socket_owner", Flags: []string{"socket-owner"}, Kind: String, Ours: true,
		Usage: "whom unix sockets belong to, `USER[:GROUP]` or :GROUP; default: --user and --group"},
	Setting{Name: "initgroups", Flags: []string{"initgroups"}, Kind: Bool, Default: false, Usage: "with --user: take on all groups of that user"},
	Setting{Name: "tmp_upload_dir", Kind: String, Usage: "where large request bodies go", Note: "large request bodies go there, unlinked"},
	Setting{Name: "secure_scheme_headers", Flags: []string{"secure-scheme-headers"}, Kind: Dict,
		Default: map[string]any{"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"},
		Usage:   "`NAME=VALUE`s, by commas, by which --forwarded-allow-ips say https"},
	Setting{Name: "forwarded_allow_ips", Flags: []string{"forwarded-allow-ips"}, Kind: String, Default: "127.0.0.1,::1", Env: "FORWARDED_ALLOW_IPS",
		Usage: "believe X-Forwarded-For, X-Forwarded-Proto and Forwarded from these `ADDRESSES` and networks, by commas; * for all"},
	Setting{Name: "forwarded_host", Flags: []string{"forwarded-host"}, Kind: Bool, Default: false, Ours: true,
		Usage: "believe X-Forwarded-Host, X-Forwarded-Port and Forwarded's host from those addresses too; the proxy must set or remove them"},
	Setting{Name: "forwarder_headers", Flags: []string{"forwarder-headers"}, Kind: String, Default: "SCRIPT_NAME,PATH_INFO",
		Usage: "`NAMES` with an underscore, by commas, that those addresses may send"},
	Setting{Name: "header_map", Flags: []string{"header-map"}, Kind: String, Default: "drop", Choices: []string{"drop", "refuse", "dangerous"},
		Usage: "what to do with header names that have an underscore: drop, refuse or dangerous, a `MODE`"},
	Setting{Name: "python", Flags: []string{"python"}, Kind: String, Env: "GOWSGI_PYTHON", Ours: true,
		Usage: "the interpreter, a `PATH` such as venv/bin/python (default: $GOWSGI_PYTHON, VIRTUAL_ENV, .venv, then python3 on PATH)"},
	Setting{Name: "pythonpath", Flags: []string{"pythonpath"}, Kind: String, Usage: "`DIRS`, separated by commas, to import from"},
	Setting{Name: "paste", Flags: []string{"paste", "paster"}, Kind: String, State: Refused,
		Note: "write a module with `application = paste.deploy.loadapp(\"config:/path/to/FILE\")` and serve that", Usage: "gunicorn's PasteDeploy `FILE`"},
	Setting{Name: "raw_paste_global_conf", Flags: []string{"paste-global"}, Kind: List, State: Refused,
		Note: "see --paste", Usage: "gunicorn's PasteDeploy `CONF`"},
	Setting{Name: "proxy_protocol", Flags: []string{"proxy-protocol"}, Kind: String, Default: "off", Bare: "auto",
		Choices: []string{"off", "v1", "v2", "auto", "true", "false"},
		Usage:   "take the PROXY protocol at the start of a connection: off, v1, v2 or auto, a `MODE`"},
	Setting{Name: "proxy_allow_ips", Flags: []string{"proxy-allow-from", "proxy-allow-ips"}, Kind: String, Default: "127.0.0.1,::1",
		Usage: "`ADDRESSES` and networks, by commas, whose PROXY protocol is believed; * for all"},
	Setting{Name: "protocol", Flags: []string{"protocol"}, Kind: String, Default: "http", Choices: []string{"http", "uwsgi"},
		Usage: "what is spoken where --bind names no `PROTOCOL`: http or uwsgi",
		Note:  "for addresses in `bind` that name none themselves"},
	Setting{Name: "uwsgi_allow_ips", Flags: []string{"uwsgi-allow-from"}, Kind: String, Default: "127.0.0.1,::1",
		Usage: "take uwsgi packets from these `ADDRESSES` and networks, by commas; * for all; unix sockets always"},
	Setting{Name: "buffer_size", Flags: []string{"buffer-size"}, Kind: Int, Default: 65535, Min: 1, Max: 65535, Ours: true,
		Usage: "`BYTES` of a uwsgi packet's variables"},
	Setting{Name: "permit_obsolete_folding", Flags: []string{"permit-obsolete-folding"}, Kind: Bool, Default: false,
		Usage: "join header fields that go on in the next line: only behind a proxy that does the same"},
	Setting{Name: "strip_header_spaces", Flags: []string{"strip-header-spaces"}, Kind: Bool, Default: false,
		Usage: "take header names with spaces before the colon: not safe behind a proxy"},
	Setting{Name: "permit_unconventional_http_method", Flags: []string{"permit-unconventional-http-method"}, Kind: Bool, Default: false,
		Usage: "take methods that are no usual words"},
	Setting{Name: "permit_unconventional_http_version", Flags: []string{"permit-unconventional-http-version"}, Kind: Bool, Default: false,
		Usage: "take versions other than 1.0 and 1.1"},
	Setting{Name: "casefold_http_method", Flags: []string{"casefold-http-method"}, Kind: Bool, Default: false,
		Usage: "turn methods to upper case, with --permit-unconventional-http-method"},
	Setting{Name: "http_parser", Flags: []string{"http-parser"}, Kind: String, Default: "auto", State: Ignored,
		Note: "there is one parser, as strict as gunicorn's or stricter (docs/conformance.md)", Usage: "gunicorn's `PARSER`"},
	Setting{Name: "root_path", Flags: []string{"root-path"}, Kind: String, State: Ignored,
		Note: "it is for ASGI; for WSGI set SCRIPT_NAME in the environment", Usage: "gunicorn's ASGI root `PATH`"},
)

var logging = section("Logging",
	Setting{Name: "accesslog", Flags: []string{"access-logfile"}, Kind: String, Usage: "write the access log to `FILE`, - for stdout"},
	Setting{Name: "access_log_format", Flags: []string{"access-logformat"}, Kind: String,
		Default: `%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"`, Usage: "`FORMAT` of the access log, with gunicorn's atoms"},
	Setting{Name: "errorlog", Flags: []string{"error-logfile", "log-file"}, Kind: String, Default: "-", Usage: "write the log to `FILE`, - for stderr"},
	Setting{Name: "loglevel", Flags: []string{"log-level"}, Kind: String, Default: "info",
		Choices: []string{"debug", "info", "warning", "warn", "error", "critical"}, Usage: "debug, info, warning, error or critical: a `LEVEL`"},
	Setting{Name: "log_json", Flags: []string{"log-json"}, Kind: Bool, Default: false, Ours: true, Usage: "write both logs as one JSON object a line"},
	Setting{Name: "capture_output", Flags: []string{"capture-output"}, Kind: Bool, Default: false, Usage: "send the application's stdout and stderr to the log's file"},
	Setting{Name: "logger_class", Flags: []string{"logger-class"}, Kind: String, Default: "gunicorn.glogging.Logger",
		Usage: "the `CLASS` of gunicorn's that writes the logs, in Python"},
	Setting{Name: "logconfig", Flags: []string{"log-config"}, Kind: String, Usage: "configure Python's logging from `FILE`, and log through it"},
	Setting{Name: "logconfig_dict", Kind: Dict, Default: map[string]any{}, Note: "configures Python's logging, and logs through it"},
	Setting{Name: "logconfig_json", Flags: []string{"log-config-json"}, Kind: String, Usage: "the same from `FILE`, in JSON"},
	Setting{Name: "syslog_addr", Flags: []string{"log-syslog-to"}, Kind: String, Default: "udp://localhost:514", Usage: "syslog's `ADDRESS`: udp://HOST:PORT, tcp://HOST:PORT, unix://PATH#dgram or #stream"},
	Setting{Name: "syslog", Flags: []string{"log-syslog"}, Kind: Bool, Default: false, Usage: "send the logs to syslog"},
	Setting{Name: "syslog_prefix", Flags: []string{"log-syslog-prefix"}, Kind: String, Usage: "syslog's `PREFIX` after gunicorn."},
	Setting{Name: "syslog_facility", Flags: []string{"log-syslog-facility"}, Kind: String, Default: "user", Usage: "syslog's `FACILITY`"},
	Setting{Name: "disable_redirect_access_to_syslog", Flags: []string{"disable-redirect-access-to-syslog"}, Kind: Bool, Default: false,
		Usage: "send only the error log to syslog"},
	Setting{Name: "enable_stdio_inheritance", Flags: []string{"enable-stdio-inheritance", "R"}, Kind: Bool, Default: false,
		Usage: "with --daemon: keep stdout and stderr", Note: "without --daemon they are kept anyway"},
	Setting{Name: "statsd_host", Flags: []string{"statsd-host"}, Kind: String, Usage: "send metrics to statsd at `ADDRESS`: HOST:PORT or unix://PATH"},
	Setting{Name: "dogstatsd_tags", Flags: []string{"dogstatsd-tags"}, Kind: String, Usage: "`TAGS` of every metric, by commas"},
	Setting{Name: "statsd_prefix", Flags: []string{"statsd-prefix"}, Kind: String, Usage: "`PREFIX` of every metric's name"},
	Setting{Name: "enable_backlog_metric", Flags: []string{"enable-backlog-metric"}, Kind: Bool, Default: false, State: Ignored,
		Note: "requests wait in the worker's queue rather than in the backlog", Usage: "gunicorn's metric of the backlog"},
)

var naming = section("Process Naming",
	Setting{Name: "proc_name", Flags: []string{"name", "n"}, Kind: String, Usage: "the processes' `NAME` in ps -C and top, up to 15 bytes"},
	Setting{Name: "default_proc_name", Kind: String, Default: "gunicorn", State: Ignored, Note: "set proc_name"},
)

var hooks = section("Server Hooks",
	hook("on_starting", ""), hook("on_reload", ""), hook("when_ready", ""), hook("pre_fork", ""), hook("post_fork", ""),
	hook("post_worker_init", ""), hook("worker_int", ""), hook("worker_abort", ""), hook("pre_exec", ""),
	hook("pre_request", ""), hook("post_request", ""), hook("child_exit", ""), hook("worker_exit", ""),
	hook("nworkers_changed", ""), hook("on_exit", ""),
	Setting{Name: "ssl_context", Kind: Hook, Default: false, State: Refused,
		Note: "TLS is not Python's here: use certfile and keyfile, or end it in a proxy"},
)

var tls = section("SSL",
	Setting{Name: "keyfile", Flags: []string{"keyfile"}, Kind: String, Usage: "serve HTTPS with this private key, a PEM `FILE` (default: it is in --certfile)"},
	Setting{Name: "certfile", Flags: []string{"certfile"}, Kind: String, Usage: "serve HTTPS with this certificate and its chain, a PEM `FILE`"},
	Setting{Name: "ssl_version", Flags: []string{"ssl-version"}, Kind: String, State: Ignored, Note: "clients get TLS 1.3 or 1.2", Usage: "gunicorn's TLS `VERSION`"},
	Setting{Name: "cert_reqs", Flags: []string{"cert-reqs"}, Kind: Int, Default: 0, Max: 2,
		Usage: "whether clients need a certificate that --ca-certs has signed, `N`: 0 no, 1 if they send one, 2 yes"},
	Setting{Name: "ca_certs", Flags: []string{"ca-certs"}, Kind: String, Usage: "who may sign clients' certificates, a PEM `FILE`"},
	Setting{Name: "suppress_ragged_eofs", Flags: []string{"suppress-ragged-eofs"}, Kind: Bool, Default: true, State: Ignored,
		Note: "a connection's end always ends what it carried", Usage: "gunicorn's"},
	Setting{Name: "do_handshake_on_connect", Flags: []string{"do-handshake-on-connect"}, Kind: Bool, Default: false, State: Ignored,
		Note: "the handshake is bounded by --header-timeout and holds no thread", Usage: "gunicorn's"},
	Setting{Name: "ciphers", Flags: []string{"ciphers"}, Kind: String, State: Ignored,
		Note: "Go's choice of ciphers is modern and not configurable for TLS 1.3", Usage: "gunicorn's `CIPHERS`"},
)

var http2 = section("HTTP/2",
	Setting{Name: "http_protocols", Flags: []string{"http-protocols"}, Kind: String, Default: "h1", State: Ignored, Note: noHTTP2, Usage: "gunicorn's `PROTOCOLS`"},
	Setting{Name: "http2_cleartext", Flags: []string{"http2-cleartext"}, Kind: String, Default: "off", State: Ignored, Note: noHTTP2, Usage: "gunicorn's `MODE`"},
	ignoredInt("http2_max_concurrent_streams", 100, noHTTP2), ignoredInt("http2_initial_window_size", 65535, noHTTP2),
	ignoredInt("http2_max_frame_size", 16384, noHTTP2), ignoredInt("http2_max_header_list_size", 65536, noHTTP2),
)

var dirty = section("Dirty Arbiters",
	Setting{Name: "dirty_apps", Flags: []string{"dirty-app"}, Kind: List, State: Refused, Note: noDirty, Usage: "gunicorn's `APP`"},
	Setting{Name: "dirty_workers", Flags: []string{"dirty-workers"}, Kind: Int, Default: 0, State: Refused, Note: noDirty, Usage: "gunicorn's `N`"},
	ignoredInt("dirty_timeout", 300, noDirty), ignoredInt("dirty_threads", 1, noDirty), ignoredInt("dirty_graceful_timeout", 30, noDirty),
	hook("on_dirty_starting", noDirty), hook("dirty_post_fork", noDirty), hook("dirty_worker_init", noDirty), hook("dirty_worker_exit", noDirty),
)

var control = section("Control",
	Setting{Name: "control_socket", Flags: []string{"control-socket"}, Kind: String, Default: "", State: Ignored, Note: noControl, Usage: "gunicorn's `PATH`"},
	ignoredInt("control_socket_mode", 0o600, noControl),
	Setting{Name: "control_socket_disable", Flags: []string{"no-control-socket"}, Kind: Bool, Default: false, Usage: "accepted: there is no control socket",
		Note: "there is no control socket"},
)

var asgi = section("ASGI",
	Setting{Name: "asgi_loop", Flags: []string{"asgi-loop"}, Kind: String, Default: "auto", State: Ignored, Note: noASGI, Usage: "gunicorn's `LOOP`"},
	Setting{Name: "asgi_lifespan", Flags: []string{"asgi-lifespan"}, Kind: String, Default: "auto", State: Ignored, Note: noASGI, Usage: "gunicorn's `MODE`"},
	ignoredInt("asgi_disconnect_grace_period", 3, noASGI), ignoredInt("websocket_max_message_size", 16777216, noASGI),
)

// uwsgi is what users of uWSGI have, under uWSGI's names where those are known.
var uwsgi = section("uWSGI",
	Setting{Name: "ini", Flags: []string{"ini"}, Kind: String, Ours: true,
		Usage: "take uWSGI's options from `FILE`, or from another section of it than uwsgi, FILE:SECTION; options of the command line go before them"},
	Setting{Name: "yaml", Flags: []string{"yaml", "yml"}, Kind: String, Ours: true, Usage: "the same from `FILE`, in YAML"},
	Setting{Name: "mounts", Flags: []string{"mount"}, Kind: List, Ours: true,
		Usage: "serve another application under a path, `/PATH=MODULE:APP` (repeatable); the longest path that fits counts"},
	Setting{Name: "static_map", Flags: []string{"static-map"}, Kind: List, Ours: true,
		Usage: "serve the files of a folder under a path, `/PATH=DIR` (repeatable)"},
	Setting{Name: "check_static", Flags: []string{"check-static"}, Kind: List, Ours: true,
		Usage: "serve a file of `DIR` where the path names one (repeatable)"},
	Setting{Name: "static_index", Flags: []string{"static-index"}, Kind: List, Ours: true,
		Usage: "the `FILE` that stands for its folder with --static-map and --check-static, such as index.html (repeatable)"},
	Setting{Name: "static_safe", Flags: []string{"static-safe"}, Kind: List, Ours: true,
		Usage: "a `DIR` that links in those folders may lead to (repeatable)"},
	Setting{Name: "touch_reload", Flags: []string{"touch-reload"}, Kind: List, Ours: true,
		Usage: "reload when `FILE` is touched (repeatable)"},
	Setting{Name: "stats", Flags: []string{"stats"}, Kind: String, Ours: true,
		Usage: "tell how the workers do, in uWSGI's JSON, to who connects to `ADDRESS`: HOST:PORT, unix:PATH or http://HOST:PORT"},
	Setting{Name: "uwsgi_module", Flags: []string{"uwsgi-module"}, Kind: Bool, Default: false, Ours: true,
		Usage: "let applications import a module uwsgi, as they can with --ini and --yaml"},
)

const (
	noHTTP2   = "this version serves HTTP/1.1 only; a proxy in front may speak HTTP/2 to clients"
	noDirty   = "gunicorn's dirty arbiters have no counterpart: run long tasks in a task queue such as Celery or RQ"
	noControl = "signals and the log do what gunicorn's control socket does"
	noASGI    = "ASGI applications are not served: use uvicorn or granian for those"
)

func section(name string, all ...Setting) []Setting {
	for i := range all {
		s := &all[i]
		s.Section = name
		if s.State == "" {
			s.State = Works
		}
		if s.Default == nil {
			switch s.Kind {
			case String:
				s.Default = ""
			case List:
				s.Default = []string(nil)
			}
		}
	}
	return all
}

// hook is a function in the configuration file; why is the reason that it is
// ignored, if so.
func hook(name, why string) Setting {
	s := Setting{Name: name, Kind: Hook, Default: false}
	if why != "" {
		s.State, s.Note = Ignored, why
	}
	return s
}

func flagOf(name string) string {
	b := []byte(name)
	for i := range b {
		if b[i] == '_' {
			b[i] = '-'
		}
	}
	return string(b)
}

func ignoredInt(name string, value int, why string) Setting {
	return Setting{Name: name, Flags: []string{flagOf(name)}, Kind: Int, Default: value, State: Ignored, Note: why, Usage: "gunicorn's `N`"}
}
