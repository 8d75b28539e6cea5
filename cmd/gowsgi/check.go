package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/gowsgi/gowsgi/bridge"
	"github.com/gowsgi/gowsgi/bridge/http1"
	"github.com/gowsgi/gowsgi/pyembed"
	"github.com/gowsgi/gowsgi/wsgi"
	"github.com/urfave/cli/v2"
)

func checkCommand(stdout, _ io.Writer) *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "load an application, say what was found, and exit",
		ArgsUsage: "MODULE[:ATTRIBUTE]",
		Description: "Exit status: 0 when the application loads, 3 when its import fails,\n" +
			"4 when there is no such application, 1 for anything else.",
		Flags:        flagsOf("chdir", "python", "pythonpath", "raw_env", "loglevel", "threads"),
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			cfg, err := commandConfig(c)
			if err != nil {
				return err
			}
			in, _, err := loadApp(c.Context, cfg, nil, nil, nil)
			if err != nil {
				return err
			}
			text, err := in.Info()
			if err != nil {
				return err
			}
			if err := printCheck(stdout, cfg, in.Python, text); err != nil {
				return err
			}
			return in.Close(0)
		},
	}
}

// printCheck prints the interpreter and what an environ will look like.
func printCheck(w io.Writer, cfg *config, p *pyembed.Python, info string) error {
	var py struct {
		Version, Executable, Prefix, Platform string
		BasePrefix                            string `json:"base_prefix"`
		Path                                  []string
		GIL                                   bool
	}
	if err := json.Unmarshal([]byte(info), &py); err != nil {
		return fmt.Errorf("reading what Python says of itself: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "application  %s (loads)\n", cfg.app)
	fmt.Fprintf(&b, "python       %s, %s, GIL %s\n", py.Version, py.Platform, map[bool]string{true: "on", false: "off"}[py.GIL])
	fmt.Fprintf(&b, "executable   %s\nprefix       %s\n", py.Executable, py.Prefix)
	if py.BasePrefix != py.Prefix {
		fmt.Fprintf(&b, "base prefix  %s\n", py.BasePrefix)
	}
	fmt.Fprintf(&b, "library      %s\nthreads      %d\n", p.Library, cfg.threads)
	for i, dir := range py.Path {
		fmt.Fprintf(&b, "%-12s %s\n", map[bool]string{true: "sys.path"}[i == 0], dir)
	}
	b.WriteString("\nA request such as `curl 'http://127.0.0.1:8000/path?q=1'` brings in its environ:\n")
	sample, err := sampleRecord()
	if err != nil {
		return err
	}
	for name, value := range sample.All {
		fmt.Fprintf(&b, "  %-20s %q\n", name, value)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func sampleRecord() (bridge.Record, error) {
	rules := wsgi.Rules{}
	return rules.Environ(nil, &bridge.Request{
		Method: []byte("GET"), Target: []byte("/path?q=1"), Path: []byte("/path"), Query: []byte("q=1"),
		Proto: "HTTP/1.1", Scheme: "http", Host: []byte("127.0.0.1:8000"), BodyLength: -1,
		Fields: []http1.Field{
			{Name: []byte("Host"), Value: []byte("127.0.0.1:8000")},
			{Name: []byte("User-Agent"), Value: []byte("curl/8.5.0")},
			{Name: []byte("Accept"), Value: []byte("*/*")},
		},
		Peer:  bridge.Endpoint{Addr: "127.0.0.1", Port: "40000"},
		Local: bridge.Endpoint{Addr: "127.0.0.1", Port: "8000"},
	})
}
