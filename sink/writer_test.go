package sink_test

import (
	"testing"

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
