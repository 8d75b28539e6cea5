// Command gowsgi-launcher is the beginning of every program that `gowsgi build` makes:
// it unpacks what is behind it in the same file, once, and becomes that program.
//
// It is linked statically, so that it starts where there is no C library. What may
// enter: nothing that makes it otherwise (packages net, os/user and cgo).
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gowsgi/gowsgi/internal/bundle"
	"github.com/gowsgi/gowsgi/internal/unpacked"
)

func main() {
	fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), launch())
	os.Exit(1)
}

// launch returns if it fails.
func launch() error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program's file, which takes a mounted /proc: %w", err)
	}
	f, err := os.Open("/proc/self/exe") // also when the file was replaced meanwhile
	if err != nil {
		return err
	}
	a, err := bundle.Open(f)
	if errors.Is(err, bundle.ErrNone) {
		return errors.New("this is " + bundle.Mark + ": `gowsgi build` puts it in front of a program")
	}
	if err != nil {
		return err
	}
	umask := syscall.Umask(0o022)
	dir, err := a.Install()
	if err == nil {
		provideRandom()
	}
	syscall.Umask(umask)
	if err != nil {
		return err
	}
	program := filepath.Join(dir, a.Index.Program)
	return fmt.Errorf("starting %s: %w", program, syscall.Exec(program, os.Args, environment(os.Environ(), path)))
}

const random = "/dev/urandom"

// provideRandom makes the one device that python-build-standalone's CPython does not
// start without. Containers have it, a folder for chroot may not.
func provideRandom() {
	if _, err := os.Stat(random); !errors.Is(err, os.ErrNotExist) {
		return
	}
	const number = 1<<8 | 9 // random(4)
	err := os.MkdirAll(filepath.Dir(random), 0o755)
	if err == nil {
		err = syscall.Mknod(random, syscall.S_IFCHR|0o666, number)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		fmt.Fprintf(os.Stderr, "%s: there is no %s, which CPython may need, and it cannot be made: %v\n", filepath.Base(os.Args[0]), random, err)
	}
}

// foreign are variables that would have another Python started, or have the packed one
// look for its parts or for packages elsewhere.
var foreign = []string{"GOWSGI_PYTHON", "PYTHONHOME", "PYTHONPATH", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX", "PYTHONNOUSERSITE", unpacked.FileVariable}

func environment(env []string, path string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(foreign, name)
	})
	return append(env, "PYTHONNOUSERSITE=1", unpacked.FileVariable+"="+path)
}
