package kvs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// long is a recording of n fragments of a second, of some kilobytes of noise each.
func long(n int) (recording []byte, chunks [][]byte) {
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		blocks := make([]kvstest.Block, 4)
		for b := range blocks {
			data := make([]byte, 200+noise.IntN(1500))
			for j := range data {
				data[j] = byte(noise.Uint32())
			}
			blocks[b] = kvstest.Block{Track: 1, Key: b == 0, Time: time.Duration(b) * 250 * time.Millisecond, Data: data}
		}
		chunks = append(chunks, kvstest.AppendChunk(nil, kvstest.Chunk{
			FragmentNumber: number(i),
			ProducerTime:   epoch.Add(time.Duration(i) * time.Second),
			ServerTime:     epoch.Add(time.Hour + time.Duration(i)*time.Second),
			Tracks:         []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_TEST", Width: 16, Height: 16}},
			Tags:           []media.Tag{{Name: "place", Value: fmt.Sprint(i)}},
			Blocks:         blocks,
			// Clusters of both kinds, since they end differently where they are cut.
			UnknownClusterSize: i%2 == 1,
			TrailingTags:       []media.Tag{{Name: "after", Value: fmt.Sprint(i)}},
			ContinuationToken:  number(i),
		}))
	}
	return bytes.Join(chunks, nil), chunks
}

// bubble is an emulator on a network of its own with one stream, cam.
type bubble struct {
	*kvstest.Server
	net *memory
}

func newBubble(t *testing.T, opts kvstest.Options, recording []byte, faults ...kvstest.Fault) *bubble {
	t.Helper()
	s := kvstest.NewServer(opts)
	if err := s.AddRecording("cam", bytes.NewReader(recording)); err != nil {
		t.Fatal(err)
	}
	if err := s.SetFaults(faults); err != nil {
		t.Fatal(err)
	}
	return &bubble{s, serveMemory(t, s.Handler())}
}

// live reads cam, and closes it at the end of the test.
func (b *bubble) live(t *testing.T, awsCfg aws.Config, start source.StartSelector) source.Source {
	t.Helper()
	s, err := Open(t.Context(), Config{AWS: awsCfg, Stream: "cam", EndpointURL: memoryURL, Start: start})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
	return s
}

// collect reads fragments until s ends, and reports gaps, and calls of media.Arrivals that were not of the next fragment.
func collect(t *testing.T, s source.Source) []*media.Fragment {
	t.Helper()
	all, _ := collectArrivals(t, s)
	return all
}

// collectArrivals also counts these calls.
func collectArrivals(t *testing.T, s source.Source) (all []*media.Fragment, calls int) {
	t.Helper()
	var told *media.Fragment
	ctx := media.WithArrivals(t.Context(), func(f *media.Fragment) {
		if told != nil && told.Number != f.Number {
			t.Errorf("fragment %s is told of while %s is open", f.Number, told.Number)
		}
		told = f
		calls++
	})
	for {
		f, err := s.Next(ctx)
		if a := told; a != nil {
			told = nil
			if f == nil || f.Number != a.Number || len(a.Blocks) > len(f.Blocks) || !slices.Equal(a.Blocks, f.Blocks[:len(a.Blocks)]) || !bytes.HasPrefix(f.MKV, a.MKV) {
				t.Fatalf("after fragment %s with %d blocks was told of comes %v, %v", a.Number, len(a.Blocks), f, err)
			}
		}
		var gap *media.GapError
		switch {
		case err == nil:
			all = append(all, f)
		case errors.As(err, &gap):
			t.Errorf("after %d fragments: %v", len(all), gap)
		case errors.Is(err, io.EOF):
			return all, calls
		default:
			t.Fatalf("after %d fragments: %v", len(all), err)
		}
	}
}

var earliest = source.StartSelector{Type: source.StartEarliest}

// checkWhole sees that every chunk came once, in order and byte for byte.
func checkWhole(t *testing.T, got []*media.Fragment, chunks [][]byte) {
	t.Helper()
	if len(got) != len(chunks) {
		t.Errorf("%d fragments, want %d", len(got), len(chunks))
	}
	for i, f := range got[:min(len(got), len(chunks))] {
		if f.Number != number(i) || f.Cut || !bytes.Equal(f.MKV, chunks[i]) || len(f.Tags) != 2 {
			t.Fatalf("fragment %d is %s, cut: %v, %d bytes of %d, tags %v", i, f.Number, f.Cut, len(f.MKV), len(chunks[i]), f.Tags)
		}
	}
}

// rotating gives out other credentials each time that it is asked.
type rotating struct{ n int }

func (r *rotating) Retrieve(context.Context) (aws.Credentials, error) {
	r.n++
	return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test", SessionToken: fmt.Sprint("token-", r.n)}, nil
}

