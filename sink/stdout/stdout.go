// Package stdout is the destination of samples that another program reads from a pipe: standard output, on which they follow each other.
package stdout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// Config is the Location of a destination of type stdout. It has no keys.
type Config struct{}

var _ sink.Appender = Config{}

// Validate implements sink.Location.
func (Config) Validate() error { return nil }

// Place implements sink.Location.
func (Config) Place() (name string, folders []string) { return "stdout", nil }

// Check implements sink.Location. Whether standard output is a terminal matters to a run alone, and not to whoever checks its settings.
func (Config) Check(context.Context) error { return nil }

// Appends implements sink.Appender.
func (Config) Appends() {}

// Open implements sink.Location. The store writes to file descriptor 1.
func (Config) Open(context.Context) (sink.Store, error) { return &pipe{fd: unix.Stdout}, nil }

// pipe implements sink.Store for an Appender, and sink.ObjectWriter.
type pipe struct {
	// fd is a descriptor, and no os.File: for a pipe without a reader, that would end the program with SIGPIPE.
	fd int
	// written is how much of a body was written before a call of which the next one is a repetition.
	written int
}

// atOnce is the number of bytes that a pipe which is ready takes without blocking.
const atOnce = 4096

// look is how often a write that waits for the reader looks at its context, in milliseconds.
const look = 100

// Put implements sink.Store.
func (p *pipe) Put(ctx context.Context, _ string, body []byte, _ sink.PutOptions) error {
	return p.Write(ctx, body)
}

// Create implements sink.Store.
func (p *pipe) Create(context.Context, string, sink.PutOptions) (sink.ObjectWriter, error) {
	return p, nil
}

// Holds implements sink.Store: what was written is gone.
func (p *pipe) Holds(context.Context, string, []byte) (bool, error) { return false, fs.ErrNotExist }

// Commit implements sink.ObjectWriter.
func (p *pipe) Commit(context.Context) error { return nil }

// Same implements sink.ObjectWriter.
func (p *pipe) Same(context.Context) (bool, error) { return false, fs.ErrNotExist }

// Abandon implements sink.ObjectWriter.
func (p *pipe) Abandon() error { return nil }

// Write implements sink.ObjectWriter.
func (p *pipe) Write(ctx context.Context, body []byte) error {
	for p.written < len(body) {
		if err := p.wait(ctx); err != nil {
			return err
		}
		n, err := unix.Write(p.fd, body[p.written:min(len(body), p.written+atOnce)])
		p.written += max(0, n)
		switch {
		case err == nil, errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
			return fmt.Errorf("write to standard output: %w", media.ErrReaderClosed)
		default:
			return fmt.Errorf("write to standard output: %w", err)
		}
	}
	p.written = 0
	return nil
}

// wait waits until a write does not block. A write that blocks could not end with its context.
func (p *pipe) wait(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLOUT}}, look)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for standard output: %w", err)
		}
		if ready > 0 {
			return nil
		}
	}
}
