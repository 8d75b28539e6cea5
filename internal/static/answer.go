package static

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/gowsgi/gowsgi/bridge"
)

// serve answers with a file, which it takes. net/http knows what ranges and
// conditions (RFC 9110, 13 and 14) come to; the bytes go from the file to the client.
func serve(r *bridge.Request, x *bridge.Exchange, file *os.File, info os.FileInfo) {
	w := &writer{x: x, file: file, header: http.Header{}}
	defer w.end()
	w.header.Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	request := &http.Request{Method: string(r.Method), Header: http.Header{}}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"} {
		value := string(r.Field(name))
		// Several ranges would need the file in pieces; a server may leave them unheard
		// (RFC 9110, 14.2).
		if value != "" && !(name == "Range" && strings.Contains(value, ",")) {
			request.Header.Set(name, value)
		}
	}
	http.ServeContent(w, request, info.Name(), info.ModTime(), file)
}

// writer gives an exchange what ServeContent writes.
type writer struct {
	x      *bridge.Exchange
	file   *os.File // nil: it is the exchange's
	header http.Header
	status int
	text   []byte // of an error
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) { w.status = status }

func (w *writer) Write(p []byte) (int, error) {
	w.text = append(w.text, p...)
	return len(p), nil
}

// ReadFrom takes the stretch of the file that ServeContent wants to copy.
func (w *writer) ReadFrom(source io.Reader) (int64, error) {
	limited, ok := source.(*io.LimitedReader)
	if !ok || limited.R != io.Reader(w.file) {
		return io.Copy(struct{ io.Writer }{w}, source)
	}
	offset, err := w.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	file := w.file
	w.file = nil
	w.x.RespondFile(w.head(), bridge.FilePart{File: file, Offset: offset, Length: limited.N})
	return limited.N, nil
}

// end answers where there is nothing of the file to send.
func (w *writer) end() {
	if w.file == nil {
		return
	}
	w.file.Close()
	_ = w.x.Respond(w.head(), w.text, true) // that it has no body to take is fine
}

func (w *writer) head() bridge.Head {
	h := bridge.Head{Status: w.status, ContentLength: -1}
	h.Lines = fmt.Appendf(nil, "%d %s\r\n", w.status, http.StatusText(w.status))
	for _, name := range slices.Sorted(maps.Keys(w.header)) {
		for _, value := range w.header[name] {
			if name == "Content-Length" {
				h.ContentLength, _ = strconv.ParseInt(value, 10, 64)
				continue
			}
			h.Lines = fmt.Appendf(h.Lines, "%s: %s\r\n", name, value)
		}
	}
	return h
}
