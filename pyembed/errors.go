package pyembed

import (
	"encoding/json"
	"errors"
	"strings"
)

// Errors of finding and starting an interpreter; each comes wrapped in text that
// says what to do.
var (
	ErrNoPython    = errors.New("no Python found")
	ErrNoLibrary   = errors.New("this Python has no shared library")
	ErrUnsupported = errors.New("this Python is not supported")
)

// Error is a Python exception, as text: no object of Python outlives the call
// that raised it.
type Error struct {
	Type      string `json:"type"`    // "module.QualName"
	Message   string `json:"message"` // str(exception)
	Traceback string `json:"traceback"`
	// ExitCode is what a server should exit with when its application cannot be
	// loaded: 3 (import failed), 4 (bad spec); 0 for other errors.
	ExitCode int    `json:"exit_code"`
	Hint     string `json:"hint"` // what to do, or ""
}

// Error returns the exception's type and message on one line; the message alone
// where it is gowsgi's own and says all (ExitCode is set).
func (e *Error) Error() string {
	if e.ExitCode != 0 {
		return e.Message
	}
	name := strings.TrimPrefix(e.Type, "builtins.")
	if e.Message == "" {
		return name
	}
	return name + ": " + strings.ReplaceAll(e.Message, "\n", " ")
}

// Details returns the traceback, for error answers that show it.
func (e *Error) Details() string { return e.Traceback }

// parseError reads what embed.describe_error wrote; other text is an error that
// Python never saw.
func parseError(text string) error {
	if !strings.HasPrefix(text, "{") {
		return errors.New(text)
	}
	e := &Error{}
	if err := json.Unmarshal([]byte(text), e); err != nil {
		return errors.New(text)
	}
	return e
}
