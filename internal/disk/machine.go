package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrTaken is the error of Lock when another opening of the file has the lock.
var ErrTaken = errors.New("the file is locked")

// machine is the file system of the machine.
type machine struct{}

func (machine) Mkdir(path string) error { return os.Mkdir(path, 0o755) }

func (machine) OpenRoot(path string) (FS, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	top, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &rooted{Root: root, top: top}, nil
}

// rooted is an FS of the machine. It follows symbolic links that stay below its folder.
type rooted struct {
	*os.Root
	// top is the folder, open for as long as the FS: the kernel reports failed writes to those who had a file open.
	top *os.File
}

func (r *rooted) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	file, err := r.Root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return lockable{file}, nil
}

func (r *rooted) Sync() error { return syncFileSystem(r.top) }

func (r *rooted) Network() string { return networkFileSystem(r.top) }

func (r *rooted) Close() error { return errors.Join(r.top.Close(), r.Root.Close()) }

// lockable is a File of the machine.
type lockable struct{ *os.File }

// Lock implements File. The lock belongs to the opening, which a second descriptor keeps.
func (f lockable) Lock() (io.Closer, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	err = conn.Control(func(own uintptr) { fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, dupErr); err != nil {
		return nil, err
	}
	held := os.NewFile(uintptr(fd), f.Name())
	taken, err := tryLock(held)
	if taken {
		err = ErrTaken
	}
	if err != nil {
		_ = held.Close() // it is f, which stays open
		return nil, err
	}
	return held, nil
}
