package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/internal/listen"
	"github.com/gowsgi/gowsgi/internal/logs"
	"github.com/gowsgi/gowsgi/internal/settings"
	"github.com/gowsgi/gowsgi/wsgi"
)

// config is what the settings ask for, checked.
type config struct {
	app        string
	name       string // of the processes; "": this program's
	binds      []string
	threads    int
	dir        string
	python     string
	pythonPath []string
	logs       logs.Config
	graceful   time.Duration
	limits     bridge.Limits
	pool       bridge.PoolLimits
	rules      *wsgi.Rules
	proxy      *bridge.ProxyProtocol // nil: not spoken
	tls        *tls.Config           // nil: plain HTTP
	protocol   listen.Protocol       // where binds name none
	allowUWSGI wsgi.Networks
	debug      bool
	sites
	stats   string   // where --stats tells; "": nowhere
	touched []string // files that reload
	watch   watchConfig
	processes
	warnings []string
}

// scheme is that of the URLs that are served.
func (cfg *config) scheme() string {
	if cfg.tls != nil {
		return "https"
	}
	return "http"
}

// multiProcess tells whether another process may run the application at the same
// time (PEP 3333, wsgi.multiprocess).
func (p processes) multiProcess() bool { return p.workers > 1 || p.maxWorkers > 1 }

// processes is how many processes serve, and what they leave in the file system.
type processes struct {
	workers     int
	minWorkers  int
	maxWorkers  int
	maxRequests int
	jitter      int
	timeout     time.Duration
	umask       int
	socketMode  int
	socketOwner string
	pidFile     string
	reload      reloading
	daemon      bool
	keepOutput  bool
	backlog     int
	reusePort   bool
	user, group string
	initGroups  bool
}

