package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// networkFileSystems are the network file systems by their type (statfs(2)).
var networkFileSystems = map[uint32]string{
	0x6969: "NFS", 0x517b: "SMB", 0xfe534d42: "SMB", 0xff534d42: "CIFS", 0x5346414f: "AFS", 0x01021997: "9P", 0x00c36400: "Ceph",
}

// networkFileSystem returns the kind of network file system that a folder is on; "" when it is on none.
func networkFileSystem(folder *os.File) string {
	var s unix.Statfs_t
	if unix.Fstatfs(int(folder.Fd()), &s) != nil {
		return ""
	}
	return networkFileSystems[uint32(s.Type)]
}

// syncFileSystem writes back the file system of a folder.
func syncFileSystem(folder *os.File) error { return unix.Syncfs(int(folder.Fd())) }
