package wsgi

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/gowsgi/gowsgi/bridge"
)

// Mount is an application under a path.
type Mount struct {
	Path string // decoded, without a slash at its end; "": every path that no other has
	App  int
}

// ParseMounts reads paths, each with its application's number, and puts them in the
// order that Rules wants.
func ParseMounts(paths []string, apps []int) ([]Mount, error) {
	var all []Mount
	for i, path := range paths {
		if path == "" || path[0] != '/' {
			return nil, fmt.Errorf("%q: the path must begin with a slash", path)
		}
		m := Mount{Path: strings.TrimRight(path, "/"), App: apps[i]}
		if slices.ContainsFunc(all, func(o Mount) bool { return o.Path == m.Path }) {
			return nil, fmt.Errorf("%q: another application is there already", path)
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b Mount) int { return len(b.Path) - len(a.Path) })
	return all, nil
}

// noApp is Request.App where no application is mounted.
const noApp = -1

// answerNoMount is an answer like any other: the connection goes on.
func answerNoMount(x *bridge.Exchange) {
	head := bridge.Head{Status: 404, Lines: []byte("404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"), ContentLength: -1}
	_ = x.Respond(head, []byte("404 Not Found\n"), true)
}

// mount chooses r.App and moves its path from PATH_INFO to SCRIPT_NAME, both decoded,
// as uWSGI does with manage-script-name. Whole segments count. A web server that has
// done so itself may name the mount by SCRIPT_NAME.
func (u *Rules) mount(r *bridge.Request, script, path []byte) (newScript, rest []byte) {
	for _, m := range u.Mounts {
		if rest, ok := bytes.CutPrefix(path, []byte(m.Path)); ok && m.Path != "" && (len(rest) == 0 || rest[0] == '/') {
			r.App = m.App
			if string(script) != m.Path {
				script = slices.Concat(script, []byte(m.Path))
			}
			return script, rest
		}
	}
	for _, m := range u.Mounts {
		if m.Path == "" || m.Path == string(script) {
			r.App = m.App
			return script, path
		}
	}
	r.App = noApp
	return script, path
}
