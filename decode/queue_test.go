//go:build cgo

package decode

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// TestTheOldestFragmentGetsAWorkerFirst has a later fragment wait, as it does for room in the backlog, until
// the one before it is done, and start earlier all the same.
func TestTheOldestFragmentGetsAWorkerFirst(t *testing.T) {
	frags := fragments(t, "testdata/small.mkv")
	frags = append(frags, frags[0])
	for _, workers := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			s := stream(t, newTestPool(t, func(c *Config) { c.Workers = workers }), everyFrame())
			done := make(chan struct{})
			oldest := s.Plan(frags[0])
			ended := make(chan error)
			for range workers {
				later := s.Plan(frags[1])
				go func() {
					_, err := later(context.Background(), func(media.Image) error { <-done; return nil })
					ended <- err
				}()
			}
			synctest.Wait()
			if _, err := oldest(context.Background(), func(media.Image) error { return nil }); err != nil {
				t.Error(err)
			}
			close(done)
			for range workers {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			s.End()
		})
	}
}

func TestAFragmentThatIsGivenUpLetsTheNextOnesPass(t *testing.T) {
	f := fragments(t, "testdata/small.mkv")[0]
	s := stream(t, newTestPool(t, nil), everyFrame())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	first, second, third := s.Plan(f), s.Plan(f), s.Plan(f)
	images := 0
	count := func(media.Image) error { images++; return nil }
	if _, err := second(gone, count); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	for _, work := range []func(context.Context, func(media.Image) error) (media.Outcome, error){first, third} {
		if _, err := work(t.Context(), count); err != nil {
			t.Error(err)
		}
	}
	if images != 2*len(f.Blocks) {
		t.Errorf("%d images", images)
	}
	s.End()
}

// TestOnlyTheFragmentOfARequestWaits has fragments that decide nothing follow one that waits. All but the last
// two places of a pipeline may be taken, so that none of them can wait for the next.
func TestOnlyTheFragmentOfARequestWaits(t *testing.T) {
	for name, c := range map[string]struct {
		clip    string
		cut     int
		from    int
		between func(f media.Fragment) *media.Fragment
	}{
		"without frames":       {"bframes.mkv", 0, 0, func(f media.Fragment) *media.Fragment { f.Blocks = nil; return &f }},
		"without a track":      {"bframes.mkv", 0, 0, func(f media.Fragment) *media.Fragment { f.Tracks, f.Blocks = nil, nil; return &f }},
		"out of bounds":        {"bframes.mkv", 0, 0, outOfBounds},
		"a part of the stream": {"longgop.mkv", 10, 1, outOfBounds},
	} {
		frags := fragments(t, "testdata/"+c.clip)
		if c.cut > 0 {
			frags = rechunk(t, "testdata/"+c.clip, c.cut)
		}
		synctest.Test(t, func(t *testing.T) {
			o := everyFrame()
			last := len(frags[0].Blocks) - 1
			asked := []plan.Request{{Time: frags[0].ProducerTime.Add(frags[0].Blocks[last].Time + time.Millisecond)}}
			o.Sample = plan.Sample{Rule: plan.Timestamps{Asked: asked, Tolerance: time.Minute}, Clock: media.ClockProducer}
			s := stream(t, newTestPool(t, func(c *Config) { c.Isolation = IsolationNone }), o)
			first := s.Plan(frags[0])
			images, ended := 0, make(chan error)
			go func() {
				_, err := first(context.Background(), func(media.Image) error { images++; return nil })
				ended <- err
			}()
			for i := range 3 {
				out, err := s.Plan(c.between(*frags[c.from+i]))(context.Background(), nil) // with a deadlock the test fails
				if err != nil || len(out.Gaps) > 0 {
					t.Errorf("%s: outcome %+v, error %v", name, out, err)
				}
			}
			s.End()
			if err := <-ended; err != nil || images != 1 {
				t.Errorf("%s: %d images, error %v", name, images, err)
			}
		})
	}
}

func outOfBounds(f media.Fragment) *media.Fragment {
	f.Until, f.Clock = f.ProducerTime, media.ClockProducer
	return &f
}
