package main

import (
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// keepTerminal returns a function that gives the terminal back as it is now. A
// debugger's prompt in a worker (pdb, by readline) turns the echo off, and what ends
// at the prompt would leave it so. In the background the terminal is another's.
func keepTerminal() (giveBack func()) {
	const stdin = 0
	before, err := term.GetState(stdin)
	if err != nil {
		return func() {} // no terminal
	}
	return func() {
		if group, err := unix.IoctlGetInt(stdin, unix.TIOCGPGRP); err == nil && group == unix.Getpgrp() {
			_ = term.Restore(stdin, before)
		}
	}
}
