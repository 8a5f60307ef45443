//go:build cgo

package decode

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

// headers are all headers of NAL units that differ from the one of a slice and are not another slice's.
func headers(codec string, nal []byte) (all [][]byte) {
	for v := range 256 {
		header := slices.Clone(nal[:2])
		header[0] = byte(v)
		if codec == codecHEVC && v%8 == 7 { // other layers
			header[0], header[1] = nal[0], byte(v)
		}
		changed := slices.Concat(header, nal[2:])
		if !isSlice(codec, changed) {
			all = append(all, header)
		}
	}
	return all
}

// TestASliceWithTheHeaderOfSomethingElseIsNeverLostSilently damages the header of one slice, first of pictures of one and
// then of pictures of many: each frame is an image or in a gap, what is not marked is exact, and the next fragment is whole.
func TestASliceWithTheHeaderOfSomethingElseIsNeverLostSilently(t *testing.T) {
	rng := seeded(t)
	for _, name := range []string{"bframes.mkv", "slices.mkv", "lists-slices.mkv", "hevc.mkv", "hevc-wavefronts.mkv"} {
		t.Run(name, func(t *testing.T) {
			frags := fragments(t, "testdata/"+name)[:2]
			track, _ := frags[0].VideoTrack()
			pool := newTestPool(t, nil)
			clean, _ := decodeAll(t, stream(t, pool, everyFrame()), frags)
			for range cases(40, 2000) {
				p := packetsOf(frags[0])
				k, n := somePlace(rng, p)
				if !isSlice(track.CodecID, p[k][n]) {
					continue
				}
				possible := headers(track.CodecID, p[k][n])
				header := possible[rng.IntN(len(possible))]
				copy(p[k][n], header)
				if t := nalType(track.CodecID, header); t == avcSEI && track.CodecID == codecAVC || t == hevcSEI || t == hevcSuffixSEI {
					if beliefIn(track.CodecID, p[k][n]) == believable {
						continue // see TestContentIsSeldomTakenForMessages
					}
				}
				images, outcomes := decodeAll(t, stream(t, pool, everyFrame()), []*media.Fragment{p.fragment(t, frags[0], 0), frags[1]})
				lost := 0
				for _, g := range outcomes[0].Gaps {
					lost += g.FramesLost
				}
				if len(images[0])+lost != len(clean[0]) || len(p[k]) == 1 && lost == 0 {
					t.Errorf("packet %d, unit %d of %d, header %x: %d images and %d lost of %d: %x", k, n, len(p[k]), header, len(images[0]), lost, len(clean[0]), p[k][n])
				}
				for _, img := range images[0] {
					if img.Index >= len(clean[0]) || !img.Concealed && !bytes.Equal(img.Data, clean[0][img.Index].Data) {
						t.Errorf("packet %d, unit %d of %d, header %x: image %d is not exact, and not marked", k, n, len(p[k]), header, img.Index)
						break
					}
				}
				if len(outcomes[1].Gaps) > 0 || len(checkUnmarked(t, images[1], dataOf(clean[1]))) > 0 {
					t.Errorf("packet %d, unit %d of %d, header %x: the next fragment is spoilt: %+v", k, n, len(p[k]), header, outcomes[1])
				}
			}
		})
	}
}

