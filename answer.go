package gowsgi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/bridge"
)

// answer carries an answer from an exchange to a ResponseWriter.
type answer struct {
	app *App
	w   http.ResponseWriter
	r   *http.Request
	x   *bridge.Exchange

	control *http.ResponseController // for streaming; nil before
	started bool                     // the head is written
	left    int64                    // bytes that Content-Length still allows; -1 for any
}

func (s *answer) run() {
	done := s.r.Context().Done()
	for {
		p, ok := s.x.NextOr(done)
		switch {
		case !ok:
			s.abandon()
			return
		case p.Err != nil:
			s.cut(p.Err)
			return
		case p.Hints != nil:
			s.hint(p.Hints)
			continue
		}
		if p.Head != nil {
			s.begin(p)
			if s.bodyless(p.Head.Status) {
				s.x.Leave(bridge.ErrComplete)
				return
			}
		}
		if err := s.body(p); err != nil {
			s.app.left.Add(1)
			s.x.Leave(bridge.ErrGone)
			s.abort()
			return
		}
		if p.Last || s.left == 0 {
			s.x.Leave(bridge.ErrComplete)
			s.end()
			return
		}
	}
}

// abandon ends an answer whose request's context has ended.
func (s *answer) abandon() {
	err := s.r.Context().Err()
	s.app.left.Add(1)
	if s.app.pool.Withdraw(s.x) {
		err = fmt.Errorf("%w: %w", errNoThread, err)
	} else {
		s.x.Leave(bridge.ErrGone)
	}
	if !errors.Is(err, context.Canceled) {
		s.app.config.OnError(s.r, err)
	}
	if s.started {
		s.abort()
		return
	}
	// Whoever has ended the context need not be the client.
	s.app.fail(s.w, s.r, err)
}

// cut ends an answer that failed.
func (s *answer) cut(err error) {
	s.x.Leave(bridge.ErrComplete)
	if !errors.Is(err, bridge.ErrFailed) { // of which report has told
		s.app.refused.Add(1)
		s.app.config.OnError(s.r, err)
	}
	if s.started {
		s.abort()
		return
	}
	s.app.fail(s.w, s.r, err)
}

// abort makes the client see that the answer is not whole: net/http's server cuts the
// connection, or resets the stream. The panic asks it to; the deadline makes it where
// middleware has caught the panic and said nothing (gin.Recovery). Elsewhere
// (httptest.ResponseRecorder) nobody would catch it.
func (s *answer) abort() {
	if s.r.Context().Value(http.ServerContextKey) == nil {
		return
	}
	s.stream()
	_ = s.control.Flush() // a client that has nothing might ask again
	_ = s.control.SetWriteDeadline(time.Unix(1, 0))
	panic(http.ErrAbortHandler)
}

// end looks whether the client has all that was promised.
func (s *answer) end() {
	if s.left > 0 {
		s.app.config.Logger.Warn("the Python application gave less body than its Content-Length; cutting the connection",
			"uri", s.r.RequestURI, "missing_bytes", s.left)
		s.abort()
	}
}

func (s *answer) bodyless(status int) bool {
	return s.r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
}

// begin writes the head.
func (s *answer) begin(p bridge.Part) {
	h := s.w.Header()
	setFields(h, p.Head.Lines)
	s.left = p.Head.ContentLength
	if s.left < 0 && p.Whole {
		s.left = int64(len(p.Body))
		if p.File.File != nil {
			s.left = p.File.Length
		}
	}
	if s.left >= 0 && p.Head.Status != http.StatusNoContent {
		h.Set("Content-Length", strconv.FormatInt(s.left, 10))
	} else {
		h.Del("Content-Length")
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // net/http would guess one
	}
	s.started = true
	s.w.WriteHeader(p.Head.Status)
}

// joined are fields whose values add to what middleware has set; others replace it.
var joined = map[string]bool{"Set-Cookie": true, "Vary": true, "Link": true, "Server-Timing": true}

