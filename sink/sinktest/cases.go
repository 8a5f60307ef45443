package sinktest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// Sizes of the suite's streams: with manyFragments, a sink that stores several fragments in one object needs
// several objects.
const manyFragments, someImages = 10, 3

func newStream(name string) *stream {
	return &stream{name: name, fragments: manyFragments, images: someImages}
}

func noFragments(t *testing.T, h Harness) {
	mustRun(t, h, &stream{name: "front-door"})
	if o, err := run(t.Context(), t, h, &stream{name: "front-door", before: func(context.Context, int) error { return errEnough }}, nil); !errors.Is(err, errEnough) || len(o.reported) > 0 {
		t.Errorf("error %v, reported %q", err, o.reported)
	}
	if all := objects(t, h); len(all) > 0 {
		t.Errorf("%d objects exist", len(all))
	}
}

func noImages(t *testing.T, h Harness) {
	mustRun(t, h, &stream{name: "front-door", fragments: manyFragments})
	if all := objects(t, h); len(all) > 0 {
		t.Errorf("%d objects exist", len(all))
	}
}

func durableThenReported(t *testing.T, h Harness) {
	s := newStream("front-door")
	o, err := run(t.Context(), t, h, s, func(_, fragment string) {
		there, err := h.Images(t.Context())
		if err != nil {
			t.Errorf("read images: %v", err)
		}
		for id := range s.imagesOf(fragment) {
			if there[id] == nil {
				t.Errorf("fragment %s was reported when image %s did not exist", fragment, id)
			}
		}
	})
	if err != nil || len(o.reported) != manyFragments || o.written != manyFragments*someImages {
		t.Errorf("%d fragments with %d images were reported (%v)", len(o.reported), o.written, err)
	}
	wantImages(t, h, s)
}

func streamsAtOnce(t *testing.T, h Harness) {
	var streams []*stream
	var running sync.WaitGroup
	for i := range 4 {
		s := newStream(fmt.Sprintf("camera-%d", i))
		streams = append(streams, s)
		running.Go(func() {
			o, err := run(t.Context(), t, h, s, nil)
			if err != nil || len(o.reported) != manyFragments {
				t.Errorf("stream %s: %d fragments reported, error %v", s.name, len(o.reported), err)
			}
		})
	}
	running.Wait()
	wantImages(t, h, streams...)
}

func twice(t *testing.T, h Harness) {
	mustRun(t, h, newStream("front-door"))
	wantUndisturbed(t, h)
}

// abandoned cancels the run after each number of fragments.
func abandoned(t *testing.T, h Harness) {
	for n := range manyFragments {
		ctx, cancel := context.WithCancel(t.Context())
		s := newStream("front-door")
		s.before = func(ctx context.Context, i int) error {
			if i > n {
				cancel()
				return ctx.Err()
			}
			return nil
		}
		o, err := run(ctx, t, h, s, nil)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("the run ended with %v, want context.Canceled", err)
		}
		wantReported(t, h, s, o.reported)
	}
	mustRun(t, h, newStream("front-door"))
	wantImages(t, h, newStream("front-door"))
}

func cancelled(t *testing.T, h Harness) {
	if h.Trouble == nil {
		t.Skip("the operations of the destination cannot be made to hang")
	}
	if _, err := runUntilItHangs(t, h, newStream("front-door"), 1, false); !errors.Is(err, context.Canceled) {
		t.Errorf("the run ended with %v, want context.Canceled", err)
	}
	h.Trouble.fail(0)
	if all := objects(t, h); len(all) > 0 {
		t.Errorf("%d objects exist", len(all))
	}
}

// runUntilItHangs runs a stream and cancels the run when the nth operation of the destination hangs.
// killed reports whether the process is then killed.
func runUntilItHangs(t *testing.T, h Harness, s *stream, n int, killed bool) (*observed, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	hanging := h.Trouble.hang(n)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-hanging:
		case <-ctx.Done():
		}
		cancel()
	})
	defer waiting.Wait()
	defer cancel()
	o := h.observe(s)
	o.killed = killed
	return o, o.run(ctx, t, s)
}

// killed simulates, at each operation of the destination, that the process is killed.
func killed(t *testing.T, h Harness) {
	if h.Trouble == nil {
		t.Skip("the operations of the destination cannot be made to hang")
	}
	for n, met := 1, true; met; n++ {
		s := newStream("front-door")
		o, err := runUntilItHangs(t, h, s, n, true)
		met = h.Trouble.met()
		h.Trouble.fail(0)
		if met && !errors.Is(err, context.Canceled) || !met && (err != nil || n == 1) {
			t.Fatalf("operation %d: hung is %t, and the run ended with %v", n, met, err)
		}
		wantReported(t, h, s, o.reported)
	}
	wantUndisturbed(t, h)
}

// wantUndisturbed checks that all images exist, and that another run would leave the same objects.
func wantUndisturbed(t *testing.T, h Harness) {
	t.Helper()
	wantImages(t, h, newStream("front-door"))
	left := objects(t, h)
	mustRun(t, h, newStream("front-door"))
	if again := objects(t, h); !same(left, again) {
		t.Errorf("another run left %d objects, those before it %d, and they differ", len(again), len(left))
	}
}

// eachOperationFails runs the stream repeatedly. Each time another operation of the destination fails, until
// all of them have failed once.
func eachOperationFails(t *testing.T, h Harness) {
	if h.Trouble == nil {
		t.Skip("the operations of the destination cannot be made to fail")
	}
	for n := 1; ; n++ {
		h.Trouble.fail(n)
		s := newStream("front-door")
		o, err := run(t.Context(), t, h, s, nil)
		met := h.Trouble.met()
		h.Trouble.fail(0)
		if !met {
			if err != nil || n == 1 {
				t.Errorf("the run ended before operation %d, with %v", n, err)
			}
			break
		}
		if !errors.Is(err, errTrouble) {
			t.Fatalf("operation %d failed, and the run ended with %v", n, err)
		}
		wantReported(t, h, s, o.reported)
	}
	wantUndisturbed(t, h)
}
