package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/wsgi"
	"github.com/hashicorp/go-hclog"
	"github.com/urfave/cli/v2"
)

// config is what `run` was asked for, checked.
type config struct {
	app        string
	binds      []string
	threads    int
	dir        string
	python     string
	pythonPath []string
	logLevel   hclog.Level
	accessLog  string // "": none
	graceful   time.Duration
	limits     bridge.Limits
	pool       bridge.PoolLimits
	rules      *wsgi.Rules
	proxy      *bridge.ProxyProtocol // nil: not spoken
	debug      bool
	processes
}

// defaultThreads is explained in RATIONALE.md, "How many threads by default?".
const defaultThreads = 1

func pythonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "chdir", Usage: "change to `DIR` before the application is loaded"},
		&cli.StringFlag{Name: "python", EnvVars: []string{"GOWSGI_PYTHON"},
			Usage: "the interpreter, a `PATH` such as venv/bin/python (default: VIRTUAL_ENV, .venv, then python3 on PATH)"},
		&cli.StringFlag{Name: "pythonpath", Usage: "`DIRS`, separated by commas, to import from"},
		&cli.StringSliceFlag{Name: "env", Aliases: []string{"e"}, Usage: "set an environment variable, `NAME=VALUE` (repeatable)"},
		&cli.StringFlag{Name: "log-level", Value: "info", Usage: "debug, info, warning or error: a `LEVEL`"},
		&cli.IntFlag{Name: "threads", Value: defaultThreads, Usage: "`N` requests run in Python at a time"},
	}
}

func serveFlags() []cli.Flag {
	l := bridge.DefaultLimits()
	seconds := func(d time.Duration) float64 { return d.Seconds() }
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "bind", Aliases: []string{"b"}, Usage: "listen on `ADDRESS`: HOST:PORT, unix:PATH or fd://N (repeatable; default 127.0.0.1:8000)"},
		&cli.StringFlag{Name: "access-logfile", Usage: "write the access log to `FILE`, - for stdout"},
		&cli.Float64Flag{Name: "graceful-timeout", Value: 30, Usage: "`SECONDS` that requests may take to finish when the server stops"},
		&cli.Float64Flag{Name: "keep-alive", Value: seconds(l.IdleTime), Usage: "`SECONDS` an idle connection is kept"},
		&cli.Float64Flag{Name: "header-timeout", Value: seconds(l.HeadTime), Usage: "`SECONDS` a request's head may take to arrive"},
		&cli.Float64Flag{Name: "read-timeout", Value: seconds(l.ReadTime), Usage: "`SECONDS` without a byte of a request's body"},
		&cli.Int64Flag{Name: "min-body-rate", Value: l.BodyRate, Usage: "`BYTES` a second that a request's body has to come in with, measured after the first --read-timeout; 0 for no limit"},
		&cli.Float64Flag{Name: "write-timeout", Value: seconds(l.WriteTime), Usage: "`SECONDS` without the client taking a byte of its answer"},
		&cli.IntFlag{Name: "limit-request-line", Value: l.Head.RequestLine, Usage: "`BYTES` of a request line"},
		&cli.IntFlag{Name: "limit-request-fields", Value: l.Head.Fields, Usage: "header fields in a request, `N`"},
		&cli.IntFlag{Name: "limit-request-field_size", Aliases: []string{"limit-request-field-size"}, Value: l.Head.FieldSize, Usage: "`BYTES` of a header field"},
		&cli.Int64Flag{Name: "max-body", Usage: "`BYTES` of a request's body, 0 for no limit"},
		&cli.Int64Flag{Name: "body-memory", Value: l.BodyMemory, Usage: "`BYTES` of a request's body kept in memory; a longer one goes to a temporary file"},
		&cli.StringFlag{Name: "header-map", Value: "drop", Usage: "what to do with header names that have an underscore: drop, refuse or dangerous, a `MODE`"},
		&cli.StringFlag{Name: "forwarded-allow-ips", Value: "127.0.0.1,::1", EnvVars: []string{"FORWARDED_ALLOW_IPS"},
			Usage: "believe X-Forwarded-For, X-Forwarded-Proto and Forwarded from these `ADDRESSES` and networks, by commas; * for all"},
		&cli.StringFlag{Name: "forwarder-headers", Value: "SCRIPT_NAME,PATH_INFO",
			Usage: "`NAMES` with an underscore, by commas, that those addresses may send"},
		&cli.StringFlag{Name: "secure-scheme-headers", Value: "X-FORWARDED-PROTOCOL=ssl,X-FORWARDED-PROTO=https,X-FORWARDED-SSL=on",
			Usage: "`NAME=VALUE`s, by commas, by which those addresses say https"},
		&cli.BoolFlag{Name: "forwarded-host", Usage: "believe X-Forwarded-Host, X-Forwarded-Port and Forwarded's host from those addresses too; the proxy must set or remove them"},
		&cli.StringFlag{Name: "proxy-protocol", Value: "off", Usage: "take the PROXY protocol at the start of a connection: off, v1, v2 or auto, a `MODE`"},
		&cli.StringFlag{Name: "proxy-allow-from", Aliases: []string{"proxy-allow-ips"}, Value: "127.0.0.1,::1", Usage: "`ADDRESSES` and networks, by commas, whose PROXY protocol is believed; * for all"},
		&cli.BoolFlag{Name: "debug-errors", Usage: "show clients the traceback of what failed: never in production"},
		&cli.IntFlag{Name: "queue-size", Value: 2048, Usage: "`N` requests may wait for a thread; further ones get 503"},
		&cli.Float64Flag{Name: "queue-timeout", Value: 30, Usage: "`SECONDS` a request may wait for a thread before it gets 503"},
	}
}

