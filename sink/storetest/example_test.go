package storetest_test

import (
	"context"
	"testing"

	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/storetest"
)

// memory returns an empty store in memory.
func memory(testing.TB) storetest.Harness {
	store := sink.NewMem()
	return storetest.Harness{
		Store: store,
		Get: func(_ context.Context, key string) ([]byte, error) {
			object, err := store.Get(key)
			return object.Body, err
		},
		List: func(context.Context) ([]string, error) { return store.Keys(), nil },
	}
}

// The test of a store is one call, and its benchmark another.
func ExampleRun() {
	var t *testing.T // of TestMemoryConforms(t *testing.T)
	storetest.Run(t, memory)
}
