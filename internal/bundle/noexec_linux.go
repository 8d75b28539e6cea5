package bundle

import "golang.org/x/sys/unix"

// noExec tells whether programs cannot be run from a folder.
func noExec(dir string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(dir, &stat) == nil && stat.Flags&unix.ST_NOEXEC != 0
}
