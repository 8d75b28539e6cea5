// Command gohandler serves an application as a Go program does that has it as one of
// its handlers, with the command line of `gowsgi run`: for tests and benchmarks that
// compare the two, and with net/http alone.
//
//	gohandler run --bind 127.0.0.1:8000 --python .venv/bin/python --chdir DIR --threads 2 myapp:app
//	gohandler plain --bind 127.0.0.1:8000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gowsgi/gowsgi"
)

func main() {
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "gohandler:", err)
		os.Exit(1)
	}
}

// grace bounds what running requests may take at the end.
const grace = 30 * time.Second

func run(args []string) error {
	if len(args) < 2 || args[1] != "run" && args[1] != "plain" {
		return errors.New("gohandler run|plain [options] [MODULE:ATTRIBUTE]")
	}
	var c gowsgi.Config
	flags := flag.NewFlagSet(args[1], flag.ContinueOnError)
	bind := flags.String("bind", "127.0.0.1:8000", "`HOST:PORT`")
	flags.IntVar(&c.Threads, "threads", 1, "")
	flags.StringVar(&c.Dir, "chdir", "", "the application's `folder`")
	flags.StringVar(&c.Python, "python", "", "")
	flags.StringVar(&c.Prefix, "prefix", "", "")
	flags.StringVar(&c.ForwardedAllowIPs, "forwarded-allow-ips", "127.0.0.1,::1", "")
	flags.String("log-level", "", "does nothing; for the command line's sake")
	if err := flags.Parse(args[2:]); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	handler, err := newHandler(ctx, args[1], c, flags.Arg(0))
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *bind)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return errors.Join(srv.Shutdown(ending), gowsgi.Shutdown(ending))
}

func newHandler(ctx context.Context, kind string, c gowsgi.Config, app string) (http.Handler, error) {
	if kind == "plain" {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "Hello, World!")
		}), nil
	}
	c.App = app
	return gowsgi.Load(ctx, c)
}
