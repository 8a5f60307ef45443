package sink

import "golang.org/x/sys/unix"

// Sync makes everything that was put so far outlive a power cut. It writes back the whole file system.
func (d *Dir) Sync() error {
	folder, err := d.root.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close()
	return unix.Syncfs(int(folder.Fd()))
}
