package payload

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
)

func deflated(t testing.TB, text string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func compression(algorithm uint64, settings string) []byte {
	return element(ebml.IDContentEncodings, element(ebml.IDContentEncoding,
		element(ebml.IDContentCompression, number(ebml.IDContentCompAlgo, algorithm), text(ebml.IDContentCompSettings, settings))))
}

func TestCompressionIsUndone(t *testing.T) {
	for _, c := range []struct {
		name        string
		encodings   []byte
		first, next string
		want        string
	}{
		{"zlib", compression(0, ""), deflated(t, "key frame"), deflated(t, "delta frame"), "7 cut=0 t=0s [1k0 1d40]"},
		{"header stripping", compression(3, "key"), " frame", " frame 2", "7 cut=0 t=0s [1k0 1d40]"},
		{"a damaged block", compression(0, ""), deflated(t, "key frame"), "no zlib", "7 cut=1+1 t=0s [1k0] damage: decompress: zlib: invalid header"},
		{"bzlib", compression(1, ""), "??", "??", "gap 7 lost=2: compression of the track by bzlib is not supported"},
		{"a bomb", compression(0, ""), deflated(t, strings.Repeat("0", 1<<21)), "", "gap 7 lost=2: decompressed size (1048440) is too big, maximum is 1048439"},
	} {
		t.Run(c.name, func(t *testing.T) {
			payload := cat(segment(), info(1_000_000), element(ebml.IDTracks, videoEntry(1, c.encodings)), opening("7"),
				cluster(0, simple(1, 0, 0x80, c.first), simple(1, 40, 0, c.next)), closing("7"))
			all := readAll(t, bytes.NewReader(payload), Config{MaxFragmentSize: 1 << 20})
			got := describeAll(all)
			if prefix, _, bomb := strings.Cut(c.want, "("); len(got) != 1 || got[0] != c.want && !(bomb && strings.HasPrefix(got[0], prefix)) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			if all[0].err != nil {
				return
			}
			f := all[0].fragment
			checkAgain(t, f, 1<<20)
			b := f.Blocks[0]
			if data := string(f.MKV[b.Offset : b.Offset+b.Size]); data != "key frame" || !bytes.Equal(f.Tracks[0].CodecPrivate, []byte{1, 77, 64, 30}) {
				t.Errorf("block %q, codec data %x", data, f.Tracks[0].CodecPrivate)
			}
		})
	}
}

func TestVideoThatIsNamedAsAVIDoesIsNamedAsMatroskaDoes(t *testing.T) {
	private := append(make([]byte, bitmapInfoHeader), 1, 100, 0, 30)
	binary.LittleEndian.PutUint32(private, uint32(len(private)))
	copy(private[fourCCAt:], "H264")
	entry := element(ebml.IDTrackEntry, number(ebml.IDTrackNumber, 1), number(ebml.IDTrackType, 1), text(ebml.IDCodecID, codecVFW), element(ebml.IDCodecPrivate, private))
	payload := cat(segment(), info(1_000_000), element(ebml.IDTracks, entry), cluster(0, key(0)), cluster(40, delta(0)))
	all := readAll(t, bytes.NewReader(payload), Config{})
	if len(all) != 1 || all[0].err != nil {
		t.Fatalf("got %q", describeAll(all))
	}
	f := all[0].fragment
	if track := f.Tracks[0]; track.CodecID != codecAVC || !bytes.Equal(track.CodecPrivate, []byte{1, 100, 0, 30}) || len(f.Blocks) != 2 {
		t.Errorf("track %+v, %d blocks", track, len(f.Blocks))
	}
	checkAgain(t, f, 1<<20)
}

func TestTracksMayStandBehindTheClusters(t *testing.T) {
	tracks := element(ebml.IDTracks, videoEntry(1))
	clusters := cat(cluster(0, key(0), delta(33)), cluster(1000, key(0)))
	want := []string{"000000 cut=0 t=0s [1k0 1d33]", "000001 cut=0 t=1s [1k0]"}
	for _, size := range []bool{false, true} {
		seek := func(at uint64) []byte {
			return element(ebml.IDSeekHead, element(ebml.IDSeek, element(ebml.IDSeekID, ebml.AppendID(nil, ebml.IDTracks)), element(ebml.IDSeekPosition, binary.BigEndian.AppendUint64(nil, at))))
		}
		at := uint64(len(seek(0)) + len(info(1_000_000)) + len(clusters))
		payload := cat(segment(), seek(at), info(1_000_000), clusters, tracks)
		cfg := Config{}
		if size {
			cfg.Size = int64(len(payload))
		}
		all := readAll(t, bytes.NewReader(payload), cfg)
		if got := describeAll(all); !slices.Equal(got, want) {
			t.Fatalf("looked up %v: got %q", size, got)
		}
		for _, a := range all {
			checkAgain(t, a.fragment, 1<<20)
		}
	}
	lost := cat(segment(), info(1_000_000), clusters)
	if got := describeAll(readAll(t, bytes.NewReader(lost), Config{})); len(got) != 2 || !strings.Contains(got[0], "the Tracks of the fragment are missing") {
		t.Errorf("without Tracks: got %q", got)
	}
}

func TestTheFirstTrackThatCanBeDecodedIsChosen(t *testing.T) {
	other := func(n uint64, codec string, more ...[]byte) []byte {
		return element(ebml.IDTrackEntry, number(ebml.IDTrackNumber, n), number(ebml.IDTrackType, 1), text(ebml.IDCodecID, codec), cat(more...))
	}
	disabled := number(ebml.IDFlagEnabled, 0)
	both := cat(simple(1, 0, 0x80, "one"), simple(2, 0, 0x80, "two"))
	for _, c := range []struct {
		name   string
		tracks []byte
		blocks []byte
		track  uint64
		want   uint64
	}{
		{"the first", cat(other(1, codecAVC), other(2, codecAVC)), both, 0, 1},
		{"one that is asked for", cat(other(1, codecAVC), other(2, codecAVC)), both, 2, 2},
		{"one of another codec is passed over", cat(other(1, "V_MJPEG"), other(2, codecHEVC)), both, 0, 2},
		{"an empty one is passed over", cat(other(1, codecAVC), other(2, codecAVC)), simple(2, 0, 0x80, "two"), 0, 2},
		{"a disabled one is passed over", cat(other(1, codecAVC, disabled), other(2, codecAVC)), both, 0, 2},
		{"audio is passed over", cat(audioEntry(1), other(2, codecAVC)), both, 0, 2},
		{"any rather than none", other(1, "V_MJPEG"), simple(1, 0, 0x80, "one"), 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			head := cat(segment(), info(1_000_000), element(ebml.IDTracks, c.tracks))
			payload := cat(head, opening("7"), cluster(0, c.blocks), closing("7"), head, opening("8"), cluster(0, simple(1, 0, 0x80, "one")), closing("8"))
			for _, a := range readAll(t, bytes.NewReader(payload), Config{Track: c.track}) {
				if a.err != nil || a.fragment.VideoTrackNumber != c.want {
					t.Errorf("got track %+v, %v", a.fragment, a.err)
				}
			}
		})
	}
}

func TestThePlainClockBeginsAtTheDateOfTheFile(t *testing.T) {
	date := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	dated := element(ebml.IDInfo, element(ebml.IDDateUTC, binary.BigEndian.AppendUint64(nil, uint64(date.Sub(epochOfDates)))))
	set := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		info  []byte
		start time.Time
		want  time.Time
	}{
		{"its date", dated, time.Time{}, date},
		{"what is set", dated, set, set},
		{"neither", info(1_000_000), time.Time{}, time.Unix(0, 0)},
	} {
		payload := cat(segment(), c.info, element(ebml.IDTracks, videoEntry(1)), cluster(1500, key(0)))
		all := readAll(t, bytes.NewReader(payload), Config{StartTime: c.start})
		if got, want := all[0].fragment.ProducerTime, c.want.Add(1500*time.Millisecond); !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
	}
}
