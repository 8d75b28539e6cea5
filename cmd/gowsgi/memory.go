package main

import (
	"os"
	"runtime/debug"
)

// halveGarbage has Go collect its garbage twice as often as by default. What is alive
// is small in every process, and there are many processes: a megabyte or two of each
// is worth more than the time, which no benchmark shows (RATIONALE.md).
func halveGarbage() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// freeBootMemory gives back what only the start has needed, such as the settings'
// many forms.
func freeBootMemory() { debug.FreeOSMemory() }
