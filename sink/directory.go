package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kvsframes/kvsframes/setting"
)

// Directory is the Location of a destination of type file: files in a directory.
type Directory struct {
	Path  string `key:"directory" doc:"The folder of the objects." example:"out"`
	Fsync bool   `key:"fsync" doc:"Whether each file is on the disk before it counts; without it, all are before each checkpoint." example:"true"`
	Keep  Keep   `key:"keep"`
}

var _ Location = Directory{}

// DefaultDirectory returns the settings for an empty `destination` part.
func DefaultDirectory() Directory { return Directory{Path: "out"} }

// Validate implements Location.
func (d Directory) Validate() error {
	var p setting.Problems
	if d.Path == "" {
		p.Add("directory", "is empty")
	}
	p.Check("keep", d.Keep, Keep{})
	if strings.ContainsRune(d.Path, 0) {
		p.Add("directory", "has a NUL character")
	}
	return p.Err()
}

// Place implements Location.
func (d Directory) Place() (name string, folders []string) {
	directory := filepath.Clean(d.Path)
	if absolute, err := filepath.Abs(directory); err == nil {
		directory = absolute
	}
	return "file", strings.FieldsFunc(filepath.ToSlash(directory), func(r rune) bool { return r == '/' })
}

// Open implements Location. It creates the directory if it does not exist.
func (d Directory) Open(context.Context) (Store, error) {
	dir, err := OpenDir(d.Path, d.Fsync)
	if err != nil {
		return nil, err
	}
	return dir, nil
}

// Check implements Location: it checks that files can be created in the directory.
func (d Directory) Check(context.Context) error {
	if d.Path == "" { // Validate reports it
		return nil
	}
	if err := checkWritable(d.Path); err != nil {
		return &setting.Error{Path: "directory", Problem: err.Error()}
	}
	return nil
}

// Modes of access(2).
const (
	mayExecute = 1
	mayWrite   = 2
)

// checkWritable checks that files can be created in a directory or, if it does not exist, in its nearest
// existing parent. It creates nothing.
func checkWritable(directory string) error {
	for at := filepath.Clean(directory); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
			if _, err := os.Lstat(at); err == nil {
				return fmt.Errorf("%s is a link whose target does not exist", at)
			}
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", at)
		}
		if err := syscall.Access(at, mayWrite|mayExecute); err != nil {
			return fmt.Errorf("%s cannot be written: %w", at, err)
		}
		return nil
	}
}
