package uwsgiconf

import (
	"os"
	"path/filepath"
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

// rules has what is known of uWSGI's options; family knows of the rest. In the tables
// that it is made of a key may be several names.
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
	"home virtualenv venv pyhome": does(func(c *converter, o Option) {
		path := filepath.Join(c.path(o.Value), "bin", "python")
		if _, err := os.Stat(path); err != nil {
			if _, err := os.Stat(path + "3"); err == nil { // /usr, say
				path += "3"
			}
		}
		c.set(o, "python", path)
	}),
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
