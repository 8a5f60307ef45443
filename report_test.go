package kvsframes

import (
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

func TestCodecNames(t *testing.T) {
	for _, test := range []struct {
		id, private, want string
	}{
		{"V_MPEG4/ISO/AVC", "\x01\x4d\x40\x1e", "H.264 Main 3.0"},
		{"V_MPEG4/ISO/AVC", "\x01\x42\xc0\x28", "H.264 Constrained Baseline 4.0"},
		{"V_MPEG4/ISO/AVC", "\x01\x42\x00\x0b", "H.264 Baseline 1.1"},
		{"V_MPEG4/ISO/AVC", "\x01\x64\x00\x33", "H.264 High 5.1"},
		{"V_MPEG4/ISO/AVC", "\x01\x07\x00\x33", "H.264 profile 7 5.1"},
		{"V_MPEG4/ISO/AVC", "\x01", "H.264"},
		{"V_MPEGH/ISO/HEVC", "\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x5d", "H.265 Main 3.1"},
		{"V_MPEGH/ISO/HEVC", "\x01\x09\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x78", "H.265 4.0"},
		{"V_MPEGH/ISO/HEVC", "", "H.265"},
		{"V_MS/VFW/FOURCC", "................MJPG", "MJPG (VfW)"},
		{"V_MS/VFW/FOURCC", "................M\x00\x1bG", "M..G (VfW)"},
		{"V_MS/VFW/FOURCC", "short", "V_MS/VFW/FOURCC"},
		{"V_VP9", "", "V_VP9"},
		{"", "", "-"},
	} {
		if got := codecName(media.Track{CodecID: test.id, CodecPrivate: []byte(test.private)}); got != test.want {
			t.Errorf("%s %q: got %q, want %q", test.id, test.private, got, test.want)
		}
	}
}

func TestInspectTellsTheLongestGroupOfPictures(t *testing.T) {
	f := &media.Fragment{Tracks: []media.Track{{Number: 1, Type: media.TrackVideo}, {Number: 2, Type: media.TrackAudio}}}
	for i, key := range []bool{true, false, false, true, false, false, false, true} {
		f.Blocks = append(f.Blocks, media.Block{Track: 1, Key: key, Time: time.Duration(i) * time.Second}, media.Block{Track: 2, Key: true})
	}
	var r Report
	r.add(f)
	if got := r.Fragments[0]; got.GOPFrames != 4 || got.KeyFrames != 3 || got.VideoFrames != 8 {
		t.Errorf("groups of %d, %d key frames, %d frames", got.GOPFrames, got.KeyFrames, got.VideoFrames)
	}
}
