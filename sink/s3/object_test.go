package s3_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/checkpoint"
	"github.com/kvsframes/kvsframes/checkpoint/checkpointtest"
	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
)

// TestACheckpointInS3Conforms has a lease in an object.
func TestACheckpointInS3Conforms(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	checkpointtest.Run(t, func(tb testing.TB) checkpointtest.Harness {
		d := destination(tb, server)
		d.Prefix = "state/"
		const key, full = "ab/cam.json", "state/ab/cam.json"
		store := open(tb, d)
		return checkpointtest.Harness{
			// The term is long enough for a machine under load to write within a third of it.
			Open: func() checkpoint.Store { return checkpoint.NewLease(store.Object(key), 9*time.Second, nil) },
			Get: func(tb testing.TB) []byte {
				data, err := server.Get(tb.Context(), d.Bucket, full)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					tb.Error(err)
				}
				return data
			},
			Put: func(tb testing.TB, data []byte) {
				if data == nil {
					server.Delete(tb, d.Bucket, full)
				} else if err := store.Put(tb.Context(), key, data, sink.PutOptions{}); err != nil {
					tb.Error(err)
				}
			},
		}
	})
}

// TestASwapWhoseAnswerIsLostHasSucceeded cuts answers of the server after it has done what they say.
func TestASwapWhoseAnswerIsLostHasSucceeded(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, url := newProxy(t, server)
	d := destination(t, server)
	d.EndpointURL = url
	c, err := checkpoint.NewLease(open(t, d).Object("cam.json"), 0, nil).Acquire(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"1", "2"} {
		p.plan(lose)
		if err := c.Save(t.Context(), []byte(state)); err != nil {
			t.Error(err)
		}
		if data, err := server.Get(t.Context(), d.Bucket, "cam.json"); err != nil || !strings.Contains(string(data), `"state":`+state) {
			t.Errorf("stored %s, %v", data, err)
		}
	}
	if err := c.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnObjectIsReadAndSwapped(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	d := destination(t, server)
	o := open(t, d).Object("a/b")
	swap := func(content, etag string) (string, bool) {
		t.Helper()
		next, swapped, err := o.Swap(t.Context(), []byte(content), etag)
		if err != nil {
			t.Fatal(err)
		}
		return next, swapped
	}
	if content, etag, err := o.Read(t.Context(), 9); content != nil || etag != "" || err != nil {
		t.Errorf("at first it is %q, %q, %v", content, etag, err)
	}
	if _, swapped := swap("x", `"0"`); swapped {
		t.Error("an object that is not there was replaced")
	}
	first, swapped := swap("one", "")
	if _, again := swap("two", ""); !swapped || again {
		t.Errorf("made %v, and again %v", swapped, again)
	}
	second, swapped := swap("three", first)
	if _, again := swap("four", first); !swapped || again {
		t.Errorf("replaced %v, and again %v", swapped, again)
	}
	if content, etag, err := o.Read(t.Context(), 5); string(content) != "three" || etag != second || err != nil {
		t.Errorf("it is %q, %q, want %q, %v", content, etag, second, err)
	}
	if _, _, err := o.Read(t.Context(), 4); err == nil || !strings.Contains(err.Error(), "larger than 4 bytes") {
		t.Errorf("a limit of 4: %v", err)
	}
	d.Bucket = "there-is-none"
	var refused *s3.Error
	if _, err := s3.Open(t.Context(), d); !errors.As(err, &refused) {
		t.Errorf("a bucket that is not there: %v", err)
	}
}
