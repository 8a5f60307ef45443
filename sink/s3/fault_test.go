package s3_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
)

// proxy stands between the store and the server. Requests of objects take the
// next fault, if there is one, and all others go through.
type proxy struct {
	forward http.Handler

	mu       sync.Mutex
	faults   []fault
	requests []*http.Request // of objects, whatever became of them
}

// fault answers a request in place of the proxy.
type fault func(p *proxy, w http.ResponseWriter, r *http.Request)

// newProxy returns a proxy and its URL.
func newProxy(t *testing.T, server s3test.Server) (*proxy, string) {
	t.Helper()
	p := &proxy{forward: server.Forward(t)}
	front := httptest.NewServer(p)
	t.Cleanup(front.Close)
	return p, front.URL
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Count(strings.Trim(r.URL.Path, "/"), "/") == 0 { // a bucket
		p.forward.ServeHTTP(w, r)
		return
	}
	p.mu.Lock()
	next := through
	if len(p.faults) > 0 {
		next, p.faults = p.faults[0], p.faults[1:]
	}
	p.requests = append(p.requests, r.Clone(r.Context()))
	p.mu.Unlock()
	next(p, w, r)
}

// plan sets the faults to come.
func (p *proxy) plan(faults ...fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.requests = faults, nil
}

// seen returns the requests of objects since plan, and the number of faults that
// were not used up.
func (p *proxy) seen() ([]*http.Request, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests, len(p.faults)
}

func through(p *proxy, w http.ResponseWriter, r *http.Request) { p.forward.ServeHTTP(w, r) }

