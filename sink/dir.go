package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// tempPrefix starts the name of every unfinished file. No key has a segment that
// starts with it, so that an unfinished file is never taken for an object.
const tempPrefix = ".kvsframes-tmp-"

// Dir is a Store of plain files below one directory. Symbolic links are followed
// as long as they stay below it (os.Root).
//
// A file is written under a name of its own beside its final place and then
// renamed, so that it is there whole or not at all. A process that is killed may
// leave such a file behind; its name starts with ".kvsframes-tmp-", and nothing reads
// it. When the store first writes to a folder it removes those that nobody has locked and that are
// older than an hour: others may be those of another program that is writing at the same time.
type Dir struct {
	root  *os.Root
	fsync bool
	swept sweeper
}

var _ Store = (*Dir)(nil)

// OpenDir returns a store in directory, which is made if it is not there. With
// fsync a Put has reached the disk when it returns, and with it the name of the
// file; without, what was put outlives the process but maybe not a power cut.
func OpenDir(directory string, fsync bool) (*Dir, error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	root, err := os.OpenRoot(directory)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	return &Dir{root: root, fsync: fsync}, nil
}

// Close gives the directory back. No Put may be under way.
func (d *Dir) Close() error {
	if err := d.root.Close(); err != nil {
		return fmt.Errorf("close directory: %w", err)
	}
	return nil
}

// Put implements Store. IfAbsent takes a file system with hard links.
func (d *Dir) Put(ctx context.Context, key string, body []byte, opts PutOptions) error {
	w, err := d.begin(ctx, key, opts)
	if err != nil {
		return err
	}
	if err = w.write(ctx, body); err == nil {
		err = w.commit(ctx)
	}
	if err = errors.Join(err, w.Abandon()); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return nil
}

// Holds implements Store: it compares every byte.
func (d *Dir) Holds(ctx context.Context, key string, body []byte) (bool, error) {
	if err := checkFileKey(key); err != nil {
		return false, err
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	file, err := d.root.Open(key)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", key, err)
	}
	same, err := holds(file, body)
	if err = errors.Join(err, file.Close()); err != nil {
		return false, fmt.Errorf("look at %s: %w", key, err)
	}
	return same, nil
}

// holds reports whether a file has these bytes and no others.
func holds(file *os.File, body []byte) (bool, error) {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(body)) {
		return false, err
	}
	buffer := make([]byte, min(len(body), 64<<10))
	for len(body) > 0 {
		n, err := file.Read(buffer)
		switch {
		case errors.Is(err, io.EOF): // it has shrunk
			return false, nil
		case err != nil:
			return false, err
		case n > len(body) || !bytes.Equal(buffer[:n], body[:n]):
			return false, nil
		}
		body = body[n:]
	}
	return true, nil
}

func checkFileKey(key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case len(segment) > MaxSegmentBytes:
			return fmt.Errorf("%w: %q has a segment of %d bytes, maximum is %d", ErrKey, key, len(segment), MaxSegmentBytes)
		case strings.HasPrefix(segment, tempPrefix):
			return fmt.Errorf("%w: %q has a segment that starts with %s", ErrKey, key, tempPrefix)
		}
	}
	return nil
}

// create opens a new file, and makes the folders that it needs.
func (d *Dir) create(name string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	file, err := d.root.OpenFile(name, flags, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.makeFolder(path.Dir(name)); err != nil {
			return nil, err
		}
		file, err = d.root.OpenFile(name, flags, 0o644)
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("%w: %w", ErrKeyConflict, err)
	}
	return file, err
}

func (d *Dir) makeFolder(name string) error {
	err := d.root.MkdirAll(name, 0o755)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", ErrKeyConflict, err)
	}
	// The name of a new folder lies in the folder above it.
	for ; err == nil && d.fsync && name != "."; name = path.Dir(name) {
		err = d.syncFolder(path.Dir(name))
	}
	return err
}

// place gives a finished file the name of its key.
func (d *Dir) place(temp, key string, ifAbsent bool) error {
	var err error
	if ifAbsent {
		// Unlike a rename, a link never replaces what is there.
		err = d.root.Link(temp, key)
	} else {
		err = d.root.Rename(temp, key)
	}
	if err == nil {
		return nil
	}
	if info, statErr := d.root.Lstat(key); statErr == nil && info.IsDir() {
		return fmt.Errorf("%w: %w", ErrKeyConflict, err)
	}
	if ifAbsent && errors.Is(err, fs.ErrExist) {
		return ErrExist
	}
	return err
}

func (d *Dir) syncFolder(name string) error {
	folder, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
