//go:build cgo

package decode

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// form is how a producer writes codec data and packets.
type form struct {
	// private makes the codec data, packet a packet of its NAL units, from those of the clip.
	private func(t media.Track) []byte
	packet  func(nals [][]byte) []byte
	// inBand puts the parameter sets before every key frame.
	inBand bool
}

func lengths(nals [][]byte) (p []byte) {
	for _, nal := range nals {
		p = append(binary.BigEndian.AppendUint32(p, uint32(len(nal))), nal...)
	}
	return p
}

var (
	asIs     = func(t media.Track) []byte { return t.CodecPrivate }
	noData   = func(media.Track) []byte { return nil }
	byStream = func(t media.Track) []byte { return h26x.AnnexB(h26x.CodecDataUnits(t.CodecID, t.CodecPrivate)) }
)

var forms = map[string]form{
	"lengths and codec data":                               {asIs, lengths, false},
	"lengths, codec data and sets in band":                 {asIs, lengths, true},
	"lengths and codec data with start codes":              {byStream, lengths, false},
	"lengths without codec data, sets in band":             {noData, lengths, true},
	"start codes and codec data with start codes":          {byStream, h26x.AnnexB, false},
	"start codes without codec data, sets in band":         {noData, h26x.AnnexB, true},
	"start codes and codec data for lengths":               {asIs, h26x.AnnexB, false},
	"start codes, codec data for lengths and sets in band": {asIs, h26x.AnnexB, true},
	"start codes, codec data without sets, sets in band":   {noSets, h26x.AnnexB, true},
	"lengths, codec data without sets, sets in band":       {noSets, lengths, true},
}

// noSets is codec data that tells of length prefixes and holds no parameter sets.
func noSets(t media.Track) []byte {
	if t.CodecID == h26x.HEVC {
		return append(slices.Clone(t.CodecPrivate[:22]), 0)
	}
	return append(slices.Clone(t.CodecPrivate[:5]), 0xe0, 0)
}

// blocksIn returns the video of a fragment in another form.
func blocksIn(f *media.Fragment, with form) (track media.Track, blocks []kvstest.Block) {
	track, _ = f.VideoTrack()
	sets := h26x.CodecDataUnits(track.CodecID, track.CodecPrivate)
	for _, b := range f.Blocks {
		var nals [][]byte
		if b.Key && with.inBand {
			nals = slices.Clone(sets)
		}
		h26x.EachNAL(f.MKV[b.Offset:b.Offset+b.Size], 4, func(nal []byte) { nals = append(nals, nal) })
		blocks = append(blocks, kvstest.Block{Track: track.Number, Time: b.Time, Key: b.Key, Data: with.packet(nals)})
	}
	track.CodecPrivate = with.private(track)
	return track, blocks
}

// fragmentOf returns the blocks as the fragment of a GetMedia payload.
func fragmentOf(t *testing.T, track media.Track, blocks []kvstest.Block) *media.Fragment {
	t.Helper()
	chunk := kvstest.Chunk{
		FragmentNumber: "1", ContinuationToken: "1", ProducerTime: epoch, ServerTime: epoch,
		Tracks: []media.Track{track}, Blocks: blocks,
	}
	return split(t, bytes.NewReader(kvstest.AppendChunk(nil, chunk)), payload.Config{Stream: "cam"})[0]
}

var epoch = time.UnixMilli(1_700_000_000_000).UTC()

func TestPacketsAndCodecDataMayBeOfAnyForm(t *testing.T) {
	for name, with := range forms {
		for _, clips := range [][]string{{"bframes.mkv", "small.mkv"}, {"hevc.mkv"}} {
			t.Run(name+" "+clips[0], func(t *testing.T) {
				var frags []*media.Fragment
				var want [][]media.Image
				// To and fro, so that a decoder which kept the sets of another stream would show it.
				for range 2 {
					for _, clip := range clips {
						clean := fragments(t, "testdata/"+clip)[:1]
						images, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), clean)
						want = append(want, images[0])
						track, blocks := blocksIn(clean[0], with)
						frags = append(frags, fragmentOf(t, track, blocks))
					}
				}
				keys := everyFrame()
				keys.Sample.Rule = plan.Keyframes{}
				for _, o := range []Output{everyFrame(), keys} {
					images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), o), frags)
					for i := range frags {
						if len(outcomes[i].Gaps) > 0 || o.Sample.Rule == (plan.All{}) && len(images[i]) != len(want[i]) || len(images[i]) == 0 {
							t.Fatalf("fragment %d: %d images of %d, %+v", i, len(images[i]), len(want[i]), outcomes[i])
						}
						for _, img := range images[i] {
							if !bytes.Equal(img.Data, want[i][img.Index].Data) || img.Concealed {
								t.Fatalf("fragment %d frame %d is not what it was", i, img.Index)
							}
						}
					}
				}
			})
		}
	}
}

