//go:build cgo

package decode

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/pick"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/source/payload"
)

// resumable are outputs with every sampler.
func resumable(rng *rand.Rand, frags []*media.Fragment) []Output {
	var asked []plan.Request
	frames := 0
	for _, f := range frags {
		for _, b := range f.Blocks {
			frames++
			if rng.IntN(4) == 0 { // near a frame, or between two
				asked = append(asked, plan.Request{Time: f.ProducerTime.Add(b.Time + time.Duration(rng.IntN(60)-30)*time.Millisecond)})
			}
		}
	}
	var at []string
	for range 8 {
		at = append(at, fmt.Sprint(rng.IntN(frames)))
	}
	rules := []plan.Rule{
		plan.All{},
		plan.Keyframes{},
		plan.Stride{N: 3},
		plan.Interval{Every: 280 * time.Millisecond},
		plan.Interval{Rate: plan.Rate{Num: 10, Den: 1}},
		plan.Uniform{N: 7, Window: time.Second},
		plan.Timestamps{Asked: asked, Tolerance: 100 * time.Millisecond},
		plan.Timestamps{Asked: asked, Tolerance: time.Second, Pick: plan.PickShown},
		plan.Indices{At: at},
		plan.Scene{Threshold: setting.NewLevel(1)},
		plan.Best{Window: 700 * time.Millisecond},
	}
	outputs := make([]Output, len(rules))
	for i, rule := range rules {
		outputs[i] = everyFrame()
		outputs[i].Sink, outputs[i].Sample.Rule, outputs[i].Resize.Width = fmt.Sprintf("%d", i), rule, 32
	}
	outputs[3].Filters = pick.Filters{
		Black: pick.Black{Amount: setting.NewLevel(50)}, Blur: pick.Blur{Max: setting.NewLevel(30)}, Duplicate: pick.Duplicate{Distance: setting.NewLevel(4)},
	}
	return outputs
}

// shots names images and what is in them, by output and fragment.
func shots(images [][]media.Image, frags []*media.Fragment) map[string]map[string][]string {
	all := map[string]map[string][]string{}
	for i := range images {
		for _, img := range images[i] {
			if all[img.Sink] == nil {
				all[img.Sink] = map[string][]string{}
			}
			all[img.Sink][frags[i].Number] = append(all[img.Sink][frags[i].Number], fmt.Sprintf("%d %x %t %v %+v", img.Index, sha256.Sum256(img.Data), img.Concealed, img.Answers, measuresOf(img)))
		}
	}
	return all
}

// measuresOf returns what was measured of an image.
func measuresOf(img media.Image) media.Measured {
	if img.Measured == nil {
		return media.Measured{}
	}
	m := *img.Measured
	if m.Luma != nil {
		m.Hash ^= uint64(crc32.ChecksumIEEE(m.Luma.Pix))
		m.Luma = nil
	}
	return m
}

// TestAStreamContinuesWhereAnotherRunWas cuts streams into fragments in many ways, and continues each output at a place of its
// own: what comes then is what an undisturbed run gives after that place.
func TestAStreamContinuesWhereAnotherRunWas(t *testing.T) {
	rng := soaktest.Rand(t)
	tries := 2
	if soaktest.Soaking() {
		tries = 40
	}
	for _, clip := range append(slices.Clone(cutClips), "refresh.mkv", "hevc-pyramid.mkv") {
		whole := fragments(t, "testdata/"+clip)
		for _, each := range []int{1, 3, 7, 11, 0, -7} {
			frags := whole
			switch {
			case each > 0:
				frags = rechunkBlocks(t, whole, func(i int, _ media.Block) bool { return i%each == 0 })
			case each < 0:
				frags = setsOnce(t, whole, -each)
			}
			frags = frags[:min(len(frags), 60)]
			outputs := resumable(rng, frags)
			p := newTestPool(t, func(c *Config) { c.Workers = 1 + rng.IntN(3) })
			s := stream(t, p, outputs...)
			marks := make([]*plan.Mark, len(frags))
			images, _ := decodeEach(t, s, frags, func(i int) { marks[i] = s.Mark() })
			want := shots(images, frags)
			for range tries {
				continueAt(t, rng, fmt.Sprintf("%s by %d", clip, each), p, outputs, frags, marks, want)
			}
		}
	}
}

