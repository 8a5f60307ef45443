package sinktest_test

import (
	"context"
	"testing"

	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/sinktest"
	"github.com/kvsframes/kvsframes/sink/storetest"
)

// memory returns an empty store in memory, with sinks that write to it.
func memory(tb testing.TB) sinktest.Harness {
	store := sink.NewMem()
	return sinktest.ForStore(tb, storetest.Harness{
		Store: store,
		Get: func(_ context.Context, key string) ([]byte, error) {
			object, err := store.Get(key)
			return object.Body, err
		},
		List: func(context.Context) ([]string, error) { return store.Keys(), nil },
	}, nil)
}

// The test of a sink is one call.
func ExampleRun() {
	var t *testing.T // of TestSinkConforms(t *testing.T)
	sinktest.Run(t, memory)
}
