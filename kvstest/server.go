// Package kvstest is a Kinesis Video Streams service for tests. It serves recordings, and the media of
// producers, as streams over the real protocol, on loopback, to any AWS SDK. The emulate command uses it. It is
// not meant for an open network.
//
// New starts a server for the duration of a test. AddRecording and AddFile add streams, from recordings or from
// the output of AppendChunk, and Config returns the settings of a client:
//
//	server := kvstest.New(t, kvstest.Options{})
//	if err := server.AddFile("cam", "testdata/cam.mkv"); err != nil {
//		t.Fatal(err)
//	}
//	client := kinesisvideo.NewFromConfig(server.Config())
//
// It serves GetDataEndpoint, CreateStream, DescribeStream, DescribeStreamStorageConfiguration, ListStreams, GetMedia,
// PutMedia, ListFragments and GetMediaForFragmentList. It enforces the service's quotas (Quotas), can simulate a slow network (Link), and
// fails as SetFaults requests. Calls lists the calls that it received.
//
// Where the API Reference leaves a question open, a comment states the server's choice: look for "AWS does not say".
package kvstest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// maxRequestBody limits the JSON body of a request, in bytes. The longest valid one has a few kilobytes.
const maxRequestBody = 64 << 10

// Server is an emulated KVS endpoint: the control plane and the data plane of all its streams. Several
// goroutines may use it.
type Server struct {
	opts       Options
	verifier   verifier
	operations map[string]operation
	active     atomic.Int64
	faults     faults
	calls      callLog

	mu      sync.Mutex
	url     string
	streams map[string]*stream
}

// NewServer returns a server without streams. Start starts it; in tests, New does both.
func NewServer(opts Options) *Server {
	opts = opts.withDefaults()
	s := &Server{
		opts:    opts,
		streams: map[string]*stream{},
		calls:   callLog{calls: map[callKey][]time.Time{}},
		verifier: verifier{
			accessKey:    opts.AccessKey,
			secretKey:    opts.SecretKey,
			sessionToken: opts.SessionToken,
			region:       opts.Region,
			service:      "kinesisvideo",
			now:          opts.Now,
		},
	}
	s.operations = s.allOperations()
	return s
}

// Handler returns the server as an http.Handler, for a custom server or network.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

// Active returns the number of requests that are being served.
func (s *Server) Active() int { return int(s.active.Load()) }

// Start listens on addr ("" means a free port of 127.0.0.1) and serves until ctx is done; it then closes every
// connection. url is the base URL of the endpoint. wait blocks until all handlers have returned and all
// connections are closed. It returns the error that ended the server, nil if that was ctx. The caller must call
// wait.
func (s *Server) Start(ctx context.Context, addr string) (url string, wait func() error, err error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	url = "http://" + listener.Addr().String()
	s.mu.Lock()
	s.url = url
	s.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx, listener) }()
	return url, sync.OnceValue(func() error { return <-done }), nil
}

func (s *Server) serve(ctx context.Context, listener net.Listener) error {
	// This counts connections rather than handlers: a connection is counted before Serve can return, and until
	// its last handler has returned.
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
	// Clients correct their clocks by the Date when a signature is refused.
	w.Header().Set("Date", s.opts.Now().UTC().Format(http.TimeFormat))
	log := s.opts.Log.With("operation", r.URL.Path, "request_id", id)

	err := s.dispatch(w, r)
	switch refusal, refused := errors.AsType[*apiError](err); {
	case refused:
		refusal.write(w)
		log.Info("request refused", "code", refusal.code, "status", refusal.status, "message", refusal.message)
	case errors.Is(err, errCleanEnd):
		log.Info("request ended early")
	case err != nil:
		log.Info("request cut short", "error", err)
		// The client must notice that the answer is incomplete.
		panic(http.ErrAbortHandler)
	default:
		log.Info("request served")
	}
}
