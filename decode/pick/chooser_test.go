package pick

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// shot is a frame as these tests describe it: what was measured of it.
type shot struct {
	at       time.Duration
	fragment int
	media.Measured
	empty bool // whether it has no data
}

// images returns shots as images.
func images(shots []shot) (all []media.Image) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for i, s := range shots {
		m := s.Measured
		img := media.Image{FrameInfo: media.FrameInfo{FragmentNumber: fmt.Sprint(s.fragment), Index: i, ProducerTime: start.Add(s.at)}, Measured: &m}
		if !s.empty {
			img.Data = []byte{1}
		}
		all = append(all, img)
	}
	return all
}

// run passes images through a Chooser as a pipeline does, and returns the indices of those that are chosen.
func run(c *Chooser, all []media.Image) (chosen []int) {
	for _, img := range all {
		choice := c.Choose(img)
		if choice.Earlier != nil {
			chosen = append(chosen, choice.Earlier.Index)
		}
		if choice.Chosen != nil {
			chosen = append(chosen, choice.Chosen.Index)
		}
	}
	if last := c.End().Earlier; last != nil {
		chosen = append(chosen, last.Index)
	}
	return chosen
}

func luma(v byte) *media.Luma { return &media.Luma{Width: 2, Height: 1, Pix: []byte{v, v}} }

func TestFramesAreChosen(t *testing.T) {
	ms, s := time.Millisecond, time.Second
	scene := plan.Sample{Rule: plan.Scene{Threshold: setting.NewLevel(10)}}
	change := func(at time.Duration, v float64) shot { return shot{at: at, Measured: media.Measured{Change: v}} }
	quality := func(at time.Duration, v float64) shot { return shot{at: at, Measured: media.Measured{Quality: v}} }
	hash := func(at time.Duration, v uint64) shot { return shot{at: at, Measured: media.Measured{Hash: v}} }
	best := plan.Sample{Rule: plan.Best{Window: s}}
	black, sharp := Filters{Black: Black{Amount: setting.NewLevel(50)}}, Filters{Blur: Blur{Max: setting.NewLevel(3)}}
	alike := Filters{Duplicate: Duplicate{Distance: setting.NewLevel(1), MaxGap: setting.NewAutoDuration(s)}}
	for name, c := range map[string]struct {
		sample  plan.Sample
		filters Filters
		shots   []shot
		want    []int
	}{
		// The score is the lesser of the change and of its distance from the last change, so the end of fast motion is one, too.
		"changes begin scenes": {scene, Filters{}, []shot{change(0, -1), change(1, 2), change(2, 30), change(3, 29), change(4, 45), change(5, 1), change(6, 9)}, []int{2, 4}},
		"across fragments": {scene, Filters{}, []shot{
			{Measured: media.Measured{Change: -1, Luma: luma(100)}},
			{Measured: media.Measured{Change: 1, Luma: luma(102)}},
			{fragment: 1, Measured: media.Measured{Change: -1, Luma: luma(200)}},
			{fragment: 1, Measured: media.Measured{Change: 0}},
			// The last frame of the second fragment is not known, so nothing has changed.
			{fragment: 2, Measured: media.Measured{Change: -1, Luma: luma(0)}},
		}, []int{2}},
		"scenes keep a distance": {
			plan.Sample{Rule: plan.Scene{Threshold: setting.NewLevel(10), MinGap: s}},
			Filters{},
			[]shot{change(0, 40), change(500*ms, 0), change(600*ms, 40), change(999*ms, 0), change(1000*ms, 40), change(1400*ms, 0), change(-5*s, 40)},
			[]int{0, 4, 6},
		},
		"what is black begins no scene, and its distance does not count": {
			plan.Sample{Rule: plan.Scene{Threshold: setting.NewLevel(10), MinGap: s}},
			black,
			[]shot{{Measured: media.Measured{Change: 40, Black: 50}}, change(1*ms, 0), change(2*ms, 40)},
			[]int{2},
		},
		"the best of each window":                {best, Filters{}, []shot{quality(0, 1), quality(10*ms, 3), quality(20*ms, 3), quality(999*ms, 2), quality(1*s, 0), quality(3*s, 5), quality(3*s+1, 6)}, []int{1, 4, 6}},
		"a clock that goes back begins a window": {best, Filters{}, []shot{quality(2*s, 1), quality(0, 3), quality(10*ms, 4)}, []int{0, 2}},
		"the best that is not blurred": {best, sharp, []shot{
			{Measured: media.Measured{Quality: 9, Blur: 4}}, {at: 1, Measured: media.Measured{Quality: 2, Blur: 3}}, {at: s, Measured: media.Measured{Quality: 9, Blur: 3.1}},
		}, []int{1}},
		"what is not encoded is not chosen": {best, Filters{}, []shot{{Measured: media.Measured{Quality: 9}, empty: true}, quality(1, 2)}, []int{1}},
		"duplicates are left out, but the first one in each cell stays": {
			plan.Sample{Rule: plan.All{}},
			alike,
			[]shot{hash(0, 0), hash(1*ms, 1), hash(2*ms, 2), hash(3*ms, 3), hash(4*ms, 1), hash(5*ms, 0), hash(s, 0), hash(s+1, 0)},
			[]int{0, 3, 5, 6},
		},
		"the best are compared with each other": {best, Filters{Duplicate: Duplicate{Distance: setting.NewLevel(0)}}, []shot{
			{Measured: media.Measured{Quality: 1, Hash: 7}},
			{at: 1, Measured: media.Measured{Quality: 2, Hash: 8}},
			{at: s, Measured: media.Measured{Quality: 1, Hash: 8}},
			{at: 2 * s, Measured: media.Measured{Quality: 1, Hash: 7}},
		}, []int{1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := run(New(c.sample, c.filters), images(c.shots)); !slices.Equal(got, c.want) {
				t.Errorf("chosen %v, want %v", got, c.want)
			}
		})
	}
}

