// Package sinktest is the conformance suite of pipeline.Sink. It tests what the contract promises to a run,
// and what a run leaves at the sink's destination. The sink of package sink passes it on every store.
//
// A test of a sink provides a [Harness], which opens new sinks and reads back what they wrote, and calls
// [Run]. The suite lets pipeline.Run feed the sinks, as a program does:
//
//	func TestSinkConforms(t *testing.T) {
//		sinktest.Run(t, func(tb testing.TB) sinktest.Harness {
//			place := newPlace(tb)
//			return sinktest.Harness{
//				Open:    func(stream string) pipeline.Sink { return newSink(place, stream) },
//				Objects: place.objects,
//				Images:  place.images,
//			}
//		})
//	}
//
// If the operations of the destination pass through a [Trouble], each of them also fails once, and once is
// the last operation of a killed process. [Store] does that for a sink that writes to a sink.Store, and
// [ForStore] is the harness of the sink of package sink.
package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
)

// Harness is an empty destination with sinks that write to it.
type Harness struct {
	// Open returns a sink for one run of the named stream, as in a program: sinks of several streams may
	// write to the same objects. Open fails the test if it cannot return a sink.
	Open func(stream string) pipeline.Sink
	// Objects returns all visible objects at the destination, by name.
	Objects func(ctx context.Context) (map[string][]byte, error)
	// Images returns the images in these objects, by ID. If the sink keeps records, it returns only images that
	// have a record.
	Images func(ctx context.Context) (map[string][]byte, error)
	// Unfinished returns the names of temporary files or uploads that are neither completed nor removed; nil
	// if the sink has none by design.
	Unfinished func(ctx context.Context) ([]string, error)
	// Prepare, if it is not nil, makes an image of the suite one that the sink takes. It leaves what names the frame, and
	// what an object holds of the data.
	Prepare func(img *media.Image)
	// Trouble is called by each operation of the destination; nil if the operations cannot be disturbed.
	Trouble *Trouble
}

// ID returns the name that the suite uses for the image of a frame.
func ID(f media.FrameInfo) string {
	return fmt.Sprintf("%s/%s/%d", f.Stream, f.FragmentNumber, f.Index)
}

// Run runs the suite. open returns a harness that is valid until the test ends.
func Run(t *testing.T, open func(tb testing.TB) Harness) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, h Harness)
		// leaves reports whether the test leaves something unfinished, as a killed process does.
		leaves bool
	}{
		{"a stream without fragments leaves nothing", noFragments, false},
		{"fragments without images are reported", noImages, false},
		{"images are durable when their fragment is reported, in order", durableThenReported, false},
		{"streams at once do not mix", streamsAtOnce, false},
		{"a second run leaves the same objects", twice, false},
		{"an abandoned run leaves what it reported and nothing partial", abandoned, false},
		{"a cancelled context ends every wait", cancelled, false},
		{"each operation may fail", eachOperationFails, false},
		{"a process may be killed at each operation", killed, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := open(t)
			test.run(t, h)
			if h.Unfinished == nil || test.leaves {
				return
			}
			if left, err := h.Unfinished(context.WithoutCancel(t.Context())); err != nil || len(left) > 0 {
				t.Errorf("unfinished are %q (%v), want nothing", left, err)
			}
		})
	}
}

// observed records the reports of a sink.
type observed struct {
	pipeline.Sink
	// check is called for each reported fragment; it may be nil.
	check func(stream, fragment string)
	// killed reports whether Finish and Abandon are not passed on to the sink, as when a process is killed.
	killed bool

	mu       sync.Mutex
	ended    []string // fragments
	reported []string
	written  int
	over     bool // Finish or Abandon has returned
	problems []string
}

func (o *observed) problem(format string, args ...any) {
	o.problems = append(o.problems, fmt.Sprintf(format, args...))
}