func TestWhatStandsBesidePicturesIsBelieved(t *testing.T) {
	for _, c := range []struct {
		codec string
		nal   []byte
		want  belief
	}{
		{codecAVC, []byte{6, 5, 2, 1, 2, 0x80}, believable},
		{codecAVC, []byte{6, 5, 2, 1, 2, 0x80, 0, 0}, believable},
		{codecAVC, []byte{6, 5, 2, 1, 2}, believable},                // no stop bit
		{codecAVC, []byte{6, 5, 4, 0, 0, 3, 1, 7, 0x80}, believable}, // escaped
		{codecAVC, []byte{6, 5, 4, 0, 0, 3, 1, 0x80}, believable},    // and not
		{codecAVC, []byte{6, 0xf0, 0x80}, believable},                // no size
		{codecAVC, []byte{6, 5, 9, 1, 2, 0x80}, unbelievable},        // a size beyond the end
		{codecAVC, []byte{6, 0, 1, 7, 1, 1, 7, 0x80}, believable},    // two messages
		{codecAVC, []byte{6, 0, 1, 7, 1, 1, 7}, believable},
		{codecAVC, []byte{6, 200, 1, 7, 0x80}, believable},
		{codecAVC, []byte{6, 100, 1, 7, 0x80}, believable}, // of a type without a name
		{codecAVC, []byte{6, 100, 1, 7}, opaque},
		{codecAVC, []byte{6, 100, 1, 7, 0, 1, 7, 0x80}, unbelievable},
		{codecAVC, []byte{6, 0, 1, 7, 0, 1, 7, 0, 1, 7}, unbelievable},
		// The head of a PPS, and then the middle of a slice.
		{codecAVC, []byte{0x68, 0xec, 0x70, 0, 0, 0, 0x42, 0x41, 0x0a, 0x9e, 0xc7, 0x45, 0x15, 0x2c, 0x33, 0xff}, unbelievable},
		{codecAVC, []byte{9, 0xf0}, believable},
		{codecAVC, []byte{9, 0x88, 0x84, 0x21}, unbelievable},
		{codecAVC, []byte{10}, believable},
		{codecAVC, []byte{11}, believable},
		{codecAVC, []byte{12, 0xff, 0xff, 0x80}, believable},
		{codecAVC, []byte{12, 0x88, 0x84, 0x80}, unbelievable},
		{codecAVC, []byte{14, 1, 2, 3}, opaque},
		{codecAVC, []byte{24, 1, 2, 3}, unbelievable},
		{codecHEVC, []byte{35 << 1, 1, 0x50}, believable},
		{codecHEVC, []byte{36 << 1, 1}, believable},
		{codecHEVC, []byte{38 << 1, 1, 0xff, 0x80}, believable},
		{codecHEVC, []byte{39 << 1, 1, 5, 1, 7, 0x80}, believable},
		{codecHEVC, []byte{40 << 1, 1, 5, 7, 7, 0x80}, unbelievable},
		{codecHEVC, []byte{32 << 1, 1, 0x80, 0x84, 1, 2, 3}, unbelievable},
		{codecHEVC, []byte{62 << 1, 1, 0x19}, opaque},
	} {
		if got := beliefIn(c.codec, c.nal); got != c.want {
			t.Errorf("%s % x: %d, want %d", c.codec, c.nal, got, c.want)
		}
	}
}

// TestTheSetsOfAllClipsAreBelieved holds the parameter sets of encoders against what is expected of them.
func TestTheSetsOfAllClipsAreBelieved(t *testing.T) {
	clips, err := filepath.Glob("testdata/*.mkv")
	if err != nil {
		t.Fatal(err)
	}
	sets := 0
	for _, name := range append(clips, "../testdata/demo.mkv") {
		for _, f := range fragments(t, name) {
			track, _ := f.VideoTrack()
			for _, nal := range codecSets(track) {
				sets++
				if got := beliefIn(track.CodecID, nal); got != believable {
					t.Errorf("%s: % x: %d", name, nal, got)
				}
			}
		}
	}
	if sets < 2*len(clips) {
		t.Errorf("only %d sets", sets)
	}
}

// TestContentIsSeldomTakenForMessages bounds how often the content of a slice passes for a row of messages.
func TestContentIsSeldomTakenForMessages(t *testing.T) {
	rng := seeded(t)
	taken, all := 0, cases(20_000, 2_000_000)
	for range all {
		nal := []byte{hevcSEI << 1, 1}
		for range 8 + rng.IntN(1000) {
			nal = append(nal, byte(rng.Uint32()))
		}
		if beliefIn(codecHEVC, nal) != unbelievable {
			taken++
		}
	}
	t.Logf("%d of %d", taken, all)
	if most := all / 400; taken > most {
		t.Errorf("%d of %d, want %d at most", taken, all, most)
	}
}
