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

	"github.com/kvsframes/kvsframes/internal/disk"
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
	folder, err := openFolder(filepath.Dir(f.path))
	if err != nil {
		return nil, err
	}
	o := &ownedFile{folder: folder, ownership: newOwnership(f.path)}
	err = o.own()
	if err == nil {
		var old record
		if old, err = o.read(); err == nil || forget {
			o.record = old.next(forget)
			err = o.begin(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, o.Release(ctx))
	}
	return o, nil
}

// CheckFolder returns an error unless files in a folder can be checkpoints. It makes the folder.
func CheckFolder(at string) error {
	ctx := context.Background()
	folder, err := openFolder(at)
	if err != nil {
		return err
	}
	w, err := folder.Create(ctx, "writable", disk.Options{Perm: 0o600})
	if err == nil {
		err = w.Abandon()
	}
	if err = errors.Join(err, folder.Close()); err != nil {
		return fmt.Errorf("open checkpoint: %w", err)
	}
	return nil
}

func openFolder(at string) (*disk.Folder, error) {
	folder, err := disk.Open(at)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	if name := folder.Network(); name != "" {
		err := fmt.Errorf("open checkpoint in %s: it is on a network file system (%s), whose locks may not hold between machines: keep it on a local disk, or in S3", at, name)
		return nil, errors.Join(err, folder.Close())
	}
	return folder, nil
}

// own locks the checkpoint for this process.
func (o *ownedFile) own() (err error) {
	if o.owner, err = o.folder.OpenFile(o.name()+".lock", os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("open checkpoint: %w", err)
	}
	switch o.lock, err = o.owner.Lock(); {
	case errors.Is(err, disk.ErrTaken):
		said, _ := io.ReadAll(io.LimitReader(o.owner, 200))
		return &OwnedError{Place: o.place, Owner: strings.ToValidUTF8(strings.TrimSpace(string(said)), "?")}
	case err != nil:
		return fmt.Errorf("lock checkpoint %s: %w", o.place, err)
	}
	return nil
}

// name returns the name of the checkpoint in its folder.
func (o *ownedFile) name() string { return filepath.Base(o.place) }

// read returns the stored checkpoint; its zero value if there is none.
func (o *ownedFile) read() (record, error) {
	file, err := o.folder.OpenFile(o.name(), os.O_RDONLY, 0)
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
		return record{}, fmt.Errorf("checkpoint %s cannot be read: it is larger than %d bytes", o.place, MaxSize)
	}
	return decode(o.place, data)
}

// ownedFile is a File that the process owns.
type ownedFile struct {
	folder    *disk.Folder
	owner     disk.File // the file PATH.lock
	lock      io.Closer
	record    record
	ownership // of the file's path
}

// begin writes down who the owner is, in the lock for others who start, and in the checkpoint.
func (o *ownedFile) begin(ctx context.Context) error {
	err := o.owner.Truncate(0)
	if err == nil {
		_, err = o.owner.Write([]byte(o.record.by() + "\n"))
	}
	if err != nil {
		return fmt.Errorf("lock checkpoint %s: %w", o.place, err)
	}
	return o.write(ctx, o.record)
}

// State implements Checkpoint.
func (o *ownedFile) State() []byte { return o.record.state() }

// Save implements Checkpoint. The lock may not have kept others out, if it was removed: so the file is read first.
func (o *ownedFile) Save(ctx context.Context, state []byte) error {
	if err := errors.Join(ctx.Err(), o.Confirm(ctx)); err != nil {
		return err
	}
	now, err := o.read()
	if err != nil || !now.isOf(o.record) {
		return o.lose(now)
	}
	next := o.record
	next.Serial++
	next.State = state
	if err := o.write(ctx, next); err != nil {
		return err
	}
	o.record = next
	return nil
}

// Confirm implements Checkpoint. It does not wait: a lock stays until it is given back.
func (o *ownedFile) Confirm(context.Context) error { return o.known() }

// Release implements Checkpoint.
func (o *ownedFile) Release(context.Context) error {
	var err error
	for _, c := range []io.Closer{o.lock, o.owner, o.folder} {
		if c == nil {
			continue
		}
		if closeErr := c.Close(); !errors.Is(closeErr, fs.ErrClosed) {
			err = errors.Join(err, closeErr)
		}
	}
	if err != nil {
		return fmt.Errorf("release checkpoint %s: %w", o.place, err)
	}
	return nil
}

func (o *ownedFile) write(ctx context.Context, r record) error {
	data, err := r.encode()
	if err == nil {
		err = o.folder.WriteFile(ctx, o.name(), data, disk.Options{Sync: true, Perm: 0o600})
	}
	if err != nil {
		return fmt.Errorf("write checkpoint %s: %w", o.place, err)
	}
	return nil
}
