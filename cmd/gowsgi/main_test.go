package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Python starts once in a process, so the commands that need it run in a child:
// this test binary, started anew as gowsgi. GOWSGI_TEST_PYTHON names the
// interpreter, else it is python3 on PATH.
const childVariable = "GOWSGI_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

const patience = 30 * time.Second

// gowsgi returns a command that runs in a folder with one module.
func gowsgi(t *testing.T, module string, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "myapp.py"), []byte(module), 0o644); err != nil {
		t.Fatal(err)
	}
	python := os.Getenv("GOWSGI_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), childVariable+"=1", "VIRTUAL_ENV=", "GOWSGI_PYTHON="+python)
	cmd.WaitDelay = patience
	return cmd
}

const helloModule = `
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
`

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name, module, spec string
		code               int
		stdout, stderr     []string
	}{
		{"loads", helloModule, "myapp:app", exitOK,
			[]string{"application  myapp:app (loads)", "python       3.", "executable", "sys.path", "PATH_INFO", "HTTP_HOST"}, nil},
		{"fails to import", "raise ZeroDivisionError('at import')", "myapp:app", exitBoot, nil,
			[]string{"gowsgi: cannot load the application", "Traceback", "ZeroDivisionError: at import"}},
		{"no module", helloModule, "myap:app", exitBoot, nil, []string{"there is no module 'myap'", "hint: "}},
		{"no attribute", helloModule, "myapp:ap", exitAppSpec, nil, []string{"no attribute 'ap'", "hint: "}},
		{"no application", "app = 3", "myapp", exitAppSpec, nil, []string{"no WSGI application"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			cmd := gowsgi(t, tt.module, "check", tt.spec)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit %d, want %d; stderr:\n%s", code, tt.code, stderr.String())
			}
			for out, want := range map[*bytes.Buffer][]string{&stdout: tt.stdout, &stderr: tt.stderr} {
				for _, w := range want {
					if !strings.Contains(out.String(), w) {
						t.Errorf("no %q in\n%s", w, out.String())
					}
				}
				if len(want) == 0 && out.Len() > 0 {
					t.Errorf("unexpected output:\n%s", out.String())
				}
			}
		})
	}
}

// TestRun serves one request and stops at SIGTERM with exit code 0.
func TestRun(t *testing.T) {
	cmd := gowsgi(t, helloModule, "run", "myapp:app", "-b127.0.0.1:0", "--access-logfile", "access.log")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadString('\n')
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(first)
	if url == "" {
		t.Fatalf("no URL in the first line %q (%v)", first, err)
	}
	for _, want := range []string{"serving myapp:app", "python=3.", "prefix=", "threads=1", "pid="} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in the first line %q", want, first)
		}
	}
	client := http.Client{Timeout: patience}
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != "hello" || res.Header.Get("Server") == "" {
		t.Errorf("%q, %v, %v", body, res.Header, err)
	}
	client.CloseIdleConnections()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.Contains(string(rest), "stopped") {
		t.Errorf("last lines %q, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	access, err := os.ReadFile(filepath.Join(cmd.Dir, "access.log"))
	if err != nil || !strings.Contains(string(access), `"GET / HTTP/1.1" 200 5`) {
		t.Errorf("access log %q, %v", access, err)
	}
}
