// Package disk writes files so that each appears whole or not at all, and outlives a power cut where it must.
//
// A [Folder] does so with the few operations of an [FS]. Open uses the file system of the machine; tests mount
// another one (package disk/disktest).
package disk

import (
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
)

// System is a file system as programs see it: by paths.
type System interface {
	// Mkdir makes a folder, as os.Mkdir does.
	Mkdir(path string) error
	// OpenRoot returns what lies below a folder.
	OpenRoot(path string) (FS, error)
}

// FS is what lies below one folder. Names are relative to the folder, with slashes. Errors are those of package os.
// Several goroutines may use it.
type FS interface {
	// OpenFile opens a file, or a folder to read, as os.OpenFile does.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// MkdirAll, Link, Rename, Remove and Lstat do what the methods of os.Root do.
	MkdirAll(name string, perm fs.FileMode) error
	// Link: see MkdirAll.
	Link(from, to string) error
	// Rename: see MkdirAll.
	Rename(from, to string) error
	// Remove: see MkdirAll.
	Remove(name string) error
	// Lstat: see MkdirAll.
	Lstat(name string) (fs.FileInfo, error)
	// Sync makes the whole file system outlive a power cut. It reports each failed write to the disk since the folder
	// was opened, once.
	Sync() error
	// Network returns the kind of network file system that this is, "" for none.
	Network() string
	// Close ends the use of the folder.
	Close() error
}

// File is an open file or folder.
type File interface {
	io.ReadWriteCloser
	// WriteAt writes at a place in the file or at its end, and moves no position.
	io.WriterAt
	// Stat describes the file.
	Stat() (fs.FileInfo, error)
	// ReadDir returns the next n entries of a folder, and an error at its end.
	ReadDir(n int) ([]fs.DirEntry, error)
	// Truncate changes the size of the file.
	Truncate(size int64) error
	// Sync makes the content of a file, or the names in a folder, outlive a power cut.
	Sync() error
	// Lock locks the file for this opening of it, until both the file and the lock are closed, or the process ends. The
	// error is ErrTaken while another opening has the lock.
	Lock() (io.Closer, error)
}

// mounts are the file systems that tests use instead of the machine's, by the path below which they are.
var mounts struct {
	sync.RWMutex
	at map[string]System
}

// Mount makes Open use s for a path and what is below it, until unmount. Tests use it.
func Mount(path string, s System) (unmount func()) {
	mounts.Lock()
	defer mounts.Unlock()
	if mounts.at == nil {
		mounts.at = map[string]System{}
	}
	mounts.at[path] = s
	return func() {
		mounts.Lock()
		defer mounts.Unlock()
		delete(mounts.at, path)
	}
}

// systemOf returns the file system of a path.
func systemOf(path string) System {
	mounts.RLock()
	defer mounts.RUnlock()
	for at, s := range mounts.at {
		if rest, found := strings.CutPrefix(path, at); found && (rest == "" || rest[0] == filepath.Separator) {
			return s
		}
	}
	return machine{}
}
