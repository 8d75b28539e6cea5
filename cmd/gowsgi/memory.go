package main

import (
	"os"
	"runtime/debug"

	"github.com/gowsgi/gowsgi/pyembed"
)

// halveGarbage has Go collect its garbage twice as often as by default: there are many
// processes, and little is alive in each (RATIONALE.md).
func halveGarbage() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// freeBootMemory gives back what only the start has needed, such as the settings'
// many forms, and the code that has read them.
func freeBootMemory() {
	debug.FreeOSMemory()
	pyembed.ForgetCode()
}
