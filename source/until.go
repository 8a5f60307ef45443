package source

import (
	"context"
	"io"

	"github.com/kvsframes/kvsframes/media"
)

// Until returns a Source that ends cleanly once stop is done and reads nothing more. Of a fragment that is arriving then, nothing follows what
// was told of it.
func Until(stop context.Context, s Source) Source { return &until{Source: s, stop: stop} }

// until is a Source that can be stopped.
type until struct {
	Source
	stop context.Context // a signal to end, not the context of a call
}

// Next implements Source.
func (u *until) Next(ctx context.Context) (*media.Fragment, error) {
	if u.stop.Err() != nil {
		return nil, io.EOF
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.stop, cancel)()
	f, err := u.Source.Next(reading)
	if err != nil && ctx.Err() == nil && u.stop.Err() != nil {
		return nil, io.EOF
	}
	return f, err
}