// setsOnce cuts a stream into fragments of so many packets, and puts its parameter sets before the first packet alone.
func setsOnce(t *testing.T, whole []*media.Fragment, each int) []*media.Fragment {
	t.Helper()
	var saved []byte
	n := 0
	for _, f := range whole {
		track, blocks := blocksIn(f, form{noSets, lengths, false})
		if n == 0 {
			own, _ := f.VideoTrack()
			blocks[0].Data = append(lengths(h26x.CodecDataUnits(own.CodecID, own.CodecPrivate)), blocks[0].Data...)
		}
		for some := range slices.Chunk(blocks, each) {
			n++
			at := f.ProducerTime.Add(some[0].Time)
			c := kvstest.Chunk{FragmentNumber: fmt.Sprintf("%047d", n), ContinuationToken: fmt.Sprintf("%047d", n), ProducerTime: at, ServerTime: at.Add(time.Second), Tracks: []media.Track{track}}
			for _, b := range some {
				b.Time += f.ProducerTime.Sub(at)
				c.Blocks = append(c.Blocks, b)
			}
			saved = kvstest.AppendChunk(saved, c)
		}
	}
	return split(t, bytes.NewReader(saved), payload.Config{Stream: "cam"})
}

// continueAt continues a stream at places near each other, or at none, and holds what comes against an undisturbed run.
func continueAt(t *testing.T, rng *rand.Rand, what string, p *Pool, outputs []Output, frags []*media.Fragment, marks []*plan.Mark, want map[string]map[string][]string) {
	t.Helper()
	base := rng.IntN(len(frags))
	states, places := make([]plan.State, len(outputs)), make([]int, len(outputs))
	for o := range outputs {
		places[o] = min(len(frags)-1, base+rng.IntN(4))
		if base == 0 && rng.IntN(2) == 0 {
			places[o] = -1
			continue
		}
		saved, err := json.Marshal(marks[places[o]].State(o))
		if err = errors.Join(err, json.Unmarshal(saved, &states[o])); err != nil {
			t.Fatal(err)
		}
	}
	lead := plan.Earliest(states)
	first := 1 + slices.IndexFunc(frags, func(f *media.Fragment) bool { return f.Number == lead.After.Number })
	s := stream(t, p, outputs...)
	if err := s.Resume(states); err != nil {
		t.Fatal(err)
	}
	images, _ := decodeEach(t, s, frags[first:], func(int) {})
	got := shots(images, frags[first:])
	for o, output := range outputs {
		for i, f := range frags {
			expected := want[output.Sink][f.Number]
			if i <= places[o] {
				expected = nil
			}
			if !slices.Equal(got[output.Sink][f.Number], expected) {
				t.Errorf("%s, from %d, places %v, output %d: fragment %d of %d gives %d images, want %d", what, first, places, o, i, len(frags), len(got[output.Sink][f.Number]), len(expected))
				return
			}
		}
	}
}

// decodeEach is decodeSideBySide, with a call after each Plan.
func decodeEach(t *testing.T, s *Stream, frags []*media.Fragment, planned func(i int)) ([][]media.Image, []media.Outcome) {
	t.Helper()
	type result struct {
		i       int
		images  []media.Image
		outcome media.Outcome
		err     error
	}
	results := make(chan result, len(frags))
	for i, f := range frags {
		work := s.Plan(f)
		planned(i)
		go func() {
			r := result{i: i}
			r.outcome, r.err = work(context.Background(), func(img media.Image) error { r.images = append(r.images, img); return nil })
			results <- r
		}()
	}
	s.End()
	images, outcomes := make([][]media.Image, len(frags)), make([]media.Outcome, len(frags))
	for range frags {
		r := <-results
		if r.err != nil {
			t.Fatal(r.err)
		}
		images[r.i], outcomes[r.i] = r.images, r.outcome
	}
	return images, outcomes
}

// TestFragmentsAfterUnwantedOnesAreExact wants no frame of the first fragments of streams that are cut in many ways.
func TestFragmentsAfterUnwantedOnesAreExact(t *testing.T) {
	rng := soaktest.Rand(t)
	const sampled = 4
	for _, clip := range append(slices.Clone(cutClips), "refresh.mkv", "hevc-pyramid.mkv", "hevc-lists-open.mkv", "lists-open.mkv") {
		whole := fragments(t, "testdata/"+clip)
		for _, each := range []int{1, 3, 7, 11} {
			frags := rechunkBlocks(t, whole, func(i int, _ media.Block) bool { return i%each == 0 })
			frags = frags[:min(len(frags), 60)]
			p := newTestPool(t, nil)
			images, _ := decodeSideBySide(t, stream(t, p, everyFrame()), frags)
			want := shots(images, frags)["raw"]
			for k := range frags {
				if !soaktest.Soaking() && rng.IntN(len(frags)) >= sampled {
					continue
				}
				later := slices.Clone(frags)
				for i := range k {
					f := *later[i]
					f.Unwanted = true
					later[i] = &f
				}
				images, _ := decodeSideBySide(t, stream(t, p, everyFrame()), later)
				got := shots(images, later)["raw"]
				for _, f := range frags[k:] {
					if !slices.Equal(got[f.Number], want[f.Number]) {
						t.Errorf("%s by %d, from %d: fragment %s gives %d images, want %d", clip, each, k, f.Number[40:], len(got[f.Number]), len(want[f.Number]))
						break
					}
				}
			}
		}
	}
}
