package gowsgi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gowsgi/gowsgi"
	"github.com/gowsgi/gowsgi/pyembed"
)

// show prints what a handler answers.
func show(h http.Handler, path string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	fmt.Print(w.Code, " ", w.Body)
}

// A Python application beside a handler in Go.
func ExampleLoad() {
	app, err := gowsgi.Load(context.Background(), gowsgi.Config{App: "hello:app", Dir: "testdata", Threads: 4})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close()

	mux := http.NewServeMux()
	mux.Handle("/", app)
	mux.HandleFunc("GET /api/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "1.2.3") })

	show(mux, "/somewhere")
	show(mux, "/api/version")
	// Output:
	// 200 Hello, world, at /somewhere
	// 200 1.2.3
}

// Two applications under prefixes of their own, and under one that a Go handler strips.
func ExampleConfig_prefix() {
	ctx := context.Background()
	blog, err := gowsgi.Load(ctx, gowsgi.Config{App: "hello:app", Dir: "testdata", Prefix: "/blog"})
	if err != nil {
		log.Fatal(err)
	}
	defer blog.Close()
	shop, err := gowsgi.Load(ctx, gowsgi.Config{App: "hello:app", Dir: "testdata"})
	if err != nil {
		log.Fatal(err)
	}
	defer shop.Close()

	mux := http.NewServeMux()
	mux.Handle("/blog/", blog)
	mux.Handle("/shop/", http.StripPrefix("/shop", shop)) // SCRIPT_NAME is /shop all the same

	show(mux, "/blog/first")
	show(mux, "/shop/cart")
	// Output:
	// 200 Hello, world, at /blog/first
	// 200 Hello, world, at /shop/cart
}

// What Go middleware knows of a request becomes part of its environ.
func ExampleConfig_environ() {
	type userKey struct{}
	app, err := gowsgi.Load(context.Background(), gowsgi.Config{
		App: "hello:app", Dir: "testdata",
		Environ: func(r *http.Request) map[string]string {
			user, _ := r.Context().Value(userKey{}).(string)
			return map[string]string{"REMOTE_USER": user}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close()

	withUser := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, "ann")))
		})
	}
	show(withUser(app), "/")
	// Output: 200 Hello, ann, at /
}

// Own answers for what the application does not answer, and own reports.
func ExampleConfig_errors() {
	app, err := gowsgi.Load(context.Background(), gowsgi.Config{
		App: "webapp:app", Dir: "testdata",
		OnError: func(r *http.Request, err error) {
			var raised *pyembed.Error
			if errors.As(err, &raised) {
				last := strings.TrimSpace(raised.Traceback[strings.LastIndex(strings.TrimSpace(raised.Traceback), "\n"):])
				fmt.Println("report:", r.URL.Path, raised.Type, "/", last)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "out of order", gowsgi.Status(err))
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close()
	show(app, "/raises")
	// Output:
	// report: /raises builtins.LookupError / LookupError: no such thing
	// 500 out of order
}

// Calling a Python function: a slice goes in, a dict comes back as a map.
func ExampleImport() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	shop, err := gowsgi.Import(ctx, gowsgi.Config{Dir: "testdata"}, "hello")
	if err != nil {
		log.Fatal(err)
	}
	sums, err := shop.Call(ctx, "total", []float64{9.5, 10.5}, pyembed.Kwargs{"rate": 0.25})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sums.(map[string]any)["gross"])

	_, err = shop.Call(ctx, "parse", "seven")
	var raised *pyembed.Error
	if errors.As(err, &raised) {
		fmt.Println(raised.Type)
		fmt.Println(strings.Contains(raised.Traceback, "in parse"))
	}
	fmt.Println(err)
	// Output:
	// 25
	// builtins.ValueError
	// true
	// calling hello.parse: ValueError: invalid literal for int() with base 10: 'seven'
}
