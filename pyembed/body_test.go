package pyembed

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/hashicorp/go-hclog"
)

// TestBodies: only a front fills a body, so a small one stands before the pool.
func TestBodies(t *testing.T) {
	w := embedded(t)
	limits := bridge.DefaultLimits()
	limits.BodyMemory = 1000
	srv := &bridge.Server{
		Pool: w.pool, Log: hclog.NewNullLogger(), Limits: limits,
		Prepare: func(r *bridge.Request, x *bridge.Exchange) error {
			x.Record = x.Record[:0].Append("test.id", "body").AppendBytes("PATH_INFO", r.Path).
				Append("CONTENT_LENGTH", fmt.Sprint(r.BodyLength))
			return nil
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	defer func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	r := bufio.NewReader(nc)
	lines := "ab\ncdef\nlast\n\nend"
	padded := lines + strings.Repeat("x", 2000)
	read := func(last string) string {
		return fmt.Sprintf(`[b'', b'ab', b'\n', b'cde', [b'f\n', b'last\n', b'\n', b'%s'], b'', []]`, last)
	}
	for _, tt := range []struct{ path, body, want string }{
		{"/input", lines, read("end")},
		{"/input", padded, read(padded[len(lines)-3:])},
		{"/input", "", "[b'', b'', b'', b'', [], b'', []]"},
		{"/input_size", "", "0 of 0 in BytesIO"},
		{"/input_size", strings.Repeat("x", 1000), "1000 of 1000 in BytesIO"},
		{"/input_size", strings.Repeat("x", 1001), "1001 of 1001 in BodyFile"},
		{"/input_size", strings.Repeat("x", 3_000_000), "3000000 of 3000000 in BodyFile"},
	} {
		if _, err := fmt.Fprintf(nc, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", tt.path, len(tt.body), tt.body); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s of %d bytes: %.200s (%v), want %.200s", tt.path, len(tt.body), got, err, tt.want)
		}
	}
}
