package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// TempPrefix begins the names of unfinished files.
const TempPrefix = ".kvsframes-tmp-"

// errEnded is returned by calls of a Writer that committed or abandoned its file.
var errEnded = errors.New("the file was committed or abandoned")

// Options describes a file apart from its content.
type Options struct {
	// Sync makes the file and its name outlive a power cut when Commit returns.
	Sync bool
	// IfAbsent refuses to replace a file: the error of Commit is then fs.ErrExist. It requires hard links.
	IfAbsent bool
	// Perm is the mode of the file, before umask.
	Perm fs.FileMode
	// Confirm, if it is not nil, is called before the file gets its name. Its error ends Commit.
	Confirm func(context.Context) error
}

// Writer writes one file under a temporary name in its folder, and renames it at the end. The file is locked for as
// long, so that no other process takes it for a leftover. One goroutine at a time uses it.
type Writer struct {
	folder     *Folder
	options    Options
	name, temp string
	file       File
	lock       io.Closer // nil on a file system without locks
	size       int64     // of what was written
	tried      bool      // to rename the file
	closed     bool      // the file is closed, and nothing of it is lost
	lost       error     // of a Sync or Close, which say once that something is
	placed     bool      // the file has its name
	unsynced   bool      // a call that was to make the name outlive a power cut failed
	ended      bool      // the file is closed and its temporary name is gone
}

// WriteFile writes a whole file.
func (f *Folder) WriteFile(ctx context.Context, name string, data []byte, o Options) error {
	w, err := f.Create(ctx, name, o)
	if err != nil {
		return err
	}
	if err = w.Write(ctx, data); err == nil {
		err = w.Commit(ctx)
	}
	return errors.Join(err, w.Abandon())
}

// Create begins a file, and makes its folders. The caller must call Commit or Abandon. The first file in a folder
// removes what killed processes left there.
func (f *Folder) Create(ctx context.Context, name string, o Options) (*Writer, error) {
	if err := f.failed(); err != nil {
		return nil, err
	}
	w := &Writer{folder: f, name: name, options: o}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		w.temp = path.Join(path.Dir(name), TempPrefix+rand.Text())
		ours, err := w.open()
		if err != nil {
			return nil, err
		}
		if ours {
			f.sweep(ctx, path.Dir(name), timeOf(w.file))
			return w, nil
		}
	}
}

// open opens and locks the temporary file. It returns false if another process has removed it before it was locked, or is
// about to.
func (w *Writer) open() (ours bool, err error) {
	if w.file, err = w.folder.openNew(w.temp, w.options.Perm); err != nil {
		_ = w.folder.Remove(w.temp) // which may be there all the same
		return false, err
	}
	if w.lock, err = w.file.Lock(); err == nil {
		if _, err := w.folder.Lstat(w.temp); err == nil {
			return true, nil
		}
		return false, errors.Join(w.file.Close(), w.lock.Close())
	}
	if errors.Is(err, ErrTaken) {
		return false, w.file.Close()
	}
	if lacksLocks(err) { // only its age protects the file
		return true, nil
	}
	return false, errors.Join(fmt.Errorf("lock: %w", err), w.file.Close(), w.folder.Remove(w.temp))
}

// Write appends p. After an error it may be called again with the same p.
func (w *Writer) Write(ctx context.Context, p []byte) error {
	if w.ended {
		return errEnded
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := w.file.WriteAt(p, w.size) // which replaces what a call that failed has left
	if err == nil {
		w.size += int64(len(p))
	}
	return err
}

// Open opens what was written so far, to read it, unless Commit or Abandon returned nil.
func (w *Writer) Open() (File, error) { return w.folder.OpenFile(w.temp, os.O_RDONLY, 0) }

// Rewrite replaces the first bytes of what was written.
func (w *Writer) Rewrite(head []byte) error {
	if w.closed {
		return nil // it was done before a Commit that failed later
	}
	_, err := w.file.WriteAt(head, 0)
	return err
}

// Commit makes the file appear under its name. After an error it may be called again, unless the file is Lost.
func (w *Writer) Commit(ctx context.Context) error {
	if w.ended {
		return errEnded
	}
	if !w.placed {
		if err := w.publish(ctx); err != nil {
			return err
		}
		w.placed = true
	}
	var err error
	if w.options.IfAbsent { // the link left the temporary name in place
		if err = w.folder.Remove(w.temp); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if w.options.Sync {
		err = errors.Join(err, w.keepName())
	}
	if err != nil {
		return err
	}
	w.ended = true
	return w.unlock()
}

// publish closes the file and gives it its name.
func (w *Writer) publish(ctx context.Context) error {
	err := w.finish()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && w.options.Confirm != nil {
		err = w.options.Confirm(ctx)
	}
	if err == nil {
		err = w.place()
	}
	return err
}

// keepName makes the name outlive a power cut. A sync that failed may have taken the folder for written, so the next one changes the
// folder first.
func (w *Writer) keepName() error {
	if w.unsynced {
		_ = w.folder.Link(w.name, w.temp)
		_ = w.folder.Remove(w.temp)
	}
	err := w.folder.keepName(w.name)
	w.unsynced = err != nil
	return err
}

// finish closes the file, once.
func (w *Writer) finish() error {
	if w.closed || w.lost != nil {
		return w.lost
	}
	var err error
	if w.options.Sync {
		err = w.file.Sync()
	}
	// Some file systems report a failed write only on Close.
	if err = errors.Join(err, w.file.Close()); err != nil {
		w.lost = err
	}
	w.closed = err == nil
	return err
}

// Lost reports whether a Commit failed because the content of the file may be lost. Another Commit fails, too.
func (w *Writer) Lost() bool { return w.lost != nil }

// place gives the file its name.
func (w *Writer) place() error {
	if w.options.IfAbsent {
		return w.folder.Link(w.temp, w.name) // unlike a rename, a link never replaces what is there
	}
	err := w.folder.Rename(w.temp, w.name)
	if w.tried && errors.Is(err, fs.ErrNotExist) { // the rename that failed was done all the same
		if info, statErr := w.folder.Lstat(w.name); statErr == nil && info.Size() == w.size {
			return nil
		}
	}
	w.tried = true
	return err
}

// unlock lets go of the file when it is no temporary one any more.
func (w *Writer) unlock() error {
	if w.lock == nil {
		return nil
	}
	return w.lock.Close()
}

// Abandon removes what was written. It does nothing after Commit returned nil.
func (w *Writer) Abandon() error {
	if w.ended {
		return nil
	}
	w.ended = true
	err := w.file.Close()
	if errors.Is(err, os.ErrClosed) { // closed by a failed Commit
		err = nil
	}
	if removeErr := w.folder.Remove(w.temp); !w.placed || !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	return errors.Join(err, w.unlock())
}
