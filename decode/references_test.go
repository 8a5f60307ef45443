//go:build cgo

package decode

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

// planOf plans a fragment of which one frame is wanted, the one that packet k holds.
func planOf(f *media.Fragment, k int) (*plan, Output) {
	o := everyFrame()
	o.Sample = Sample{Type: SampleTimestamps, Asked: []Request{{Time: f.ProducerTime.Add(f.Blocks[k].Time)}}, Clock: media.ClockProducer}
	p := newPlanner(SkipAuto, []Output{o})
	pl := p.plan(f)
	p.end()
	return pl, o
}

// TestNoPictureChangesWhenOnlyWhatItRefersToIsDecoded wants each frame alone, and holds it to libav's.
func TestNoPictureChangesWhenOnlyWhatItRefersToIsDecoded(t *testing.T) {
	for name, fewer := range map[string]bool{
		"lists-pyramid.mkv": true, "lists-slices.mkv": true, "lists-strict.mkv": true,
		"lists-forward.mkv": false, "bframes.mkv": true, "slices.mkv": true,
	} {
		t.Run(name, func(t *testing.T) {
			c := newClip(t, name)
			pool := newTestPool(t, nil)
			bare := 0
			for i, f := range c.fragments {
				for k := range f.Blocks {
					pl, output := planOf(f, k)
					left := 0
					for _, p := range pl.frames {
						if p.bare != nil {
							left++
						}
					}
					bare += left
					images, outcomes := decodeAll(t, stream(t, pool, output), []*media.Fragment{f})
					if len(images[0]) != 1 || images[0][0].Concealed || len(outcomes[0].Gaps) != 0 || !bytes.Equal(images[0][0].Data, c.pictures[i][k]) {
						t.Errorf("fragment %s packet %d, with %d of %d bare, differs from libav's: %d images, %+v", f.Number, k, left, len(pl.frames), len(images[0]), outcomes[0])
					}
				}
			}
			if (bare > 0) != fewer {
				t.Errorf("%d pictures were fed without their data; some: %t", bare, fewer)
			}
		})
	}
}

// TestReferencesThatAreNotKnownAreAllNeeded loses each reference picture, so that lists are not those of the encoder.
func TestReferencesThatAreNotKnownAreAllNeeded(t *testing.T) {
	f := fragments(t, "testdata/lists-pyramid.mkv")[0]
	last := len(f.Blocks) - 1
	whole, _ := planOf(f, last)
	for lost := 1; lost < last; lost++ {
		if whole.frames[lost].disposable {
			continue
		}
		damaged := *f
		damaged.Blocks = slices.Delete(slices.Clone(f.Blocks), lost, lost+1)
		pl, _ := planOf(&damaged, last-1)
		for k, p := range pl.frames {
			if p.bare != nil {
				t.Errorf("packet %d is fed without its data although %d is lost: a gap in frame_num", k, lost)
			}
		}
	}
}

// TestAStreamWithTooManyReferencesIsAGap gives a fragment the sequence parameter set of another stream.
func TestAStreamWithTooManyReferencesIsAGap(t *testing.T) {
	f := *fragments(t, "testdata/small.mkv")[0]
	f.Tracks = slices.Clone(f.Tracks)
	f.Tracks[0].CodecPrivate = annexB([][]byte{avcSet(62, 16, 480, 270)})
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{&f})
	gaps := outcomes[0].Gaps
	if len(images[0]) != 0 || len(gaps) != 1 || gaps[0].Reason != media.GapUnsupported || !strings.Contains(gaps[0].Detail, "16 reference pictures of 7680x4320") {
		t.Errorf("%d images, gaps %+v", len(images[0]), gaps)
	}
}

// FuzzSliceHeaders reads any packet with the parameter sets of a clip.
func FuzzSliceHeaders(f *testing.F) {
	clips := []string{
		"lists-pyramid.mkv", "lists-slices.mkv", "lists-strict.mkv", "lists-forward.mkv", "interlaced.mkv",
		"hevc-pyramid.mkv", "hevc-forward.mkv", "hevc-wavefronts.mkv", "hevc-lists-open.mkv",
	}
	var tracks []media.Track
	for n, name := range clips {
		frag := fragments(f, "testdata/"+name)[0]
		track, _ := frag.VideoTrack()
		tracks = append(tracks, track)
		for _, b := range frag.Blocks {
			f.Add(uint(n), frag.MKV[b.Offset:b.Offset+b.Size])
		}
	}
	f.Fuzz(func(t *testing.T, clip uint, packet []byte) {
		packets := [][]byte{packet, packet, packet}
		track := tracks[clip%uint(len(tracks))]
		reader := newNALReader(track, codecSets(track), packets)
		reader.pictures(packets)
		frames := make([]plannedFrame, len(packets))
		refs := references{track: track, reader: &reader, packets: packets}
		refs.bare(frames, group{last: len(frames) - 1, entry: entryClosed})
		for k, p := range frames {
			if p.bare == nil {
				continue
			}
			if _, _, ok := refs.history(entryClosed).add(k, p.bare); !ok {
				t.Errorf("the headers of packet %d cannot be read again", k)
			}
		}
	})
}
