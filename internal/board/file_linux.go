package board

import (
	"os"

	"golang.org/x/sys/unix"
)

func newFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("gowsgi-board", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "board"), nil
}
