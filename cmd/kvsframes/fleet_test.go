package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/source"
)

func inputs(names ...string) (ins []source.Input) {
	for _, n := range names {
		ins = append(ins, source.Input{Stream: n})
	}
	return ins
}

func ran(results []result) (names []string) {
	for _, r := range results {
		names = append(names, r.stream)
	}
	slices.Sort(names)
	return names
}

func TestAFleetTakesInStreamsThatAreNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draining, drain := context.WithCancel(t.Context())
		calls := 0
		f := &fleet{
			run: func(in source.Input) result {
				<-draining.Done()
				return result{stream: in.Stream}
			},
			list: func(context.Context) ([]source.Input, error) {
				switch calls++; calls {
				case 1:
					return inputs("cam-1"), nil
				case 2:
					return nil, errors.New("throttled")
				default:
					return inputs("cam-1", "cam-2"), nil
				}
			},
			every: time.Minute,
			log:   slog.New(slog.DiscardHandler),
		}
		time.AfterFunc(150*time.Second, drain)
		if got := ran(f.sail(draining, inputs("door"))); !slices.Equal(got, []string{"cam-1", "cam-2", "door"}) {
			t.Errorf("ran %v", got)
		}
		if calls != 3 {
			t.Errorf("%d listings in 150 s", calls)
		}
	})
}

func TestAFleetEndsWhenAllStreamsHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{
			run:   func(in source.Input) result { return result{stream: in.Stream} },
			every: time.Minute,
			log:   slog.New(slog.DiscardHandler),
		}
		if got := ran(f.sail(t.Context(), inputs("a", "b", "a"))); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("ran %v", got)
		}
		// Patterns that match nothing yet are waited for; then the run ends with its streams.
		calls := 0
		f.results = nil
		f.list = func(context.Context) ([]source.Input, error) {
			if calls++; calls < 4 {
				return nil, nil
			}
			return inputs("late"), nil
		}
		start := time.Now()
		if got := ran(f.sail(t.Context(), nil)); !slices.Equal(got, []string{"late"}) || time.Since(start) != 3*time.Minute {
			t.Errorf("ran %v after %s", got, time.Since(start))
		}
	})
}

func TestAFleetThatWaitsForItsFirstStreamEndsWithADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draining, drain := context.WithCancel(t.Context())
		f := &fleet{list: func(context.Context) ([]source.Input, error) { return nil, nil }, every: time.Minute, log: slog.New(slog.DiscardHandler)}
		time.AfterFunc(time.Hour, drain)
		if got := f.sail(draining, nil); len(got) != 0 {
			t.Errorf("ran %v", ran(got))
		}
	})
}