// newConfig checks settings.
func newConfig(app string, v *settings.Values) (*config, error) {
	cfg := &config{
		app: app, name: v.String("proc_name"), binds: v.List("bind"), threads: v.Int("threads"),
		dir: v.String("chdir"), python: v.String("python"),
		logs:     logsConfig(app, v),
		graceful: v.Duration("graceful_timeout"),
		limits: bridge.Limits{
			Head: http1.Limits{
				RequestLine: v.Int("limit_request_line"),
				Fields:      v.Int("limit_request_fields"),
				// 0 is unlimited by gunicorn's manual, and its default by its parser
				// and its tests: docs/limits.md.
				FieldSize: cmp.Or(v.Int("limit_request_field_size"), http1.DefaultLimits().FieldSize),
				Permit: http1.Permit{
					HeaderSpaces:   v.Bool("strip_header_spaces"),
					Folding:        v.Bool("permit_obsolete_folding"),
					AnyMethod:      v.Bool("permit_unconventional_http_method"),
					AnyVersion:     v.Bool("permit_unconventional_http_version"),
					CasefoldMethod: v.Bool("casefold_http_method"),
				},
			},
			MaxBody:    int64(v.Int("max_body")),
			BodyMemory: int64(v.Int("body_memory")),
			TempDir:    v.String("tmp_upload_dir"),
			HeadTime:   v.Duration("header_timeout"),
			IdleTime:   v.Duration("keepalive"),
			OneRequest: v.Duration("keepalive") == 0,
			ReadTime:   v.Duration("read_timeout"),
			BodyRate:   int64(v.Int("min_body_rate")),
			WriteTime:  v.Duration("write_timeout"),
			Packet:     v.Int("buffer_size"),
		},
		protocol: listen.Protocol(v.String("protocol")),
		pool:     bridge.PoolLimits{Queue: v.Int("queue_size"), Wait: v.Duration("queue_timeout")},
		debug:    v.Bool("debug_errors"),
		stats:    v.String("stats"), touched: v.List("touch_reload"),
		watch: watchConfig{
			timeout: v.Duration("timeout"), stuck: v.Duration("stuck_timeout"),
			maxRSS: int64(v.Int("max_rss")), maxLifetime: v.Duration("max_lifetime"), reload: v.Bool("reload"),
		},
		processes: processes{
			workers: v.Int("workers"), minWorkers: v.Int("min_workers"), maxWorkers: v.Int("max_workers"),
			maxRequests: v.Int("max_requests"), jitter: v.Int("max_requests_jitter"), timeout: v.Duration("timeout"),
			umask: v.Int("umask"), socketMode: v.Int("socket_mode"), socketOwner: v.String("socket_owner"), pidFile: v.String("pidfile"),
			daemon: v.Bool("daemon"), keepOutput: v.Bool("enable_stdio_inheritance"),
			backlog: v.Int("backlog"), reusePort: v.Bool("reuse_port"),
			user: v.String("user"), group: v.String("group"), initGroups: v.Bool("initgroups"),
		},
	}
	cfg.reload, cfg.warnings = newReloading(v)
	if path := v.String("pythonpath"); path != "" {
		cfg.pythonPath = strings.Split(path, ",")
	}
	if err := cfg.workerClass(v); err != nil {
		return nil, err
	}
	if len(cfg.binds) == 0 || slices.Contains(cfg.binds, "") {
		return nil, fmt.Errorf("%s: the address is empty", v.Where("bind"))
	}
	if _, _, err := cfg.scale(); err != nil {
		return nil, err
	}
	for _, bind := range cfg.binds {
		if err := listen.Check(bind); err != nil {
			return nil, err
		}
	}
	if _, err := environment(v); err != nil {
		return nil, err
	}
	err := cfg.logs.Check()
	if err != nil {
		return nil, err
	}
	if cfg.rules, err = newRules(v); err != nil {
		return nil, err
	}
	if err := cfg.addSites(app, v); err != nil {
		return nil, err
	}
	if cfg.allowUWSGI, err = wsgi.ParseNetworks(v.String("uwsgi_allow_ips")); err != nil {
		return nil, fmt.Errorf("%s: %w", v.Where("uwsgi_allow_ips"), err)
	}
	if cfg.proxy, err = newProxyProtocol(v); err != nil {
		return nil, err
	}
	if cfg.tls, err = newTLS(v); err != nil {
		return nil, err
	}
	if !slices.Contains(listen.Protocols(cfg.binds, len(cfg.binds), cfg.protocol), listen.HTTP) {
		for _, name := range []string{"certfile", "proxy_protocol"} { // off is proxy_protocol's default
			if v.IsSet(name) {
				return nil, fmt.Errorf("%s: it is for HTTP, and each address speaks uwsgi", v.Where(name))
			}
		}
	}
	return cfg, nil
}

// environment returns the names and values of --env.
func environment(v *settings.Values) ([][2]string, error) {
	var all [][2]string
	for _, pair := range v.List("raw_env") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s: %q must be NAME=VALUE", v.Where("raw_env"), pair)
		}
		all = append(all, [2]string{name, value})
	}
	return all, nil
}

// setEnvironment sets them, in a process that serves: the master's own environment
// has to be as it was for the next reload. It comes before newConfig, which reads
// SCRIPT_NAME.
func setEnvironment(v *settings.Values) error {
	pairs, err := environment(v)
	if err != nil {
		return err
	}
	for _, pair := range pairs {
		if err := os.Setenv(pair[0], pair[1]); err != nil {
			return fmt.Errorf("%s: %q: %w", v.Where("raw_env"), pair[0]+"="+pair[1], err)
		}
	}
	return nil
}

