package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/source/payload"
)

// StandardInput is the path that means standard input.
const StandardInput = "-"

// Input is a stream that can be opened.
type Input struct {
	// Stream is the stream's name.
	Stream string
	// Open opens the stream. The caller closes the Source.
	Open func(ctx context.Context) (Source, error)
	// Continue opens the stream where another run was. With whole, no fragment is left out, however far behind that is. It is
	// nil if the stream cannot be read again.
	Continue func(ctx context.Context, from media.Progress, whole bool) (Source, error)
	// Identity describes what is read, for messages: it is another one when that has changed, and "" if it cannot change, or is not
	// known. It is nil if the stream cannot be read again.
	Identity func(ctx context.Context) string
	// Forgets reports whether the stream is known to keep nothing, so that no fragment can be read a second time. It is nil if it
	// keeps all.
	Forgets func(ctx context.Context) bool
}

// IsFile reports whether an argument of a command is a file, or standard input, and not the name of a stream: it is unless it can be a name
// and there is no file of that name.
func IsFile(arg string) bool {
	if _, isName := StreamName(arg); arg == StandardInput || !isName {
		return true
	}
	_, err := os.Stat(arg)
	return !errors.Is(err, fs.ErrNotExist)
}

// OpenFiles returns the streams of the paths of a file source: recordings of GetMedia payloads and plain MKV files,
// distinguished by their content.
//
// A path is a file, a named pipe, a glob (its matches in lexical order), or "-" for stdin. Each file is its own
// stream, named by its base name without the extension ("stdin" for standard input). When Stream is set, it is the
// name of one stream that consists of all files in the order of the paths; the fragments of plain files are then
// numbered continuously.
//
// Paths that match no file, files that cannot be read, a file named twice, and two files with the same stream name
// are errors, joined, each a *setting.Error.
//
// OpenFiles checks that the files can be read; the Inputs open them. Warnings about the content of files go to log,
// unless log is nil.
func OpenFiles(cfg Config, stdin io.Reader, log *slog.Logger) ([]Input, error) {
	from, _ := cfg.Files()
	paths, err := expand(from.Paths)
	if err != nil {
		return nil, err
	}
	split := payload.Config{
		Stream: from.Stream, MaxFragmentSize: cfg.MaxFragmentSize,
		Track: uint64(cfg.Track), StartTime: from.StartTime.Time, Log: logging.OrSilent(log),
	}
	if from.Stream != "" {
		return []Input{fileInput(paths, stdin, split)}, nil
	}
	if err := checkNames(paths); err != nil {
		return nil, err
	}
	inputs := make([]Input, len(paths))
	for i, p := range paths {
		split.Stream = p.stream()
		inputs[i] = fileInput(paths[i:i+1], stdin, split)
	}
	return inputs, nil
}

// filePath is one file and the key that named it.
type filePath struct{ path, key string }

// stream returns the name of the file's own stream.
func (p filePath) stream() string {
	if p.path == StandardInput {
		return "stdin"
	}
	base := filepath.Base(p.path)
	if name := strings.TrimSuffix(base, filepath.Ext(base)); name != "" {
		return name
	}
	return base
}

// expand finds the files of the paths.
func expand(paths []string) ([]filePath, error) {
	var files []filePath
	var problems setting.Problems
	seen := map[string]string{}
	for i, path := range paths {
		key := fmt.Sprintf("paths[%d]", i)
		matches, err := match(path)
		if err != nil {
			problems.Add(key, "%v", err)
		}
		for _, m := range matches {
			if first, twice := seen[m]; twice {
				problems.Add(key, "%s is already named by %s", m, first)
				continue
			}
			seen[m] = key
			if err := checkReadable(m); err != nil {
				problems.Add(key, "%v", err)
			}
			files = append(files, filePath{path: m, key: key})
		}
	}
	return files, problems.Err()
}

// match returns the files of one path. A path that exists is not treated as a pattern.
func match(path string) ([]string, error) {
	if path == StandardInput {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a directory: name its files, such as %s", path, filepath.Join(path, "*.mkv"))
	case err == nil:
		return []string{filepath.Clean(path)}, nil
	case !errors.Is(err, fs.ErrNotExist) || !strings.ContainsAny(path, `*?[`):
		return nil, err
	}
	matches, err := filepath.Glob(path)
	if err != nil {
		return nil, fmt.Errorf("%s is not a valid pattern", path)
	}
	matches = slices.DeleteFunc(matches, func(m string) bool {
		info, err := os.Stat(m)
		return err == nil && info.IsDir()
	})
	if len(matches) == 0 {
		return nil, fmt.Errorf("no file matches %s", path)
	}
	slices.Sort(matches)
	return matches, nil
}

