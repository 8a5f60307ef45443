package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
)

// twoParts is the size of an object of two parts, in bytes. Its requests begin the upload, send a part
// and another, and complete it.
const twoParts = 8<<20 + 1000

// upload writes an object in one piece.
func upload(ctx context.Context, store *s3.Store, key string, body []byte, opts sink.PutOptions) error {
	w, err := store.Create(ctx, key, opts)
	if err != nil {
		return err
	}
	if err = w.Write(ctx, body); err == nil {
		err = w.Commit(ctx)
	}
	return errors.Join(err, w.Abandon())
}

func TestALargeObjectSurvivesFaultsThatPass(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	for _, test := range []struct {
		name     string
		faults   []fault
		ifAbsent bool
		checksum s3.Checksum
	}{
		{"the answer to the beginning is lost", []fault{lose}, false, s3.ChecksumCRC32},
		{"the beginning is answered without an id", []fault{lie()}, false, s3.ChecksumCRC32},
		{"a busy server at each request", []fault{
			answer(503, "SlowDown"), through, answer(503, "SlowDown"), through, answer(500, "InternalError"), through, answer(429, "Busy"),
		}, false, s3.ChecksumCRC32},
		{"a part is cut on its way", []fault{through, cut}, false, s3.ChecksumCRC32},
		{"a part is damaged on its way", []fault{through, answer(400, "BadDigest")}, false, s3.ChecksumCRC32},
		{"the answer to a part is lost", []fault{through, lose, through, lose}, false, s3.ChecksumNone},
		{"a part without a receipt", []fault{through, lie()}, false, s3.ChecksumCRC32},
		{"a part with the receipt of other bytes", []fault{through, lie("ETag", `"0"`, "X-Amz-Checksum-Crc32", "AAAAAA==")}, false, s3.ChecksumCRC32},
		{"the answer to the completion is lost", []fault{through, through, through, lose}, false, s3.ChecksumCRC32},
		{"it is lost, and there are no checksums", []fault{through, through, through, lose}, false, s3.ChecksumNone},
		{"it is lost, and the object must not be replaced", []fault{through, through, through, lose}, true, s3.ChecksumCRC32},
		{"a completion without a receipt", []fault{through, through, through, lie()}, true, s3.ChecksumCRC32},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // most of the time is waiting between attempts
			p, endpoint := newProxy(t, server)
			d := destination(t, server)
			d.EndpointURL, d.Checksum = endpoint, test.checksum
			store := open(t, d)
			const key = "groups/1.tar"
			want := body(twoParts)
			p.plan(test.faults...)
			if err := upload(t.Context(), store, key, want, sink.PutOptions{IfAbsent: test.ifAbsent}); err != nil {
				t.Fatal(err)
			}
			if _, left := p.seen(); left != 0 {
				t.Errorf("%d faults were not met", left)
			}
			if got, err := server.Get(t.Context(), d.Bucket, key); err != nil || string(got) != string(want) {
				t.Errorf("the object has %d bytes (%v), want the %d written", len(got), err, len(want))
			}
			if same, err := store.Holds(t.Context(), key, want); err != nil || !same {
				t.Errorf("holds gave %t, %v", same, err)
			}
			if left, err := server.Uploads(t.Context(), d.Bucket); err != nil || len(left) > 0 {
				t.Errorf("open uploads are %q (%v)", left, err)
			}
		})
	}
}

func TestALargeObjectThatIsRefusedLeavesNothing(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	d := destination(t, server)
	d.EndpointURL, d.Prefix = endpoint, "in"
	store := open(t, d)
	for requests := range 4 {
		faults := []fault{answer(403, "AccessDenied")}
		for range requests {
			faults = append([]fault{through}, faults...)
		}
		p.plan(faults...)
		err := upload(t.Context(), store, "1.tar", body(twoParts), sink.PutOptions{})
		var refused *s3.Error
		if !errors.As(err, &refused) || refused.Status != http.StatusForbidden || refused.Key != "in/1.tar" || refused.Passing() {
			t.Errorf("request %d: error %v", requests, err)
		}
		keys, err := server.Keys(t.Context(), d.Bucket)
		left, uploadsErr := server.Uploads(t.Context(), d.Bucket)
		if err != nil || uploadsErr != nil || len(keys)+len(left) > 0 {
			t.Errorf("request %d: objects %q and uploads %q are left (%v, %v)", requests, keys, left, err, uploadsErr)
		}
	}
}

