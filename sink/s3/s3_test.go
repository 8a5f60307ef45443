package s3_test

import (
	"context"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/sink/sinktest"
	"github.com/kvsframes/kvsframes/sink/storetest"
)

// destination is an empty bucket of the server.
func destination(tb testing.TB, server s3test.Server) s3.Config {
	d := s3.DefaultConfig()
	d.Bucket = server.Bucket(tb)
	d.EndpointURL = server.Endpoint
	d.Region = server.Region
	d.ForcePathStyle = true
	return d
}

func open(tb testing.TB, d s3.Config) *s3.Store {
	tb.Helper()
	store, err := s3.Open(tb.Context(), d)
	if err != nil {
		tb.Fatal(err)
	}
	return store
}

// harness opens stores in buckets of their own, below prefix.
func harness(tb testing.TB, prefix string) storetest.Open {
	server := s3test.Start(tb)
	server.Setenv(tb)
	return func(tb testing.TB) storetest.Harness {
		d := destination(tb, server)
		d.Prefix = prefix
		folder := strings.TrimSuffix(prefix, "/") + "/"
		if prefix == "" {
			folder = ""
		}
		return storetest.Harness{
			Store: open(tb, d),
			Get: func(ctx context.Context, key string) ([]byte, error) {
				return server.Get(ctx, d.Bucket, folder+key)
			},
			List: func(ctx context.Context) ([]string, error) {
				keys, err := server.Keys(ctx, d.Bucket)
				for i, key := range keys {
					keys[i] = strings.TrimPrefix(key, folder)
				}
				return keys, err
			},
			Unfinished: func(ctx context.Context) ([]string, error) { return server.Uploads(ctx, d.Bucket) },
			// The server is all that remembers an upload.
			Kill: func(tb testing.TB, key string, body []byte) {
				tb.Helper()
				w, err := open(tb, d).Create(tb.Context(), key, sink.PutOptions{})
				if err != nil {
					tb.Fatal(err)
				}
				if err := w.Write(tb.Context(), body); err != nil {
					tb.Fatal(err)
				}
			},
		}
	}
}

// TestStoreConformsToTheContract has keys with a prefix, and parts in files: from their beginning on, or after a MiB. It tries all when soaking, else some.
func TestStoreConformsToTheContract(t *testing.T) {
	const plain, prefix, files, some = "plain", "with a prefix", "parts in files", "some parts in files"
	for _, how := range soaktest.Some(t, []string{plain, prefix, files, some}, 2) {
		t.Run(how, func(t *testing.T) {
			switch how {
			case plain:
				storetest.Run(t, harness(t, ""))
			case prefix:
				storetest.Run(t, harness(t, "archive/front door/"))
			case files:
				partsInFiles(t, 0)
			case some:
				partsInFiles(t, 1<<20)
			}
		})
	}
}

func TestSinkConformsToTheContract(t *testing.T) {
	stores := harness(t, "")
	sinktest.Run(t, func(tb testing.TB) sinktest.Harness { return sinktest.ForStore(tb, stores(tb), nil) })
}

func BenchmarkPut(b *testing.B) { storetest.Benchmark(b, harness(b, "")) }
