// Package routers holds tests of a Python application behind others' routers and
// middleware. It is a module of its own: package gowsgi needs none of them.
package routers

import (
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gowsgi/gowsgi"
)

func load(t *testing.T, prefix string) *gowsgi.App {
	t.Helper()
	python := os.Getenv("GOWSGI_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	app, err := gowsgi.Load(t.Context(), gowsgi.Config{
		App: "webapp:app", Dir: "../../testdata", Prefix: prefix, Python: python, Threads: 4, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	return app
}

// routers are the application under /site beside a Go route, behind middleware.
func routers(t *testing.T) map[string]http.Handler {
	app := load(t, "/site")
	c := chi.NewRouter()
	c.Use(middleware.RequestID, middleware.RealIP, middleware.Logger, middleware.Recoverer, middleware.Timeout(time.Minute))
	c.Mount("/site", app)
	c.Get("/go", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "go") })

	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.Use(gin.LoggerWithWriter(io.Discard), gin.Recovery())
	g.Any("/site/*path", gin.WrapH(app))
	g.GET("/go", func(c *gin.Context) { c.String(200, "go") })
	return map[string]http.Handler{"chi": c, "gin": g}
}

func get(t *testing.T, s *httptest.Server, path string) (*http.Response, string, error) {
	t.Helper()
	response, err := s.Client().Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestRouters(t *testing.T) {
	for name, h := range routers(t) {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(h)
			defer s.Close()
			for path, want := range map[string]string{
				"/go": "go", "/site/hello": "hello", "/site/several": "abc", "/site/large": strings.Repeat("x", 3_000_000),
				"/site/raises": "500 Internal Server Error\n",
			} {
				if _, body, err := get(t, s, path); body != want || err != nil {
					t.Errorf("%s: %.100q, %v", path, body, err)
				}
			}
			if _, body, _ := get(t, s, "/site/environ_of?a=b"); !strings.Contains(body, `"SCRIPT_NAME": "/site"`) || !strings.Contains(body, `"PATH_INFO": "/environ_of"`) {
				t.Error(body)
			}
			if response, _, err := get(t, s, "/site/file"); response.ContentLength != 999_996 || err != nil {
				t.Errorf("%d bytes, %v", response.ContentLength, err)
			}
			if _, body, err := get(t, s, "/site/raises_later"); body != "begun" || err == nil {
				t.Errorf("%q, %v: the client takes it for whole", body, err)
			}
		})
	}
}

// TestStreaming: pieces come through as they are given, middleware or not.
func TestStreaming(t *testing.T) {
	for name, h := range routers(t) {
		s := httptest.NewServer(h)
		response, err := s.Client().Get(s.URL + "/site/endless")
		if err != nil {
			t.Fatal(err)
		}
		var b [10_000]byte
		if _, err := io.ReadFull(response.Body, b[:]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		response.Body.Close()
		s.CloseClientConnections()
		s.Close()
	}
}

func TestEarlyHints(t *testing.T) {
	for name, h := range routers(t) {
		s := httptest.NewServer(h)
		hints := 0
		trace := &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil }}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", s.URL+"/site/hints", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != 200 || string(body) != "hinted" || err != nil || hints != 2 {
			t.Errorf("%s: %s, %q, %v, %d hints", name, response.Status, body, err, hints)
		}
		s.Close()
	}
}

// TestCompress: middleware that changes bodies changes what it must of the head.
func TestCompress(t *testing.T) {
	c := chi.NewRouter()
	c.Use(middleware.Compress(5))
	c.Mount("/", load(t, ""))
	s := httptest.NewServer(c)
	defer s.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/large", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	z, err := gzip.NewReader(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(z); err != nil || len(body) != 3_000_000 || response.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes, %v, %v", len(body), err, response.Header)
	}
}