// What a time in seconds may be: a millisecond to about 30 years.
const (
	minSeconds = 0.001
	maxSeconds = 1_000_000_000
)

func runConfig(c *cli.Context) (*config, error) {
	cfg, err := pythonConfig(c)
	if err != nil {
		return nil, err
	}
	cfg.binds = c.StringSlice("bind")
	if len(cfg.binds) == 0 {
		cfg.binds = []string{"127.0.0.1:8000"}
	}
	cfg.accessLog = c.String("access-logfile")
	seconds := func(name string) time.Duration {
		s := c.Float64(name)
		if !(s >= minSeconds && s <= maxSeconds) && err == nil { // NaN is neither
			err = fmt.Errorf("--%s %v: it must be from %v to %v seconds", name, s, minSeconds, maxSeconds)
		}
		return time.Duration(s * float64(time.Second))
	}
	cfg.graceful = seconds("graceful-timeout")
	cfg.limits = bridge.Limits{
		Head: http1.Limits{
			RequestLine: c.Int("limit-request-line"),
			Fields:      c.Int("limit-request-fields"),
			FieldSize:   c.Int("limit-request-field_size"),
		},
		MaxBody:    c.Int64("max-body"),
		BodyMemory: c.Int64("body-memory"),
		HeadTime:   seconds("header-timeout"),
		IdleTime:   seconds("keep-alive"),
		ReadTime:   seconds("read-timeout"),
		BodyRate:   c.Int64("min-body-rate"),
		WriteTime:  seconds("write-timeout"),
	}
	cfg.pool = bridge.PoolLimits{Queue: c.Int("queue-size"), Wait: seconds("queue-timeout")}
	for _, name := range []string{"max-body", "body-memory", "min-body-rate"} {
		if c.Int64(name) < 0 && err == nil {
			err = fmt.Errorf("--%s %d: it must not be negative", name, c.Int64(name))
		}
	}
	for _, bind := range cfg.binds {
		if bind == "" && err == nil {
			err = errors.New("--bind: the address is empty")
		}
	}
	if err == nil {
		cfg.rules, err = rulesConfig(c)
	}
	if err == nil {
		cfg.proxy, err = proxyConfig(c)
	}
	if err == nil {
		cfg.processes, err = processConfig(c)
	}
	cfg.debug = c.Bool("debug-errors")
	for _, name := range []string{"limit-request-line", "limit-request-fields", "limit-request-field_size", "queue-size"} {
		if c.Int(name) <= 0 && err == nil {
			err = fmt.Errorf("--%s %d: it must be more than 0", name, c.Int(name))
		}
	}
	return cfg, err
}

