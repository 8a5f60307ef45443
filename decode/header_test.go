//go:build cgo

package decode

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// stray is a block of a track that the header does not tell of. libav's demuxer looks for the next
// cluster after it.
var stray = kvstest.Block{Track: 9, Data: []byte("stray")}

// cluster returns a second cluster for a chunk.
func cluster(blocks []kvstest.Block) []byte {
	body := ebml.AppendUint(nil, ebml.IDTimestamp, 0)
	for _, b := range blocks {
		ms := uint16(b.Time.Milliseconds())
		head := append(ebml.AppendSize(nil, int64(b.Track)), byte(ms>>8), byte(ms), 0)
		body = ebml.AppendElement(body, ebml.IDSimpleBlock, append(head, b.Data...))
	}
	return ebml.AppendElement(nil, ebml.IDCluster, body)
}

func TestABlockOfNoBytesIsNoFrame(t *testing.T) {
	for _, clip := range []string{"bframes.mkv", "hevc.mkv"} {
		f := fragments(t, "testdata/"+clip)[0]
		clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{f})
		track, blocks := blocksIn(f, form{asIs, lengths, false})
		for _, at := range []int{0, 4, len(blocks)} {
			empty := kvstest.Block{Track: track.Number, Time: 3 * time.Millisecond}
			frag := fragmentOf(t, track, slices.Insert(slices.Clone(blocks), at, empty))
			images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{frag})
			if len(images[0]) != len(clean[0]) || len(outcomes[0].Gaps) > 0 {
				t.Fatalf("%s: %d images of %d, %+v", clip, len(images[0]), len(clean[0]), outcomes[0])
			}
			for i, img := range images[0] {
				if img.Index != i || img.Concealed || !bytes.Equal(img.Data, clean[0][i].Data) {
					t.Fatalf("%s, empty block at %d: image %d is not the picture of its frame", clip, at, i)
				}
			}
		}
	}
}

// TestABlockOfAnUnknownTrackCostsNothing adds a second cluster, too: libav's own demuxer leaves out what follows
// such a block in its cluster.
func TestABlockOfAnUnknownTrackCostsNothing(t *testing.T) {
	f := fragments(t, "testdata/bframes.mkv")[0]
	clean, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{f})
	track, blocks := blocksIn(f, form{asIs, lengths, false})
	chunk := kvstest.Chunk{
		FragmentNumber: "1", ProducerTime: epoch, ServerTime: epoch, Tracks: []media.Track{track},
		Blocks: slices.Insert(slices.Clone(blocks[:9]), 4, stray),
	}
	open := kvstest.AppendChunk(nil, chunk)
	chunk.ContinuationToken = "1"
	saved := slices.Concat(open, cluster(blocks[9:]), kvstest.AppendChunk(nil, chunk)[len(open):])
	frag := split(t, bytes.NewReader(saved), payload.Config{Stream: "cam"})[0]
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{frag})
	if len(images[0]) != len(blocks) || len(outcomes[0].Gaps) > 0 {
		t.Fatalf("%d images of %d, %+v", len(images[0]), len(blocks), outcomes[0].Gaps)
	}
	for _, img := range images[0] {
		if img.Concealed || !bytes.Equal(img.Data, clean[0][img.Index].Data) {
			t.Errorf("image %d is not the picture of its frame", img.Index)
		}
	}
}
