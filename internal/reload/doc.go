// Package reload tells when one of a growing set of files was changed: by the
// kernel's word where it has one, else by looking once a second. Which files those
// are, and what a change means, may not enter; nor Python.
//
// Watcher is one goroutine that owns what is known of each file (files.go) and of
// the folders that the kernel watches (folders.go); glob.go finds what patterns
// match.
package reload
