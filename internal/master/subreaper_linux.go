package master

import "syscall"

const prSetChildSubreaper = 36 // linux/prctl.h

// becomeSubreaper makes this process the parent of descendants whose own parent
// has ended.
func becomeSubreaper() error {
	if _, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); err != 0 {
		return err
	}
	return nil
}
