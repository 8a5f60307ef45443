package kvs

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/source"
)

// TestASignedGetMediaGivesThePayload sends calls that SignGetMedia signed by a plain HTTP client.
func TestASignedGetMediaGivesThePayload(t *testing.T) {
	after := source.StartSelector{Type: source.StartFragmentNumber, AfterFragmentNumber: number(0)}
	from := len(chunk(0))
	for _, c := range []struct {
		name   string
		start  source.StartSelector
		clock  time.Duration // of the service, ahead of this machine's
		edit   func(*Config)
		change func(*http.Request)
		status int
		skip   int
	}{
		{name: "as it is", start: earliest, status: 200},
		{name: "after a fragment", start: after, status: 200, skip: from},
		{name: "archive is no matter", start: earliest, edit: func(c *Config) { c.Mode = source.ModeArchive }, status: 200},
		{name: "a clock that is slow", start: earliest, clock: time.Hour, status: 200},
		{name: "a clock that is fast", start: earliest, clock: -time.Hour, status: 200},
		{name: "more headers", start: earliest, change: func(r *http.Request) { r.Header.Set("User-Agent", "other") }, status: 200},
		{name: "after minutes", start: earliest, change: func(*http.Request) { time.Sleep(4 * time.Minute) }, status: 200},
		{name: "too late", start: earliest, change: func(*http.Request) { time.Sleep(6 * time.Minute) }, status: 403},
		{name: "another header", start: earliest, change: func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, status: 403},
		{name: "another body", start: earliest, change: func(r *http.Request) {
			body, _ := io.ReadAll(r.Body) // of memory
			r.Body = io.NopCloser(bytes.NewReader(bytes.Replace(body, []byte("EARLIEST"), []byte("earliest"), 1)))
		}, status: 403},
		{name: "another path", start: earliest, change: func(r *http.Request) { r.URL.Path = "/listFragments" }, status: 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, kvstest.Options{Now: func() time.Time { return time.Now().Add(c.clock) }}, savedPayload())
				cfg := b.config(Config{Start: c.start})
				if c.edit != nil {
					c.edit(&cfg)
				}
				req, err := SignGetMedia(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				if c.change != nil {
					c.change(req)
				}
				client := &http.Client{Transport: &http.Transport{DialContext: b.net.dial, DisableKeepAlives: true}}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != c.status || resp.Body.Close() != nil {
					t.Errorf("answer is %s, %v", resp.Status, err)
				}
				if want := savedPayload()[c.skip:]; c.status == 200 && !bytes.Equal(got, want) {
					t.Errorf("%d bytes came, want the %d of a session", len(got), len(want))
				}
			})
		})
	}
}

func TestWhatCannotBeSignedIsAnError(t *testing.T) {
	_, e := emulate(t, kvstest.Options{})
	missing := Config{AWS: awsConfig(), Stream: "missing", EndpointURL: e.url}
	_, err := SignGetMedia(t.Context(), missing)
	var refused *Error
	if !errors.As(err, &refused) || refused.Operation != "GetDataEndpoint" || refused.Status != 404 {
		t.Errorf("of a stream that is not there: %v", err)
	}
	wrong := Config{AWS: awsConfig(), Stream: "cam", EndpointURL: e.url, Start: source.StartSelector{Type: "LATEST"}}
	if _, err := SignGetMedia(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "start_selector.type") {
		t.Errorf("of a start that there is not: %v", err)
	}
}
