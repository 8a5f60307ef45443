package checkpoint

import "syscall"

// networkFileSystems are file systems whose locks may not hold between machines, by their type (statfs(2)).
var networkFileSystems = map[uint32]string{
	0x6969: "NFS", 0x517b: "SMB", 0xfe534d42: "SMB", 0xff534d42: "CIFS", 0x5346414f: "AFS", 0x01021997: "9P", 0x00c36400: "Ceph",
}

// networkFileSystem returns the kind of network file system that a folder is on; "" when it is on none.
func networkFileSystem(folder string) string {
	var s syscall.Statfs_t
	if syscall.Statfs(folder, &s) != nil {
		return ""
	}
	return networkFileSystems[uint32(s.Type)]
}