func TestNothingIsLostOrDoubledOver300Cuts(t *testing.T) {
	recording, chunks := long(250)
	size := int64(len(recording) / len(chunks))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for name, clean := range map[string]bool{"broken connections": false, "payloads that end": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, kvstest.Options{Pace: kvstest.PaceRealtime}, recording,
					kvstest.Fault{Kind: kvstest.FaultCut, Clean: clean, Bytes: 1, BytesMax: 2 * size, Count: 300, Seed: seed})
				l := b.live(t, b.net.aws(), earliest)
				got, told := collectArrivals(t, source.WithEnd(l, source.End{IdleTimeout: time.Minute}, media.ClockProducer))
				if checkWhole(t, got, chunks); told == 0 {
					t.Error("no arriving fragment is told of")
				}
				if cuts := b.Fired()["cut"]; cuts != 300 || l.Stats().Reconnects < cuts {
					t.Errorf("%d cuts, %d reconnects", cuts, l.Stats().Reconnects)
				}
				checkRate(t, b)
			})
		})
	}
}

// trouble is every fault that may pass. It comes at random and as often as it likes.
func trouble(seed uint64, size int64) []kvstest.Fault {
	return []kvstest.Fault{
		{Kind: kvstest.FaultThrottle, Op: "GetMedia", P: 0.1, Seed: seed},
		{Kind: kvstest.FaultThrottle, Op: "GetDataEndpoint", P: 0.1, Seed: seed + 1},
		{Kind: kvstest.FaultConnections, Every: 19},
		{Kind: kvstest.FaultEndpoint, Every: 13},
		{Kind: kvstest.FaultMove, Every: 11},
		{Kind: kvstest.FaultToken, Op: "GetMedia", Every: 17},
		{Kind: kvstest.FaultToken, Op: "GetMedia", Code: "ExpiredTokenException", Every: 23},
		{Kind: kvstest.FaultHTTP, Op: "GetMedia", Status: 500, Every: 31},
		{Kind: kvstest.FaultHTTP, Op: "GetMedia", Status: 503, Every: 37},
		{Kind: kvstest.FaultXML, Op: "GetMedia", Every: 29},
		// Each finds a fragment in its way, so that none can hit one three times.
		{Kind: kvstest.FaultTag, ID: 3000, Fragments: 1, P: 0.03, Seed: seed + 5},
		{Kind: kvstest.FaultTag, ID: 3002, Fragments: 1, P: 0.03, Seed: seed + 6},
		{Kind: kvstest.FaultTag, ID: 4503, Fragments: 1, P: 0.03, Seed: seed + 7},
		{Kind: kvstest.FaultTag, ID: 5000, Fragments: 1, P: 0.03, Seed: seed + 8},
		{Kind: kvstest.FaultStall, Bytes: 1, BytesMax: 2 * size, Every: 21, Seed: seed + 9},
		{Kind: kvstest.FaultIdle, Fragments: 1, Every: 20},
		{Kind: kvstest.FaultSlow, Rate: 10_000, Delay: time.Second, Every: 18},
		// The first bytes tell that they are wrong; those of a picture do not.
		{Kind: kvstest.FaultCorrupt, Bytes: 0, BytesMax: 3, Every: 14, Seed: seed + 12},
		{Kind: kvstest.FaultCut, Clean: true, Bytes: 1, BytesMax: 2 * size, P: 0.4, Seed: seed + 13},
		{Kind: kvstest.FaultCut, Bytes: 1, BytesMax: 4 * size, Seed: seed + 14},
	}
}

func TestNothingIsLostOrDoubledWhateverHappens(t *testing.T) {
	recording, chunks := long(150)
	came := map[string]int{} // in all runs: one of them may lack a kind by chance
	for range 3 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, kvstest.Options{Pace: kvstest.PaceRealtime}, recording, trouble(seed, int64(len(recording)/len(chunks)))...)
				awsCfg := b.net.aws()
				awsCfg.Credentials = aws.NewCredentialsCache(&rotating{})
				l := b.live(t, awsCfg, earliest)
				checkWhole(t, collect(t, source.WithEnd(l, source.End{Fragments: len(chunks)}, media.ClockProducer)), chunks)
				checkRate(t, b)
				for kind, n := range b.Fired() {
					came[string(kind)] += n
				}
			})
		})
	}
	if len(came) != 13 {
		t.Errorf("only these faults came: %v", came)
	}
}

// checkRate sees that no second had more than 4 GetMedia calls.
func checkRate(t *testing.T, b *bubble) {
	t.Helper()
	calls := b.Calls("GetMedia", "cam")
	for i, first := range calls {
		later := slices.IndexFunc(calls[i:], func(c time.Time) bool { return c.Sub(first) >= time.Second })
		if later > 4 || later < 0 && len(calls)-i > 4 {
			t.Fatalf("%d calls within a second of %v", later, first)
		}
	}
}

