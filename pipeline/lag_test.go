package pipeline

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// A camera sends a fragment of ten frames every two seconds. A worker takes 400 ms for each frame, twice as long as it may.
const (
	fragmentTime  = 2 * time.Second
	fragmentItems = 10
	workTime      = 400 * time.Millisecond
	maxLag        = 30 * time.Second
)

// camera is the Dialer of a stream of n fragments, which begins when it is made.
type camera struct {
	began time.Time
	n     int
}

// newest returns the index of the newest fragment that is complete, -1 for none.
func (c *camera) newest() int { return min(c.n, int(time.Since(c.began)/fragmentTime)) - 1 }

func (c *camera) Dial(_ context.Context, start source.StartSelector, _ bool) (source.Source, error) {
	s := &recording{camera: c}
	switch start.Type {
	case source.StartNow:
		s.next = max(0, c.newest())
	case source.StartFragmentNumber:
		for s.next < c.n && media.CompareNumbers(name(s.next), start.AfterFragmentNumber) <= 0 {
			s.next++
		}
	}
	return s, nil
}

func name(i int) string { return fmt.Sprintf("%06d", i+1) }

// recording is a session of a camera.
type recording struct {
	*camera
	next int
}

func (s *recording) Next(ctx context.Context) (*media.Fragment, error) {
	for begun := time.Now(); s.next > s.newest(); {
		if time.Since(begun) >= 3*time.Second {
			return nil, io.EOF
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	i := s.next
	s.next++
	at := s.began.Add(time.Duration(i) * fragmentTime)
	f := &media.Fragment{
		Stream: "cam", Number: name(i), ContinuationToken: name(i), ProducerTime: at, ServerTime: at,
		MillisBehindNow: int64(s.newest()-i) * fragmentTime.Milliseconds(),
		Tracks:          []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_MPEG4/ISO/AVC", CodecPrivate: []byte{1, 0x64, 0, 0x28, 0xff, 0xe0, 0}}},
	}
	for k := range fragmentItems {
		unit := []byte{0, 0, 0, 3, 0x41, 0x80, 0x40} // a picture that refers to others
		if k == 0 {
			unit[4] = 0x65 // an IDR picture
		}
		f.Blocks = append(f.Blocks, media.Block{Track: 1, Time: time.Duration(k) * fragmentTime / fragmentItems, Key: k == 0, Offset: len(f.MKV), Size: len(unit)})
		f.MKV = append(f.MKV, unit...)
	}
	return f, nil
}

func (s *recording) Stats() source.Stats { return source.Stats{} }
func (s *recording) Close() error        { return nil }

// sleeping is a planner whose work sleeps for each frame that is fed. One fragment is worked on at a time.
type sleeping struct {
	*plan.Planner
	outputs []plan.Output
	worker  chan struct{} // a mutex would stop the virtual clock
}

func (s *sleeping) Plan(f *media.Fragment) func(context.Context, func(media.Image) error) (media.Outcome, error) {
	pl := s.Planner.Plan(f)
	return func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error) {
		defer pl.Release()
		s.worker <- struct{}{}
		defer func() { <-s.worker }()
		for k := range pl.Frames {
			if pl.Frames[k].Feed {
				time.Sleep(workTime)
			}
			for _, a := range pl.Frames[k].Outputs {
				if err := emit(media.Image{FrameInfo: pl.Frames[k].Info, Sink: s.outputs[a.Output].Sink}); err != nil {
					return media.Outcome{}, err
				}
			}
		}
		return media.Outcome{Gaps: pl.LeftOut}, nil
	}
}

func (s *sleeping) MaxLookahead() int { return plan.MaxLookahead }

func (s *sleeping) Sinks() (names []string) {
	for _, o := range s.outputs {
		names = append(names, o.Sink)
	}
	return names
}

// tally is a sink that counts what it gets and what it does not get, by fragment.
type tally struct {
	Sink
	mu     sync.Mutex
	images map[string]int
	left   map[string]int
	// holes are the fragments between the ends of holes.
	holes map[string]int
}

func newTally(name string) *tally {
	c := &tally{images: map[string]int{}, left: map[string]int{}, holes: map[string]int{}}
	c.Sink = NewFuncSink(name, 4, func(_ context.Context, img media.Image) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.images[img.FragmentNumber]++
		return nil
	})
	return c
}

