//go:build cgo

package decode

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/kvsframes/kvsframes/decode/decodetest"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// rechunk makes one stream of all blocks of a clip, cut into fragments of n frames, as a
// GetMedia payload carries them.
func rechunk(t testing.TB, path string, n int) []*media.Fragment {
	t.Helper()
	return rechunkBlocks(t, fragments(t, path), func(i int, _ media.Block) bool { return i%n == 0 })
}

func rechunkBlocks(t testing.TB, frags []*media.Fragment, cut func(i int, b media.Block) bool) []*media.Fragment {
	t.Helper()
	var chunks []kvstest.Chunk
	i := 0
	for _, f := range frags {
		for _, b := range f.Blocks {
			at := f.ProducerTime.Add(b.Time)
			if cut(i, b) {
				number := fmt.Sprintf("%047d", len(chunks)+1)
				chunks = append(chunks, kvstest.Chunk{
					FragmentNumber: number, ContinuationToken: number,
					ProducerTime: at, ServerTime: at.Add(time.Second), Tracks: f.Tracks,
				})
			}
			c := &chunks[len(chunks)-1]
			c.Blocks = append(c.Blocks, kvstest.Block{Track: b.Track, Time: at.Sub(c.ProducerTime), Key: b.Key, Data: f.MKV[b.Offset : b.Offset+b.Size]})
			i++
		}
	}
	var saved []byte
	for _, c := range chunks {
		saved = kvstest.AppendChunk(saved, c)
	}
	return split(t, bytes.NewReader(saved), payload.Config{Stream: "cam"})
}

func mkvs(frags []*media.Fragment) (all [][]byte) {
	for _, f := range frags {
		all = append(all, f.MKV)
	}
	return all
}

// inOrderOfTime returns what a continuous decode of the fragments gives, by fragment and
// frame index.
func inOrderOfTime(t testing.TB, frags []*media.Fragment) [][][]byte {
	t.Helper()
	all := decodetest.Continuous(t, mkvs(frags)...)
	// The decoder shows pictures in order of time, over the fragments' borders.
	type place struct{ fragment, index int }
	var places []place
	var times []time.Time
	want := make([][][]byte, len(frags))
	for i, f := range frags {
		order := orderOf(f.Blocks)
		want[i] = make([][]byte, len(order))
		for index, k := range order {
			places = append(places, place{i, index})
			times = append(times, f.ProducerTime.Add(f.Blocks[k].Time))
		}
	}
	byTime := make([]int, len(places))
	for i := range byTime {
		byTime[i] = i
	}
	slices.SortStableFunc(byTime, func(a, b int) int { return times[a].Compare(times[b]) })
	if len(all) != len(places) {
		t.Fatalf("libav gives %d frames of %d", len(all), len(places))
	}
	for i, at := range byTime {
		want[places[at].fragment][places[at].index] = all[i]
	}
	return want
}

// orderOf returns the blocks' indexes in order of presentation.
func orderOf(blocks []media.Block) []int {
	order := make([]int, len(blocks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(blocks[a].Time, blocks[b].Time) })
	return order
}

// decodeSideBySide decodes all fragments at the same time and returns images and
// outcomes by fragment.
func decodeSideBySide(t testing.TB, s *Stream, frags []*media.Fragment) ([][]media.Image, []media.Outcome) {
	t.Helper()
	images, outcomes := make([][]media.Image, len(frags)), make([]media.Outcome, len(frags))
	var wg sync.WaitGroup
	for i, f := range frags {
		work := s.Plan(f)
		wg.Go(func() {
			out, err := work(context.Background(), func(img media.Image) error {
				images[i] = append(images[i], img)
				return nil
			})
			if err != nil {
				t.Errorf("fragment %d: %v", i, err)
			}
			outcomes[i] = out
		})
	}
	wg.Wait()
	s.End()
	return images, outcomes
}

// dependent are clips whose fragments need each other, and the lengths of their fragments.
var dependent = []struct {
	name string
	cut  int // frames a fragment; 0 for a fragment at each key frame
}{
	{"opengop.mkv", 0},
	{"opengop.mkv", 10},
	{"hevc-open.mkv", 0},
	{"hevc-open.mkv", 9},
	{"refresh.mkv", 0},
	{"longgop.mkv", 25},
	{"longgop.mkv", 1},
	{"bframes.mkv", 7},
	{"hevc.mkv", 7},
}

func dependentFragments(t testing.TB, name string, cut int) []*media.Fragment {
	t.Helper()
	if cut > 0 {
		return rechunk(t, "testdata/"+name, cut)
	}
	return rechunkBlocks(t, fragments(t, "testdata/"+name), func(_ int, b media.Block) bool { return b.Key })
}

func TestFragmentsThatNeedEachOtherGiveWhatOneDecoderGives(t *testing.T) {
	for _, c := range dependent {
		frags := dependentFragments(t, c.name, c.cut)
		want := inOrderOfTime(t, frags)
		for _, workers := range []int{1, 2, 8} {
			t.Run(fmt.Sprintf("%s by %d with %d workers", c.name, c.cut, workers), func(t *testing.T) {
				p := newTestPool(t, func(c *Config) { c.Workers = workers })
				images, outcomes := decodeSideBySide(t, stream(t, p, everyFrame()), frags)
				for i := range frags {
					if len(outcomes[i].Gaps) > 0 || outcomes[i].FramesConcealed > 0 {
						t.Fatalf("fragment %d: %+v", i, outcomes[i])
					}
					if len(images[i]) != len(want[i]) {
						t.Fatalf("fragment %d: %d frames of %d", i, len(images[i]), len(want[i]))
					}
					for k, img := range images[i] {
						if img.Index != k || !bytes.Equal(img.Data, want[i][k]) || img.Concealed {
							t.Fatalf("fragment %d frame %d (index %d, concealed %t) is not libav's", i, k, img.Index, img.Concealed)
						}
					}
				}
			})
		}
	}
}

