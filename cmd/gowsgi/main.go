// Command gowsgi serves WSGI applications.
package main

import (
	"os"

	"github.com/gowsgi/gowsgi/pyembed"
)

func main() {
	halveGarbage()
	pyembed.Main(func() int { return run(os.Args, os.Stdout, os.Stderr) })
}
