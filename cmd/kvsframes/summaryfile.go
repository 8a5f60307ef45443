package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/internal/disk"
)

// rewriteEvery is the interval at which the summary file is written during a run.
const rewriteEvery = 10 * time.Second

// summaryFile is the destination of a summary. A plain file is replaced repeatedly, as a whole. Any other
// destination (a device, a pipe, standard output) gets the summary once, at the end: it cannot be replaced, and
// its reader expects one document.
type summaryFile struct {
	path   string         // of the plain file; "" for other destinations, and for none
	folder *disk.Folder   // the plain file's, once it was written
	once   io.WriteCloser // nil for a plain file, and for none
}

// openSummary checks that the destination in --summary can be written. For a named pipe it waits for the reader
// until ctx is done. "" is no destination.
func openSummary(ctx context.Context, name string, stdout io.Writer) (*summaryFile, error) {
	if name == "" {
		return &summaryFile{}, nil
	}
	if name == standardOutput {
		return &summaryFile{once: unclosed{stdout}}, nil
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(name)); err != nil {
			return nil, noSummary(name, err)
		}
		return &summaryFile{path: name}, nil // a dangling link is replaced, too
	case err != nil:
		return nil, fmt.Errorf("write summary: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("write summary: %s is a folder", name)
	case info.Mode().IsRegular() && !isStandardFile(info):
		path, err := filepath.EvalSymlinks(name)
		if err != nil {
			return nil, fmt.Errorf("write summary: %w", err)
		}
		return &summaryFile{path: path}, nil
	}
	// Opening a named pipe waits for its reader.
	once, err := within(ctx, func() (*os.File, error) { return os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0) })
	if err != nil {
		return nil, fmt.Errorf("write summary: %w", err)
	}
	return &summaryFile{once: once}, nil
}

// isStandardFile reports whether a file is standard output or standard error, for example /dev/stdout. Other
// processes hold it open, and would not see a new file in its place.
func isStandardFile(info fs.FileInfo) bool {
	return isStandardOutput(info) || isOpenAs(os.Stderr, info)
}

func isStandardOutput(info fs.FileInfo) bool { return isOpenAs(os.Stdout, info) }

func isOpenAs(f *os.File, info fs.FileInfo) bool {
	is, err := f.Stat()
	return err == nil && os.SameFile(is, info)
}

// unclosed is a writer that is not closed with the summary.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// begin writes the summary at the start of a run, which proves that it can be written.
func (f *summaryFile) begin(s kvsframes.Summary) error {
	if f.path == "" {
		return nil
	}
	return f.replace(s)
}

// keep writes the summary at each tick until finished is closed.
func (f *summaryFile) keep(finished <-chan struct{}, ticks <-chan time.Time, now func() kvsframes.Summary, log *slog.Logger) {
	if f.path == "" {
		return
	}
	for {
		select {
		case <-finished:
			return
		case <-ticks:
			if err := f.replace(now()); err != nil {
				log.Warn("the summary is not up to date", "error", err)
			}
		}
	}
}

// finish writes the summary of the whole run.
func (f *summaryFile) finish(s kvsframes.Summary) error {
	if f.path != "" {
		err := f.replace(s)
		if f.folder != nil {
			err = errors.Join(err, f.folder.Close())
			f.folder = nil
		}
		return err
	}
	if f.once == nil {
		return nil
	}
	data, err := summaryJSON(s)
	if err == nil {
		_, err = f.once.Write(data)
	}
	if err = errors.Join(err, f.once.Close()); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

// replace writes the file anew, as a whole.
func (f *summaryFile) replace(s kvsframes.Summary) error {
	data, err := summaryJSON(s)
	if err == nil && f.folder == nil {
		f.folder, err = disk.Open(filepath.Dir(f.path))
	}
	if err == nil {
		err = f.folder.WriteFile(context.Background(), filepath.Base(f.path), data, disk.Options{Perm: 0o644})
	}
	if err != nil {
		return noSummary(f.path, err)
	}
	return nil
}

// noSummary returns the error of a summary that cannot be written to a path.
func noSummary(path string, err error) error {
	if named, ok := errors.AsType[*fs.PathError](err); ok { // its path is that of a temporary file, unknown to the user
		err = fmt.Errorf("create a file in %s: %w", filepath.Dir(path), named.Err)
	}
	return fmt.Errorf("write summary: %w", err)
}
