//go:build linux

package pyembed

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestForgetCode: there is less of it, and all still runs.
func TestForgetCode(t *testing.T) {
	w := embedded(t)
	before := codeInMemory(t)
	ForgetCode()
	if after := codeInMemory(t); after >= before {
		t.Errorf("%d kB of code instead of %d", after, before)
	}
	if r := w.ask(t, "GET", "/list", ""); r.err != nil || r.body != "hello" {
		t.Errorf("%+v", r)
	}
}

// codeInMemory counts the kilobytes of files that are mapped to be run (proc(5), smaps).
func codeInMemory(t *testing.T) (kilobytes int) {
	t.Helper()
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer smaps.Close()
	code := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case strings.Contains(fields[0], "-"):
			code = len(fields) == 6 && fields[1] == "r-xp"
		case code && fields[0] == "Rss:":
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			kilobytes += n
		}
	}
	return kilobytes
}
