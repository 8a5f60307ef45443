package kvs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
)

// countingClient counts the bodies that were handed out and not closed.
type countingClient struct{ open, handed atomic.Int64 }

func (c *countingClient) Do(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultClient.Do(r)
	if err == nil {
		c.open.Add(1)
		c.handed.Add(1)
		resp.Body = &countedBody{Reader: iotest.OneByteReader(resp.Body), body: resp.Body, open: &c.open}
	}
	return resp, err
}

type countedBody struct {
	io.Reader
	body   io.Closer
	open   *atomic.Int64
	closed atomic.Bool
}

func (b *countedBody) Close() error {
	if !b.closed.Swap(true) {
		b.open.Add(-1)
	}
	return b.body.Close()
}

func TestTheBodyIsClosedOnEveryPath(t *testing.T) {
	cases := []struct {
		name string
		// media is what GetMedia does; nil is the emulator.
		media http.HandlerFunc
		path  func(t *testing.T, s *session, openErr error)
	}{
		{"read to the end", nil, func(t *testing.T, s *session, _ error) {
			for {
				if _, err := s.Next(t.Context()); err != nil {
					return // not closed: the end has done so
				}
			}
		}},
		{"closed unread", nil, func(_ *testing.T, s *session, _ error) { _ = s.Close() }},
		{"cancelled", sendAndHang(chunk(0)[:50]), func(t *testing.T, s *session, _ error) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, _ = s.Next(ctx)
		}},
		{"stalled", sendAndHang(nil), func(t *testing.T, s *session, _ error) { _, _ = s.Next(t.Context()) }},
		{"no Matroska", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, func(t *testing.T, s *session, _ error) {
			if _, err := s.Next(t.Context()); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("a page for a payload gives %v", err)
			}
		}},
		{"refused", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusBadRequest) }, func(t *testing.T, _ *session, err error) {
			if err == nil {
				t.Error("no error")
			}
		}},
		{"no service", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusServiceUnavailable) }, func(t *testing.T, _ *session, err error) {
			if err == nil {
				t.Error("no error")
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, e := emulate(t, kvstest.Options{})
			if c.media != nil {
				e = mediaServer(t, c.media)
			}
			client := &countingClient{}
			awsCfg := awsConfig()
			awsCfg.HTTPClient = client
			cfg := fromEarliest(e.url)
			cfg.StallTimeout = 50 * time.Millisecond
			s, err := openSession(t.Context(), awsCfg, cfg)
			c.path(t, s, err)
			if client.handed.Load() < 2 || client.open.Load() != 0 {
				t.Errorf("%d of %d bodies are open", client.open.Load(), client.handed.Load())
			}
		})
	}
}
