//go:build cgo

package decode

import (
	"bytes"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
)

// headers are all headers of NAL units that differ from the one of a slice and are not another slice's.
func headers(codec string, nal []byte) (all [][]byte) {
	for v := range 256 {
		header := slices.Clone(nal[:2])
		header[0] = byte(v)
		if codec == h26x.HEVC && v%8 == 7 { // other layers
			header[0], header[1] = nal[0], byte(v)
		}
		changed := slices.Concat(header, nal[2:])
		if !h26x.IsSlice(codec, changed) {
			all = append(all, header)
		}
	}
	return all
}

// TestASliceWithTheHeaderOfSomethingElseIsNeverLostSilently damages the header of one slice, first of pictures of one and
// then of pictures of many: each frame is an image or in a gap, what is not marked is exact, and the next fragment is whole.
func TestASliceWithTheHeaderOfSomethingElseIsNeverLostSilently(t *testing.T) {
	rng := soaktest.Rand(t)
	for _, name := range []string{"bframes.mkv", "slices.mkv", "lists-slices.mkv", "hevc.mkv", "hevc-wavefronts.mkv"} {
		t.Run(name, func(t *testing.T) {
			frags := fragments(t, "testdata/"+name)[:2]
			track, _ := frags[0].VideoTrack()
			pool := newTestPool(t, nil)
			clean, _ := decodeAll(t, stream(t, pool, everyFrame()), frags)
			for range cases(40, 2000) {
				p := packetsOf(frags[0])
				k, n := somePlace(rng, p)
				if !h26x.IsSlice(track.CodecID, p[k][n]) {
					continue
				}
				possible := headers(track.CodecID, p[k][n])
				header := possible[rng.IntN(len(possible))]
				copy(p[k][n], header)
				if t := h26x.NALType(track.CodecID, header); t == h26x.AVCTypeSEI && track.CodecID == h26x.AVC || t == h26x.HEVCTypeSEI || t == h26x.HEVCTypeSuffixSEI {
					if h26x.BeliefIn(track.CodecID, p[k][n]) == h26x.Believable {
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

// TestTheSetsOfAllClipsAreBelieved holds the parameter sets of encoders against what is expected of them.
func TestTheSetsOfAllClipsAreBelieved(t *testing.T) {
	clips, sets := allClips(t), 0
	for _, name := range append(clips, "../testdata/demo.mkv") {
		for _, f := range fragments(t, name) {
			track, _ := f.VideoTrack()
			for _, nal := range h26x.CodecDataUnits(track.CodecID, track.CodecPrivate) {
				sets++
				if got := h26x.BeliefIn(track.CodecID, nal); got != h26x.Believable {
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
	rng := soaktest.Rand(t)
	taken, all := 0, cases(20_000, 2_000_000)
	for range all {
		nal := []byte{h26x.HEVCTypeSEI << 1, 1}
		for range 8 + rng.IntN(1000) {
			nal = append(nal, byte(rng.Uint32()))
		}
		if h26x.BeliefIn(h26x.HEVC, nal) != h26x.Unbelievable {
			taken++
		}
	}
	t.Logf("%d of %d", taken, all)
	if most := all / 400; taken > most {
		t.Errorf("%d of %d, want %d at most", taken, all, most)
	}
}
