package gowsgi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/gowsgi/gowsgi/wsgi"
)

// Config says what to load and how to serve it. All but App may be left out.
type Config struct {
	// App is the application as `gowsgi run` takes it: "module:attribute",
	// "module:factory()" or "module".
	App string

	// Dir is the folder that App's module lies in; "" is the working folder. It goes
	// on sys.path, behind those of earlier loads. The working folder does not change.
	// In a program of one file a relative Dir lies in the folder that `gowsgi build`
	// has packed, and "" is that.
	Dir string

	// PythonPath are further folders for sys.path, behind Dir, and found as Dir is.
	PythonPath []string

	// Prefix is the path that the application is mounted under, such as "/blog": it
	// becomes SCRIPT_NAME, and PATH_INFO is the rest. Requests for other paths get 404.
	// What http.StripPrefix has taken off a path is found without it.
	Prefix string

	// Environ gives further variables for a request's environ, such as REMOTE_USER. It
	// is called on the handler's goroutine after the body was read, and may be nil.
	// Names that the server answers for are errors: wsgi.* but for wsgi.url_scheme,
	// REQUEST_METHOD and CONTENT_LENGTH. Values arrive as PEP 3333 has all text, their
	// bytes as latin-1: UTF-8 is value.encode("latin-1").decode() in Python.
	Environ func(*http.Request) map[string]string

	// OnError is told of what goes wrong with a request: a [*pyembed.Error] for an
	// exception (also one of close(), when the client has its answer), a
	// [*RequestError] or [*EnvironError], bridge.ErrQueueFull or ErrQueueTimeout,
	// ErrClosed, or context.DeadlineExceeded. Clients that leave are not errors. nil
	// logs it. Exceptions are told on the Python thread that raised them, so it should
	// be quick, and may come after ServeHTTP has returned. It may be called by several
	// goroutines at a time; its panics are logged.
	OnError func(r *http.Request, err error)

	// ErrorHandler answers a request for which the application has no answer; Status
	// says with which status. nil answers in text, or JSON where the client asks for it.
	ErrorHandler func(w http.ResponseWriter, r *http.Request, err error)

	// Debug shows exceptions' tracebacks to clients.
	Debug bool

	// Logger gets what OnError does not; nil is slog.Default.
	Logger *slog.Logger

	// MaxBody is the largest request body, in bytes; a larger one gets 413. 0 is no
	// limit. http.MaxBytesReader's errors are 413 as well.
	MaxBody int64

	// BodyMemory is how many bytes of a request's body are kept in memory, 1 MiB when
	// 0; a larger body goes to a temporary file in TempDir, which is the system's
	// folder when "".
	BodyMemory int64
	TempDir    string

	// WriteTimeout is the longest wait for a client to take a piece of a streamed
	// answer, during which a Python thread may have to wait too. 60 s when 0; none when
	// negative. It does nothing where the http.Server has a WriteTimeout of its own.
	WriteTimeout time.Duration

	// ForwardedAllowIPs are the proxies whose X-Forwarded-For, X-Forwarded-Proto and
	// Forwarded fields are believed: addresses and networks with commas between, or "*".
	// "" believes nobody: Go middleware may have done it (RemoteAddr).
	ForwardedAllowIPs string

	// What follows all applications of a process share. The first Load or Import
	// decides; later ones may leave it out or repeat it, otherwise there is ErrProcess.

	// Python is an interpreter's path or name, also a virtual environment's, whose
	// packages are there then. "" is what `gowsgi build` has packed, else VIRTUAL_ENV,
	// else .venv in Dir, else python3 on PATH.
	Python string

	// Threads is how many requests and calls run in Python at a time; 1 when 0. The
	// application must be thread-safe for more.
	Threads int

	// Queue is how many requests and calls may wait for a thread, 2048 when 0; one more
	// gets 503. QueueTimeout is the longest wait, after which there is a 503; 30 s when
	// 0, without a limit when negative.
	Queue        int
	QueueTimeout time.Duration
}

const (
	defaultBodyMemory   = 1 << 20
	defaultWriteTimeout = 60 * time.Second
	defaultQueue        = 2048
	defaultQueueTimeout = 30 * time.Second
)

// schemeFields are those of gunicorn's default secure_scheme_headers.
var schemeFields = []wsgi.SchemeField{
	{Name: "x-forwarded-protocol", HTTPS: "ssl"}, {Name: "x-forwarded-proto", HTTPS: "https"}, {Name: "x-forwarded-ssl", HTTPS: "on"},
}

// check fills in what was left out.
func (c *Config) check() error {
	if strings.TrimSpace(c.App) == "" {
		return errors.New("Config.App is empty: it says which application to load, as in \"myapp:app\"")
	}
	if c.Prefix = strings.TrimRight(c.Prefix, "/"); c.Prefix != "" && c.Prefix[0] != '/' {
		return fmt.Errorf("Config.Prefix is %q: it must begin with a slash", c.Prefix)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.BodyMemory == 0 {
		c.BodyMemory = defaultBodyMemory
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = defaultWriteTimeout
	}
	if c.OnError == nil {
		c.OnError = logTo(c.Logger)
	}
	return nil
}

// folders are for sys.path, Dir first.
func (c *Config) folders() ([]string, error) {
	folders := make([]string, 0, 1+len(c.PythonPath))
	for _, folder := range append([]string{c.Dir}, c.PythonPath...) {
		path, err := pyembed.AppFolder(folder)
		if err != nil {
			return nil, fmt.Errorf("finding the folder %q: %w", folder, err)
		}
		folders = append(folders, path)
	}
	return folders, nil
}

func (c *Config) rules() (*wsgi.Rules, error) {
	proxies, err := wsgi.ParseNetworks(c.ForwardedAllowIPs)
	if err != nil {
		return nil, fmt.Errorf("Config.ForwardedAllowIPs: %w", err)
	}
	return &wsgi.Rules{Proxies: proxies, SecureScheme: schemeFields}, nil
}
