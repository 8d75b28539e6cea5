package service

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestOwnAccount(t *testing.T) {
	for _, names := range [][2]string{{"", ""}, {strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Getegid())}} {
		a, err := FindAccount(names[0], names[1], true)
		if a != nil || err != nil || a.Credential() != nil {
			t.Errorf("%q: %v, %v", names, a, err)
		}
		if err := a.Chown("/nonexistent"); err != nil {
			t.Errorf("chown: %v", err)
		}
	}
}

func TestNoSuchAccount(t *testing.T) {
	for names, want := range map[[2]string]string{
		{"no-such-user", ""}:         "--user no-such-user: there is no such user",
		{"", "no-such-group"}:        "--group no-such-group: there is no such group",
		{"99999999999999999999", ""}: "there is no such user",
	} {
		if _, err := FindAccount(names[0], names[1], false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", names, err)
		}
	}
}

// TestOtherAccount: root may start workers as another, and nobody else.
func TestOtherAccount(t *testing.T) {
	other := os.Geteuid() + 12345
	a, err := FindAccount(strconv.Itoa(other), strconv.Itoa(other+1), false)
	if os.Geteuid() != 0 {
		if err == nil || !strings.Contains(err.Error(), "only root") {
			t.Errorf("%v, %v", a, err)
		}
		return
	}
	if err != nil || a.UID != other || a.GID != other+1 || len(a.Groups) > 0 {
		t.Fatalf("%+v, %v", a, err)
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Chown(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); int(s.Uid) != other || int(s.Gid) != other+1 {
		t.Errorf("the file is of %d %d", s.Uid, s.Gid)
	}
	cmd := exec.Command("id", "-G")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.Credential()}
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != strconv.Itoa(other+1) {
		t.Errorf("groups %s, %v", out, err)
	}
}

// TestNamedAccount: without --group it is the user's own, and --initgroups adds more.
func TestNamedAccount(t *testing.T) {
	daemon, err := user.Lookup("daemon") // on every Unix
	if err != nil {
		t.Fatal(err)
	}
	a, err := FindAccount("daemon", "", true)
	if os.Geteuid() != 0 {
		if err == nil {
			t.Errorf("%v, without an error", a)
		}
		return
	}
	if err != nil || strconv.Itoa(a.UID) != daemon.Uid || strconv.Itoa(a.GID) != daemon.Gid || !slices.Contains(a.Groups, uint32(a.GID)) {
		t.Errorf("%+v, %v; want %+v", a, err, daemon)
	}
}

func TestOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	uid, gid := strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Getegid())
	for _, text := range []string{uid, uid + ":" + gid, ":" + gid, uid + ":"} {
		chown, err := Owner(text)
		if err == nil {
			err = chown(path)
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{"no-such-user": "user no-such-user: there is no such", ":no-such-group": "group no-such-group: there is no such"} {
		if _, err := Owner(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	chown, err := Owner("12345:54321")
	if err == nil {
		err = chown(path)
	}
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil {
		t.Fatal(err, statErr)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 12345 || stat.Gid != 54321 {
		t.Errorf("it belongs to %d:%d", stat.Uid, stat.Gid)
	}
}