func TestTheRateOfCallsUnderPermanentThrottling(t *testing.T) {
	for _, kind := range []kvstest.FaultKind{kvstest.FaultThrottle, kvstest.FaultConnections, kvstest.FaultHTTP} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, kvstest.Options{}, savedPayload(), kvstest.Fault{Kind: kind, Op: "GetMedia"})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				if _, err := b.live(t, b.net.aws(), earliest).Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				checkRate(t, b)
				n := len(b.Calls("GetMedia", "cam"))
				t.Logf("%d GetMedia calls in 10 min", n)
				if n < 20 || n > 45 || len(b.Calls("GetDataEndpoint", "cam")) != 1 {
					t.Errorf("%d GetMedia calls, %d GetDataEndpoint calls", n, len(b.Calls("GetDataEndpoint", "cam")))
				}
			})
		})
	}
}

func TestAnEndpointIsUsedFor45Minutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recording, chunks := long(4 * 3600)
		b := newBubble(t, kvstest.Options{Pace: kvstest.PaceRealtime, MaxRecording: 1 << 30}, recording,
			kvstest.Fault{Kind: kvstest.FaultCut, Clean: true, After: 25 * time.Minute})
		checkWhole(t, collect(t, source.WithEnd(b.live(t, b.net.aws(), earliest), source.End{Fragments: len(chunks)}, media.ClockProducer)), chunks)
		if media, endpoint := len(b.Calls("GetMedia", "cam")), len(b.Calls("GetDataEndpoint", "cam")); media != 10 || endpoint != 5 {
			t.Errorf("%d GetMedia calls, %d GetDataEndpoint calls in 4 h", media, endpoint)
		}
	})
}

func TestCredentialsThatHaveExpired(t *testing.T) {
	expire := kvstest.Fault{Kind: kvstest.FaultToken, Op: "GetMedia", Nth: 2}
	cut := kvstest.Fault{Kind: kvstest.FaultCut, Clean: true, Bytes: int64(len(chunk(0)))}
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, kvstest.Options{}, savedPayload(), expire, cut)
		awsCfg := b.net.aws()
		fresh := &rotating{}
		awsCfg.Credentials = aws.NewCredentialsCache(fresh)
		got := collect(t, source.WithEnd(b.live(t, awsCfg, earliest), source.End{Fragments: chunkCount}, media.ClockProducer))
		if len(got) != chunkCount || fresh.n != 2 {
			t.Errorf("%d fragments, credentials were asked for %d times", len(got), fresh.n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, kvstest.Options{}, savedPayload(), expire, cut)
		l := b.live(t, b.net.aws(), earliest)
		if _, err := l.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := l.Next(t.Context())
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != "NotAuthorizedException" || len(b.Calls("GetMedia", "cam")) != 3 {
			t.Fatalf("error is %v after %d calls", err, len(b.Calls("GetMedia", "cam")))
		}
		for _, part := range []string{"stream cam", "2 times in a row", refused.RequestID, "must not have expired"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	})
}

func TestAFatalErrorTagSaysAllThatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, kvstest.Options{}, savedPayload(), kvstest.Fault{Kind: kvstest.FaultTag, ID: 4501, Fragments: 2})
		l := b.live(t, b.net.aws(), earliest)
		var err error
		count := -1
		for ; err == nil; count++ {
			_, err = l.Next(t.Context())
		}
		var tag *payload.ErrorTag
		if !errors.As(err, &tag) || tag.ID != 4501 || count != 2 {
			t.Fatalf("%d fragments, then %v", count, err)
		}
		for _, part := range []string{"stream cam", "request id ", "4501", tag.Code, "enable the stream's KMS key"} {
			if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "request id none") {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	})
}

func TestCancellingALiveStreamLeavesNothing(t *testing.T) {
	faults := map[string]kvstest.Fault{
		"while a session is open":       {Kind: kvstest.FaultSlow, Rate: 1 << 20},
		"while a session is stalled":    {Kind: kvstest.FaultStall, Bytes: 600},
		"while an answer is waited for": {Kind: kvstest.FaultSlow, Delay: time.Hour},
		"between two calls":             {Kind: kvstest.FaultThrottle},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t, kvstest.Options{Pace: kvstest.PaceRealtime, IdleEnd: time.Hour}, savedPayload(), fault)
				l := b.live(t, b.net.aws(), earliest)
				ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
				defer cancel()
				var err error
				for err == nil {
					_, err = l.Next(ctx)
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				synctest.Wait()
				if n := b.net.open.Load(); n != 0 || b.Active() != 0 {
					t.Errorf("%d connections and %d handlers are left", n, b.Active())
				}
			})
		})
	}
}

// A stream whose last fragment never comes whole ends with what there is of it, also
// when it ends before that has been read as often as it takes to be sure.
func TestAnIdleEndHandsOnWhatIsThereOfTheLastFragment(t *testing.T) {
	recording, chunks := long(5)
	for _, idle := range []time.Duration{100 * time.Millisecond, time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			b := newBubble(t, kvstest.Options{}, recording[:len(recording)-len(chunks[4])/2])
			l := b.live(t, b.net.aws(), earliest)
			got := collect(t, source.WithEnd(l, source.End{IdleTimeout: idle}, media.ClockProducer))
			if len(got) != 5 || !got[4].Cut || got[4].Number != number(4) {
				t.Errorf("idle for %s: %d fragments", idle, len(got))
			}
		})
	}
}
