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
)

// rewriteEvery is how often the file of a summary is written again during a run.
const rewriteEvery = 10 * time.Second

// summaryFile is the place of a summary. A plain file is replaced as a whole, again and again. What
// is none (a device, a pipe, standard output) gets the summary once, at the end: it cannot be
// replaced, and its reader expects one document.
type summaryFile struct {
	path string         // of the plain file; "" for anything else, and for no summary
	once io.WriteCloser // nil for a plain file, and for no summary
}

// openSummary finds out whether the place that --summary names can be written, and waits for the
// reader of a named pipe until ctx is done. "" is no place.
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
		return &summaryFile{path: name}, nil // a link that leads nowhere is replaced, too
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

// isStandardFile reports whether a file is standard output or standard error, such as /dev/stdout
// names it: other processes hold it open, and would not see a new file in its place.
func isStandardFile(info fs.FileInfo) bool {
	for _, standard := range []*os.File{os.Stdout, os.Stderr} {
		if is, err := standard.Stat(); err == nil && os.SameFile(is, info) {
			return true
		}
	}
	return false
}

// unclosed is a writer that outlives the summary.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// begin writes the summary of a run that begins, which proves that there is a place for it.
func (f *summaryFile) begin(s kvsframes.Summary) error {
	if f.path == "" {
		return nil
	}
	return f.replace(s)
}

// keep writes the summary again at each tick until finished is closed.
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
		return f.replace(s)
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

// replace writes a file beside, which then takes the name.
func (f *summaryFile) replace(s kvsframes.Summary) error {
	data, err := summaryJSON(s)
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+"-*")
	if err != nil {
		var named *fs.PathError
		if errors.As(err, &named) { // it names the temporary file, which means nothing to the user
			err = named.Err
		}
		return fmt.Errorf("write summary: make a file in %s: %w", filepath.Dir(f.path), err)
	}
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), f.path)
	}
	if err != nil {
		return fmt.Errorf("write summary: %w", errors.Join(err, os.Remove(temp.Name())))
	}
	return nil
}
