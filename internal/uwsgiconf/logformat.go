package uwsgiconf

import (
	"fmt"
	"regexp"
	"strings"
)

// atoms of uWSGI's log-format that gunicorn's have under another name.
var atoms = map[string]string{
	"addr": "%(h)s", "user": "%(u)s", "ltime": "%(t)s", "method": "%(m)s", "uri": "%({raw_uri}e)s", "proto": "%(H)s",
	"status": "%(s)s", "size": "%(B)s", "rsize": "%(B)s", "referer": "%(f)s", "uagent": "%(a)s", "pid": "%(p)s",
	"msecs": "%(M)s", "micros": "%(D)s", "secs": "%(L)s", "host": "%({host}i)s", "cl": "%({content-length}i)s",
}

var atom = regexp.MustCompile(`%\(([^)]*)\)`)

// logFormat turns uWSGI's log-format into gunicorn's; missing are atoms for which
// there is none.
func logFormat(format string) (made string, missing []string) {
	// What stands for itself may not become an atom.
	var b strings.Builder
	end := 0
	for _, at := range atom.FindAllStringSubmatchIndex(format, -1) {
		b.WriteString(strings.ReplaceAll(format[end:at[0]], "%", "%%"))
		name := format[at[2]:at[3]]
		end = at[1]
		if field, ok := strings.CutPrefix(name, "var.HTTP_"); ok {
			fmt.Fprintf(&b, "%%({%s}i)s", strings.ToLower(strings.ReplaceAll(field, "_", "-")))
			continue
		}
		known, ok := atoms[name]
		if !ok {
			known = "-"
			missing = append(missing, name)
		}
		b.WriteString(known)
	}
	b.WriteString(strings.ReplaceAll(format[end:], "%", "%%"))
	return b.String(), missing
}

// logging sets where the logs go: uWSGI has one for all, and writes each request to
// it unless told not to.
func (c *converter) logging() {
	v := c.made.Values
	if c.on("disable-logging") || v.IsSet("accesslog") {
		return
	}
	where := "-"
	if v.IsSet("errorlog") {
		where = v.String("errorlog")
	}
	c.extra("access-logfile", where, "without disable-logging uWSGI logs each request")
	c.setDefault("accesslog", where)
}