func (o *observed) EndFragment(ctx context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	o.mu.Lock()
	o.ended = append(o.ended, f.Number)
	o.mu.Unlock()
	return o.Sink.EndFragment(ctx, f, func(r media.Receipt) {
		if o.check != nil {
			o.check(f.Stream, f.Number)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.over {
			o.problem("fragment %s was reported after the end", f.Number)
		}
		o.reported = append(o.reported, f.Number)
		o.written += r.Written + r.Skipped
		if !slices.Equal(o.reported, o.ended[:len(o.reported)]) {
			o.problem("reported %q, and the fragments are %q", o.reported, o.ended)
		}
		durable(r)
	})
}

func (o *observed) Finish(ctx context.Context) error {
	err := o.Sink.Finish(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = err == nil
	if err == nil && len(o.reported) != len(o.ended) {
		o.problem("finished with %d of %d fragments reported", len(o.reported), len(o.ended))
	}
	return err
}

func (o *observed) Abandon() error {
	var err error
	if !o.killed {
		err = o.Sink.Abandon()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	if err != nil {
		o.problem("abandon: %v", err)
	}
	return err
}

// observe opens a sink for a stream.
func (h Harness) observe(s *stream) *observed {
	s.prepare = h.Prepare
	return &observed{Sink: h.Open(s.name)}
}

// run feeds a new sink with a stream, and returns the sink with the error of the run.
func run(ctx context.Context, t *testing.T, h Harness, s *stream, check func(stream, fragment string)) (*observed, error) {
	t.Helper()
	o := h.observe(s)
	o.check = check
	return o, o.run(ctx, t, s)
}

func (o *observed) run(ctx context.Context, t *testing.T, s *stream) error {
	t.Helper()
	s.sink = o.Name()
	if o.MaxInFlight() < 1 {
		t.Errorf("max in flight is %d", o.MaxInFlight())
	}
	_, err := pipeline.Run(ctx, pipeline.Stream{Name: s.name, Source: s, Planner: s, Sinks: []pipeline.Sink{o}}, pipeline.Options{})
	for _, p := range o.problems {
		t.Error(p)
	}
	return err
}

// mustRun runs a stream to its end, and checks that all of its images are reported.
func mustRun(t *testing.T, h Harness, s *stream) {
	t.Helper()
	o, err := run(t.Context(), t, h, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.reported) != s.fragments || o.written != s.fragments*s.images {
		t.Errorf("%d fragments with %d images were reported, want %d with %d", len(o.reported), o.written, s.fragments, s.fragments*s.images)
	}
}

func objects(t *testing.T, h Harness) map[string][]byte {
	t.Helper()
	return readBack(t, "objects", h.Objects)
}

func images(t *testing.T, h Harness) map[string][]byte {
	t.Helper()
	return readBack(t, "images", h.Images)
}

func readBack(t *testing.T, what string, read func(context.Context) (map[string][]byte, error)) map[string][]byte {
	t.Helper()
	all, err := read(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatalf("read %s: %v", what, err)
	}
	return all
}

// wantImages checks that exactly the images of these streams exist.
func wantImages(t *testing.T, h Harness, streams ...*stream) {
	t.Helper()
	got := images(t, h)
	want := map[string][]byte{}
	for _, s := range streams {
		for i := range s.fragments {
			maps.Copy(want, s.imagesOf(number(i)))
		}
	}
	wantWhole(t, got, streams...)
	if len(got) != len(want) {
		t.Errorf("%d images exist, want %d", len(got), len(want))
	}
}

// wantWhole checks that all images belong to these streams, and that each is whole.
func wantWhole(t *testing.T, got map[string][]byte, streams ...*stream) {
	t.Helper()
	for id, data := range got {
		if !slices.ContainsFunc(streams, func(s *stream) bool { return bytes.Equal(data, s.data(id)) }) {
			t.Errorf("image %s has %d bytes that were never written", id, len(data))
		}
	}
}

func same(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

// wantReported checks that the images of all reported fragments exist, and that every image is whole.
func wantReported(t *testing.T, h Harness, s *stream, reported []string) {
	t.Helper()
	got := images(t, h)
	wantWhole(t, got, s)
	for _, f := range reported {
		for id := range s.imagesOf(f) {
			if got[id] == nil {
				t.Errorf("image %s was reported and does not exist", id)
			}
		}
	}
}

var errEnough = errors.New("the source has failed")