func (c *tally) Gaps(_ context.Context, _ media.Place, gaps []media.Gap) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range gaps {
		if g.Reason != media.GapLeftOut {
			return fmt.Errorf("unexpected gap %s", g)
		}
		c.left[g.FragmentNumber] += g.FramesLost
		for i := 0; g.Until.Number != "" && name(i) != g.Until.Number; i++ {
			if media.CompareNumbers(name(i), g.FragmentNumber) > 0 {
				c.holes[name(i)]++
			}
		}
	}
	return nil
}

// watchedLag is a source that notes the largest lag.
type watchedLag struct {
	source.Source
	most time.Duration
}

func (s *watchedLag) Next(ctx context.Context) (*media.Fragment, error) {
	f, err := s.Source.Next(ctx)
	s.most = max(s.most, s.Stats().Lag)
	return f, err
}

// TestWorkersThatAreTooSlowCatchUp runs a camera of 20 minutes with work that takes twice as long, on a virtual clock. Each frame is an
// image or is named once, and the lag stays bounded.
func TestWorkersThatAreTooSlowCatchUp(t *testing.T) {
	const n = 600
	for action, test := range map[string]struct {
		planner, source time.Duration // their limits
		// most is the largest lag that may be, images the least number of images of the sink all.
		most   time.Duration
		images int
	}{
		"none":        {0, 0, n * fragmentTime, n * fragmentItems},
		"keyframes":   {maxLag, 0, maxLag + time.Minute, n * fragmentItems / 3},
		"skip_to_now": {0, maxLag, maxLag + time.Minute, n * fragmentItems / 3},
	} {
		t.Run(action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				outputs := []plan.Output{{Sink: "all"}, {Sink: "keys", Sample: plan.Sample{Rule: plan.Keyframes{}}}}
				planner := &sleeping{Planner: plan.NewPlanner(plan.SkipAuto, outputs), outputs: outputs, worker: make(chan struct{}, 1)}
				planner.CatchUp(test.planner, 0)
				live := source.NewLive(&camera{began: time.Now(), n: n}, source.LiveConfig{Stream: "cam", Start: source.StartSelector{Type: source.StartEarliest}, MaxLag: test.source})
				src := &watchedLag{Source: source.WithEnd(live, source.End{IdleTimeout: time.Minute}, media.ClockProducer)}
				all, keys := newTally("all"), newTally("keys")
				got, err := Run(t.Context(), Stream{Name: "cam", Source: src, Planner: planner, Sinks: []Sink{all, keys}}, Options{FragmentsInFlight: 2})
				if err != nil {
					t.Fatal(err)
				}
				for i := range n {
					number := name(i)
					for sink, want := range map[*tally]int{all: fragmentItems, keys: 1} {
						if have, hole := sink.images[number]+sink.left[number], sink.holes[number]; have != want*(1-hole) {
							t.Errorf("sink %s has %d images of fragment %s, and names %d, and %d holes", sink.Name(), sink.images[number], number, sink.left[number], hole)
						}
					}
				}
				t.Logf("%d images, %d gaps, at most %v behind", got.FramesWritten["all"], got.Gaps, src.most)
				if src.most > test.most || got.FramesWritten["all"] < test.images || got.Gaps > 0 != (test.planner+test.source > 0) {
					t.Errorf("%d images, %d gaps, at most %v behind", got.FramesWritten["all"], got.Gaps, src.most)
				}
				if action == "keyframes" && got.FramesWritten["keys"] != n {
					t.Errorf("%d of %d key frames", got.FramesWritten["keys"], n)
				}
			})
		})
	}
}
