package payload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// recordedAt is when the fragments begin on the producer's clock.
var recordedAt = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)

// remuxable is a fragment of two video frames and one of audio, at a time on the producer's
// clock, in a document of its own.
func remuxable(n int, at, timecode time.Duration, width int) *media.Fragment {
	entry := func(number, kind uint64, codec string) []byte {
		e := ebml.AppendUint(nil, ebml.IDTrackNumber, number)
		e = ebml.AppendUint(e, ebml.IDTrackUID, number)
		e = ebml.AppendUint(e, ebml.IDTrackType, kind)
		e = ebml.AppendString(e, ebml.IDCodecID, codec)
		if kind == 1 {
			video := ebml.AppendUint(ebml.AppendUint(nil, ebml.IDPixelWidth, uint64(width)), ebml.IDPixelHeight, 16)
			e = ebml.AppendElement(e, ebml.IDVideo, video)
		}
		return ebml.AppendElement(nil, ebml.IDTrackEntry, e)
	}
	f := &media.Fragment{
		Number: fmt.Sprint(n), ProducerTime: recordedAt.Add(at), Timecode: timecode,
		Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_TEST", Width: width, Height: 16}, {Number: 2, Type: media.TrackAudio, CodecID: "A_TEST"}},
		MKV:    ebml.AppendElement(ebml.AppendDocumentHead(nil, 4), ebml.IDTracks, append(entry(1, 1, "V_TEST"), entry(2, 2, "A_TEST")...)),
	}
	for i, b := range []media.Block{{Track: 1, Key: true}, {Track: 2, Key: true, Time: 10 * time.Millisecond}, {Track: 1, Time: 500 * time.Millisecond}} {
		b.Offset, b.Size = len(f.MKV), 3
		f.MKV = append(f.MKV, byte(n), byte(i), 0xEE)
		f.Blocks = append(f.Blocks, b)
	}
	return f
}

func TestRemuxedFragmentsAreOneDocument(t *testing.T) {
	s := time.Second
	var r Remuxer
	var out []byte
	for _, f := range []*media.Fragment{
		remuxable(1, 0, 0, 16), remuxable(2, 1*s, 1*s, 16),
		remuxable(3, 40*s, 0, 16),                      // after a pause, of a producer that has been restarted
		remuxable(4, 20*s, 20*s, 16),                   // the clock goes back
		remuxable(5, 20*s+200*time.Millisecond, 0, 16), // and overlaps
		remuxable(6, 100*s, 0, 16),
	} {
		var err error
		if out, err = r.Append(out, f); err != nil {
			t.Fatal(err)
		}
	}
	if n := bytes.Count(out, ebml.AppendID(nil, ebml.IDEBML)); n != 1 {
		t.Errorf("%d EBML headers", n)
	}
	// Read again, each Cluster is a fragment.
	split := NewSplitter(bytes.NewReader(out), Config{Stream: "cam"})
	var starts []time.Duration
	blocks := 0
	for {
		f, err := split.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		starts = append(starts, f.Timecode)
		if len(f.Tracks) != 2 || f.Tracks[1].CodecID != "A_TEST" {
			t.Errorf("tracks %+v", f.Tracks)
		}
		for i, b := range f.Blocks {
			if want := []byte{byte(len(starts)), byte(i), 0xEE}; !bytes.Equal(f.MKV[b.Offset:b.Offset+b.Size], want) || b.Key != (i < 2) {
				t.Errorf("block %d of fragment %d is % x", i, len(starts), f.MKV[b.Offset:b.Offset+b.Size])
			}
			blocks++
		}
	}
	want := []time.Duration{0, 1 * s, 40 * s, 41 * s, 42 * s, 100 * s}
	if !slices.Equal(starts, want) || blocks != 18 {
		t.Errorf("clusters at %v, want %v; %d blocks", starts, want, blocks)
	}
}

func TestAFragmentOfAnotherSizeDoesNotGoOn(t *testing.T) {
	var r Remuxer
	out, err := r.Append(nil, remuxable(1, 0, 0, 16))
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Append(out, remuxable(2, time.Second, 0, 32))
	if !errors.Is(err, errTracksChange) || !strings.Contains(err.Error(), "fragment 2") || len(again) != len(out) {
		t.Errorf("got %v, %d bytes more", err, len(again)-len(out))
	}
}

func TestALongFragmentHasSeveralClusters(t *testing.T) {
	f := remuxable(1, 0, 0, 16)
	f.Blocks[2].Time = 45 * time.Second
	var r Remuxer
	out, err := r.Append(nil, f)
	if n := bytes.Count(out, ebml.AppendID(nil, ebml.IDCluster)); err != nil || n != 2 {
		t.Errorf("%d clusters, %v", n, err)
	}
}
