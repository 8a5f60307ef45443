package sink_test

import (
	"context"
	"errors"
	"testing"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/sinktest"
	"github.com/kvsframes/kvsframes/sink/storetest"
)

func TestSinkConformsToTheContract(t *testing.T) {
	for name, test := range map[string]struct {
		open   storetest.Open
		change func(*sink.Config)
	}{
		"memory":            {memHarness, nil},
		"folder":            {dirHarness(false), nil},
		"folder, skip":      {dirHarness(false), func(c *sink.Config) { c.Destination.IfExists = sink.IfExistsSkip }},
		"one at a time":     {memHarness, func(c *sink.Config) { c.Destination.MaxInFlight = 1 }},
		"one for a stream":  {memHarness, func(c *sink.Config) { c.Path = "{stream}/{fragment_number}/{frame_index}.{ext}" }},
		"one for a million": {memHarness, func(c *sink.Config) { c.Destination.MaxInFlight = 1024 }},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(tb testing.TB) sinktest.Harness { return sinktest.ForStore(tb, test.open(tb), test.change) })
		})
	}
}

// TestAWriterThatMayNotWriteCallsNoStore has a run that learns, after its first image, that another one writes the stream.
func TestAWriterThatMayNotWriteCallsNoStore(t *testing.T) {
	store := sink.NewMem()
	var lost error
	w := newSink(t, store, nil).Continue(sink.Continuation{RunID: "run-1", Confirm: func(context.Context) error { return lost }})
	if err := w.Write(t.Context(), picture()); err != nil {
		t.Fatal(err)
	}
	lost = errors.New("taken over")
	other := picture()
	other.Index++
	for name, err := range map[string]error{
		"an image":        w.Write(t.Context(), other),
		"a manifest part": w.EndFragment(t.Context(), fragment(), func(media.Receipt) { t.Error("the fragment is durable") }),
		"a ledger part":   w.Gaps(t.Context(), media.Place{}, []media.Gap{{FragmentNumber: "1"}}),
	} {
		if !errors.Is(err, lost) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if keys := store.Keys(); len(keys) != 1 {
		t.Errorf("the store has %q", keys)
	}
}
