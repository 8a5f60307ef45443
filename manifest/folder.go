package manifest

import (
	"context"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/kvsframes/kvsframes/internal/disk"
)

// Folder is the Objects of a folder. Files that are being written are none.
type Folder string

// List implements Objects.
func (f Folder) List(ctx context.Context, visit func(key string) error) error {
	return fs.WalkDir(os.DirFS(string(f)), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !d.Type().IsRegular() || strings.HasPrefix(d.Name(), disk.TempPrefix):
			return nil
		}
		return visit(name)
	})
}

// Open implements Objects.
func (f Folder) Open(_ context.Context, key string) (io.ReadCloser, error) {
	return os.DirFS(string(f)).Open(key)
}
