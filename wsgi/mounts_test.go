package wsgi

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/bridge"
)

func TestParseMounts(t *testing.T) {
	got, err := ParseMounts([]string{"/", "/a", "/long/er/", "/b"}, []int{0, 1, 2, 3})
	if want := "[{/long/er 2} {/a 1} {/b 3} { 0}]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
	for _, paths := range []string{"a", ",/a", "/a,/b,/a/"} {
		if _, err := ParseMounts(strings.Split(paths, ","), make([]int, 3)); err == nil {
			t.Errorf("%s is taken", paths)
		}
	}
}

// TestMounts: what uWSGI 2.0.30 does with manage-script-name, where that is right.
func TestMounts(t *testing.T) {
	mounts, err := ParseMounts([]string{"/one", "/one/deep", "/two/"}, []int{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	withDefault := append(mounts[:3:3], Mount{"", 0})
	for _, tt := range []struct {
		mounts       []Mount
		prefix, path string // SCRIPT_NAME of the server, the request's path
		want         string // application, SCRIPT_NAME, PATH_INFO
	}{
		{withDefault, "", "/", "0 '' '/'"},
		{withDefault, "", "/one", "1 '/one' ''"},
		{withDefault, "", "/one/", "1 '/one' '/'"},
		{withDefault, "", "/one/x", "1 '/one' '/x'"},
		{withDefault, "", "/onex", "0 '' '/onex'"},
		{withDefault, "", "/ONE/x", "0 '' '/ONE/x'"},
		{withDefault, "", "/one/deep", "2 '/one/deep' ''"},
		{withDefault, "", "/one/deep/y", "2 '/one/deep' '/y'"},
		{withDefault, "", "/one/deeper", "1 '/one' '/deeper'"},
		{withDefault, "", "/two/z", "3 '/two' '/z'"},
		{withDefault, "", "/%6fne/x", "1 '/one' '/x'"},
		{withDefault, "", "/one%2fx", "1 '/one' '/x'"},
		{withDefault, "", "/one/%2e%2e/x", "1 '/one' '/../x'"},
		{withDefault, "", "//one/x", "0 '' '//one/x'"},
		{withDefault, "", "*", "0 '' '*'"},
		{withDefault, "/p", "/p/one/x", "1 '/p/one' '/x'"},
		{withDefault, "/p", "/p/x", "0 '/p' '/x'"},
		{withDefault, "/p%20q", "/p%20q/one/x", "1 '/p q/one' '/x'"},
		{mounts, "", "/one/x", "1 '/one' '/x'"},
		{mounts, "", "/three", "404"},
		{mounts, "", "/", "404"},
	} {
		u := &Rules{Mounts: tt.mounts, ScriptName: []byte(tt.prefix)}
		r := &bridge.Request{Method: []byte("GET"), Target: []byte(tt.path), Path: []byte(tt.path), Proto: "HTTP/1.1", Scheme: "http", BodyLength: -1}
		if got := chosen(u, r); got != tt.want {
			t.Errorf("%s%s: %s, want %s", tt.prefix, tt.path, got, tt.want)
		}
	}
}

func chosen(u *Rules, r *bridge.Request) string {
	x := bridge.NewExchange()
	defer x.Release()
	if err := u.Prepare(r, x); err != nil {
		return err.Error()
	}
	if x.Answered() {
		return fmt.Sprint(x.Next().Head.Status)
	}
	return fmt.Sprintf("%d '%s' '%s'", x.App, x.Record.Lookup("SCRIPT_NAME"), x.Record.Lookup("PATH_INFO"))
}

// TestMountsOfPackets: a web server may have named the mount itself.
func TestMountsOfPackets(t *testing.T) {
	mounts, err := ParseMounts([]string{"/one", "/two"}, []int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ script, path, want string }{
		{"", "/one/x", "1 '/one' '/x'"},
		{"/one", "/x", "1 '/one' '/x'"},
		{"/one", "/one/x", "1 '/one' '/x'"},
		{"/one", "/two/x", "2 '/one/two' '/x'"},
		{"/outer", "/two/x", "2 '/outer/two' '/x'"},
		{"/outer", "/x", "404"},
		{"", "/x", "404"},
	} {
		r := packet(t, 0, append(fromNginx, "SCRIPT_NAME="+tt.script, "PATH_INFO="+tt.path)...)
		if got := chosen(&Rules{Mounts: mounts}, r); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.script, tt.path, got, tt.want)
		}
	}
}
