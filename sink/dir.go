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

// tempPrefix starts the name of every unfinished file. No segment of a key starts with it, so that an
// unfinished file is never mistaken for an object.
const tempPrefix = ".kvsframes-tmp-"

// Dir is a Store of plain files in one directory. It follows symbolic links that stay inside the directory
// (os.Root).
//
// A file is written under a temporary name in its final folder and then renamed, so that it appears whole
// or not at all. A killed process may leave a temporary file behind; its name starts with ".kvsframes-tmp-",
// and nothing reads it. On the first write to a folder the store removes those that are unlocked and older
// than an hour: younger ones may belong to another program that is writing.
type Dir struct {
	root  *os.Root
	fsync bool
	swept sweeper
}

var _ Store = (*Dir)(nil)

// OpenDir returns a store in directory, which is created if it does not exist. With fsync, a file and its
// name are on disk when Put returns; without, they survive the process but perhaps not a power failure.
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

// Close closes the directory. No Put may be in progress.
func (d *Dir) Close() error {
	if err := d.root.Close(); err != nil {
		return fmt.Errorf("close directory: %w", err)
	}
	return nil
}

// Put implements Store. IfAbsent requires a file system with hard links.
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
		return false, fmt.Errorf("compare %s: %w", key, err)
	}
	same, err := holds(file, body)
	if err = errors.Join(err, file.Close()); err != nil {
		return false, fmt.Errorf("compare %s: %w", key, err)
	}
	return same, nil
}

// holds reports whether the content of a file is body.
func holds(file *os.File, body []byte) (bool, error) {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(body)) {
		return false, err
	}
	buffer := make([]byte, min(len(body), 64<<10))
	for len(body) > 0 {
		n, err := file.Read(buffer)
		switch {
		case errors.Is(err, io.EOF): // the file has shrunk
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

// create opens a new file, and creates its folders.
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
	// The name of a new folder is stored in its parent.
	for ; err == nil && d.fsync && name != "."; name = path.Dir(name) {
		err = d.syncFolder(path.Dir(name))
	}
	return err
}

// place renames a finished file to its key.
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
