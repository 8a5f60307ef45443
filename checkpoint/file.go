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
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/internal/disk"
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
	path   string
	folder *disk.Folder
	file   disk.File // the lock's
	lock   io.Closer
}

// Open makes the calling process the owner of a checkpoint, until Close, and makes the folders that its file needs. The
// file itself need not exist. The error is an *OwnedError if another process owns it.
//
// The owner holds a lock on the file PATH.lock, which stays behind. Network file systems are refused: their locks may not
// hold between machines.
func Open(path string) (*File, error) {
	folder, err := disk.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	f := &File{path: path, folder: folder}
	if err := f.own(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	folder.Sweep(context.Background(), ".")
	return f, nil
}

// own takes the lock, and writes down whose it is.
func (f *File) own() (err error) {
	if name := f.folder.Network(); name != "" {
		return fmt.Errorf("open checkpoint %s: it is on a network file system (%s), whose locks may not hold between machines", f.path, name)
	}
	if f.file, err = f.folder.OpenFile(filepath.Base(f.path)+".lock", os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("open checkpoint: %w", err)
	}
	if f.lock, err = f.file.Lock(); errors.Is(err, disk.ErrTaken) {
		said, _ := io.ReadAll(io.LimitReader(f.file, 200))
		return &OwnedError{Path: f.path, Owner: strings.ToValidUTF8(strings.TrimSpace(string(said)), "?")}
	}
	if err == nil {
		err = f.file.Truncate(0)
	}
	if err == nil {
		host, _ := os.Hostname()
		_, err = fmt.Fprintf(f.file, "process %d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
	}
	if err != nil {
		return fmt.Errorf("lock checkpoint %s: %w", f.path, err)
	}
	return nil
}

// Read returns what was written last, and nil if nothing was.
func (f *File) Read() ([]byte, error) {
	file, err := f.folder.OpenFile(filepath.Base(f.path), os.O_RDONLY, 0)
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
	err := f.folder.WriteFile(context.Background(), filepath.Base(f.path), data, disk.Options{Sync: true, Perm: 0o600})
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// Close ends the ownership.
func (f *File) Close() error {
	var err error
	for _, c := range []io.Closer{f.lock, f.file, f.folder} {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}
