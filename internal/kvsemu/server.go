// Package kvsemu is a Kinesis Video Streams endpoint on loopback: it serves
// recordings as streams over the real protocol, to any AWS SDK. Tests and the
// emulate command use it; nothing in it is meant for an open network.
//
// What it does where the API Reference is silent is said at the place: look for
// "AWS does not say".
package kvsemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Pace says when the chunks of a recording come into being.
type Pace int

const (
	// PaceMax has every chunk there from the start; a session that has sent the
	// last one ends at once.
	PaceMax Pace = iota
	// PaceRealtime plays a recording once, from the moment that it was added,
	// as fast as its producer clock runs. A session that has waited for the next
	// chunk for Options.IdleEnd ends.
	PaceRealtime
)

// Defaults of Options.
const (
	// DefaultKey is the default of both halves of the credentials.
	DefaultKey = "test"
	// DefaultIdleEnd is the wait for a fragment after which GetMedia ends a
	// response (API Reference, GetMedia).
	DefaultIdleEnd = 3 * time.Second
	// DefaultMaxRecording is the largest recording that is taken into memory, in bytes.
	DefaultMaxRecording = 1 << 30
)

// DefaultEpoch is the producer time at which plain MKV files begin.
var DefaultEpoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// Options are the settings of a Server. The zero value of each field is its default.
type Options struct {
	// AccessKey and SecretKey are the credentials that requests must be signed
	// with; "" means DefaultKey.
	AccessKey, SecretKey string
	// SessionToken is the security token that requests must carry; "" lets
	// requests with any token pass, and without one.
	SessionToken string
	// Region is the region that requests must be signed for; "" lets any pass.
	Region string
	// Pace says when chunks come into being.
	Pace Pace
	// IdleEnd is how long a session of PaceRealtime waits for a chunk before it
	// ends; 0 means DefaultIdleEnd.
	IdleEnd time.Duration
	// Epoch is the producer time of timecode zero of plain MKV files; zero means
	// DefaultEpoch.
	Epoch time.Time
	// MaxRecording is the largest recording, in bytes; 0 means DefaultMaxRecording.
	MaxRecording int64
	// Log receives one line per request; nil discards them.
	Log *slog.Logger
	// Now is the clock that signatures are held against; nil means time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.AccessKey == "" {
		o.AccessKey = DefaultKey
	}
	if o.SecretKey == "" {
		o.SecretKey = DefaultKey
	}
	if o.IdleEnd == 0 {
		o.IdleEnd = DefaultIdleEnd
	}
	if o.Epoch.IsZero() {
		o.Epoch = DefaultEpoch
	}
	if o.MaxRecording == 0 {
		o.MaxRecording = DefaultMaxRecording
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// maxRequestBody caps the JSON body of a request, in bytes. The longest valid
// one is a few kilobytes.
const maxRequestBody = 64 << 10

// operation serves one API operation. body is the whole request body, verified.
// A refusal is returned as *apiError before anything was written.
type operation func(w http.ResponseWriter, r *http.Request, body []byte) error

// Server is an emulated KVS endpoint: the control plane and the data plane of
// all its streams. It is safe for use by several goroutines.
type Server struct {
	opts       Options
	verifier   verifier
	operations map[string]operation
	active     atomic.Int64

	mu      sync.Mutex
	streams map[string]*stream
}

// New returns a server without streams.
func New(opts Options) *Server {
	opts = opts.withDefaults()
	s := &Server{
		opts:    opts,
		streams: map[string]*stream{},
		verifier: verifier{
			accessKey:    opts.AccessKey,
			secretKey:    opts.SecretKey,
			sessionToken: opts.SessionToken,
			region:       opts.Region,
			service:      "kinesisvideo",
			now:          opts.Now,
		},
	}
	s.operations = map[string]operation{
		"/getDataEndpoint": s.getDataEndpoint,
		"/getMedia":        s.getMedia,
	}
	return s
}

// Handler returns the server as an http.Handler, for use with httptest.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

// Active returns the number of requests that are being served.
func (s *Server) Active() int { return int(s.active.Load()) }

// Start listens on addr ("" means a free port of 127.0.0.1) and serves until ctx
// is done; it then closes every connection. url is the endpoint's base URL. wait
// blocks until every handler and every connection is gone, and returns what
// ended the server, nil when that was ctx. The caller must call wait.
func (s *Server) Start(ctx context.Context, addr string) (url string, wait func() error, err error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, listener) }()
	return "http://" + listener.Addr().String(), sync.OnceValue(func() error { return <-done }), nil
}

// Run listens on addr and serves until ctx is done (see Start). It returns when
// every handler and every connection is gone.
func (s *Server) Run(ctx context.Context, addr string) error {
	_, wait, err := s.Start(ctx, addr)
	if err != nil {
		return err
	}
	return wait()
}

func (s *Server) serve(ctx context.Context, listener net.Listener) error {
	// The states of connections are counted, not handlers: a connection is new
	// before Serve can return, and closed after its last handler has.
	var conns sync.WaitGroup
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed:
				conns.Done()
			}
		},
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	err := srv.Serve(listener)
	stop()
	_ = srv.Close() // again: it may have missed a connection that was just accepted
	conns.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", listener.Addr(), err)
}

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	s.active.Add(1)
	defer s.active.Add(-1)
	id := newRequestID()
	w.Header().Set("x-amzn-RequestId", id)
	// Clients put their clocks right by it when a signature is refused.
	w.Header().Set("Date", s.opts.Now().UTC().Format(http.TimeFormat))
	log := s.opts.Log.With("operation", r.URL.Path, "request_id", id)

	err := s.dispatch(w, r)
	var refusal *apiError
	switch {
	case errors.As(err, &refusal):
		refusal.write(w)
		log.Info("request refused", "code", refusal.code, "status", refusal.status, "message", refusal.message)
	case err != nil:
		log.Info("request cut short", "error", err)
		// The client must not take what it got for a whole answer.
		panic(http.ErrAbortHandler)
	default:
		log.Info("request served")
	}
}

// dispatch finds the operation, reads and verifies the body and serves.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) error {
	serve, ok := s.operations[r.URL.Path]
	if !ok || r.Method != http.MethodPost {
		return errUnknownOperation(r.Method + " " + r.URL.Path)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge(fmt.Sprintf("the request body is too large, maximum is %d bytes", maxRequestBody))
	case err != nil:
		return fmt.Errorf("read request body: %w", err)
	}
	if refusal := s.verifier.verify(r, hashHex(body)); refusal != nil {
		return refusal
	}
	return serve(w, r, body)
}
