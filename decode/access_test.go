//go:build cgo

package decode

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
)

// packetOf is a block's payload: NAL units with length prefixes.
func packetOf(nals ...[]byte) []byte { return lengths(nals) }

// besides are NAL units that stand beside pictures: an access unit delimiter and SEI of user data.
func besides(codec string) (delimiter, sei []byte) {
	message := append([]byte{5, 17}, bytes.Repeat([]byte{0x42}, 17)...)
	if codec == h26x.HEVC {
		return []byte{35 << 1, 1, 0x50}, append(append([]byte{39 << 1, 1}, message...), 0x80)
	}
	return []byte{9, 0xf0}, append(append([]byte{6}, message...), 0x80)
}

// asOne returns blocks with a change of each payload.
func asOne(blocks []kvstest.Block, change func(i int, data []byte) []byte) []kvstest.Block {
	out := slices.Clone(blocks)
	for i := range out {
		out[i].Data = change(i, slices.Clone(out[i].Data))
	}
	return out
}

// before returns blocks with others before those that pick chooses, at their times.
func before(blocks []kvstest.Block, pick func(i int, b kvstest.Block) bool, data ...[]byte) (out []kvstest.Block) {
	for i, b := range blocks {
		if pick(i, b) {
			for _, d := range data {
				out = append(out, kvstest.Block{Track: b.Track, Time: b.Time, Key: b.Key, Data: d})
			}
		}
		out = append(out, b)
	}
	return out
}

// TestWhatStandsBesideAPictureCostsNothing puts into a fragment what muxers and cameras leave there. Frames, indexes and
// marks must be those of the clean fragment.
func TestWhatStandsBesideAPictureCostsNothing(t *testing.T) {
	key := func(_ int, b kvstest.Block) bool { return b.Key }
	third := func(i int, _ kvstest.Block) bool { return i%3 == 1 }
	rng := rand.New(rand.NewPCG(1, 2))
	for _, clip := range []string{"bframes.mkv", "hevc.mkv"} {
		f := fragments(t, "testdata/"+clip)[0]
		clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{f})
		track, blocks := blocksIn(f, form{asIs, lengths, false})
		sets := h26x.CodecDataUnits(track.CodecID, track.CodecPrivate)
		delimiter, sei := besides(track.CodecID)
		for name, c := range map[string]struct {
			blocks []kvstest.Block
			change func(*media.Track)
		}{
			"parameter sets in blocks of their own":  {before(blocks, key, packetOf(sets...)), nil},
			"and nowhere else":                       {before(blocks, key, packetOf(sets...)), func(t *media.Track) { t.CodecPrivate = noSets(*t) }},
			"a delimiter and SEI alone":              {before(blocks, third, packetOf(delimiter), packetOf(sei)), nil},
			"SEI behind the last picture":            {append(slices.Clone(blocks), kvstest.Block{Track: track.Number, Time: 2 * time.Second, Data: packetOf(sei)}), nil},
			"empty units":                            {asOne(blocks, func(_ int, d []byte) []byte { return slices.Concat(make([]byte, 4), d, make([]byte, 8)) }), nil},
			"a byte behind the last unit":            {asOne(blocks, func(_ int, d []byte) []byte { return append(d, 0) }), nil},
			"bytes behind the last unit":             {asOne(blocks, func(_ int, d []byte) []byte { return append(d, garbage(rng, 1+rng.IntN(40))...) }), nil},
			"no size in the track":                   {blocks, func(t *media.Track) { t.Width, t.Height = 0, 0 }},
			"start codes of five bytes":              {asOne(blocks, func(_ int, d []byte) []byte { return fiveBytes(d) }), func(t *media.Track) { t.CodecPrivate = fiveBytes(lengths(sets)) }},
			"a delimiter that holds a start code":    {asOne(blocks, func(_ int, d []byte) []byte { return withinDelimiter(delimiter, d) }), nil},
			"codec data of the first version":        {blocks, func(t *media.Track) { t.CodecPrivate = firstVersion(*t) }},
			"units of another layer (H.265)":         {asOne(blocks, func(_ int, d []byte) []byte { return otherLayer(track.CodecID, d) }), nil},
			"parameter sets in band of Annex B form": {asOne(blocks, func(i int, d []byte) []byte { return inBand(sets, i, d) }), func(t *media.Track) { t.CodecPrivate = nil }},
		} {
			changed := track
			if c.change != nil {
				c.change(&changed)
			}
			frag := fragmentOf(t, changed, c.blocks)
			images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{frag})
			if len(images[0]) != len(clean[0]) || len(outcomes[0].Gaps) > 0 {
				t.Errorf("%s, %s: %d images of %d, %+v", clip, name, len(images[0]), len(clean[0]), outcomes[0].Gaps)
				continue
			}
			for i, img := range images[0] {
				if img.Index != i || img.Concealed || img.PTS != clean[0][i].PTS || !bytes.Equal(img.Data, clean[0][i].Data) {
					t.Errorf("%s, %s: image %d (index %d, %v, concealed %t) is not the picture of its frame", clip, name, i, img.Index, img.PTS, img.Concealed)
					break
				}
			}
		}
	}
}

// garbage is bytes that a length prefix cannot be taken for: none of them begins a slice that is cut.
func garbage(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.IntN(256))
	}
	if n > 4 {
		b[4] |= 0x80 // forbidden_zero_bit
	}
	return b
}

func fiveBytes(packet []byte) (out []byte) {
	h26x.EachNAL(packet, 4, func(nal []byte) { out = append(append(out, 0, 0, 0, 0, 1), nal...) })
	return out
}

