package kvstest

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TB is the part of *testing.T and *testing.B that New needs.
type TB interface {
	// Helper marks its caller as a helper of the test.
	Helper()
	// Errorf fails the test, Fatalf also ends it.
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // see Errorf
	// Cleanup registers f to be called when the test ends.
	Cleanup(f func())
}

// New starts a server without streams on a free port of 127.0.0.1. A cleanup of the test closes
// all connections and stops it. If the server cannot start, the test fails at once.
func New(t TB, opts Options) *Server {
	t.Helper()
	s := NewServer(opts)
	ctx, cancel := context.WithCancel(context.Background())
	_, wait, err := s.Start(ctx, "")
	if err != nil {
		cancel()
		t.Fatalf("start the emulator: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		if err := wait(); err != nil {
			t.Errorf("the emulator ended: %v", err)
		}
	})
	return s
}

// URL returns the base URL of the endpoint, "" before the server was started.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// Config returns a configuration for clients of the server: its URL, its credentials and its region.
func (s *Server) Config() aws.Config {
	credentials := aws.Credentials{AccessKeyID: s.opts.AccessKey, SecretAccessKey: s.opts.SecretKey, SessionToken: s.opts.SessionToken}
	return aws.Config{
		Region:       cmp.Or(s.opts.Region, defaultRegion),
		BaseEndpoint: aws.String(s.URL()),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return credentials, nil
		}),
	}
}
