//go:build cgo

package decode

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

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