// TestSkippingNeverChangesAPictureOfADependentFragment compares samplers with a continuous
// decode of everything.
func TestSkippingNeverChangesAPictureOfADependentFragment(t *testing.T) {
	samples := map[string]plan.Sample{
		"keyframes":     {Rule: plan.Keyframes{}},
		"every second":  {Rule: plan.Stride{N: 2}},
		"every seventh": {Rule: plan.Stride{N: 7}},
		"every 13th":    {Rule: plan.Stride{N: 13}},
		"every 333ms":   {Rule: plan.Interval{Every: 333 * time.Millisecond}},
		"every 2s":      {Rule: plan.Interval{Every: 2 * time.Second}},
	}
	for _, c := range dependent {
		frags := dependentFragments(t, c.name, c.cut)
		want := inOrderOfTime(t, frags)
		for name, sample := range samples {
			t.Run(fmt.Sprintf("%s by %d %s", c.name, c.cut, name), func(t *testing.T) {
				o := everyFrame()
				o.Sample, o.Sample.Clock = sample, media.ClockProducer
				p := newTestPool(t, func(c *Config) { c.Workers = 3 })
				images, outcomes := decodeSideBySide(t, stream(t, p, o), frags)
				total := 0
				for i := range frags {
					if len(outcomes[i].Gaps) > 0 || outcomes[i].FramesConcealed > 0 {
						t.Fatalf("fragment %d: %+v", i, outcomes[i])
					}
					for _, img := range images[i] {
						total++
						if !bytes.Equal(img.Data, want[i][img.Index]) {
							t.Fatalf("fragment %d frame %d is not libav's", i, img.Index)
						}
					}
				}
				if total == 0 {
					t.Error("nothing was sampled")
				}
			})
		}
	}
}

// TestAChainThatIsGivenUpLeavesNothingBehind ends runs in the middle; TestMain holds that
// every decoder is freed.
func TestAChainThatIsGivenUpLeavesNothingBehind(t *testing.T) {
	frags := dependentFragments(t, "longgop.mkv", 10)
	p := newTestPool(t, nil)
	full := errors.New("full")
	for stop := range 6 {
		s := stream(t, p, everyFrame())
		ctx, cancel := context.WithCancel(t.Context())
		for i, f := range frags[:6] {
			work := s.Plan(f)
			if i == stop { // neither run nor ended
				continue
			}
			if i == stop+1 { // it waits for the decoder of the one that does not run
				cancel()
			}
			_, err := work(ctx, func(media.Image) error {
				if i == stop-1 {
					return full
				}
				return nil
			})
			if i == stop-1 && !errors.Is(err, full) || i > stop && !errors.Is(err, context.Canceled) {
				t.Errorf("fragment %d of a run that ends at %d: error = %v", i, stop, err)
			}
		}
		cancel()
	}
}

// TestADecoderIsFreedWhenAPlanIsGivenUpBeforeItIsMade gives up a fragment that waits for the next one to
// be decided, after which a decoder is handed to it.
func TestADecoderIsFreedWhenAPlanIsGivenUpBeforeItIsMade(t *testing.T) {
	frags := dependentFragments(t, "longgop.mkv", 10)[:4]
	o := everyFrame()
	rule := plan.Timestamps{Tolerance: time.Second}
	for _, f := range frags { // a moment after each fragment's last frame
		rule.Asked = append(rule.Asked, plan.Request{Time: f.ProducerTime.Add(f.Blocks[len(f.Blocks)-1].Time + time.Millisecond)})
	}
	o.Sample = plan.Sample{Rule: rule, Clock: media.ClockProducer}
	before := openObjects.Load()
	p, err := NewPool(DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := stream(t, p, o)
	ignore := func(media.Image) error { return nil }
	first, second, third := s.Plan(frags[0]), s.Plan(frags[1]), s.Plan(frags[2])
	gone, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i, work := range []func(context.Context, func(media.Image) error) (media.Outcome, error){first, second, third} {
		if i == 2 {
			cancel()
		}
		if _, err := work(gone, ignore); i < 2 && err != nil || i == 2 && !errors.Is(err, context.Canceled) {
			t.Errorf("fragment %d: error = %v", i, err)
		}
	}
	fourth := s.Plan(frags[3]) // decides about the third
	s.End()
	if _, err := fourth(gone, ignore); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	p.Close()
	if n := openObjects.Load() - before; n != 0 {
		t.Errorf("%d objects of libav are left", n)
	}
}

// Many streams may wait for a decoder at once.
func TestAPlanForAKeyFrameHoldsOnToLittleOfTheFragment(t *testing.T) {
	p := plan.NewPlanner(plan.SkipAuto, requested(Output{Sink: "keys", Sample: plan.Sample{Rule: plan.Keyframes{}}}))
	frags := fragments(t, "../testdata/demo.mkv")
	var waiting []*media.Fragment
	var whole []weak.Pointer[byte]
	for i, f := range frags[:2] {
		whole = append(whole, weak.Make(&f.MKV[0]))
		waiting = append(waiting, p.Plan(f).Needed(f))
		frags[i] = nil
	}
	runtime.GC()
	for i := range whole {
		if whole[i].Value() != nil {
			t.Errorf("fragment %d is still there as a whole", i)
		}
	}
	runtime.KeepAlive(waiting)
	runtime.KeepAlive(p)
}
