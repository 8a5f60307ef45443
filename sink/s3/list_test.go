package s3_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
)

// TestListGivesEveryKeyOnce has more objects than one answer lists, and some beside the prefix.
func TestListGivesEveryKeyOnce(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	d := destination(t, server)
	outside := open(t, d)
	if err := outside.Put(t.Context(), "in-not/x", []byte("x"), sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	d.Prefix = "in"
	store := open(t, d)
	var want []string
	var puts errgroup.Group
	puts.SetLimit(16)
	for i := range 1100 {
		key := fmt.Sprintf("a b/é+%d/%04d.jsonl", i%3, i)
		want = append(want, key)
		puts.Go(func() error { return store.Put(t.Context(), key, []byte(key), sink.PutOptions{}) })
	}
	if err := puts.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	var got []string
	if err := store.List(t.Context(), func(key string) error { got = append(got, key); return nil }); err != nil || !slices.Equal(got, want) {
		t.Errorf("%d keys of %d, %v", len(got), len(want), err)
	}
	stop := errors.New("enough")
	if err := store.List(t.Context(), func(string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("list goes on: %v", err)
	}
	if data, err := readAll(store.Open(t.Context(), want[7])); err != nil || string(data) != want[7] {
		t.Errorf("%q, %v", data, err)
	}
}

func readAll(in io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(in)
	return data, errors.Join(err, in.Close())
}

// stumble cuts an answer after half of its body.
func stumble(p *proxy, w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	p.forward.ServeHTTP(answer, r)
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", fmt.Sprint(answer.Body.Len()))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func TestReadingContinuesAfterAnAnswerThatIsCut(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	d := destination(t, server)
	d.EndpointURL = endpoint
	store := open(t, d)
	want := strings.Repeat("0123456789", 50_000)
	if err := store.Put(t.Context(), "part.jsonl", []byte(want), sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, faults := range [][]fault{nil, {stumble}, {answer(503, "SlowDown"), stumble, stumble, answer(503, "SlowDown"), stumble}} {
		p.plan(faults...)
		if data, err := readAll(store.Open(t.Context(), "part.jsonl")); err != nil || string(data) != want {
			t.Errorf("after %d faults: %d bytes of %d, %v", len(faults), len(data), len(want), err)
		}
		if _, left := p.seen(); left > 0 {
			t.Errorf("%d faults were not met", left)
		}
	}
	p.plan(slices.Repeat([]fault{stumble}, 6)...)
	if _, err := readAll(store.Open(t.Context(), "part.jsonl")); err == nil {
		t.Error("an object that cannot be read is read")
	}
	// An object that changes in between is not mixed.
	p.plan(stumble, func(p *proxy, w http.ResponseWriter, r *http.Request) {
		direct := d
		direct.EndpointURL = server.Endpoint
		if err := open(t, direct).Put(t.Context(), "part.jsonl", []byte(strings.ToUpper(want)+"x"), sink.PutOptions{}); err != nil {
			t.Error(err)
		}
		through(p, w, r)
	})
	if data, err := readAll(store.Open(t.Context(), "part.jsonl")); err == nil {
		t.Errorf("%d bytes of two objects are one", len(data))
	}
	p.plan()
	var refused *s3.Error
	if _, err := store.Open(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		t.Errorf("an object that is not there: %v", err)
	}
}