func rulesConfig(c *cli.Context) (*wsgi.Rules, error) {
	script := strings.TrimRight(os.Getenv("SCRIPT_NAME"), "/")
	if script != "" && script[0] != '/' {
		return nil, fmt.Errorf("SCRIPT_NAME is %q: it must begin with a slash", script)
	}
	rules := &wsgi.Rules{Host: c.Bool("forwarded-host"), ScriptName: []byte(script)}
	var err error
	if rules.HeaderMap, err = wsgi.ParseHeaderMap(c.String("header-map")); err != nil {
		return nil, fmt.Errorf("--header-map %w", err)
	}
	if rules.Proxies, err = wsgi.ParseNetworks(c.String("forwarded-allow-ips")); err != nil {
		return nil, fmt.Errorf("--forwarded-allow-ips: %w", err)
	}
	for name := range strings.SplitSeq(c.String("forwarder-headers"), ",") {
		if name = strings.ToUpper(strings.TrimSpace(name)); name != "" {
			rules.ForwarderNames = append(rules.ForwarderNames, name)
		}
	}
	for pair := range strings.SplitSeq(c.String("secure-scheme-headers"), ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok && pair != "" {
			return nil, fmt.Errorf("--secure-scheme-headers: %q is not NAME=VALUE", pair)
		}
		if ok {
			rules.SecureScheme = append(rules.SecureScheme, wsgi.SchemeField{Name: strings.ToLower(name), HTTPS: value})
		}
	}
	return rules, nil
}

func proxyConfig(c *cli.Context) (*bridge.ProxyProtocol, error) {
	p := &bridge.ProxyProtocol{}
	switch mode := c.String("proxy-protocol"); mode {
	case "off":
		return nil, nil
	case "v1":
		p.V1 = true
	case "v2":
		p.V2 = true
	case "auto":
		p.V1, p.V2 = true, true
	default:
		return nil, fmt.Errorf("--proxy-protocol %s: it must be off, v1, v2 or auto", mode)
	}
	allowed, err := wsgi.ParseNetworks(c.String("proxy-allow-from"))
	if err != nil {
		return nil, fmt.Errorf("--proxy-allow-from: %w", err)
	}
	p.Allow = allowed.ContainsPeer
	return p, nil
}

// pythonConfig reads what `run` and `check` have in common, and sets the
// environment's variables.
func pythonConfig(c *cli.Context) (*config, error) {
	app, err := appArgument(c)
	if err != nil {
		return nil, err
	}
	cfg := &config{app: app, threads: c.Int("threads"), dir: c.String("chdir"), python: c.String("python")}
	if cfg.threads < 1 || cfg.threads > 1000 {
		return nil, fmt.Errorf("--threads %d: it must be from 1 to 1000", cfg.threads)
	}
	if p := c.String("pythonpath"); p != "" {
		cfg.pythonPath = strings.Split(p, ",")
	}
	level := strings.ToLower(c.String("log-level"))
	switch level {
	case "warning":
		level = "warn"
	case "critical":
		level = "error"
	}
	if cfg.logLevel = hclog.LevelFromString(level); cfg.logLevel == hclog.NoLevel {
		return nil, fmt.Errorf("--log-level %s: it must be debug, info, warning, error or critical", c.String("log-level"))
	}
	for _, pair := range c.StringSlice("env") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--env %s: it must be NAME=VALUE", pair)
		}
		if err := os.Setenv(name, value); err != nil {
			return nil, fmt.Errorf("--env %s: %w", pair, err)
		}
	}
	return cfg, nil
}
