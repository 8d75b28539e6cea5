//go:build !linux

package listen

import "syscall"

const soReusePort = syscall.SO_REUSEPORT
