package pipeline

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// A decoder takes imageTime for each image, and a store storeTime, whatever the number of cores of this machine: both sleep.
const (
	imageTime = 30 * time.Millisecond
	storeTime = 20 * time.Millisecond
	imageSize = 150_000
	perItem   = 60
)

// sleepers is a planner with a number of workers.
type sleepers struct {
	free chan struct{}
	// held is the number of images that were made and not stored, and its largest value.
	held, peak atomic.Int64
}

func (s *sleepers) Plan(f *media.Fragment) func(context.Context, func(media.Image) error) (media.Outcome, error) {
	return func(_ context.Context, emit func(media.Image) error) (media.Outcome, error) {
		s.free <- struct{}{}
		defer func() { <-s.free }()
		for i := range perItem {
			time.Sleep(imageTime)
			s.peak.Store(max(s.peak.Load(), s.held.Add(1)))
			err := emit(media.Image{FrameInfo: media.FrameInfo{FragmentNumber: f.Number, Index: i}, Sink: "slow", Data: make([]byte, imageSize)})
			if err != nil {
				return media.Outcome{}, err
			}
		}
		return media.Outcome{FramesDecoded: perItem}, nil
	}
}

func (s *sleepers) Sinks() []string { return []string{"slow"} }
func (*sleepers) MaxLookahead() int { return 0 }
func (*sleepers) Lost()             {}
func (*sleepers) End() []media.Gap  { return nil }

// deliveryTime returns how long a run of n fragments takes with a number of workers, on a clock that only sleeping moves, and how many
// bytes of images it held at most.
func deliveryTime(t *testing.T, workers, n int) (took time.Duration, peak int64) {
	synctest.Test(t, func(t *testing.T) {
		planner := &sleepers{free: make(chan struct{}, workers)}
		sink := NewFuncSink("slow", max(16, workers), func(context.Context, media.Image) error {
			time.Sleep(storeTime)
			planner.held.Add(-1)
			return nil
		})
		began := time.Now()
		s, err := Run(t.Context(), Stream{Name: "cam", Source: &script{n: n}, Planner: planner, Sinks: []Sink{sink}}, Options{FragmentsInFlight: workers + 1, BacklogBytes: int64(max(16, 4*workers)) << 20})
		if err != nil || s.FramesWritten["slow"] != n*perItem {
			t.Errorf("%d workers wrote %d images, want %d: %v", workers, s.FramesWritten["slow"], n*perItem, err)
		}
		took, peak = time.Since(began), planner.peak.Load()*imageSize
	})
	return took, peak
}

// TestNothingSerialisesDelivery compares many workers with one, with the budgets that they get.
func TestNothingSerialisesDelivery(t *testing.T) {
	for _, test := range []struct {
		workers, n int
		mostBytes  int64
	}{{16, 96, 64 << 20}, {128, 768, 512 << 20}} {
		one, _ := deliveryTime(t, 1, test.n/8)
		one *= 8
		many, peak := deliveryTime(t, test.workers, test.n)
		ratio := float64(one) / float64(many)
		t.Logf("%d fragments take %v with one worker and %v with %d, %.1f times as fast, with %d MB of images at most", test.n, one, many, test.workers, ratio, peak/1e6)
		if ratio < float64(test.workers)*14/16 {
			t.Errorf("%d workers are %.1f times as fast as one", test.workers, ratio)
		}
		if peak > test.mostBytes {
			t.Errorf("%d bytes of images, want %d at most", peak, test.mostBytes)
		}
	}
}
