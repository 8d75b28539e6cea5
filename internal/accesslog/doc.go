// Package accesslog makes the lines of an access log: by a format with gunicorn's
// atoms, as JSON, or as what the Python side makes its own of. What may enter: an
// entry and a format. What may not: files and sockets, which are internal/logs'.
package accesslog
