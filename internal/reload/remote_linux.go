package reload

import "syscall"

// remote are the magic numbers (statfs(2), linux/magic.h) of file systems on which
// others than this kernel save files, so that inotify does not hear of it: network
// file systems, and what virtual machines share with their host.
var remote = map[uint32]bool{
	0x6969:     true, // NFS
	0x517b:     true, // SMB
	0xff534d42: true, // CIFS
	0xfe534d42: true, // SMB2
	0x01021997: true, // 9p: WSL's /mnt/c
	0x65735546: true, // FUSE, and virtiofs: Docker Desktop, Lima
	0x786f4256: true, // VirtualBox
	0xbacbacbc: true, // VMware
	0x00c36400: true, // Ceph
}

func isRemote(dir string) bool {
	var s syscall.Statfs_t
	return syscall.Statfs(dir, &s) == nil && remote[uint32(s.Type)]
}
