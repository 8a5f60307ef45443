package sink

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/kvsframes/kvsframes/internal/lock"
)

// errEnded is returned by calls of an ObjectWriter that committed or abandoned its object.
var errEnded = errors.New("the object was committed or abandoned")

// dirWriter writes a file under a temporary name in its final folder.
type dirWriter struct {
	dir       *Dir
	key, temp string
	file      *os.File
	opts      PutOptions
	ended     bool // the file is closed and its temporary name is gone
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
	w := &dirWriter{dir: d, key: key, temp: path.Join(path.Dir(key), tempPrefix+rand.Text()), opts: opts}
	var err error
	if w.file, err = d.create(w.temp); err != nil {
		return nil, fmt.Errorf("create %s: %w", key, err)
	}
	// On a file system without locks, only the file's age protects it from other programs' sweeps.
	_, _ = lock.Try(w.file)
	d.sweep(ctx, path.Dir(key), w.file)
	return w, nil
}

// Write implements ObjectWriter.
func (w *dirWriter) Write(ctx context.Context, p []byte) error {
	if err := w.write(ctx, p); err != nil {
		return fmt.Errorf("write %s: %w", w.key, err)
	}
	return nil
}

func (w *dirWriter) write(ctx context.Context, p []byte) error {
	if w.ended {
		return errEnded
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := w.file.Write(p)
	return err
}

// Commit implements ObjectWriter.
func (w *dirWriter) Commit(ctx context.Context) error {
	if err := w.commit(ctx); err != nil {
		return fmt.Errorf("commit %s: %w", w.key, err)
	}
	return nil
}

func (w *dirWriter) commit(ctx context.Context) error {
	if w.ended {
		return errEnded
	}
	var err error
	if w.dir.fsync {
		err = w.file.Sync()
	}
	// Some file systems report a failed write only on Close.
	if err = errors.Join(err, w.file.Close()); err == nil {
		err = w.opts.confirm(ctx)
	}
	if err == nil {
		err = w.dir.place(w.temp, w.key, w.opts.IfAbsent)
	}
	if err != nil {
		return err
	}
	w.ended = true
	if w.opts.IfAbsent { // the link left the temporary name in place
		err = w.dir.root.Remove(w.temp)
	}
	if w.dir.fsync {
		err = errors.Join(err, w.dir.syncFolder(path.Dir(w.key)))
	}
	return err
}

// Abandon implements ObjectWriter.
func (w *dirWriter) Abandon() error {
	if w.ended {
		return nil
	}
	w.ended = true
	err := w.file.Close()
	if errors.Is(err, os.ErrClosed) { // closed by a failed Commit
		err = nil
	}
	return errors.Join(err, w.dir.root.Remove(w.temp))
}
