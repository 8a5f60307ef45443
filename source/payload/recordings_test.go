package payload

import (
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/kvsframes/kvsframes/media"
)

// recordings is a folder of real GetMedia payloads, next to the checkout where
// there is one.
const recordings = "../../../shared/kvs"

// openRecording opens a real recording and skips the test where there is none.
func openRecording(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join(recordings, name))
	if os.IsNotExist(err) {
		t.Skipf("no recordings in %s", recordings)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// videoCount is the number of blocks of the video track.
func videoCount(f *media.Fragment) int {
	video, _ := f.VideoTrack()
	n := 0
	for _, b := range f.Blocks {
		if b.Track == video.Number {
			n++
		}
	}
	return n
}

func TestRecordingsHoldWhatTheirReadmeLists(t *testing.T) {
	for _, c := range []struct {
		file                string
		fragments, video    int
		cut, cutBlock, last int
		width, height       int
		first               string
	}{
		{"output_get_media.mkv", 5, 300, 0, 0, 60, 640, 360, "91343852333181432392682062607743920146159169392"},
		{"output-get-media-non-increasing-timecode.mkv", 12, 358, 1, 1, 28, 960, 720, "91343852338381293673923423239754896920603583280"},
		{"test_mixed_tags.mkv", 10, 100, 0, 0, 10, 640, 480, "91343852333713038908964877623801423530396737899"},
		{"empty-mkv-with-tags.mkv", 1, 0, 1, 0, 0, 960, 720, "91343852338378294813695855977007281634605393997"},
		{"clusters.mkv", 8, 444, 0, 0, 31, 640, 480, "000000"},
		{"vogels_480.mkv", 6, 909, 0, 0, 45, 640, 480, "000000"},
	} {
		t.Run(c.file, func(t *testing.T) {
			file := openRecording(t, c.file)
			s := NewSplitter(iotest.HalfReader(file), Config{Stream: "cam"})
			var fragments, video, cut, cutBlock, last int
			for f, err := range each(t, s) {
				if err != nil {
					t.Fatal(err)
				}
				if fragments == 0 && f.Number != c.first {
					t.Errorf("first number %s, want %s", f.Number, c.first)
				}
				last = videoCount(f)
				video += last
				fragments++
				if f.Cut {
					cut++
				}
				if f.CutBlock {
					cutBlock++
				}
				if track, ok := f.VideoTrack(); !ok || track.Width != c.width || track.Height != c.height || len(track.CodecPrivate) == 0 {
					t.Errorf("fragment %s: video track %+v", f.Number, track)
				}
				if c.video > 0 && !firstVideoIsKey(f) {
					t.Errorf("fragment %s does not start with a key frame", f.Number)
				}
			}
			if fragments != c.fragments || video != c.video || cut != c.cut || cutBlock != c.cutBlock || last != c.last {
				t.Errorf("%d fragments, %d video blocks, %d cut (%d in a block), %d blocks in the last; want %+v", fragments, video, cut, cutBlock, last, c)
			}
			if info, err := file.Stat(); err != nil || s.BytesRead() != info.Size() {
				t.Errorf("%d bytes read of %v, %v", s.BytesRead(), info.Size(), err)
			}
		})
	}
}

func firstVideoIsKey(f *media.Fragment) bool {
	video, _ := f.VideoTrack()
	for _, b := range f.Blocks {
		if b.Track == video.Number {
			return b.Key
		}
	}
	return false
}

func TestRecordedTagsAndClocksAreExact(t *testing.T) {
	s := NewSplitter(openRecording(t, "test_mixed_tags.mkv"), Config{})
	n := 0
	for f, err := range each(t, s) {
		if err != nil {
			t.Fatal(err)
		}
		// The parser library's own test expects these counts.
		want := 5
		if n == 0 {
			want = 10
		}
		if len(f.Tags) != want || f.Tags[0] != (media.Tag{Name: "testTag_0", Value: "testTag_0_Value"}) {
			t.Errorf("fragment %d has %d tags: %v", n, len(f.Tags), f.Tags)
		}
		if f.ContinuationToken != f.Number {
			t.Errorf("token %s of fragment %s", f.ContinuationToken, f.Number)
		}
		if got := f.ProducerTime.UnixMilli(); got != int64(5000*n) {
			t.Errorf("fragment %d: producer time %d ms", n, got)
		}
		if n == 0 && (f.ServerTime.UnixMilli() != 1537574915281 || f.MillisBehindNow != 910) {
			t.Errorf("server time %v, %d ms behind", f.ServerTime, f.MillisBehindNow)
		}
		if track, _ := f.VideoTrack(); track.CodecID != "V_MS/VFW/FOURCC" {
			t.Errorf("codec id %q", track.CodecID)
		}
		n++
	}
}

// The chunks of a recording are its fragments, byte for byte and in order.
func TestRecordedChunksAreHandedOnUnchanged(t *testing.T) {
	file := openRecording(t, "output_get_media.mkv")
	payload, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	var joined []byte
	for f, err := range each(t, NewSplitter(file, Config{})) {
		if err != nil {
			t.Fatal(err)
		}
		joined = append(joined, f.MKV...)
	}
	if string(joined) != string(payload) {
		t.Errorf("the fragments' %d bytes are not the recording's %d", len(joined), len(payload))
	}
}
