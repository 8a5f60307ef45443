//go:build cgo

package decode

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// referenceClips are encodes whose references are read, of both codecs.
var referenceClips = []string{
	"hevc.mkv", "hevc-open.mkv", "hevc-pyramid.mkv", "hevc-forward.mkv", "hevc-wavefronts.mkv", "hevc-lists-open.mkv",
	"opengop.mkv", "lists-pyramid.mkv", "lists-slices.mkv",
}

// choices are ways to want some of the frames of a stream, the last of them a few that seed draws.
func choices(frags []*media.Fragment, seed uint64) []Sample {
	rng := rand.New(rand.NewPCG(seed, 9))
	var at []time.Time
	for _, f := range frags {
		for _, b := range f.Blocks {
			if rng.IntN(12) == 0 {
				at = append(at, f.ProducerTime.Add(b.Time))
			}
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return []Sample{
		{Type: SampleInterval, Interval: time.Second, Clock: media.ClockProducer},
		{Type: SampleInterval, Interval: 280 * time.Millisecond, Clock: media.ClockProducer},
		{Type: SampleStride, N: 2, Clock: media.ClockProducer},
		{Type: SampleStride, N: 7, Clock: media.ClockProducer},
		{Type: SampleTimestamps, At: at, Clock: media.ClockProducer},
	}
}

// TestEveryChoiceOfFramesGivesThoseOfAFullDecode wants some of the frames, so that only what they refer to is decoded.
func TestEveryChoiceOfFramesGivesThoseOfAFullDecode(t *testing.T) {
	for _, name := range referenceClips {
		t.Run(name, func(t *testing.T) {
			frags := fragments(t, "testdata/"+name)
			want := inOrderOfTime(t, frags)
			for seed := range uint64(4) {
				for _, sample := range choices(frags, seed) {
					o := everyFrame()
					o.Sample = sample
					images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), o), frags)
					n := 0
					for i := range frags {
						for _, img := range images[i] {
							n++
							if img.Concealed || !bytes.Equal(img.Data, want[i][img.Index]) {
								t.Errorf("seed %d, %s: fragment %d frame %d differs from a full decode's, or is marked: %t", seed, sample.Type, i, img.Index, img.Concealed)
							}
						}
						if len(outcomes[i].Gaps) != 0 {
							t.Errorf("seed %d, %s: gaps %v", seed, sample.Type, outcomes[i].Gaps)
						}
					}
					if n == 0 || len(sample.At) > 0 && n != len(sample.At) {
						t.Errorf("seed %d, %s: %d images of %d times", seed, sample.Type, n, len(sample.At))
					}
					if len(sample.At) == 0 && seed > 0 {
						continue
					}
				}
			}
		})
	}
}

// decodedFor returns how many pictures a sample of a clip has decoded, and how many there would be if
// nothing were known of references.
func decodedFor(t *testing.T, name string, sample Sample) (whole, without int) {
	t.Helper()
	o := everyFrame()
	o.Sample = sample
	p := newPlanner(SkipAuto, []Output{o})
	for _, f := range fragments(t, "testdata/"+name) {
		for _, frame := range p.plan(f).frames {
			switch {
			case frame.bare != nil:
				without++
			case frame.feed:
				whole, without = whole+1, without+1
			}
		}
	}
	p.end()
	return whole, without
}

func TestOneFrameASecondDecodesWhatItRefersTo(t *testing.T) {
	for name, want := range map[string]struct{ whole, without int }{} {
		sample := Sample{Type: SampleStride, N: 10, Clock: media.ClockProducer}
		if whole, without := decodedFor(t, name, sample); whole != want.whole || without != want.without {
			t.Errorf("%s: %d pictures are decoded, %d without knowing references; want %d and %d", name, whole, without, want.whole, want.without)
		}
	}
	for _, name := range referenceClips {
		for _, s := range choices(fragments(t, "testdata/"+name), 1) {
			w, o := decodedFor(t, name, s)
			t.Log(name, s.Type, s.N, s.Interval, w, o)
		}
	}
}