// answer refuses a request as S3 does (Amazon S3 API Reference, Error responses).
func answer(status int, code string) fault {
	return func(_ *proxy, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Amz-Request-Id", "4442587FB7D0A2F9")
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>About %s.</Message></Error>`, code, code)
	}
}

// lie answers as if all was done, with these headers, and keeps the request from the server.
func lie(headers ...string) fault {
	return func(_ *proxy, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
	}
}

// cut ends the connection after a part of the body, before the server has it.
func cut(_ *proxy, w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, 1000)
	panic(http.ErrAbortHandler)
}

// lose lets the server do its work and then ends the connection.
func lose(p *proxy, _ http.ResponseWriter, r *http.Request) {
	p.forward.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

func body(size int) []byte { return []byte(strings.Repeat("kvsframes.", size/10)) }

func TestPutSurvivesFaultsThatPass(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "3") // a single call meets two faults here
	for _, test := range []struct {
		name     string
		faults   []fault
		ifAbsent bool
	}{
		{"the server asks twice to slow down", []fault{answer(503, "SlowDown"), answer(503, "SlowDown")}, false},
		{"the server has an internal error", []fault{answer(500, "InternalError")}, false},
		{"the connection is cut while the body is sent", []fault{cut}, false},
		{"the answer is lost", []fault{lose}, false},
		{"the answer to a conditional put is lost", []fault{lose}, true},
		{"a conditional put is cut and then its answer lost", []fault{cut, lose}, true},
		{"another conditional put is under way", []fault{answer(409, "ConditionalRequestConflict")}, true},
		{"another operation is under way", []fault{answer(409, "OperationAborted")}, false},
		{"the body was damaged on its way", []fault{answer(400, "BadDigest")}, false},
		{"the body was damaged, and the signature tells", []fault{answer(400, "XAmzContentSHA256Mismatch")}, false},
		{"the body came in part", []fault{answer(400, "IncompleteBody")}, false},
		{"too many requests", []fault{answer(429, "TooManyRequests")}, false},
		{"too many requests, without a code that is known", []fault{answer(429, "Busy")}, false},
		{"the token has expired", []fault{answer(400, "ExpiredToken")}, false},
		{"the bucket is not known everywhere yet", []fault{answer(307, "TemporaryRedirect")}, false},
		{"a gateway is away", []fault{answer(502, "")}, false},
		{"an answer without a receipt", []fault{lie()}, false},
		{"a receipt for other bytes", []fault{lie("ETag", `"0"`, "X-Amz-Checksum-Crc32", "AAAAAA==")}, false},
		{"a conditional put without a receipt", []fault{lie()}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // most of the time is waiting between attempts
			p, endpoint := newProxy(t, server)
			d := destination(t, server)
			d.EndpointURL = endpoint
			store := open(t, d)
			const key = "cam/1.jpg"
			want := body(50_000)
			p.plan(test.faults...)
			if err := store.Put(t.Context(), key, want, sink.PutOptions{IfAbsent: test.ifAbsent}); err != nil {
				t.Fatal(err)
			}
			if requests, left := p.seen(); left != 0 || len(requests) <= len(test.faults) {
				t.Errorf("%d requests were sent and %d faults not met", len(requests), left)
			}
			if got, err := server.Get(t.Context(), d.Bucket, key); err != nil || string(got) != string(want) {
				t.Errorf("the object has %d bytes (%v), want the %d put", len(got), err, len(want))
			}
		})
	}
}

// An answer that is lost, or is no receipt, is none, even the last one.
func TestAnAnswerWithoutAReceiptIsAnError(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	p, endpoint := newProxy(t, server)
	d := destination(t, server)
	d.EndpointURL = endpoint
	store := open(t, d)
	p.plan(lie(), lie(), lie())
	err := store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{})
	var refused *s3.Error
	if !errors.As(err, &refused) || !refused.Passing() || !strings.Contains(err.Error(), "neither ETag nor checksum") {
		t.Errorf("put gave %v", err)
	}
	if requests, _ := p.seen(); len(requests) != 2 {
		t.Errorf("%d requests were sent, AWS_MAX_ATTEMPTS is 2", len(requests))
	}
}

func TestTheEnvironmentSetsTheRetries(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	d := destination(t, server)
	d.EndpointURL = endpoint
	for _, test := range []struct {
		mode, attempts string
		want           int
	}{{"standard", "1", 1}, {"adaptive", "2", 2}, {"", "3", 3}} {
		t.Setenv("AWS_RETRY_MODE", test.mode)
		t.Setenv("AWS_MAX_ATTEMPTS", test.attempts)
		store := open(t, d)
		p.plan(answer(503, "SlowDown"), answer(503, "SlowDown"), answer(503, "SlowDown"), answer(503, "SlowDown"))
		if err := store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{}); err == nil {
			t.Error("a put that was refused gave no error")
		}
		if requests, _ := p.seen(); len(requests) != test.want {
			t.Errorf("mode %q: %d requests were sent, want %d", test.mode, len(requests), test.want)
		}
	}
	t.Setenv("AWS_RETRY_MODE", "sometimes")
	if _, err := s3.Open(t.Context(), d); err == nil || !strings.Contains(err.Error(), "sometimes") {
		t.Errorf("a mode that is none gave %v", err)
	}
}

func TestCredentialsThatHaveExpiredAreRenewed(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	given := 0
	chain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		given++
		_, _ = fmt.Fprintf(w, `{"AccessKeyId": %q, "SecretAccessKey": %q, "Token": "token-%d", "Expiration": "2999-01-01T00:00:00Z"}`, server.AccessKey, server.SecretKey, given)
	}))
	t.Cleanup(chain.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", chain.URL)
	var tokens []string
	script := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // the server of the tests knows no tokens
		switch {
		case r.Method != http.MethodPut:
			return
		case len(tokens) == 0:
			answer(400, "ExpiredToken")(nil, w, r)
		default:
			lie("ETag", `"0"`)(nil, w, r)
		}
		tokens = append(tokens, r.Header.Get("X-Amz-Security-Token"))
	}))
	t.Cleanup(script.Close)
	d := destination(t, server)
	d.EndpointURL = script.URL
	store := open(t, d)
	if err := store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tokens, []string{"token-1", "token-2"}) {
		t.Errorf("the requests carried %q", tokens)
	}
}

// TestCredentialsThatCannotBeHadNowAreWaitedFor has a source of credentials that fails when they expire.
func TestCredentialsThatCannotBeHadNowAreWaitedFor(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	for name, fails := range map[string]http.HandlerFunc{
		"it is busy":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"it gives none":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{") },
		"it is not there": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		var broken atomic.Bool
		chain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if broken.Load() {
				fails(w, r)
				return
			}
			_, _ = fmt.Fprintf(w, `{"AccessKeyId": %q, "SecretAccessKey": %q, "Token": "", "Expiration": "2999-01-01T00:00:00Z"}`, server.AccessKey, server.SecretKey)
		}))
		t.Cleanup(chain.Close)
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", chain.URL)
		p, endpoint := newProxy(t, server)
		d := destination(t, server)
		d.EndpointURL = endpoint
		store := open(t, d)
		p.plan(answer(400, "ExpiredToken"))
		broken.Store(true)
		err := store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{})
		if err == nil || !sink.Passing(err) {
			t.Errorf("%s: the first put gave %v, want an error that passes", name, err)
		}
		if err = store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{}); err == nil || !sink.Passing(err) || !strings.Contains(err.Error(), "credentials") {
			t.Errorf("%s: put gave %v, passing: %t", name, err, err != nil && sink.Passing(err))
		}
		broken.Store(false)
		if err := store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{}); err != nil {
			t.Errorf("%s: then put gave %v", name, err)
		}
	}
}

func TestALostAnswerDoesNotHideThatAnotherWasFirst(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	d := destination(t, server)
	d.EndpointURL = endpoint
	store := open(t, d)
	for i, first := range [][]byte{body(100), []byte(strings.ToUpper(string(body(500))))} { // another size, other bytes
		key := fmt.Sprintf("%d.jpg", i)
		if err := store.Put(t.Context(), key, first, sink.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		p.plan(lose)
		if err := store.Put(t.Context(), key, body(500), sink.PutOptions{IfAbsent: true}); !errors.Is(err, sink.ErrExist) {
			t.Errorf("put gave %v, want sink.ErrExist", err)
		}
		if got, err := server.Get(t.Context(), d.Bucket, key); err != nil || string(got) != string(first) {
			t.Errorf("the object changed to %d bytes (%v)", len(got), err)
		}
	}
}

func TestAPutThatGivesUpLeavesTheOlderObject(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	d := destination(t, server)
	d.EndpointURL = endpoint
	store := open(t, d)
	if err := store.Put(t.Context(), "a.jpg", body(100), sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	p.plan(cut, cut, answer(403, "AccessDenied"))
	if err := store.Put(t.Context(), "a.jpg", body(5000), sink.PutOptions{}); err == nil {
		t.Error("a put that was refused gave no error")
	}
	if got, err := server.Get(t.Context(), d.Bucket, "a.jpg"); err != nil || string(got) != string(body(100)) {
		t.Errorf("the older object is %d bytes (%v)", len(got), err)
	}
}