func TestAnUploadThatIsGoneIsFenced(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	d := destination(t, server)
	store := open(t, d)
	first, err := store.Create(t.Context(), "1.tar", sink.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Write(t.Context(), body(twoParts)); err != nil {
		t.Fatal(err)
	}
	if err := upload(t.Context(), store, "1.tar", body(twoParts+10), sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := first.Commit(t.Context()); !errors.Is(err, sink.ErrFenced) {
		t.Errorf("commit gave %v, want sink.ErrFenced", err)
	}
	if err := first.Abandon(); err != nil {
		t.Error(err)
	}
	if got, err := server.Get(t.Context(), d.Bucket, "1.tar"); err != nil || len(got) != len(body(twoParts+10)) {
		t.Errorf("the object has %d bytes (%v)", len(got), err)
	}
}

// Uploads of other keys are not touched, whatever their names begin with, and none is where the server
// lets nobody list them.
func TestOnlyLeftoversOfTheSameKeyAreAborted(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	d := destination(t, server)
	store := open(t, d)
	begin := func(key string) sink.ObjectWriter {
		t.Helper()
		w, err := store.Create(t.Context(), key, sink.PutOptions{})
		if err == nil {
			err = w.Write(t.Context(), body(twoParts))
		}
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	leftovers := map[string]sink.ObjectWriter{}
	for _, key := range []string{"a", "a.tar", "a.tar2", "a.tar/b"} {
		leftovers[key] = begin(key)
	}
	if err := upload(t.Context(), store, "a.tar", body(twoParts), sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if left, err := server.Uploads(t.Context(), d.Bucket); err != nil || strings.Join(left, " ") != "a a.tar/b a.tar2" {
		t.Errorf("open uploads are %q (%v)", left, err)
	}
	for key, w := range leftovers {
		if err := w.Abandon(); err != nil {
			t.Errorf("abandon %s: %v", key, err)
		}
	}
}

func TestALargeObjectCarriesWhatAPutCarries(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	for _, checksum := range []s3.Checksum{s3.ChecksumCRC32, s3.ChecksumNone} {
		d := destination(t, server)
		d.EndpointURL, d.StorageClass, d.Checksum = endpoint, "GLACIER", checksum
		store := open(t, d)
		p.plan()
		opts := sink.PutOptions{ContentType: "application/x-tar", Metadata: map[string]string{"site": "a"}, IfAbsent: true}
		if err := upload(t.Context(), store, "1.tar", body(twoParts), opts); err != nil {
			t.Fatal(err)
		}
		requests, _ := p.seen()
		begin, complete := requests[0].Header, requests[len(requests)-1].Header
		if begin.Get("Content-Type") != "application/x-tar" || begin.Get("X-Amz-Meta-Site") != "a" || begin.Get("X-Amz-Storage-Class") != "GLACIER" || complete.Get("If-None-Match") != "*" {
			t.Errorf("the upload began with %v and ended with %v", begin, complete)
		}
		sent := false
		for _, r := range requests {
			for name := range r.Header {
				sent = sent || strings.Contains(strings.ToLower(name), "checksum") || name == "X-Amz-Trailer"
			}
		}
		if sent != (checksum == s3.ChecksumCRC32) {
			t.Errorf("checksum %s: sent is %t", checksum, sent)
		}
	}
}

// A request that is cancelled while an upload begins may have begun it all the same.
func TestAnUploadThatBeganWhileItWasCancelledIsAborted(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	d := destination(t, server)
	d.EndpointURL = endpoint
	store := open(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	released := make(chan struct{})
	p.plan(func(p *proxy, w http.ResponseWriter, r *http.Request) {
		cancel()
		<-released
		through(p, w, r)
	})
	w, err := store.Create(ctx, "1.tar", sink.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(ctx, body(twoParts)); !errors.Is(err, context.Canceled) {
		t.Errorf("write gave %v, want context.Canceled", err)
	}
	close(released)
	if err := w.Abandon(); err != nil {
		t.Error(err)
	}
	requests, _ := p.seen()
	if last := requests[len(requests)-1]; len(requests) != 2 || last.Method != http.MethodDelete || last.URL.Query().Get("uploadId") == "" {
		t.Errorf("%d requests, the last is %s %s", len(requests), last.Method, last.URL)
	}
	if left, err := server.Uploads(t.Context(), d.Bucket); err != nil || len(left) > 0 {
		t.Errorf("open uploads are %q (%v)", left, err)
	}
}

// TestAWriterIsCalledAgainAfterTroubleThatPasses has each request fail with all of its attempts, once before and once after the server has
// done its work.
func TestAWriterIsCalledAgainAfterTroubleThatPasses(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	for name, what := range map[string]fault{"refused": answer(503, "SlowDown"), "done all the same": lose} {
		for _, head := range []bool{false, true} {
			for _, size := range []int{100, twoParts, 2*twoParts + 1000} {
				t.Run(fmt.Sprintf("%s, head %t, %d bytes", name, head, size), func(t *testing.T) {
					t.Parallel() // most of the time is waiting between attempts
					p, endpoint := newProxy(t, server)
					d := destination(t, server)
					d.EndpointURL = endpoint
					store, want, opts := open(t, d), body(size), sink.PutOptions{}
					if head {
						opts.Head = func() []byte { return []byte("the head") }
					}
					var faults []fault
					for range 5 { // requests
						faults = append(faults, what, what, through)
					}
					p.plan(faults...)
					failures := 0
					again := func(call func() error) {
						for {
							err := call()
							if err == nil {
								return
							}
							if failures++; !sink.Passing(err) || failures > 10 {
								t.Fatalf("failure %d: %v", failures, err)
							}
						}
					}
					var w sink.ObjectWriter
					again(func() (err error) { w, err = store.Create(t.Context(), "a.npy", opts); return err })
					again(func() error { return w.Write(t.Context(), want) })
					again(func() error { return w.Commit(t.Context()) })
					if head {
						copy(want, "the head")
					}
					if got, err := server.Get(t.Context(), d.Bucket, "a.npy"); err != nil || !bytes.Equal(got, want) {
						t.Errorf("the object has %d bytes, want %d (%v)", len(got), len(want), err)
					}
					if left, err := server.Uploads(t.Context(), d.Bucket); err != nil || len(left) > 0 {
						t.Errorf("unfinished are %q (%v)", left, err)
					}
					if failures == 0 {
						t.Error("nothing failed")
					}
				})
			}
		}
	}
}

// TestAnObjectOfWhichNoDigestIsKnownIsRead compares objects that were stored without a checksum, with other parts than the writer has.
func TestAnObjectOfWhichNoDigestIsKnownIsRead(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	p, endpoint := newProxy(t, server)
	d := destination(t, server)
	d.EndpointURL, d.Checksum = endpoint, s3.ChecksumNone
	store, there := open(t, d), body(twoParts)
	if err := store.Put(t.Context(), "put.tar", there, sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := upload(t.Context(), store, "parts.tar", there, sink.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	other := append(body(twoParts-10), "kvsframed."...)
	for _, test := range []struct {
		key  string
		body []byte
		same bool
		read bool // whether the writer has to read the object
	}{{"put.tar", there, true, true}, {"put.tar", other, false, true}, {"put.tar", there[1:], false, false}, {"parts.tar", there, true, false}, {"parts.tar", other, false, true}} {
		w, err := store.Create(t.Context(), test.key, sink.PutOptions{IfAbsent: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(t.Context(), test.body); err != nil {
			t.Fatal(err)
		}
		p.plan()
		same, err := w.Same(t.Context())
		requests, _ := p.seen()
		if read := len(requests) > 1 && requests[1].Method == http.MethodGet; err != nil || same != test.same || read != test.read || requests[0].Method != http.MethodHead {
			t.Errorf("%s, %d bytes: same is %t, %v, after %d requests", test.key, len(test.body), same, err, len(requests))
		}
		if err := w.Abandon(); err != nil {
			t.Error(err)
		}
		if held, err := store.Holds(t.Context(), test.key, test.body); err != nil || held != test.same {
			t.Errorf("%s holds %d bytes: %t, %v", test.key, len(test.body), held, err)
		}
	}
	w, err := store.Create(t.Context(), "put.tar", sink.PutOptions{IfAbsent: true})
	if err = errors.Join(err, w.Write(t.Context(), other)); err != nil {
		t.Fatal(err)
	}
	for _, faults := range [][]fault{{answer(http.StatusForbidden, "AccessDenied")}, {through, answer(http.StatusForbidden, "AccessDenied")}} {
		p.plan(faults...)
		if same, err := w.Same(t.Context()); same || !errors.Is(err, sink.ErrUnseen) {
			t.Errorf("an object that may not be read is the same: %t, %v", same, err)
		}
	}
	if err := w.Abandon(); err != nil {
		t.Error(err)
	}
	p.plan(through, answer(http.StatusForbidden, "AccessDenied"))
	if held, err := store.Holds(t.Context(), "put.tar", other); err != nil || held {
		t.Errorf("an object that may not be read gives %t, %v", held, err)
	}
}
