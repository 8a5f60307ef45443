package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/kvsframes/kvsframes/internal/disk"
)

// errEnded is returned by calls of an ObjectWriter that committed or abandoned its object.
var errEnded = errors.New("the object was committed or abandoned")

// dirWriter writes one file of a Dir.
type dirWriter struct {
	dir  *Dir
	key  string
	file *disk.Writer
	opts PutOptions
}

// Create implements Store. IfAbsent requires a file system with hard links.
func (d *Dir) Create(ctx context.Context, key string, opts PutOptions) (ObjectWriter, error) {
	w, err := d.begin(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (d *Dir) begin(ctx context.Context, key string, opts PutOptions) (*dirWriter, error) {
	if err := checkFileKey(key); err != nil {
		return nil, err
	}
	if err := opts.confirm(ctx); err != nil {
		return nil, err
	}
	file, err := d.folder.Create(ctx, key, disk.Options{Sync: d.fsync, IfAbsent: opts.IfAbsent, Perm: 0o644, Confirm: opts.confirm})
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrExist) { // a file stands where a folder must be
		err = fmt.Errorf("%w: %w", ErrKeyConflict, err)
	}
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", key, err)
	}
	return &dirWriter{dir: d, key: key, file: file, opts: opts}, nil
}

// Write implements ObjectWriter.
func (w *dirWriter) Write(ctx context.Context, p []byte) error {
	if err := w.file.Write(ctx, p); err != nil {
		return fmt.Errorf("write %s: %w", w.key, err)
	}
	return nil
}

// Same implements ObjectWriter: it compares every byte.
func (w *dirWriter) Same(ctx context.Context) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	there, err := w.dir.folder.OpenFile(w.key, os.O_RDONLY, 0)
	if err != nil {
		return false, fmt.Errorf("compare %s: %w", w.key, err)
	}
	same, err := w.equals(there)
	if err = errors.Join(err, there.Close()); err != nil {
		return false, fmt.Errorf("compare %s: %w", w.key, err)
	}
	return same, nil
}

// equals reports whether a file has what was written.
func (w *dirWriter) equals(there disk.File) (same bool, err error) {
	if err := w.rewrite(); err != nil {
		return false, err
	}
	written, err := w.file.Open()
	if err != nil { // which is another error than that there is nothing to compare with
		return false, fmt.Errorf("what was written cannot be read: %v", err)
	}
	info, err := written.Stat()
	if err == nil {
		same, err = holds(there, written, info.Size())
	}
	return same, errors.Join(err, written.Close())
}

// rewrite writes the head again, if it was not known before.
func (w *dirWriter) rewrite() error {
	if w.opts.Head == nil {
		return nil
	}
	return w.file.Rewrite(w.opts.Head())
}

// Commit implements ObjectWriter.
func (w *dirWriter) Commit(ctx context.Context) error {
	err := w.rewrite()
	if err == nil {
		err = w.commit(ctx)
	}
	if w.file.Lost() { // a Put would write it again
		err = &disk.SyncError{Err: err}
	}
	if err != nil {
		return fmt.Errorf("commit %s: %w", w.key, err)
	}
	return nil
}

func (w *dirWriter) commit(ctx context.Context) error {
	err := w.file.Commit(ctx)
	if err == nil {
		return nil
	}
	if info, statErr := w.dir.folder.Lstat(w.key); statErr == nil && info.IsDir() {
		return fmt.Errorf("%w: %w", ErrKeyConflict, err)
	}
	if w.opts.IfAbsent && errors.Is(err, fs.ErrExist) {
		return ErrExist
	}
	return err
}

// Abandon implements ObjectWriter.
func (w *dirWriter) Abandon() error { return w.file.Abandon() }
