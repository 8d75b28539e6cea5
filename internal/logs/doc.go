// Package logs is where lines go: the access log and the error log in files that
// are opened anew on demand, syslog, statsd, and Python's loggers, for a master and
// for workers. What may enter: outputs, and who gets which line. What may not: what
// an access line looks like (internal/accesslog), requests, cgo.
package logs
