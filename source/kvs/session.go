package kvs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// ErrStalled is the cause of a session's end when no byte has arrived for Config.StallTimeout.
var ErrStalled = errors.New("connection stalled")

// errClosed is the cause of a session's end after Close.
var errClosed = errors.New("session is closed")

// session is one GetMedia response, read as a source of fragments. KVS ends every session: after 3 s without a
// fragment, and always after about 45 min. So io.EOF means that the session has ended, not that the stream has.
// To continue, open the next session.
type session struct {
	// name is the stream's name with the request ID, for errors.
	name string
	// opened is when the session began, by the service's clock if the answer has it.
	opened time.Time
	split  *payload.Splitter
	// untold is called with the reason if arriving fragments cannot be told of.
	untold func(why string)
	body   io.Closer
	cancel context.CancelCauseFunc
	close  sync.Once
	// err is what every Next returns after the session has ended.
	err error
}

var _ source.Source = (*session)(nil)

// newSession opens a session at start. ctx bounds only the opening; the session lasts until it is closed.
func (d *dialer) newSession(ctx context.Context, start source.StartSelector) (*session, error) {
	client, id, cfg := d.client, d.id, d.cfg
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(ctx.Err()) })
	resp, err := client.getMedia(life, newMediaRequest(id, start))
	if !stop() && err == nil {
		_ = resp.Body.Close()
		err = ctx.Err()
	}
	if err != nil {
		cancel(errClosed)
		return nil, describe("GetMedia", id, err)
	}
	request := cmp.Or(requestID(resp.Header), "none")
	cfg.Log.Debug("KVS session opened", "stream", id.name, "start", start.Type, "request_id", request)

	body := newWatchdog(resp.Body, cfg.StallTimeout, life, cancel)
	opened, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		opened = time.Now()
	}
	return &session{
		opened: opened,
		name:   fmt.Sprintf("stream %s (request id %s)", id.name, request),
		split:  payload.NewSplitter(body, payload.Config{Stream: id.name, MaxFragmentSize: cfg.MaxFragmentSize, Chunks: true}),
		untold: d.untold,
		body:   resp.Body,
		cancel: cancel,
	}, nil
}

// Next implements source.Source. A cancelled ctx ends the session; the part of the fragment read so far is in the error, a
// *source.UnfinishedError. The arriving fragment is told of as media.WithArrivals describes.
func (s *session) Next(ctx context.Context) (*media.Fragment, error) {
	if s.err != nil {
		return nil, s.err
	}
	stop := context.AfterFunc(ctx, func() { s.cancel(ctx.Err()) })
	s.split.Tell(media.Arrivals(ctx), s.untold)
	f, err := s.split.Next()
	if !stop() {
		cause := s.end(fmt.Errorf("read %s: %w", s.name, ctx.Err()))
		if err == nil {
			// It may be whole, or cut by the cancellation.
			cause = &source.UnfinishedError{Fragment: f, Err: cause}
		}
		return nil, cause
	}
	var gap *media.GapError
	switch {
	case err == nil:
		return f, nil
	case errors.As(err, &gap):
		return nil, err
	case errors.Is(err, io.EOF):
		return nil, s.end(io.EOF)
	}
	return nil, s.end(fmt.Errorf("read %s: %w", s.name, err))
}

// end closes the session and returns err, as does every later Next.
func (s *session) end(err error) error {
	s.err = err
	_ = s.Close()
	return err
}

// OpenedAt returns when the session began, by the service's clock, to the second.
func (s *session) OpenedAt() time.Time { return s.opened }

// Stats implements source.Source.
func (s *session) Stats() source.Stats { return source.Stats{BytesRead: s.split.BytesRead()} }

// Close implements source.Source. It may be called while Next is waiting; Next then returns.
func (s *session) Close() error {
	s.close.Do(func() {
		s.cancel(errClosed) // first, because it ends a waiting read
		_ = s.body.Close()  // the error does not matter: the response is not used any more
	})
	return nil
}

// watchdog reads the body of a response and cancels the response when no byte arrives for too long. The time
// counts only during a Read, so that a slow reader is not a stall.
type watchdog struct {
	body    io.Reader
	timeout time.Duration
	// timer cancels the session when it fires.
	timer *time.Timer
	// cause returns why the session was cancelled, nil when it was not.
	cause func() error
}

// newWatchdog returns a reader of the body of a response that lasts until life ends, which cancel ends.
func newWatchdog(body io.Reader, timeout time.Duration, life context.Context, cancel context.CancelCauseFunc) *watchdog {
	timer := time.AfterFunc(timeout, func() { cancel(fmt.Errorf("%w: no byte for %v", ErrStalled, timeout)) })
	timer.Stop()
	return &watchdog{body: body, timeout: timeout, timer: timer, cause: func() error { return context.Cause(life) }}
}

// Read implements io.Reader.
func (w *watchdog) Read(p []byte) (int, error) {
	w.timer.Reset(w.timeout)
	n, err := w.body.Read(p)
	w.timer.Stop()
	if err != nil {
		if cause := w.cause(); cause != nil {
			err = cause
		}
	}
	return n, err
}
