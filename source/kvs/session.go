package kvs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// ErrStalled is the cause of a session's end when no byte has come for
// Config.StallTimeout.
var ErrStalled = errors.New("connection stalled")

// errClosed is the cause of a session's end after Close.
var errClosed = errors.New("session is closed")

// Session is one GetMedia response, read as a source of fragments. KVS ends every
// session sooner or later, after 3 s without a fragment and after some 40 min at
// any rate: io.EOF means that the session is over, not that the stream is.
// Whoever wants to read on opens the next one.
type Session struct {
	// name is the stream's name with the request id, for errors.
	name string
	// opened is when the session began, by the service's clock if it has told it.
	opened time.Time
	split  *payload.Splitter
	body   io.Closer
	cancel context.CancelCauseFunc
	close  sync.Once
	// err is what every Next returns once the session is over.
	err error
}

var _ source.Source = (*Session)(nil)

// Open asks for the stream's data endpoint and opens a GetMedia session on it. ctx
// bounds the opening alone; the session lives until it is closed. Zero fields of
// cfg are those of DefaultConfig. Refusals of KVS are returned as *Error.
func Open(ctx context.Context, awsCfg aws.Config, cfg Config, log *slog.Logger) (*Session, error) {
	stream, err := NewStream(awsCfg, cfg, log)
	if err != nil {
		return nil, err
	}
	stream.client.retryer = newRetryer(awsCfg)
	return stream.open(ctx, stream.cfg.Start, false)
}

// mediaGetter is the one call of the media service that a session makes.
type mediaGetter interface {
	GetMedia(ctx context.Context, in *GetMediaInput) (*GetMediaOutput, error)
}

func open(ctx context.Context, client mediaGetter, id streamID, cfg Config, log *slog.Logger) (*Session, error) {
	session, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(ctx.Err()) })
	out, err := client.GetMedia(session, getMediaInput(id, cfg.Start))
	if !stop() && err == nil {
		_ = out.Payload.Close()
		err = ctx.Err()
	}
	if err != nil {
		cancel(errClosed)
		return nil, describe("GetMedia", id, err)
	}
	requestID, _ := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	log.Debug("KVS session opened", "stream", id.name, "start", cfg.Start.Type, "request_id", requestID)

	body := &watchdog{
		body:    out.Payload,
		timeout: cfg.StallTimeout,
		cause:   func() error { return context.Cause(session) },
		timer: time.AfterFunc(cfg.StallTimeout, func() {
			cancel(fmt.Errorf("%w: no byte for %v", ErrStalled, cfg.StallTimeout))
		}),
	}
	body.timer.Stop()
	opened := out.Date
	if opened.IsZero() {
		opened = time.Now()
	}
	return &Session{
		opened: opened,
		name:   fmt.Sprintf("stream %s (request id %s)", id.name, cmp.Or(requestID, "none")),
		split:  payload.NewSplitter(body, payload.Config{Stream: id.name, MaxFragmentSize: cfg.MaxFragmentSize, Chunks: true}),
		body:   out.Payload,
		cancel: cancel,
	}, nil
}

// Next implements source.Source. A cancelled ctx ends the session, for what was
// being read of a fragment is lost.
func (s *Session) Next(ctx context.Context) (*media.Fragment, error) {
	if s.err != nil {
		return nil, s.err
	}
	stop := context.AfterFunc(ctx, func() { s.cancel(ctx.Err()) })
	f, err := s.split.Next()
	if !stop() {
		// The fragment may be a whole one, or one that the cancelling cut.
		return nil, s.end(fmt.Errorf("read %s: %w", s.name, ctx.Err()))
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

// end closes the session and returns err, now and from every later Next.
func (s *Session) end(err error) error {
	s.err = err
	_ = s.Close()
	return err
}

// OpenedAt is when the session began, by the service's clock, to the second.
func (s *Session) OpenedAt() time.Time { return s.opened }

// BytesRead implements source.Source.
func (s *Session) BytesRead() int64 { return s.split.BytesRead() }

// Close implements source.Source. It may be called while Next is waiting, too, which
// then returns.
func (s *Session) Close() error {
	s.close.Do(func() {
		s.cancel(errClosed) // first: it is what wakes a waiting read
		_ = s.body.Close()  // says nothing that matters about a response that is given up
	})
	return nil
}

// watchdog reads a response's body and gives it up when no byte comes for too long. The
// time runs only while somebody waits for a byte, so that a slow reader is no stall.
type watchdog struct {
	body    io.Reader
	timeout time.Duration
	// timer cancels the session when it fires.
	timer *time.Timer
	// cause returns why the session was cancelled, nil when it was not.
	cause func() error
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