func newRules(v *settings.Values) (*wsgi.Rules, error) {
	script := strings.TrimRight(os.Getenv("SCRIPT_NAME"), "/")
	if script != "" && script[0] != '/' {
		return nil, fmt.Errorf("SCRIPT_NAME is %q: it must begin with a slash", script)
	}
	rules := &wsgi.Rules{Host: v.Bool("forwarded_host"), ScriptName: []byte(script)}
	var err error
	if rules.HeaderMap, err = wsgi.ParseHeaderMap(v.String("header_map")); err != nil {
		return nil, fmt.Errorf("%s: %w", v.Where("header_map"), err)
	}
	if rules.Proxies, err = wsgi.ParseNetworks(v.String("forwarded_allow_ips")); err != nil {
		return nil, fmt.Errorf("%s: %w", v.Where("forwarded_allow_ips"), err)
	}
	for name := range strings.SplitSeq(v.String("forwarder_headers"), ",") {
		if name = strings.ToUpper(strings.TrimSpace(name)); name != "" {
			rules.ForwarderNames = append(rules.ForwarderNames, name)
		}
	}
	for name, value := range v.Dict("secure_scheme_headers") {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s: %s has %v: it must be a text", v.Where("secure_scheme_headers"), name, value)
		}
		rules.SecureScheme = append(rules.SecureScheme, wsgi.SchemeField{Name: strings.ToLower(name), HTTPS: text})
	}
	slices.SortFunc(rules.SecureScheme, func(a, b wsgi.SchemeField) int { return strings.Compare(a.Name, b.Name) })
	return rules, nil
}

// newTLS reads the certificates; nil without any.
func newTLS(v *settings.Values) (*tls.Config, error) {
	certificate, key := v.String("certfile"), v.String("keyfile")
	if certificate == "" {
		if key != "" {
			return nil, fmt.Errorf("%s: it needs --certfile too", v.Where("keyfile"))
		}
		return nil, nil
	}
	if key == "" {
		key = certificate
	}
	dir := v.String("chdir")
	pair, err := tls.LoadX509KeyPair(inFolder(dir, certificate), inFolder(dir, key))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Where("certfile"), err)
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		ClientAuth: []tls.ClientAuthType{tls.NoClientCert, tls.VerifyClientCertIfGiven, tls.RequireAndVerifyClientCert}[v.Int("cert_reqs")],
	}
	if path := v.String("ca_certs"); path != "" {
		text, err := os.ReadFile(inFolder(dir, path))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.Where("ca_certs"), err)
		}
		cfg.ClientCAs = x509.NewCertPool()
		if !cfg.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: there is no certificate in %s", v.Where("ca_certs"), path)
		}
	}
	return cfg, nil
}

func newProxyProtocol(v *settings.Values) (*bridge.ProxyProtocol, error) {
	p := &bridge.ProxyProtocol{}
	switch v.String("proxy_protocol") {
	case "v1":
		p.V1 = true
	case "v2":
		p.V2 = true
	case "auto", "true":
		p.V1, p.V2 = true, true
	default: // off, false
		return nil, nil
	}
	allowed, err := wsgi.ParseNetworks(v.String("proxy_allow_ips"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Where("proxy_allow_ips"), err)
	}
	p.Allow = allowed.ContainsPeer
	return p, nil
}

// greenThreads is how many threads stand in for gevent's and eventlet's greenlets.
const greenThreads = 64

// workerClass maps gunicorn's classes of workers to threads.
func (cfg *config) workerClass(v *settings.Values) error {
	class := strings.TrimPrefix(strings.ToLower(v.String("worker_class")), "egg:gunicorn#")
	switch {
	case slices.Contains([]string{"sync", "gthread", "gunicorn.workers.sync.syncworker", "gunicorn.workers.gthread.threadworker"}, class):
		return nil
	case strings.Contains(class, "gevent"), strings.Contains(class, "eventlet"), strings.Contains(class, "tornado"), strings.Contains(class, "meinheld"):
		if !v.IsSet("threads") {
			cfg.threads = greenThreads
		}
		cfg.warnings = append(cfg.warnings, fmt.Sprintf("%s: there are no such workers; %d threads run the application instead (--threads)", v.Where("worker_class"), cfg.threads))
		return nil
	case strings.Contains(class, "uvicorn"), strings.Contains(class, "asgi"):
		return fmt.Errorf("%s: ASGI applications are not served: use uvicorn or granian for those", v.Where("worker_class"))
	}
	return fmt.Errorf("%s: only sync and gthread, and gevent and eventlet as threads, can be had: classes of workers are gunicorn's own code", v.Where("worker_class"))
}
