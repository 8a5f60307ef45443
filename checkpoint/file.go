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
	"sync"

	"github.com/kvsframes/kvsframes/internal/lock"
)

// File is a Store in a file. The owner holds a lock on the file PATH.lock, which stays behind. Network file systems are
// refused: their locks may not hold between machines.
type File struct{ path string }

var _ Store = (*File)(nil)

// NewFile returns the checkpoint in the file of this path. Acquire makes the folders that it needs.
func NewFile(path string) *File { return &File{path: path} }

// Acquire implements Store.
func (f *File) Acquire(ctx context.Context, forget bool) (Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	owner, err := f.lock()
	if err != nil {
		return nil, err
	}
	o := &ownedFile{path: f.path, lock: owner, lost: make(chan struct{})}
	old, err := f.read()
	if err == nil || forget {
		o.record = old.next(forget)
		err = o.begin()
	}
	if err != nil {
		return nil, errors.Join(err, owner.Close())
	}
	return o, nil
}

// CheckFolder returns an error unless files in a folder can be checkpoints. It makes the folder.
func CheckFolder(folder string) error {
	if err := makeFolder(folder); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, ".writable-")
	if err == nil {
		err = errors.Join(file.Close(), os.Remove(file.Name()))
	}
	if err != nil {
		return fmt.Errorf("open checkpoint: %w", err)
	}
	return nil
}

func makeFolder(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("open checkpoint: %w", err)
	}
	if name := networkFileSystem(folder); name != "" {
		return fmt.Errorf("open checkpoint in %s: it is on a network file system (%s), whose locks may not hold between machines: keep it on a local disk, or in S3", folder, name)
	}
	return nil
}

// lock locks the checkpoint for this process.
func (f *File) lock() (*os.File, error) {
	if err := makeFolder(filepath.Dir(f.path)); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(f.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	switch taken, err := lock.Try(file); {
	case taken:
		said, _ := io.ReadAll(io.LimitReader(file, 200))
		_ = file.Close()
		return nil, &OwnedError{Place: f.path, Owner: strings.ToValidUTF8(strings.TrimSpace(string(said)), "?")}
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock checkpoint %s: %w", f.path, err), file.Close())
	}
	return file, nil
}

// read returns the stored checkpoint; its zero value if there is none.
func (f *File) read() (record, error) {
	file, err := os.Open(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return record{}, nil
	case err != nil:
		return record{}, fmt.Errorf("read checkpoint: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	switch {
	case err != nil:
		return record{}, fmt.Errorf("read checkpoint: %w", err)
	case len(data) > MaxSize:
		return record{}, fmt.Errorf("checkpoint %s cannot be read: it is larger than %d bytes", f.path, MaxSize)
	}
	return decode(f.path, data)
}

// ownedFile is a File that the process owns.
type ownedFile struct {
	path   string
	lock   *os.File
	record record
	lost   chan struct{}

	mu      sync.Mutex
	failure error // a *LostError, or errReleased
}

// begin writes down who the owner is, in the lock for others who start, and in the checkpoint.
func (o *ownedFile) begin() error {
	err := o.lock.Truncate(0)
	if err == nil {
		_, err = o.lock.WriteAt([]byte(o.record.by()+"\n"), 0)
	}
	if err != nil {
		return fmt.Errorf("lock checkpoint %s: %w", o.path, err)
	}
	return o.write(o.record)
}

// Name implements Checkpoint.
func (o *ownedFile) Name() string { return o.path }

// State implements Checkpoint.
func (o *ownedFile) State() []byte { return o.record.state() }

// Save implements Checkpoint. The lock may not have kept others out, if it was removed: so the file is read first.
func (o *ownedFile) Save(ctx context.Context, state []byte) error {
	if err := errors.Join(ctx.Err(), o.Confirm(ctx)); err != nil {
		return err
	}
	now, err := NewFile(o.path).read()
	if err != nil || !now.isOf(o.record) {
		return o.lose(now)
	}
	next := o.record
	next.Serial++
	next.State = state
	if err := o.write(next); err != nil {
		return err
	}
	o.record = next
	return nil
}

// lose records that there is another owner, and returns the error for it.
func (o *ownedFile) lose(to record) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure == nil {
		o.failure = &LostError{Place: o.path, Owner: to.by()}
		close(o.lost)
	}
	return o.failure
}

// Confirm implements Checkpoint. It does not wait: a lock stays until it is given back.
func (o *ownedFile) Confirm(context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failure
}

// Lost implements Checkpoint.
func (o *ownedFile) Lost() <-chan struct{} { return o.lost }

// Release implements Checkpoint.
func (o *ownedFile) Release(context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure == nil {
		o.failure = errReleased
	}
	if err := o.lock.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("release checkpoint %s: %w", o.path, err)
	}
	return nil
}

func (o *ownedFile) write(r record) error {
	data, err := r.encode()
	if err == nil {
		err = replace(o.path, data)
	}
	if err != nil {
		return fmt.Errorf("write checkpoint %s: %w", o.path, err)
	}
	return nil
}

// replace replaces the content of a file. When it returns nil, the new content has reached the disk.
func replace(path string, data []byte) error {
	next := path + ".next" // of which there is one, since this process is the owner
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
	if err := os.Rename(next, path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