// TestFiltersAreNamed: those that leave out a sample, once for each. A picture that its sampler does not choose is none.
func TestFiltersAreNamed(t *testing.T) {
	level := setting.NewLevel
	both := Filters{Black: Black{Amount: level(50)}, Blur: Blur{Max: level(6)}}
	best := plan.Sample{Rule: plan.Best{Window: time.Second}}
	same := func(at time.Duration, quality float64) shot {
		return shot{at: at, Measured: media.Measured{Quality: quality, Hash: 7}}
	}
	for name, c := range map[string]struct {
		sample  plan.Sample
		filters Filters
		shots   []shot
		want    string
	}{
		"black, blurred, both, none": {plan.Sample{Rule: plan.All{}}, both, []shot{
			{Measured: media.Measured{Black: 50}, empty: true}, {Measured: media.Measured{Blur: 7}}, {Measured: media.Measured{Black: 51, Blur: 7}}, {},
		}, "[black] [blur] [black] [] []"},
		"no scene begins": {plan.Sample{Rule: plan.Scene{Threshold: level(10)}}, both, []shot{
			{Measured: media.Measured{Change: 0, Black: 99}}, {Measured: media.Measured{Change: 50, Black: 99}},
		}, "[] [black] []"},
		"the image that was held and the new one": {best, Filters{Black: Black{Amount: level(50)}, Duplicate: Duplicate{Distance: level(4)}}, []shot{
			same(0, 1), same(1, 2), same(time.Second, 1), {at: 2 * time.Second, Measured: media.Measured{Black: 99}}, same(2*time.Second+1, 1),
		}, "[] [] [] [duplicate black] [] [duplicate]"},
	} {
		t.Run(name, func(t *testing.T) {
			chooser := New(c.sample, c.filters)
			var got []string
			for _, img := range images(c.shots) {
				got = append(got, fmt.Sprint(chooser.Choose(img).Filtered))
			}
			got = append(got, fmt.Sprint(chooser.End().Filtered))
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("filtered %s, want %s", text, c.want)
			}
		})
	}
	if on := both.On(); !slices.Equal(on, []string{"black", "blur"}) {
		t.Errorf("on are %v", on)
	}
}

func TestScoresAreThoseThatDecide(t *testing.T) {
	f := Filters{Black: Black{Amount: setting.NewLevel(98)}, Blur: Blur{Max: setting.NewLevel(6)}, Duplicate: Duplicate{Distance: setting.NewLevel(4)}}
	c := New(plan.Sample{Rule: plan.Best{Window: time.Second}}, f)
	c.Choose(images([]shot{{Measured: media.Measured{Black: 1.23456, Blur: 2, Quality: 3, Hash: 4}}})[0])
	want := []media.Score{{Name: "black", Value: 1.2346}, {Name: "blur", Value: 2}, {Name: "best", Value: 3}, {Name: "duplicate", Value: -1}}
	if got := c.End().Earlier; got == nil || !slices.Equal(got.Scores, want) {
		t.Errorf("scores %v, want %v", got, want)
	}
}

