package kvs

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// config returns settings that read cam.
func (b *bubble) config(cfg Config) Config {
	cfg.AWS, cfg.Stream, cfg.EndpointURL = b.net.aws(), "cam", memoryURL
	return cfg
}

// cross reads cam's archive and goes on live.
func (b *bubble) cross(t *testing.T, start source.StartSelector) source.Source {
	t.Helper()
	return b.open(t, Config{Mode: source.ModeAuto, Start: start})
}

// open opens cam, and closes it at the end of the test.
func (b *bubble) open(t *testing.T, cfg Config) source.Source {
	t.Helper()
	s, err := Open(t.Context(), b.config(cfg))
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

// checkCrossed sees that every fragment from first on came once and in order, as the archive
// or as GetMedia gives it, and returns how many the archive gave.
func checkCrossed(t *testing.T, got []*media.Fragment, s *stored, first int) (archived int) {
	t.Helper()
	if len(got) != len(s.live)-first {
		t.Errorf("%d fragments, want %d", len(got), len(s.live)-first)
	}
	for i, f := range got {
		at := first + i
		if at >= len(s.live) || f.Number != number(at) || f.Cut {
			t.Fatalf("fragment %d is %s, cut: %v", at, f.Number, f.Cut)
		}
		switch {
		case bytes.Equal(f.MKV, s.live[at]):
		case bytes.Equal(f.MKV, s.archived[at]) && archived == i:
			archived++
		default:
			t.Fatalf("fragment %d has %d bytes", at, len(f.MKV))
		}
	}
	return archived
}

func TestCrossingOverLosesAndDoublesNothing(t *testing.T) {
	const n, past = 600, 400
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	trouble := []kvstest.Fault{
		{Kind: kvstest.FaultCut, Bytes: 0, BytesMax: 60_000, P: 0.4, Count: 200, Seed: seed},
		{Kind: kvstest.FaultCut, Clean: true, Op: mediaOp, Bytes: 0, BytesMax: 60_000, P: 0.2, Count: 100, Seed: seed + 1},
		{Kind: kvstest.FaultThrottle, P: 0.1, Count: 50, Seed: seed + 2},
		{Kind: kvstest.FaultHTTP, P: 0.1, Count: 50, Seed: seed + 3},
		{Kind: kvstest.FaultMissing, Op: mediaOp, P: 0.05, Tries: 2, Seed: seed + 4},
	}
	for _, c := range []struct {
		name   string
		start  func(s *stored) source.StartSelector
		first  int
		faults []kvstest.Fault
	}{
		{"from the oldest fragment", func(*stored) source.StartSelector { return earliest }, 0, nil},
		{"from a moment on the producer's clock", func(s *stored) source.StartSelector {
			return source.StartSelector{Type: source.StartProducerTimestamp, Timestamp: s.begin.Add(100 * time.Second)}
		}, 100, nil},
		{"from a moment on the server's clock", func(s *stored) source.StartSelector {
			return source.StartSelector{Type: source.StartServerTimestamp, Timestamp: s.begin.Add(100*time.Second + 500*time.Millisecond)}
		}, 100, nil},
		{"after a fragment", func(*stored) source.StartSelector {
			return source.StartSelector{Type: source.StartFragmentNumber, AfterFragmentNumber: number(99)}
		}, 100, nil},
		{"through faults of every kind", func(*stored) source.StartSelector { return earliest }, 0, trouble},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storeAhead(n, time.Now(), 0)
				b := newBubble(t, kvstest.Options{Pace: kvstest.PaceRealtime, Quotas: kvstest.ServiceQuotas()}, s.recording, c.faults...)
				time.Sleep(past * time.Second)
				got := collect(t, source.WithEnd(b.cross(t, c.start(s)), source.End{Fragments: n - c.first}, media.ClockProducer))
				archived := checkCrossed(t, got, s, c.first)
				if archived < past-c.first-15 || archived > n-c.first-10 {
					t.Errorf("the archive gave %d fragments", archived)
				}
			})
		})
	}
}

func TestASlowReaderReadsTheArchiveAgainBeforeItGoesLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, past = 900, 400
		s := storeAhead(n, time.Now(), 0)
		b := newBubble(t, kvstest.Options{Pace: kvstest.PaceRealtime, Quotas: kvstest.ServiceQuotas()}, s.recording)
		time.Sleep(past * time.Second)
		src := source.WithEnd(b.cross(t, earliest), source.End{Fragments: n}, media.ClockProducer)
		got := collect(t, slow{src, 500 * time.Millisecond})
		if archived := checkCrossed(t, got, s, 0); archived < past+200 {
			t.Errorf("the archive gave %d fragments", archived)
		}
	})
}

// slow takes a while for each fragment.
type slow struct {
	source.Source
	each time.Duration
}

func (s slow) Next(ctx context.Context) (*media.Fragment, error) {
	time.Sleep(s.each)
	return s.Source.Next(ctx)
}

func TestAStreamWithoutAnArchiveIsReadLive(t *testing.T) {
	for _, c := range []struct {
		name      string
		retention time.Duration
		start     func() source.StartSelector
		first     int
	}{
		{"it keeps no data", 0, func() source.StartSelector { return earliest }, 0},
		{"nothing is old enough", time.Hour, func() source.StartSelector {
			return source.StartSelector{Type: source.StartProducerTimestamp, Timestamp: time.Now().Add(-2 * time.Second)}
		}, 98},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 200
				s := storeAhead(n, time.Now(), 0)
				b := newBubble(t, kvstest.Options{Pace: kvstest.PaceRealtime}, s.recording)
				if err := b.SetRetention("cam", c.retention); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Second)
				got := collect(t, source.WithEnd(b.cross(t, c.start()), source.End{Fragments: n - c.first}, media.ClockProducer))
				if archived := checkCrossed(t, got, s, c.first); archived != 0 {
					t.Errorf("the archive gave %d fragments", archived)
				}
			})
		})
	}
}

func TestAFragmentThatTheArchiveDoesNotHaveYetIsLeftToTheLiveStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, past = 300, 200
		s := storeAhead(n, time.Now(), 0)
		// The archive lists the newest ones and cannot give them.
		var faults []kvstest.Fault
		for i := past - 20; i < past; i++ {
			faults = append(faults, kvstest.Fault{Kind: kvstest.FaultMissing, Op: mediaOp, Fragment: number(i), Label: fmt.Sprint(i)})
		}
		b := newBubble(t, kvstest.Options{Pace: kvstest.PaceRealtime}, s.recording, faults...)
		time.Sleep(past * time.Second)
		got := collect(t, source.WithEnd(b.cross(t, earliest), source.End{Fragments: n}, media.ClockProducer))
		if archived := checkCrossed(t, got, s, 0); archived != past-20 {
			t.Errorf("the archive gave %d fragments", archived)
		}
	})
}

func TestClosingACrossingEndsEverything(t *testing.T) {
	for _, read := range []int{0, 50, 250} {
		t.Run(fmt.Sprintf("after %d fragments", read), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storeAhead(300, time.Now(), 0)
				b := newBubble(t, kvstest.Options{Pace: kvstest.PaceRealtime}, s.recording)
				time.Sleep(200 * time.Second)
				c := b.cross(t, earliest)
				for range read {
					if _, err := c.Next(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				if _, err := c.Next(t.Context()); err == nil {
					t.Error("a closed source goes on")
				}
				synctest.Wait()
				if n := b.net.open.Load(); n != 0 {
					t.Errorf("%d connections are open", n)
				}
			})
		})
	}
}
