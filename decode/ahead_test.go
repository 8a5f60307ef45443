//go:build cgo && linux

package decode

import (
	"cmp"
	"context"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/pick"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// TestDecodingAheadGivesTheSameImages decodes clips while they arrive, block by block or in pieces, some of them damaged or cut, and holds the
// images against those of whole fragments.
func TestDecodingAheadGivesTheSameImages(t *testing.T) {
	rng := soaktest.Rand(t)
	ahead, whole := 0, 0
	for _, clip := range allClips(t) {
		t.Run(filepath.Base(clip), func(t *testing.T) {
			frags := fragments(t, clip)
			if rng.IntN(2) == 0 {
				frags[0], _ = mutant(t, rng, frags[0])
			}
			outputs := aheadOutputs(frags[0], rng)
			isolation := []Isolation{IsolationNone, IsolationProcess}[rng.IntN(2)]
			p := newTestPool(t, func(c *Config) { c.Isolation = isolation })
			images, outcomes := decodeToTheEnd(t, stream(t, p, outputs...), frags)
			got, n, ended := decodeAhead(t, stream(t, p, outputs...), frags, 1+3*rng.IntN(3), rng)
			ahead, whole = ahead+n, whole+len(slices.Concat(images...))
			for i := range frags {
				outcomes[i].FramesDecoded, ended[i].FramesDecoded = 0, 0 // less is decoded, or more
				if !reflect.DeepEqual(outcomes[i], ended[i]) {
					t.Errorf("fragment %d: outcome %+v, want %+v", i, ended[i], outcomes[i])
				}
				for _, list := range [][]media.Image{images[i], got[i]} {
					slices.SortFunc(list, func(a, b media.Image) int {
						return cmp.Or(strings.Compare(a.Sink, b.Sink), cmp.Compare(a.Index, b.Index))
					})
				}
				if !reflect.DeepEqual(images[i], got[i]) {
					t.Errorf("fragment %d: %d images, want %d, or others", i, len(got[i]), len(images[i]))
				}
			}
		})
	}
	t.Logf("%d of %d images were there before the end of their fragment", ahead, whole)
	if ahead < whole/4 {
		t.Errorf("%d of %d images were there before the end of their fragment", ahead, whole)
	}
}

// aheadOutputs are outputs with all samplers.
func aheadOutputs(f *media.Fragment, rng *rand.Rand) (outputs []Output) {
	asked := f.ProducerTime.Add(200 * time.Millisecond).Format(time.RFC3339Nano)
	for name, rule := range map[string]plan.Rule{
		"all": plan.All{}, "keys": plan.Keyframes{}, "stride": plan.Stride{N: 3}, "interval": plan.Interval{Every: 150 * time.Millisecond},
		"indices": plan.Indices{At: []string{"0", "7", "30"}}, "stamps": plan.Timestamps{At: []string{asked}, Tolerance: time.Second},
		"scene": plan.Scene{Threshold: setting.NewLevel(5)}, "uniform": plan.Uniform{N: 3, Window: time.Second},
	} {
		if rng.IntN(3) == 0 && name != "stride" {
			continue
		}
		o := rawOf(PixelGray, Resize{Width: 48})
		if rng.IntN(3) == 0 {
			o = jpegOf(plan.Sample{}, Resize{Width: 64})
			o.EXIF = true
		}
		o.Sink, o.Sample = name, plan.Sample{Rule: rule, Clock: media.ClockProducer}
		if name == "uniform" && rng.IntN(2) == 0 {
			o.Filters = pick.Filters{Black: pick.Black{Amount: setting.NewLevel(50)}}
		}
		outputs = append(outputs, o)
	}
	return outputs
}

// arrivals returns what has arrived of a fragment, each time with some more of its blocks.
func arrivals(f *media.Fragment, more func() int) (prefixes []*media.Fragment) {
	for n := more(); n < len(f.Blocks); n += more() {
		prefix := *f
		prefix.Blocks, prefix.Tags, prefix.Cut, prefix.Damage, prefix.ContinuationToken, prefix.MillisBehindNow, prefix.Recycle = f.Blocks[:n:n], nil, false, "", "", -1, nil
		last := f.Blocks[n-1]
		prefix.MKV = f.MKV[: last.Offset+last.Size : last.Offset+last.Size]
		prefixes = append(prefixes, &prefix)
	}
	return prefixes
}

// decodeAhead decodes fragments while at most so many blocks arrive at a time, and returns the images, how many of them were there before the end of their fragment,
// and the outcomes.
func decodeAhead(t *testing.T, s *Stream, frags []*media.Fragment, most int, rng *rand.Rand) (images [][]media.Image, ahead int, outcomes []media.Outcome) {
	t.Helper()
	images, outcomes = make([][]media.Image, len(frags)), make([]media.Outcome, len(frags))
	var works []func() error
	for i, f := range frags {
		emit := func(img media.Image) error {
			img.Arrived = time.Time{}
			images[i] = append(images[i], img)
			return nil
		}
		var a media.Arrival
		done := make(chan error, 1)
		for _, prefix := range arrivals(f, func() int { return 1 + rng.IntN(most) }) {
			if a == nil {
				if a = s.Ahead(prefix, func(string) bool { return true }, func(context.Context) error {
					images[i] = nil
					return nil
				}); a == nil {
					break
				}
				go func() {
					done <- a.Decode(t.Context(), func(img media.Image) error {
						if img.Arrived.IsZero() {
							t.Error("an image does not tell when its picture was there")
						}
						ahead++
						img.Tags = f.Tags
						return emit(img)
					})
				}()
			}
			a.More(prefix)
		}
		work := s.Plan(f)
		if a != nil {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		works = append(works, func() (err error) {
			outcomes[i], err = work(t.Context(), emit)
			return err
		})
	}
	s.End()
	for _, work := range works {
		if err := work(); err != nil {
			t.Fatal(err)
		}
	}
	return images, ahead, outcomes
}

// TestAnImageThatItsFragmentContradictsIsMadeAgain has a frame that is shown before one which, by what the stream declares, it cannot precede.
func TestAnImageThatItsFragmentContradictsIsMadeAgain(t *testing.T) {
	frags := fragments(t, "testdata/no-b.mkv")[:1]
	f := *frags[0]
	f.Blocks = slices.Clone(f.Blocks)
	f.Blocks[4].Time, f.Blocks[5].Time = f.Blocks[5].Time, f.Blocks[4].Time
	o := rawOf(PixelGray, Resize{Width: 48})
	o.Sample = plan.Sample{Rule: plan.All{}, Clock: media.ClockProducer}
	p := newTestPool(t, nil)
	want, _ := decodeToTheEnd(t, stream(t, p, o), []*media.Fragment{&f})
	got, ahead, outcomes := decodeAhead(t, stream(t, p, o), []*media.Fragment{&f}, 1, rand.New(rand.NewPCG(1, 1)))
	if ahead < 4 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d images were there before the end, and then %d, want %d, or others", ahead, len(got[0]), len(want[0]))
	}
	gaps := outcomes[0].Gaps
	if len(gaps) != 1 || gaps[0].Reason != media.GapRenumbered || gaps[0].FrameIndex != 4 || gaps[0].FramesLost != 0 || gaps[0].Sink != o.Sink {
		t.Errorf("gaps %+v", gaps)
	}
}