func TestASinkWithoutPixelsHasNoChooser(t *testing.T) {
	if c := New(plan.Sample{Rule: plan.Interval{Every: time.Second}}, Filters{}); c != nil {
		t.Errorf("%+v", c)
	}
}

// TestAChoiceIsContinued continues choosers after each fragment that a sink may have reported: that is one before which nothing
// is held. Earlier images, and what is chosen of the later ones, are what one run chooses.
func TestAChoiceIsContinued(t *testing.T) {
	rng := soaktest.Rand(t)
	tries := 300
	if soaktest.Soaking() {
		tries = 20000
	}
	for range tries {
		sample, filters := anyChoice(rng)
		all := images(anyShots(rng))
		want := run(New(sample, filters), all)
		c, delivered, heldAt := New(sample, filters), []int{}, -1
		for i, img := range all {
			choice := c.Choose(img)
			if choice.Decided {
				heldAt = -1
			}
			if choice.Earlier != nil {
				delivered = append(delivered, choice.Earlier.Index)
			}
			if choice.Chosen != nil {
				delivered = append(delivered, choice.Chosen.Index)
			}
			if choice.Holds {
				heldAt = i
			}
			if i+1 < len(all) && all[i+1].FragmentNumber == img.FragmentNumber {
				continue
			}
			state, err := c.State().MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			// The fragment is reported when the image that is held, if there is one, is decided. If that is chosen, it is delivered.
			before := slices.Clone(delivered)
			if heldAt >= 0 && slices.Contains(want, heldAt) {
				before = append(before, heldAt)
			}
			again := New(sample, filters)
			if err := again.Restore(state); err != nil {
				t.Fatal(err)
			}
			got := append(before, run(again, all[i+1:])...)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%+v %+v: continued after image %d with %s: chosen %v, want %v", sample, filters, i, state, got, want)
			}
		}
	}
}

func anyChoice(rng *rand.Rand) (plan.Sample, Filters) {
	var f Filters
	if rng.IntN(2) == 0 {
		f.Black.Amount = setting.NewLevel(80)
	}
	if rng.IntN(2) == 0 {
		f.Duplicate.Distance, f.Duplicate.MaxGap = setting.NewLevel(float64(rng.IntN(3))), setting.NewAutoDuration(3*time.Second)
	}
	rules := []plan.Rule{plan.Scene{Threshold: setting.NewLevel(10), MinGap: time.Duration(rng.IntN(2)) * time.Second}, plan.Best{Window: time.Duration(1+rng.IntN(40)) * 100 * time.Millisecond}}
	if f != (Filters{}) {
		rules = append(rules, plan.All{})
	}
	return plan.Sample{Rule: rules[rng.IntN(len(rules))]}, f
}

func anyShots(rng *rand.Rand) (shots []shot) {
	at, fragment := time.Duration(0), 0
	for range 40 {
		s := shot{at: at, fragment: fragment, empty: rng.IntN(20) == 0}
		s.Black, s.Quality, s.Hash, s.Change = rng.Float64()*100, float64(rng.IntN(6)), uint64(rng.IntN(8)), rng.Float64()*30
		if len(shots) == 0 || shots[len(shots)-1].fragment != fragment {
			s.Change, s.Luma = -1, luma(byte(rng.IntN(256)))
		}
		if at += time.Duration(rng.IntN(500)) * time.Millisecond; rng.IntN(4) == 0 {
			fragment++
			s.Luma = luma(byte(rng.IntN(256)))
		}
		if rng.IntN(30) == 0 {
			at -= 3 * time.Second
		}
		shots = append(shots, s)
	}
	return shots
}

func TestAStateThatCannotBeIsRefused(t *testing.T) {
	for _, text := range []string{`[]`, `{"luma":{"width":2,"height":2,"pix":"AAAA"}}`, `{"luma":{"width":0,"height":0,"pix":""}}`, `{"held":{"hash":-1}}`} {
		if err := New(plan.Sample{Rule: plan.Best{Window: time.Second}}, Filters{}).Restore(json.RawMessage(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
