package main

import (
	"cmp"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gowsgi/gowsgi/internal/logs"
	"github.com/gowsgi/gowsgi/internal/master"
	"github.com/gowsgi/gowsgi/internal/settings"
	"github.com/gowsgi/gowsgi/internal/statsd"
	"github.com/gowsgi/gowsgi/internal/syslog"
	"github.com/hashicorp/go-hclog"
)

// logsConfig is what the settings say of logs.
func logsConfig(app string, v *settings.Values) logs.Config {
	name := cmp.Or(v.String("proc_name"), app)
	c := logs.Config{
		Error: v.String("errorlog"), Level: logLevel(v.String("loglevel")), Capture: v.Bool("capture_output"),
		Access: v.String("accesslog"), AccessFormat: v.String("access_log_format"),
		JSON: v.Bool("log_json"), Dir: v.String("chdir"),
		NoAccessSyslog: v.Bool("disable_redirect_access_to_syslog"),
		Python: logs.Python{
			LogConfig: v.String("logconfig"), LogConfigJSON: v.String("logconfig_json"),
			LogConfigDict: v.Dict("logconfig_dict"), LoggerClass: v.String("logger_class"),
			Settings: map[string]any{"proc_name": name},
		},
	}
	if v.Bool("syslog") {
		c.Syslog = &syslog.Config{
			Address: v.String("syslog_addr"), Facility: v.String("syslog_facility"),
			Prefix: cmp.Or(v.String("syslog_prefix"), strings.ReplaceAll(name, ":", ".")),
		}
	}
	if host := v.String("statsd_host"); host != "" {
		c.Statsd = &statsd.Config{Host: host, Prefix: v.String("statsd_prefix"), Tags: v.String("dogstatsd_tags")}
	}
	return c
}

func logLevel(name string) hclog.Level {
	switch name {
	case "warning":
		return hclog.Warn
	case "critical":
		return hclog.Error
	}
	return hclog.LevelFromString(name)
}

// reopenLogs opens the log files anew.
func reopenLogs(l *logs.Logs) {
	if err := l.Reopen(); err != nil {
		l.Error().Error("the old log files go on", "error", err)
	}
}

// reopenAtSignal does so at each USR1.
func reopenAtSignal(l *logs.Logs) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for range signals {
			reopenLogs(l)
		}
	}()
}

// countWorkers tells statsd how many workers there are.
func countWorkers(l *logs.Logs, name string, args any) {
	if n, ok := args.(master.NWorkers); ok && name == master.NWorkersChanged {
		l.Statsd().Gauge("gunicorn.workers", n.New)
	}
}
