package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Variable names the folder for unpacked archives.
const Variable = "GOWSGI_CACHE"

// Install unpacks the archive to the first folder that can hold it.
func (a *Archive) Install() (dir string, err error) {
	var errs []error
	for _, parent := range folders(os.Getenv, os.Geteuid()) {
		if dir, err = a.Unpack(parent); err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("there is no folder to unpack to:\n%w\nset %s to one that you can write to and that is not mounted noexec, "+
		"or unpack there beforehand", errors.Join(errs...), Variable)
}

// folders lists where archives may be unpacked, in order. A folder that the
// environment names for this purpose is the only one.
func folders(env func(string) string, uid int) []string {
	if dir := env(Variable); dir != "" {
		if absolute, err := filepath.Abs(dir); err == nil {
			return []string{absolute}
		}
	}
	var all []string
	add := func(dir, name string) {
		if filepath.IsAbs(dir) {
			all = append(all, filepath.Join(dir, name))
		}
	}
	service, _, _ := strings.Cut(env("CACHE_DIRECTORY"), ":") // systemd.exec(5)
	add(service, "gowsgi")
	add(env("XDG_CACHE_HOME"), "gowsgi")
	if uid == 0 {
		add("/var/cache", "gowsgi") // root's workers may be another user, who cannot enter root's home
	}
	add(env("HOME"), ".cache/gowsgi")
	temp := env("TMPDIR")
	if !filepath.IsAbs(temp) {
		temp = "/tmp"
	}
	add(temp, fmt.Sprintf("gowsgi-%d", uid))
	return all
}