// setFields takes over the fields of a head: its status, then "Name: value", each line
// ended by CRLF.
func setFields(h http.Header, lines []byte) {
	_, text, _ := strings.Cut(string(lines), "\r\n")
	if len(h) > 0 {
		for name := range fields(text) {
			if !joined[http.CanonicalHeaderKey(name)] {
				h.Del(name)
			}
		}
	}
	for name, value := range fields(text) {
		h.Add(name, value)
	}
}

// fields yields the fields of a text of lines.
func fields(text string) func(yield func(name, value string) bool) {
	return func(yield func(string, string) bool) {
		for line := range strings.SplitSeq(text, "\r\n") {
			if name, value, ok := strings.Cut(line, ": "); ok && !yield(name, value) {
				return
			}
		}
	}
}

// body writes a part of the body.
func (s *answer) body(p bridge.Part) error {
	if p.File.File != nil {
		defer p.File.File.Close()
		return s.file(p.File)
	}
	data := p.Body
	if s.left >= 0 && int64(len(data)) > s.left {
		s.app.config.Logger.Warn("the Python application gave more body than its Content-Length; the rest is not sent",
			"uri", s.r.RequestURI, "extra_bytes", int64(len(data))-s.left)
		data = data[:s.left]
	}
	// What has no length is flushed even if it came in one piece by chance, so that one
	// answer is always framed alike.
	flush := !p.Last || s.left < 0
	if flush {
		s.stream()
	}
	if len(data) > 0 {
		if _, err := s.w.Write(data); err != nil {
			return err
		}
	}
	if s.left >= 0 {
		s.left -= int64(len(data))
	}
	if !flush {
		return nil
	}
	if err := s.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// stream bounds the wait for the client, in which Python may have to wait as well.
func (s *answer) stream() {
	if s.control == nil {
		s.control = http.NewResponseController(s.w)
	}
	srv, _ := s.r.Context().Value(http.ServerContextKey).(*http.Server)
	if wait := s.app.config.WriteTimeout; wait > 0 && srv != nil && srv.WriteTimeout == 0 {
		_ = s.control.SetWriteDeadline(time.Now().Add(wait)) // net/http takes it back at the request's end
	}
}

// fileStep is what one deadline covers of a file, in bytes.
const fileStep = 256 << 10

// file writes a stretch of a file; net/http lets the kernel do it where it can.
func (s *answer) file(f bridge.FilePart) error {
	if _, err := f.File.Seek(f.Offset, io.SeekStart); err != nil {
		return err
	}
	for rest := min(f.Length, s.left); rest > 0; {
		s.stream()
		n, err := io.CopyN(s.w, f.File, min(rest, fileStep))
		s.left -= n
		rest -= n
		if errors.Is(err, io.EOF) {
			return nil // it is shorter now: end tells
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hint sends 103 answers (RFC 8297), each of some field lines and an empty one, if the
// client knows informational ones and there is a net/http server below.
func (s *answer) hint(lines []byte) {
	w, ok := innermost(s.w)
	if !ok || !s.r.ProtoAtLeast(1, 1) {
		return
	}
	h := w.Header()
	saved := h.Clone()
	for block := range bytes.SplitSeq(lines, []byte("\r\n\r\n")) {
		if len(block) == 0 {
			continue
		}
		clear(h)
		for name, value := range fields(string(block)) {
			h.Add(name, value)
		}
		w.WriteHeader(http.StatusEarlyHints)
	}
	clear(h)
	for name, values := range saved {
		h[name] = values
	}
}

// innermost unwraps w down to net/http's own. Others take an informational answer for
// the final one, http.TimeoutHandler's and httptest's among them.
func innermost(w http.ResponseWriter) (http.ResponseWriter, bool) {
	for {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = inner.Unwrap()
	}
	_, ok := w.(interface {
		FlushError() error
		SetWriteDeadline(time.Time) error
	})
	return w, ok
}
