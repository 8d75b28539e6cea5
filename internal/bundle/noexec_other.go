//go:build !linux

package bundle

func noExec(string) bool { return false }