// checkReadable checks that a file can be read. It opens only plain files: opening a pipe waits for its writer, and
// opening a device may have an effect.
func checkReadable(path string) error {
	if path == StandardInput {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket != 0:
		return fmt.Errorf("%s is a socket, not a file", path)
	case !info.Mode().IsRegular():
		const mayRead = 4 // of access(2)
		if err := syscall.Access(path, mayRead); err != nil {
			return fmt.Errorf("%s cannot be read: %w", path, err)
		}
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return file.Close()
}

// checkNames reports files that would give the same stream name, and so the same names of images.
func checkNames(paths []filePath) error {
	var problems setting.Problems
	first := map[string]string{}
	for _, p := range paths {
		name := p.stream()
		if other, taken := first[name]; taken {
			problems.Add(p.key, "%s and %s would both be stream %s: rename one, or set stream to read them as one stream", other, p.path, name)
			continue
		}
		first[name] = p.path
	}
	return problems.Err()
}

// fileInput returns the stream of some files. Plain files are continued by reading them from their beginning: finding the fragments
// takes little time beside decoding them.
func fileInput(paths []filePath, stdin io.Reader, cfg payload.Config) Input {
	open := func(ctx context.Context) (Source, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return &fileSource{paths: paths, stdin: stdin, cfg: cfg, size: sizeOf(paths)}, nil
	}
	in := Input{Stream: cfg.Stream, Open: open}
	if identity := identityOf(paths); identity != "" {
		in.Identity = func(context.Context) string { return identity }
		in.Continue = func(ctx context.Context, from media.Progress, _ bool) (Source, error) {
			src, err := open(ctx)
			if err != nil {
				return nil, err
			}
			return after(Once(src), from.After.Number), nil
		}
	}
	return in
}

// sizeOf returns the number of bytes of plain files, 0 if one is none.
func sizeOf(paths []filePath) (size int64) {
	for _, p := range paths {
		info, err := os.Stat(p.path)
		if p.path == StandardInput || err != nil || !info.Mode().IsRegular() {
			return 0
		}
		size += info.Size()
	}
	return size
}

// fileSource reads files one after the other.
//
// Reading a pipe or a terminal can block forever, and so can opening a pipe. Each Next therefore works on a
// separate goroutine and stops waiting for it when the context is cancelled; the next Next takes the result of
// that goroutine. Close closes the file, which ends the goroutine, and waits for it. Two operations are not
// waited for, and last until they return or the process ends: reading standard input, which Close must not
// close, and opening a pipe without a writer.
type fileSource struct {
	stdin io.Reader
	cfg   payload.Config
	size  int64 // of all files; 0 is unknown
	// pending receives the result of the working goroutine; nil if there is none.
	pending chan result

	// Only the working goroutine uses the following fields.
	paths []filePath
	path  string
	any   bool // the file has returned something

	mu     sync.Mutex
	split  *payload.Splitter
	file   *os.File
	before int64 // bytes of the files that are finished
	closed bool
}

var _ Source = (*fileSource)(nil)

// Next implements Source.
func (s *fileSource) Next(ctx context.Context) (*media.Fragment, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.pending == nil {
		pending := make(chan result, 1)
		s.pending = pending
		go func() {
			f, err := s.next()
			pending <- result{f, err}
		}()
	}
	select {
	case r := <-s.pending:
		s.pending = nil
		return r.fragment, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Stats implements Source.
func (s *fileSource) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := Stats{BytesRead: s.before}
	if s.split != nil {
		stats.BytesRead += s.split.BytesRead()
	}
	if s.size > 0 {
		stats.Share = min(1, float64(stats.BytesRead)/float64(s.size))
	}
	return stats
}

// Close implements Source.
func (s *fileSource) Close() error {
	s.mu.Lock()
	file := s.file
	s.file, s.closed = nil, true
	s.mu.Unlock()
	if file == nil {
		return nil
	}
	err := file.Close()
	if s.pending != nil {
		<-s.pending
		s.pending = nil
	}
	return err
}

// next returns the next fragment of the files.
func (s *fileSource) next() (*media.Fragment, error) {
	for {
		split, err := s.current()
		if err != nil {
			return nil, err
		}
		f, err := split.Next()
		var gap *media.GapError
		var tag *payload.ErrorTag
		switch {
		case err == nil || errors.As(err, &gap):
			s.any = true
			return f, err
		case errors.As(err, &tag):
			// Asking again has no effect: a fragment that a recording lacks stays lost.
			return nil, payload.NewGap(s.cfg.Stream, tag.FragmentNumber, tag, 0)
		case err != io.EOF:
			return nil, fmt.Errorf("read %s: %w", s.path, err)
		}
		if err := s.finish(); err != nil {
			return nil, fmt.Errorf("close %s: %w", s.path, err)
		}
	}
}

// current returns the splitter of the current file, or opens the next file.
func (s *fileSource) current() (*payload.Splitter, error) {
	s.mu.Lock()
	split, closed := s.split, s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return nil, fmt.Errorf("read stream %s: %w", s.cfg.Stream, fs.ErrClosed)
	case split != nil:
		return split, nil
	case len(s.paths) == 0:
		return nil, io.EOF
	}
	path := s.paths[0].path
	input := s.stdin
	var file *os.File
	if path != StandardInput {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, err
		}
		input = file
	}
	return s.begin(path, input, file)
}

// begin makes an opened file the current one.
func (s *fileSource) begin(path string, input io.Reader, file *os.File) (*payload.Splitter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		if file != nil {
			return nil, errors.Join(fs.ErrClosed, file.Close())
		}
		return nil, fs.ErrClosed
	}
	cfg := s.cfg
	if file != nil {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			cfg.Size = info.Size()
		}
	}
	s.split, s.file, s.path = payload.NewSplitter(input, cfg), file, path
	s.paths = s.paths[1:]
	return s.split, nil
}

// finish closes the current file at its end.
func (s *fileSource) finish() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.split.BytesRead() == 0 {
		s.cfg.Log.Warn("the file is empty", "stream", s.cfg.Stream, "path", s.path)
	} else if !s.any {
		s.cfg.Log.Warn("the file has no fragment", "stream", s.cfg.Stream, "path", s.path, "bytes", s.split.BytesRead())
	}
	s.any = false
	s.before += s.split.BytesRead()
	s.cfg.FirstCluster = s.split.Clusters()
	file := s.file
	s.split, s.file = nil, nil
	if file == nil {
		return nil
	}
	return file.Close()
}
