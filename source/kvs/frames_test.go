//go:build cgo

package kvs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"maps"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// film is a recording of n fragments of a second of real video each.
func film(t *testing.T, n int, begin time.Time) []byte {
	t.Helper()
	clip, err := os.Open("../../decode/testdata/small.mkv")
	if err != nil {
		t.Fatal(err)
	}
	defer clip.Close()
	f, err := payload.NewSplitter(clip, payload.Config{Stream: "cam"}).Next()
	if err != nil {
		t.Fatal(err)
	}
	var blocks []kvstest.Block
	for _, b := range f.Blocks {
		blocks = append(blocks, kvstest.Block{Track: b.Track, Time: b.Time, Key: b.Key, Data: f.MKV[b.Offset : b.Offset+b.Size]})
	}
	var recording []byte
	for i := range n {
		at := begin.Add(time.Duration(i) * time.Second)
		recording = kvstest.AppendChunk(recording, kvstest.Chunk{
			FragmentNumber: number(i), ContinuationToken: number(i),
			ProducerTime: at, ServerTime: at.Add(time.Second),
			Tracks: f.Tracks, Blocks: blocks,
		})
	}
	return recording
}

// objects runs the stages over a source, every frame a JPEG, and returns what was stored.
func objects(t *testing.T, s source.Source) map[string][sha256.Size]byte {
	t.Helper()
	alone := decode.DefaultConfig()
	alone.Isolation = decode.IsolationNone // the virtual clock waits for no other process
	pool, err := decode.NewPool(alone, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	planner, err := pool.Stream([]decode.Output{{
		Sink: "all", Sample: plan.Sample{Rule: plan.All{}, Clock: media.ClockProducer},
		Resize: decode.Resize{Fit: decode.FitContain}, Format: decode.FormatJPEG, Quality: 80,
	}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := sink.DefaultConfig()
	cfg.Name = "all"
	stored := sink.NewMem()
	out, err := sink.New(cfg, stored, sink.Options{})
	if err != nil {
		t.Fatal(err)
	}
	summary, err := pipeline.Run(t.Context(), pipeline.Stream{Name: "cam", Source: s, Planner: planner, Sinks: []pipeline.Sink{out.NewWriter()}}, pipeline.Options{Log: quiet})
	if err != nil || summary.Gaps > 0 {
		t.Fatalf("error %v, gaps %v", err, summary.GapList)
	}
	found := map[string][sha256.Size]byte{}
	for _, key := range stored.Keys() {
		body, err := stored.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		found[key] = sha256.Sum256(body.Body)
	}
	return found
}

// TestFramesAreTheSameOver300Cuts runs a stream through every fault, in every mode, and
// compares all that was stored with a run over the recording itself.
func TestFramesAreTheSameOver300Cuts(t *testing.T) {
	const n = 700
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	size := int64(len(film(t, 1, time.Time{})))
	// A cut may lie two fragments on: if nearly every session were cut in its first, one would at times be cut so often that it is given up.
	cut := func(op string, bytes int64) kvstest.Fault {
		return kvstest.Fault{Kind: kvstest.FaultCut, Op: op, Bytes: 1, BytesMax: bytes, Count: 450, Seed: seed + 20}
	}
	for name, c := range map[string]struct {
		faults []kvstest.Fault
		open   func(*testing.T, *bubble, time.Time) source.Source
	}{
		"live": {append(trouble(seed, size), cut("GetMedia", 3*size)), func(t *testing.T, b *bubble, _ time.Time) source.Source {
			return b.live(t, renewing(b.net.aws()), earliest)
		}},
		"archive": {append(archiveTrouble(seed, size), cut(mediaOp, 3*size)), func(t *testing.T, b *bubble, begin time.Time) source.Source {
			return b.archive(t, archiveConfig{Range: extent{Start: begin}, BatchSize: 20})
		}},
		"auto": {append(archiveTrouble(seed, size), cut(mediaOp, 3*size), cut("GetMedia", 3*size)), func(t *testing.T, b *bubble, begin time.Time) source.Source {
			return b.cross(t, source.StartSelector{Type: source.StartProducerTimestamp, Timestamp: begin})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := ago(n)
				recording := film(t, n, begin)
				want := objects(t, &recorded{payload.NewSplitter(bytes.NewReader(recording), payload.Config{Stream: "cam"})})
				b := newBubble(t, kvstest.Options{}, recording, c.faults...)
				got := objects(t, source.WithEnd(c.open(t, b, begin), source.End{Fragments: n}, media.ClockProducer))
				if len(want) != 11*n || !maps.Equal(got, want) {
					t.Errorf("%d objects, an undisturbed run gives %d", len(got), len(want))
				}
				if cuts := b.Fired()["cut"]; cuts < 300 {
					t.Errorf("%d cuts", cuts)
				}
				t.Logf("faults %v", b.Fired())
			})
		})
	}
}

// renewing has the configuration give other credentials when some are refused.
func renewing(cfg aws.Config) aws.Config {
	cfg.Credentials = aws.NewCredentialsCache(&rotating{})
	return cfg
}

// archiveTrouble are the faults that reading an archive meets.
func archiveTrouble(seed uint64, size int64) []kvstest.Fault {
	return []kvstest.Fault{
		{Kind: kvstest.FaultThrottle, P: 0.1, Count: 50, Seed: seed + 3},
		{Kind: kvstest.FaultHTTP, P: 0.1, Count: 50, Seed: seed + 4},
		{Kind: kvstest.FaultMove, Op: mediaOp, P: 0.05, Count: 20, Seed: seed + 5},
		{Kind: kvstest.FaultMissing, Op: mediaOp, P: 0.1, Tries: 2, Seed: seed + 6},
		{Kind: kvstest.FaultStall, Op: mediaOp, Bytes: 0, BytesMax: 20 * size, P: 0.05, Count: 20, Seed: seed + 2},
		{Kind: kvstest.FaultSlow, Op: mediaOp, P: 0.05, Delay: time.Second, Rate: 100_000, Seed: seed + 7},
	}
}

// recorded is a recording as a source.
type recorded struct{ *payload.Splitter }

func (r *recorded) Close() error { return nil }

func (r *recorded) Stats() source.Stats { return source.Stats{BytesRead: r.BytesRead()} }

func (r *recorded) Next(context.Context) (*media.Fragment, error) { return r.Splitter.Next() }
