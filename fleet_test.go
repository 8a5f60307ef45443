package kvsframes

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/pipeline"
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
			list: func(context.Context) listing {
				switch calls++; calls {
				case 1:
					return listing{inputs: inputs("cam-1")}
				case 2:
					return listing{err: errors.New("throttled")}
				default:
					return listing{inputs: inputs("cam-1", "cam-2")}
				}
			},
			every: time.Minute,
			log:   slog.New(slog.DiscardHandler),
		}
		time.AfterFunc(150*time.Second, drain)
		if got := ran(f.runAll(draining, inputs("door"))); !slices.Equal(got, []string{"cam-1", "cam-2", "door"}) {
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
		if got := ran(f.runAll(t.Context(), inputs("a", "b", "a"))); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("ran %v", got)
		}
		// Patterns that match nothing yet are waited for; then the run ends with its streams.
		calls := 0
		f.results = nil
		f.list = func(context.Context) listing {
			if calls++; calls < 4 {
				return listing{unmatched: []source.Pattern{"l*"}}
			}
			return listing{inputs: inputs("late")}
		}
		start := time.Now()
		if got := ran(f.runAll(t.Context(), nil)); !slices.Equal(got, []string{"late"}) || time.Since(start) != 3*time.Minute {
			t.Errorf("ran %v after %s", got, time.Since(start))
		}
	})
}

func TestAFleetThatWaitsForItsFirstStreamEndsWithADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draining, drain := context.WithCancel(t.Context())
		f := &fleet{list: func(context.Context) listing { return listing{} }, every: time.Minute, log: slog.New(slog.DiscardHandler)}
		time.AfterFunc(time.Hour, drain)
		if got := f.runAll(draining, nil); len(got) != 0 {
			t.Errorf("ran %v", ran(got))
		}
	})
}

func TestAPatternThatMatchesNothingIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		finite bool
		want   []string
		failed int
		warned int
	}{
		"live":    {false, []string{"cam-1"}, 0, 3},
		"archive": {true, []string{"cam-1", "door-*"}, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				f := &fleet{
					missing: failedStream,
					run: func(in source.Input) result {
						time.Sleep(2*time.Minute + time.Second) // as long as a stream runs
						return result{stream: in.Stream}
					},
					list: func(context.Context) listing {
						return listing{inputs: inputs("cam-1"), unmatched: []source.Pattern{"door-*"}}
					},
					finite: c.finite, every: time.Minute, log: slog.New(slog.NewTextHandler(&log, nil)),
				}
				results := f.runAll(t.Context(), nil)
				failed := 0
				for _, r := range results {
					if errors.Is(r.err, errNoMatch) {
						failed++
					}
				}
				if got := ran(results); !slices.Equal(got, c.want) || failed != c.failed {
					t.Errorf("ran %v, %d failed", got, failed)
				}
				if warned := strings.Count(log.String(), "level=WARN"); warned != c.warned {
					t.Errorf("%d warnings:\n%s", warned, &log)
				}
			})
		})
	}
	t.Run("nothing at all", func(t *testing.T) {
		f := &fleet{
			list:    func(context.Context) listing { return listing{unmatched: []source.Pattern{"a*"}} },
			missing: failedStream, finite: true, every: time.Hour, log: slog.New(slog.DiscardHandler),
		}
		results := f.runAll(t.Context(), nil)
		if status, err := verdict(results, false); status != pipeline.StatusFailed || err == nil {
			t.Errorf("ran %v", results)
		}
	})
}

func failedStream(stream string, err error) result { return result{stream: stream, err: err} }
