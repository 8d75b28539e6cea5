package gowsgi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// discard is a writer without a connection.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkServeHTTP is a request's way through the handler and Python, without a
// connection: what is left of it without the handler is pyembed's BenchmarkHello.
func BenchmarkServeHTTP(b *testing.B) {
	app, _ := webapp(b)
	r := httptest.NewRequest("GET", "/hello?a=b", nil)
	for name, value := range map[string]string{
		"Accept": "*/*", "User-Agent": "benchmark", "Cookie": "session=0123456789", "X-Forwarded-For": "192.0.2.1",
	} {
		r.Header.Set(name, value)
	}
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		app.ServeHTTP(w, r)
		clear(w.h)
	}
}
