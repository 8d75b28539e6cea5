package pyembed

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
)

// systemCalls in which threads are often found waiting, by architecture and number.
var systemCalls = map[string]map[int]string{
	"amd64": {
		0: "read", 1: "write", 7: "poll", 23: "select", 35: "nanosleep", 42: "connect", 45: "recvfrom", 47: "recvmsg",
		61: "wait4", 73: "flock", 74: "fsync", 202: "futex", 230: "clock_nanosleep", 232: "epoll_wait", 270: "pselect6",
		271: "ppoll", 281: "epoll_pwait",
	},
	"arm64": {
		22: "epoll_pwait", 32: "flock", 63: "read", 64: "write", 72: "pselect6", 73: "ppoll", 82: "fsync", 98: "futex",
		101: "nanosleep", 115: "clock_nanosleep", 203: "connect", 207: "recvfrom", 212: "recvmsg", 260: "wait4",
	},
}

// osThreads describes this process's threads, one a line, from Linux's /proc; ""
// where there is none.
func (in *Interpreter) osThreads() string {
	folders, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return ""
	}
	numbers := make([]int, 0, len(folders))
	for _, folder := range folders {
		if n, err := strconv.Atoi(filepath.Base(folder)); err == nil {
			numbers = append(numbers, n)
		}
	}
	sort.Ints(numbers)
	var b strings.Builder
	for _, n := range numbers {
		b.WriteString(in.osThread(n))
	}
	return b.String()
}

func (in *Interpreter) osThread(number int) string {
	read := func(name string) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/%s", number, name))
		if err != nil {
			return "?" // not allowed here, or the thread has ended
		}
		return strings.TrimSpace(string(text))
	}
	state := "?"
	stat := read("stat")
	if _, rest, ok := strings.Cut(stat[strings.LastIndexByte(stat, ')')+1:], " "); ok {
		state, _, _ = strings.Cut(rest, " ")
	}
	call, _, _ := strings.Cut(read("syscall"), " ")
	if n, err := strconv.Atoi(call); err == nil {
		if name := systemCalls[runtime.GOARCH][n]; name != "" {
			call = name
		}
	}
	line := fmt.Sprintf("%d %s state=%s wchan=%s syscall=%s", number, read("comm"), state, read("wchan"), call)
	if name, ok := in.names.Load(number); ok {
		line += fmt.Sprintf(" python=%s", name)
	}
	return line + "\n"
}
