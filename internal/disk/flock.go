//go:build unix && !solaris && !aix

package disk

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks a file until it is closed. It reports whether another process holds the lock instead.
func tryLock(file *os.File) (taken bool, err error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return false, err
	}
	var lockErr error
	err = conn.Control(func(fd uintptr) { lockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
	return errors.Is(lockErr, syscall.EWOULDBLOCK), errors.Join(err, lockErr)
}