// TestTheStreamMayChangeInsideAFragment has two streams of different sizes in one fragment.
func TestTheStreamMayChangeInsideAFragment(t *testing.T) {
	with := form{noData, h26x.AnnexB, true}
	var want []media.Image
	var all []kvstest.Block
	var track media.Track
	var firsts []*media.Fragment
	for n, clip := range []string{"bframes.mkv", "small.mkv", "bframes.mkv"} {
		clean := fragments(t, "testdata/"+clip)[:1]
		images, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), clean)
		want = append(want, images[0]...)
		video, blocks := blocksIn(clean[0], with)
		track = video
		firsts = append(firsts, fragmentOf(t, video, blocks))
		for _, b := range blocks {
			b.Time += time.Duration(n) * time.Second
			all = append(all, b)
		}
	}
	changing := fragmentOf(t, track, all)
	// Before and after it come fragments that hold one of the two.
	frags := []*media.Fragment{firsts[1], changing, firsts[1], changing, firsts[0]}
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
	for i, got := range images {
		if len(outcomes[i].Gaps) > 0 {
			t.Errorf("fragment %d: %+v", i, outcomes[i])
		}
		expected := want
		if frags[i] != changing {
			expected = want[:25]
			if frags[i] == firsts[1] {
				expected = want[25:35]
			}
		}
		if !slices.EqualFunc(got, expected, func(a, b media.Image) bool { return a.Width == b.Width && bytes.Equal(a.Data, b.Data) }) {
			t.Errorf("fragment %d: %d images are not the %d that they were", i, len(got), len(expected))
		}
	}
}

// TestParameterSetsInASkippedPacketAreNotLost asks for the second stream of a fragment alone.
func TestParameterSetsInASkippedPacketAreNotLost(t *testing.T) {
	f := fragments(t, "testdata/bframes.mkv")[0]
	track, blocks := blocksIn(f, form{noData, h26x.AnnexB, false})
	// The sets come with a picture that nobody needs otherwise.
	clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{f})
	original, _ := f.VideoTrack()
	blocks[0].Data = append(h26x.AnnexB(h26x.CodecDataUnits(original.CodecID, original.CodecPrivate)), blocks[0].Data...)
	second := slices.Clone(blocks)
	for i := range second {
		second[i].Time += time.Second
	}
	_, plain := blocksIn(f, form{noData, h26x.AnnexB, false})
	second[0].Data = plain[0].Data
	both := fragmentOf(t, track, append(blocks, second...))
	o := everyFrame()
	o.Sample = plan.Sample{Rule: plan.Interval{Every: 1200 * time.Millisecond}, Clock: media.ClockProducer}
	both.ProducerTime = time.UnixMilli(100).UTC()
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), o), []*media.Fragment{both})
	if len(images[0]) != 1 || len(outcomes[0].Gaps) > 0 || !bytes.Equal(images[0][0].Data, clean[0][images[0][0].Index-25].Data) {
		t.Errorf("%d images, %+v", len(images[0]), outcomes[0])
	}
}

func TestAFastSinkAloneDoesWithoutTheLoopFilter(t *testing.T) {
	frags := fragments(t, "testdata/bframes.mkv")
	whole, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
	fast := everyFrame()
	fast.Sink, fast.Fast = "fast", true
	alone, _ := decodeAll(t, stream(t, newTestPool(t, nil), fast), frags)
	both, _ := decodeAll(t, stream(t, newTestPool(t, nil), fast, everyFrame()), frags)
	differ, worst := 0, 100.0
	for i := range frags {
		for k, img := range alone[i] {
			if !bytes.Equal(img.Data, whole[i][k].Data) {
				differ++
				worst = min(worst, psnr(img.Data, whole[i][k].Data))
			}
		}
		for _, img := range both[i] {
			if !bytes.Equal(img.Data, whole[i][img.Index].Data) {
				t.Fatalf("sink %s frame %d has no loop filter beside a sink that needs it", img.Sink, img.Index)
			}
		}
	}
	if differ == 0 || worst < 25 {
		t.Errorf("%d frames differ, the worst by %.1f dB", differ, worst)
	}
	// The decoder is none the worse for the next stream.
	after, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
	if !bytes.Equal(after[0][5].Data, whole[0][5].Data) {
		t.Error("the loop filter stays away")
	}
}
