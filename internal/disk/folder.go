package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
)

// Folder is a folder for files that appear whole. Several goroutines may use it.
type Folder struct {
	FS
	system System
	// made are the folders that Open made, from the lowest on.
	made  []string
	swept sweeper

	mu sync.Mutex
	// lasting are folders whose names are on disk, up to the top.
	lasting map[string]bool
	failure error // of Sync
}

// Open returns the folder of a path, which it makes if there is none.
func Open(at string) (*Folder, error) {
	at, err := filepath.Abs(at)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	f := &Folder{system: systemOf(at), lasting: map[string]bool{}}
	if err := f.makeTop(at); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	if f.FS, err = f.system.OpenRoot(at); err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	return f, nil
}

// makeTop makes a folder and those above it that do not exist.
func (f *Folder) makeTop(at string) error {
	err := f.system.Mkdir(at)
	if errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
		if err := f.makeTop(filepath.Dir(at)); err != nil {
			return err
		}
		err = f.system.Mkdir(at)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // OpenRoot finds out whether it is a folder
	}
	if err == nil {
		f.made = append([]string{at}, f.made...)
	}
	return err
}

// Sync makes everything that was written so far outlive a power cut. After an error what was written may be lost, and
// the kernel reports that once: so Sync and Create then return the error for ever.
func (f *Folder) Sync() error {
	if err := f.failed(); err != nil {
		return err
	}
	err := f.FS.Sync()
	if err != nil {
		err = &SyncError{err}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure == nil {
		f.failure = err
	}
	return f.failure
}

func (f *Folder) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure
}

// SyncError is the error of a folder whose files may not have reached the disk.
type SyncError struct{ Err error }

// Error implements error.
func (e *SyncError) Error() string {
	return "what was written may not have reached the disk: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *SyncError) Unwrap() error { return e.Err }

// Passing returns false: what is lost stays lost, even if the cause passes.
func (e *SyncError) Passing() bool { return false }

// openNew opens a new file, and makes its folders.
func (f *Folder) openNew(name string, perm fs.FileMode) (File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	file, err := f.OpenFile(name, flags, perm)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if err := f.MkdirAll(path.Dir(name), 0o755); err != nil {
		return nil, err
	}
	f.mu.Lock()
	clear(f.lasting) // if somebody removed the folder, it is another one now
	f.mu.Unlock()
	return f.OpenFile(name, flags, perm)
}

// maxLasting is the number of folders whose names are known to be on disk, to bound memory.
const maxLasting = 4096

// keepName makes the name of a file, and those of all folders above it, outlive a power cut. The name of a folder is
// synced although somebody else may have made it: whoever it was may not have come to sync it.
func (f *Folder) keepName(name string) error {
	folder := path.Dir(name)
	if err := syncFolder(f, folder); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var kept []string
	for at := folder; !f.lasting[at]; at = path.Dir(at) {
		kept = append(kept, at)
		if at == "." {
			if err := f.keepTop(); err != nil {
				return err
			}
			break
		}
		if err := syncFolder(f, path.Dir(at)); err != nil {
			return err
		}
	}
	for _, at := range kept {
		if len(f.lasting) < maxLasting {
			f.lasting[at] = true
		}
	}
	return nil
}

// keepTop makes the names of the folders that Open made outlive a power cut.
func (f *Folder) keepTop() error {
	for _, at := range f.made {
		above, err := f.system.OpenRoot(filepath.Dir(at))
		if err != nil {
			return err
		}
		if err := errors.Join(syncFolder(above, "."), above.Close()); err != nil {
			return err
		}
	}
	return nil
}

func syncFolder(of FS, name string) error {
	folder, err := of.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