// withinDelimiter puts all of a packet into one unit, as start codes of three bytes behind a delimiter.
func withinDelimiter(delimiter, packet []byte) []byte {
	unit := slices.Clone(delimiter)
	h26x.EachNAL(packet, 4, func(nal []byte) { unit = append(append(unit, h26x.StartCode...), nal...) })
	return packetOf(unit)
}

// firstVersion is hvcC of muxers that were written before the standard.
func firstVersion(t media.Track) []byte {
	private := slices.Clone(t.CodecPrivate)
	if t.CodecID == h26x.HEVC {
		private[0] = 0
	}
	return private
}

// otherLayer repeats the units of a packet of H.265 in a layer above the base.
func otherLayer(codec string, packet []byte) []byte {
	out := packet
	if codec != h26x.HEVC {
		return out
	}
	h26x.EachNAL(packet, 4, func(nal []byte) {
		above := slices.Clone(nal)
		above[1] |= 1 << 3
		out = append(out, packetOf(above)...)
	})
	return out
}

// inBand is a packet with start codes, with the parameter sets before the first.
func inBand(sets [][]byte, i int, packet []byte) (out []byte) {
	if i == 0 {
		out = h26x.AnnexB(sets)
	}
	h26x.EachNAL(packet, 4, func(nal []byte) { out = h26x.AppendNAL(out, 0, nal) })
	return out
}

func TestParameterSetsCountFromFragmentToFragment(t *testing.T) {
	for _, clip := range []string{"bframes.mkv", "hevc.mkv"} {
		frags := fragments(t, "testdata/"+clip)
		clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
		for name, packet := range map[string]func([][]byte) []byte{"lengths": lengths, "start codes": h26x.AnnexB} {
			var bare []*media.Fragment
			for i, f := range frags {
				with := form{noData, packet, i == 0}
				track, blocks := blocksIn(f, with)
				one := fragmentOf(t, track, blocks)
				one.Number, one.ProducerTime = f.Number, f.ProducerTime
				bare = append(bare, one)
			}
			images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), bare)
			for i := range bare {
				if len(images[i]) != len(clean[i]) || len(outcomes[i].Gaps) > 0 {
					t.Fatalf("%s, %s: fragment %d: %d images of %d, %+v", clip, name, i, len(images[i]), len(clean[i]), outcomes[i].Gaps)
				}
				for k := range images[i] {
					if !bytes.Equal(images[i][k].Data, clean[i][k].Data) {
						t.Fatalf("%s, %s: fragment %d: image %d differs", clip, name, i, k)
					}
				}
			}
		}
	}
}

func TestTheVPSIsMissedByName(t *testing.T) {
	f := fragments(t, "testdata/hevc.mkv")[0]
	track, blocks := blocksIn(f, form{noSets, lengths, false})
	sets := slices.DeleteFunc(h26x.CodecDataUnits(h26x.HEVC, f.Tracks[0].CodecPrivate), func(nal []byte) bool { return h26x.NALType(h26x.HEVC, nal) == h26x.HEVCTypeVPS })
	blocks[0].Data = append(lengths(sets), blocks[0].Data...)
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{fragmentOf(t, track, blocks)})
	if g := outcomes[0].Gaps; len(images[0]) > 0 || len(g) != 1 || !strings.Contains(g[0].Detail, "VPS") {
		t.Errorf("%d images, gaps %+v", len(images[0]), g)
	}
}

// TestFieldsInBlocksOfTheirOwnAreOneFrame has SEI between the fields, too. The first fragment has three frames of two blocks.
func TestFieldsInBlocksOfTheirOwnAreOneFrame(t *testing.T) {
	f := fragments(t, "testdata/fields.mkv")[0]
	track, blocks := blocksIn(f, form{asIs, lengths, false})
	_, sei := besides(track.CodecID)
	second := func(i int, _ kvstest.Block) bool { return i%2 == 1 }
	var want []media.Image
	for name, with := range map[string][]kvstest.Block{"as they are": blocks, "with SEI between": before(blocks, second, packetOf(sei))} {
		images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{fragmentOf(t, track, with)})
		if len(images[0]) != 3 || len(outcomes[0].Gaps) > 0 || outcomes[0].FramesConcealed > 0 {
			t.Fatalf("%s: %d images, %+v", name, len(images[0]), outcomes[0])
		}
		if want == nil {
			want = images[0]
		}
		for i, img := range images[0] {
			if img.Index != i || !bytes.Equal(img.Data, want[i].Data) {
				t.Errorf("%s: image %d has index %d, or differs", name, i, img.Index)
			}
		}
	}
}

// TestSlicesInBlocksOfTheirOwnAreOneFrame puts each slice into a block.
func TestSlicesInBlocksOfTheirOwnAreOneFrame(t *testing.T) {
	f := fragments(t, "testdata/slices.mkv")[0]
	clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{f})
	track, blocks := blocksIn(f, form{asIs, lengths, false})
	var each []kvstest.Block
	for _, b := range blocks {
		h26x.EachNAL(b.Data, 4, func(nal []byte) {
			each = append(each, kvstest.Block{Track: b.Track, Time: b.Time, Key: b.Key, Data: packetOf(nal)})
		})
	}
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{fragmentOf(t, track, each)})
	if len(each) < 2*len(blocks) || len(images[0]) != len(clean[0]) || len(outcomes[0].Gaps) > 0 {
		t.Fatalf("%d images of %d in %d blocks, %+v", len(images[0]), len(clean[0]), len(each), outcomes[0].Gaps)
	}
	for i, img := range images[0] {
		if img.Concealed || !bytes.Equal(img.Data, clean[0][i].Data) {
			t.Errorf("image %d is marked or differs", i)
		}
	}
}
