// Package checkpoint keeps where the reading of a stream is, so that a later run continues there.
//
// A [File] is one checkpoint, a file of bytes whose meaning is the caller's. It belongs to one process at a time:
//
//	f, err := checkpoint.Open("cam.json")
//	...
//	defer f.Close()
//	saved, err := f.Read()
//	...
//	err = f.Write(next)
package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/internal/lock"
)

// maxSize is the size of the largest checkpoint that is read, in bytes.
const maxSize = 64 << 20

// OwnedError is the error of Open for a checkpoint that another process uses.
type OwnedError struct {
	// Path is the checkpoint's file, and Owner what its owner wrote about itself; "" when that is unknown.
	Path, Owner string
}

// Error implements error.
func (e *OwnedError) Error() string {
	owner := e.Owner
	if owner == "" {
		owner = "another process"
	}
	return fmt.Sprintf("checkpoint %s is owned by %s", e.Path, owner)
}

// File is a checkpoint in a file. One goroutine at a time uses it.
type File struct {
	path string
	lock *os.File
}

// Open makes the calling process the owner of a checkpoint, until Close, and makes the folders that its file needs. The
// file itself need not exist. The error is an *OwnedError if another process owns it.
//
// The owner holds a lock on the file PATH.lock, which stays behind. Network file systems are refused: their locks may not
// hold between machines.
func Open(path string) (*File, error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	if name := networkFileSystem(folder); name != "" {
		return nil, fmt.Errorf("open checkpoint %s: it is on a network file system (%s), whose locks may not hold between machines", path, name)
	}
	owner, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	switch taken, err := lock.Try(owner); {
	case taken:
		said, _ := io.ReadAll(io.LimitReader(owner, 200))
		_ = owner.Close()
		return nil, &OwnedError{Path: path, Owner: strings.ToValidUTF8(strings.TrimSpace(string(said)), "?")}
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock checkpoint %s: %w", path, err), owner.Close())
	}
	f := &File{path: path, lock: owner}
	host, _ := os.Hostname()
	err = owner.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(owner, "process %d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock checkpoint %s: %w", path, err), f.Close())
	}
	return f, nil
}

// Read returns what was written last, and nil if nothing was.
func (f *File) Read() ([]byte, error) {
	file, err := os.Open(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read checkpoint: %w", err)
	case len(data) > maxSize:
		return nil, fmt.Errorf("read checkpoint %s: it is larger than %d bytes", f.path, maxSize)
	}
	return data, nil
}

// Write replaces the checkpoint. When it returns nil, the new one has reached the disk. After an error, or when the process dies,
// the file holds either the old or the new one, whole.
func (f *File) Write(data []byte) error {
	if err := f.write(data); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

func (f *File) write(data []byte) (err error) {
	next := f.path + ".next" // of which there is one, since this process is the owner
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, f.path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Close ends the ownership.
func (f *File) Close() error { return f.lock.Close() }
