// Command goapi is an API server in Go with a Flask application under /pages/ in the
// same process. Middleware in Go knows the user, for both.
//
//	python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
//	go run .
//	curl -u ann:secret http://127.0.0.1:8080/api/time
//	curl -u ann:secret http://127.0.0.1:8080/pages/hello
package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	dir := flag.String("dir", ".", "the folder of pages.py, and of .venv")
	flag.Parse()
	if err := run(*addr, *dir); err != nil {
		log.Fatal(err)
	}
}

const (
	loadTime     = time.Minute
	shutdownTime = 30 * time.Second
)

func run(addr, dir string) error {
	loading, cancel := context.WithTimeout(context.Background(), loadTime)
	defer cancel()
	pages, err := gowsgi.Load(loading, gowsgi.Config{
		App: "pages:app", Dir: dir, Threads: 4, Prefix: "/pages",
		Environ: func(r *http.Request) map[string]string {
			return map[string]string{"REMOTE_USER": userOf(r)} // Flask: request.remote_user
		},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/pages/", pages)
	mux.HandleFunc("GET /api/time", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, map[string]string{"user": userOf(r), "time": time.Now().Format(time.RFC3339)})
	})
	mux.HandleFunc("GET /api/stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, pages.Stats()) })

	srv := &http.Server{Addr: addr, Handler: authenticated(mux), ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-stop.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	// First what brings requests, then Python, whose own exit handlers run.
	return errors.Join(srv.Shutdown(ending), pages.Drain(ending), gowsgi.Shutdown(ending))
}

type userKey struct{}

func userOf(r *http.Request) string {
	user, _ := r.Context().Value(userKey{}).(string)
	return user
}

// authenticated turns away whom it does not know; everything behind it, Go or Python,
// can rely on userOf.
func authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(password), []byte("secret")) == 0 || user == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="goapi"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		log.Print(err) // the client is gone
	}
}
