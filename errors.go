package gowsgi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/pyembed"
)

var (
	// ErrProcess: Python runs in this process with other settings than these.
	ErrProcess = errors.New("this process has a Python with other settings")
	// ErrShutdown: Python has ended in this process, and cannot be begun again.
	ErrShutdown = errors.New("this process's Python has ended")
	// ErrClosed: the application takes no more requests.
	ErrClosed = errors.New("the application is closed")
)

// RequestError is a request that is refused before the application hears of it.
type RequestError struct {
	Status int   // of the answer: 400, 404, 408, 413, 500 or 501
	Err    error // why
}

// Error returns why.
func (e *RequestError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *RequestError) Unwrap() error { return e.Err }

// EnvironError is a variable that Config.Environ must not give.
type EnvironError struct {
	Name   string
	Reason string
}

// Error names the variable and the reason.
func (e *EnvironError) Error() string {
	return fmt.Sprintf("Config.Environ gave %q: %s", e.Name, e.Reason)
}

// PanicError is a panic of Config.OnError on a Python thread, which it must not end.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // as runtime/debug.Stack has it
}

// Error returns the panic's value as text.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Status is the status of an answer that tells a client of err, an error as
// Config.ErrorHandler gets it.
func Status(err error) int {
	var refused *RequestError
	switch {
	case errors.As(err, &refused):
		return refused.Status
	case errors.Is(err, bridge.ErrQueueFull), errors.Is(err, bridge.ErrQueueTimeout), errors.Is(err, bridge.ErrStopped),
		errors.Is(err, ErrClosed), errors.Is(err, errNoThread), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// errNoThread is that a context ended while its request waited for a thread.
var errNoThread = errors.New("no thread was free in time")

// answerError is the ErrorHandler that there is without one.
func (a *App) answerError(w http.ResponseWriter, r *http.Request, err error) {
	status, cause := Status(err), ""
	var known interface{ Details() string }
	if a.config.Debug && errors.As(err, &known) {
		cause = known.Details()
	}
	kind, text := bridge.ErrorText(status, cause, []byte(r.Header.Get("Accept")))
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Del("Content-Length")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // a client that is gone needs none
}

// logTo is the OnError that there is without one.
func logTo(log *slog.Logger) func(*http.Request, error) {
	return func(r *http.Request, err error) {
		args := []any{"error", err, "method", r.Method, "uri", r.RequestURI, "peer", r.RemoteAddr}
		var raised *pyembed.Error
		if errors.As(err, &raised) {
			log.Error("the Python application failed", append(args, "traceback", raised.Traceback)...)
			return
		}
		log.Warn("a request got no answer from the Python application", args...)
	}
}
