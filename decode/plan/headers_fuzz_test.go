package plan

import (
	"testing"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// FuzzSliceHeaders reads any packet with the parameter sets of a clip.
func FuzzSliceHeaders(f *testing.F) {
	clips := []string{
		"lists-pyramid.mkv", "lists-slices.mkv", "lists-strict.mkv", "lists-forward.mkv", "interlaced.mkv",
		"hevc-pyramid.mkv", "hevc-forward.mkv", "hevc-wavefronts.mkv", "hevc-lists-open.mkv",
	}
	var tracks []media.Track
	for n, name := range clips {
		frag := fragments(f, name)[0]
		track, _ := frag.VideoTrack()
		tracks = append(tracks, track)
		for _, b := range frag.Blocks {
			f.Add(uint(n), frag.MKV[b.Offset:b.Offset+b.Size])
		}
	}
	f.Fuzz(func(t *testing.T, clip uint, packet []byte) {
		packets := [][]byte{packet, packet, packet}
		track := tracks[clip%uint(len(tracks))]
		reader := newNALReader(track, h26x.CodecDataUnits(track.CodecID, track.CodecPrivate), packets)
		reader.pictures(packets)
		frames := make([]Frame, len(packets))
		refs := references{track: track, reader: &reader, packets: packets}
		refs.dropData(frames, group{last: len(frames) - 1, entry: EntryClosed})
		for k, p := range frames {
			if p.HeaderOnly == nil {
				continue
			}
			if _, _, ok := refs.history(EntryClosed).add(k, p.HeaderOnly); !ok {
				t.Errorf("the headers of packet %d cannot be read again", k)
			}
		}
	})
}
