package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/kvsframes/kvsframes/internal/disk"
)

// Dir is a Store of plain files in one directory. It follows symbolic links that stay inside the directory
// (os.Root).
//
// A file is written under a temporary name in its final folder and then renamed, so that it appears whole
// or not at all. A killed process may leave a temporary file behind; its name starts with ".kvsframes-tmp-",
// and nothing reads it. On the first write to a folder the store removes those that no process has locked. On
// network file systems, whose locks may not hold between machines, they must also be older than an hour.
type Dir struct {
	folder *disk.Folder
	fsync  bool
}

var _ Store = (*Dir)(nil)

// OpenDir returns a store in directory, which is created if it does not exist. With fsync, a file and its
// name are on disk when Put returns; without, they survive the process, and a power failure after Sync.
func OpenDir(directory string, fsync bool) (*Dir, error) {
	folder, err := disk.Open(directory)
	if err != nil {
		return nil, err
	}
	return &Dir{folder: folder, fsync: fsync}, nil
}

// Close closes the directory. No Put may be in progress.
func (d *Dir) Close() error {
	if err := d.folder.Close(); err != nil {
		return fmt.Errorf("close directory: %w", err)
	}
	return nil
}

// Sync makes everything that was put so far outlive a power failure: it writes back the whole file system, unless every
// file has reached the disk already. After an error, Put and Create fail for ever: what was put before may be lost.
func (d *Dir) Sync() error {
	if d.fsync {
		return nil
	}
	return d.folder.Sync()
}

// Put implements Store. IfAbsent requires a file system with hard links.
func (d *Dir) Put(ctx context.Context, key string, body []byte, opts PutOptions) error {
	w, err := d.begin(ctx, key, opts)
	if err != nil {
		return err
	}
	if err = w.file.Write(ctx, body); err == nil {
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
	file, err := d.folder.OpenFile(key, os.O_RDONLY, 0)
	if err != nil {
		return false, fmt.Errorf("compare %s: %w", key, err)
	}
	same, err := holds(file, bytes.NewReader(body), int64(len(body)))
	if err = errors.Join(err, file.Close()); err != nil {
		return false, fmt.Errorf("compare %s: %w", key, err)
	}
	return same, nil
}

// holds reports whether the content of a file is that of a reader, of which the size in bytes is known.
func holds(file disk.File, want io.Reader, size int64) (bool, error) {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != size {
		return false, err
	}
	const atOnce = 64 << 10
	a, b := make([]byte, min(size, atOnce)), make([]byte, min(size, atOnce))
	for size > 0 {
		n := min(size, atOnce)
		switch _, err := io.ReadFull(file, a[:n]); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the file has shrunk
			return false, nil
		case err != nil:
			return false, err
		}
		if _, err := io.ReadFull(want, b[:n]); err != nil || !bytes.Equal(a[:n], b[:n]) {
			return false, err
		}
		size -= n
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
		case strings.HasPrefix(segment, disk.TempPrefix):
			return fmt.Errorf("%w: %q has a segment that starts with %s", ErrKey, key, disk.TempPrefix)
		}
	}
	return nil
}
