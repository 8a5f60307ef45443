//go:build cgo

package decode

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// referenceClips are encodes whose references are read, of both codecs.
var referenceClips = []string{
	"hevc.mkv", "hevc-open.mkv", "hevc-pyramid.mkv", "hevc-forward.mkv", "hevc-wavefronts.mkv", "hevc-lists-open.mkv",
	"opengop.mkv", "lists-open.mkv", "lists-pyramid.mkv", "lists-slices.mkv",
}

// choices are ways to want some of the frames of a stream, the last of them a few that seeds draw.
func choices(frags []*media.Fragment) []plan.Sample {
	all := []plan.Sample{
		{Rule: plan.Interval{Every: time.Second}, Clock: media.ClockProducer},
		{Rule: plan.Interval{Every: 280 * time.Millisecond}, Clock: media.ClockProducer},
		{Rule: plan.Stride{N: 2}, Clock: media.ClockProducer},
		{Rule: plan.Stride{N: 7}, Clock: media.ClockProducer},
	}
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 9))
		var asked []plan.Request
		for _, f := range frags {
			for _, b := range f.Blocks {
				if rng.IntN(12) == 0 {
					asked = append(asked, plan.Request{Time: f.ProducerTime.Add(b.Time)})
				}
			}
		}
		all = append(all, plan.Sample{Rule: plan.Timestamps{Asked: asked}, Clock: media.ClockProducer})
	}
	return all
}

// TestEveryChoiceOfFramesGivesThoseOfAFullDecode wants some of the frames, so that only what they refer to is decoded.
func TestEveryChoiceOfFramesGivesThoseOfAFullDecode(t *testing.T) {
	for _, name := range referenceClips {
		t.Run(name, func(t *testing.T) {
			frags := fragments(t, "testdata/"+name)
			want := inOrderOfTime(t, frags)
			pool := newTestPool(t, nil)
			for c, sample := range choices(frags) {
				o := everyFrame()
				o.Sample = sample
				images, outcomes := decodeAll(t, stream(t, pool, o), frags)
				n := 0
				for i := range frags {
					n += len(images[i])
					for _, img := range images[i] {
						if img.Concealed || !bytes.Equal(img.Data, want[i][img.Index]) {
							t.Errorf("choice %d: fragment %d frame %d differs from a full decode's, or is marked: %t", c, i, img.Index, img.Concealed)
						}
					}
					if len(outcomes[i].Gaps) != 0 {
						t.Errorf("choice %d: gaps %v", c, outcomes[i].Gaps)
					}
				}
				rule, _ := sample.Rule.(plan.Timestamps)
				if n < len(frags) || len(rule.Asked) > 0 && n != len(rule.Asked) {
					t.Errorf("choice %d: %d images of %d fragments, %d times", c, n, len(frags), len(rule.Asked))
				}
			}
		})
	}
}

// TestPicturesThatNoWantedOneNeedsAreNotDecoded counts the pictures that are decoded, and those that would be if
// nothing were known of references.
func TestPicturesThatNoWantedOneNeedsAreNotDecoded(t *testing.T) {
	second := plan.Sample{Rule: plan.Interval{Every: time.Second}, Clock: media.ClockProducer}
	seventh := plan.Sample{Rule: plan.Stride{N: 7}, Clock: media.ClockProducer}
	for _, c := range []struct {
		clip           string
		sample         plan.Sample
		whole, without int
	}{
		{"hevc-wavefronts.mkv", second, 20, 32},
		{"hevc-pyramid.mkv", second, 16, 16}, // with several references the lists name all
		{"hevc-open.mkv", seventh, 54, 55},
		{"hevc-lists-open.mkv", seventh, 41, 44},
		{"lists-pyramid.mkv", second, 20, 32},
		{"lists-open.mkv", seventh, 45, 55},
	} {
		o := everyFrame()
		o.Sample = c.sample
		p := plan.NewPlanner(plan.SkipAuto, requested(o))
		whole, without := 0, 0
		for _, f := range fragments(t, "testdata/"+c.clip) {
			for _, frame := range p.Plan(f).Frames {
				if frame.Feed {
					without++
				}
				if frame.Feed && frame.HeaderOnly == nil {
					whole++
				}
			}
		}
		p.End()
		if whole != c.whole || without != c.without {
			t.Errorf("%s: %d pictures are decoded, %d if nothing is known of references; want %d and %d", c.clip, whole, without, c.whole, c.without)
		}
	}
}

func TestAnEncryptedTrackIsRefusedByName(t *testing.T) {
	f := *fragments(t, "testdata/small.mkv")[0]
	f.Tracks = slices.Clone(f.Tracks)
	f.Tracks[0].Encrypted, f.Tracks[0].Encoded = true, true
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{&f})
	g := outcomes[0].Gaps
	if len(images[0]) != 0 || len(g) != 1 || g[0].Reason != media.GapUnsupported || !strings.Contains(g[0].Detail, "encrypted") {
		t.Errorf("%d images, gaps %+v", len(images[0]), g)
	}
}
