package kvstest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// sharedRecording returns the path of one of the real recordings, and skips the test where
// they are not at hand.
func sharedRecording(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "kvs", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no recordings here: %v", err)
	}
	return path
}

func TestRealRecordingsAreServedByteForByte(t *testing.T) {
	cases := []struct {
		file   string
		chunks int
		cut    bool
	}{
		{"output_get_media.mkv", 5, false},
		{"output-get-media-non-increasing-timecode.mkv", 12, true},
		{"test_mixed_tags.mkv", 10, false},
		{"empty-mkv-with-tags.mkv", 1, false},
	}
	for _, c := range cases {
		t.Run(c.file, func(t *testing.T) {
			path := sharedRecording(t, c.file)
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			e := serve(t, Options{})
			if err := e.AddFile("cam", path); err != nil {
				t.Fatal(err)
			}
			chunks := e.streams["cam"].chunks
			if len(chunks) != c.chunks || chunks[len(chunks)-1].cut != c.cut {
				t.Errorf("%d chunks, last one cut: %v; want %d, %v", len(chunks), chunks[len(chunks)-1].cut, c.chunks, c.cut)
			}
			resp := getMedia(fromEarliest).send(t, e.url)
			if got := payloadOf(t, resp); !bytes.Equal(got, want) {
				t.Errorf("payload has %d bytes and differs from the file of %d", len(got), len(want))
			}
			if resp.Close != c.cut {
				t.Errorf("connection closed: %v, want %v", resp.Close, c.cut)
			}
			// After chunk i come exactly the bytes that follow it in the file.
			at := 0
			for i, chunk := range chunks {
				at += int(chunk.data.len())
				if len(chunk.number) != 47 {
					t.Fatalf("chunk %d has the number %q", i, chunk.number)
				}
				selector := `{"StartSelectorType":"FRAGMENT_NUMBER","AfterFragmentNumber":"` + chunk.number + `"}`
				if got := payloadOf(t, getMedia(selector).send(t, e.url)); !bytes.Equal(got, want[at:]) {
					t.Errorf("after chunk %d come %d bytes, want %d", i, len(got), len(want)-at)
				}
			}
		})
	}
}

func TestTheClocksOfARealRecordingSelectItsChunks(t *testing.T) {
	e := serve(t, Options{})
	if err := e.AddFile("cam", sharedRecording(t, "output_get_media.mkv")); err != nil {
		t.Fatal(err)
	}
	chunks := e.streams["cam"].chunks
	for i, c := range chunks {
		// What the recording's README says: fragments of 2 s from timecode 0 on.
		want := time.UnixMilli(1511852108513).Add(time.Duration(i) * 2 * time.Second)
		if !c.producer.Equal(want) || c.length != 2*time.Second || c.server.IsZero() {
			t.Errorf("chunk %d begins at %v, takes %v, server time %v; want %v, 2s", i, c.producer, c.length, c.server, want)
		}
		for _, kind := range []string{"PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP"} {
			stamp := formatStamp(c.producer)
			if kind == "SERVER_TIMESTAMP" {
				stamp = formatStamp(c.server)
			}
			resp := getMedia(`{"StartSelectorType":"`+kind+`","StartTimestamp":`+stamp+`}`).send(t, e.url)
			var want []byte
			for _, c := range chunks[i:] {
				want = append(want, bytesOf(t, c)...)
			}
			if !bytes.Equal(payloadOf(t, resp), want) {
				t.Errorf("%s %s does not begin at chunk %d", kind, stamp, i)
			}
		}
	}
}

func TestEveryCutOfARecordingIsServedAsItIs(t *testing.T) {
	whole, saved := synthetic(2)
	for n := len(whole[0]) + 1; n < len(saved); n++ {
		chunks, recorded, err := readChunks(held(saved[:n]))
		if err != nil || !recorded || len(chunks) != 2 || int(chunks[0].data.len()) != len(whole[0]) {
			t.Fatalf("cut at %d: %d chunks, %v", n, len(chunks), err)
		}
	}
	e := serve(t, Options{})
	cut := saved[:len(saved)-200]
	e.add(t, "cam", cut)
	resp := getMedia(fromEarliest).send(t, e.url)
	if got := payloadOf(t, resp); !bytes.Equal(got, cut) || !resp.Close {
		t.Errorf("got %d bytes, want %d; connection closed: %v", len(got), len(cut), resp.Close)
	}
}

// trackPayloads walks a whole plain MKV file as one document and returns
// the payloads of each track.
func trackPayloads(t *testing.T, mkv []byte) map[uint64][][]byte {
	t.Helper()
	d, err := readDocument(mkv)
	if err != nil || d.size != len(mkv) {
		t.Fatalf("read document: %v, %d of %d bytes", err, d.size, len(mkv))
	}
	tracks := map[uint64][][]byte{}
	for _, b := range d.blocks {
		tracks[b.Track] = append(tracks[b.Track], b.Data)
	}
	return tracks
}

func TestRealPlainFilesBecomeStreams(t *testing.T) {
	for file, video := range map[string]int{"clusters.mkv": 444, "vogels_480.mkv": 909} {
		t.Run(file, func(t *testing.T) {
			path := sharedRecording(t, file)
			mkv, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			e := serve(t, Options{})
			if err := e.AddFile("cam", path); err != nil {
				t.Fatal(err)
			}
			saved := payloadOf(t, getMedia(fromEarliest).send(t, e.url))
			got, frames := map[uint64][][]byte{}, 0
			for i, f := range split(t, saved) {
				if want := fragmentNumber(i); f.Number != want || f.ContinuationToken != want {
					t.Errorf("fragment %d has number %s and token %s", i, f.Number, f.ContinuationToken)
				}
				if want := DefaultEpoch.Add(f.Timecode); !f.ProducerTime.Equal(want) || !f.ServerTime.Equal(want.Add(serverDelay)) {
					t.Errorf("fragment %d has the times %v and %v, want %v", i, f.ProducerTime, f.ServerTime, want)
				}
				if f.Cut {
					t.Errorf("fragment %d is cut", i)
				}
				if n := countClusters(f.MKV); n != 1 {
					t.Errorf("fragment %d has %d clusters", i, n)
				}
				track, _ := f.VideoTrack()
				first := slices.IndexFunc(f.Blocks, func(b media.Block) bool { return b.Track == track.Number })
				if !f.Blocks[first].Key {
					t.Errorf("fragment %d does not begin with a key frame", i)
				}
				for _, b := range f.Blocks {
					if b.Track == track.Number {
						frames++
					}
				}
				for n, payloads := range trackPayloads(t, f.MKV) {
					got[n] = append(got[n], payloads...)
				}
			}
			want := trackPayloads(t, mkv)
			if frames != video || len(got) != len(want) {
				t.Errorf("%d video frames in %d tracks, want %d in %d", frames, len(got), video, len(want))
			}
			for n := range want {
				if !slices.EqualFunc(got[n], want[n], bytes.Equal) {
					t.Errorf("track %d has other payloads than the file", n)
				}
			}
		})
	}
}

// split reads a payload with the splitter of the program.
func split(t *testing.T, saved []byte) []*media.Fragment {
	t.Helper()
	s := payload.NewSplitter(bytes.NewReader(saved), payload.Config{Stream: "cam"})
	var fragments []*media.Fragment
	for {
		f, err := s.Next()
		if errors.Is(err, io.EOF) {
			return fragments
		}
		if err != nil {
			t.Fatal(err)
		}
		fragments = append(fragments, f)
	}
}

func countClusters(mkv []byte) int {
	return bytes.Count(mkv, ebml.AppendID(nil, ebml.IDCluster))
}

// plainFile is an MKV file with the given clusters, each a timecode in ticks of scale
// and blocks.
func plainFile(scale uint64, clusters ...[]byte) []byte {
	mkv := ebml.AppendElement(nil, ebml.IDEBML, ebml.AppendString(nil, ebml.IDDocType, "matroska"))
	body := ebml.AppendElement(nil, ebml.IDInfo, ebml.AppendUint(nil, ebml.IDTimestampScale, scale))
	entry := ebml.AppendUint(nil, ebml.IDTrackNumber, 1)
	entry = ebml.AppendUint(entry, ebml.IDTrackType, 1)
	entry = ebml.AppendString(entry, ebml.IDCodecID, "V_TEST")
	body = ebml.AppendElement(body, ebml.IDTracks, ebml.AppendElement(nil, ebml.IDTrackEntry, entry))
	for _, c := range clusters {
		body = ebml.AppendElement(body, ebml.IDCluster, c)
	}
	return ebml.AppendElement(mkv, ebml.IDSegment, body)
}

func plainCluster(timecode uint64, blocks ...[]byte) []byte {
	c := ebml.AppendUint(nil, ebml.IDTimestamp, timecode)
	for _, b := range blocks {
		c = append(c, b...)
	}
	return c
}

func simpleBlock(ticks int16, flags byte, data string) []byte {
	return ebml.AppendElement(nil, ebml.IDSimpleBlock, append([]byte{0x81, byte(uint16(ticks) >> 8), byte(ticks), flags}, data...))
}

func blockGroup(ticks int16, key bool, data string) []byte {
	group := ebml.AppendElement(nil, ebml.IDBlock, append([]byte{0x81, byte(uint16(ticks) >> 8), byte(ticks), 0}, data...))
	if !key {
		group = ebml.AppendElement(group, ebml.IDReferenceBlock, []byte{0xFF})
	}
	return ebml.AppendElement(nil, ebml.IDBlockGroup, group)
}

func TestClustersWithoutAKeyFrameAreJoinedAndRebased(t *testing.T) {
	// 90 kHz ticks would not be whole milliseconds; 100 ns ticks are what some producers use.
	mkv := plainFile(100_000, // 0.1 ms
		plainCluster(10_000, simpleBlock(0, keyFlag, "a"), simpleBlock(333, 0, "b")),
		plainCluster(20_000, simpleBlock(-10, 0, "c")),
		plainCluster(30_000, blockGroup(0, true, "d"), blockGroup(5, false, "e")),
	)
	e := serve(t, Options{Epoch: epoch})
	e.add(t, "cam", mkv)
	fragments := split(t, payloadOf(t, getMedia(fromEarliest).send(t, e.url)))
	var got []string
	for _, f := range fragments {
		got = append(got, f.ProducerTime.Sub(epoch).String())
		for _, b := range f.Blocks {
			text := string(f.MKV[b.Offset:b.Offset+b.Size]) + " " + b.Time.String()
			if b.Key {
				text += " key"
			}
			got = append(got, text)
		}
	}
	want := []string{"1s", "a 0s key", "b 33ms", "c 999ms", "3s", "d 0s key", "e 1ms"}
	if !slices.Equal(got, want) {
		t.Errorf("fragments are %q, want %q", got, want)
	}
	if behind := []int64{fragments[0].MillisBehindNow, fragments[1].MillisBehindNow}; behind[0] != 2000 || behind[1] != 0 {
		t.Errorf("fragments are %v ms behind, want 2000 and 0", behind)
	}
}

func TestBadRecordingsAreRefused(t *testing.T) {
	_, saved := synthetic(1)
	far := plainFile(1_000_000,
		plainCluster(0, simpleBlock(0, keyFlag, "a")),
		plainCluster(32_800, simpleBlock(0, 0, "b")),
	)
	cases := []struct {
		name, stream string
		recording    io.Reader
		want         string
	}{
		{"empty", "cam", strings.NewReader(""), "empty"},
		{"no Matroska", "cam", strings.NewReader("RIFF????WAVE"), "not Matroska"},
		{"too big", "cam", bytes.NewReader(make([]byte, 2<<20)), "too big"},
		{"read error", "cam", iotest.ErrReader(io.ErrClosedPipe), "closed pipe"},
		{"name with a slash", "a/b", bytes.NewReader(saved), "characters"},
		{"name that is taken", "taken", bytes.NewReader(saved), "already"},
		{"no fragment", "cam", bytes.NewReader(plainFile(1_000_000)), "no fragment"},
		{"key frames too far apart", "cam", bytes.NewReader(far), "32.8s from the start of the fragment"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := NewServer(Options{MaxRecording: 1 << 20})
			if err := s.AddRecording("taken", bytes.NewReader(saved)); err != nil {
				t.Fatal(err)
			}
			err := s.AddRecording(c.stream, c.recording)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "add stream "+c.stream) {
				t.Errorf("error is %v, want one about %q", err, c.want)
			}
		})
	}
	if err := NewServer(Options{}).AddFile("cam", "no-such-file.mkv"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there gets %v", err)
	}
}

func TestAChunkReadsAsItWasWritten(t *testing.T) {
	in := Chunk{
		FragmentNumber: fragmentNumber(6), ProducerTime: epoch, ServerTime: epoch.Add(time.Second),
		Tags: []media.Tag{{Name: "door", Value: "open"}}, TrailingTags: []media.Tag{{Name: "light", Value: "on"}},
		Tracks:   []media.Track{{Number: 300, Type: media.TrackVideo, CodecID: "V_TEST", CodecPrivate: []byte{1, 2}, Width: 640, Height: 480, DefaultDuration: time.Second / 30}},
		Timecode: 5 * time.Second,
		Blocks:   []Block{{Track: 300, Key: true, Data: []byte("one")}, {Track: 300, Time: -time.Millisecond, Data: []byte("two")}},
	}
	for _, unknown := range []bool{false, true} {
		in.UnknownClusterSize = unknown
		in.ContinuationToken, in.MillisBehindNow = "token", 1234
		f := split(t, AppendChunk(nil, in))[0]
		if f.Number != in.FragmentNumber || f.ContinuationToken != "token" || f.MillisBehindNow != 1234 || f.Timecode != in.Timecode ||
			!f.ProducerTime.Equal(in.ProducerTime) || !f.ServerTime.Equal(in.ServerTime) {
			t.Errorf("fragment is %+v", f)
		}
		if want := slices.Concat(in.Tags, in.TrailingTags); !slices.Equal(f.Tags, want) {
			t.Errorf("tags are %v, want %v", f.Tags, want)
		}
		track := f.Tracks[0]
		if track.Number != 300 || track.CodecID != "V_TEST" || !bytes.Equal(track.CodecPrivate, []byte{1, 2}) ||
			track.Width != 640 || track.Height != 480 || track.DefaultDuration != time.Second/30 {
			t.Errorf("track is %+v", track)
		}
		for i, b := range f.Blocks {
			want := in.Blocks[i]
			if b.Track != want.Track || b.Time != want.Time || b.Key != want.Key || string(f.MKV[b.Offset:b.Offset+b.Size]) != string(want.Data) {
				t.Errorf("block %d is %+v, want %+v", i, b, want)
			}
		}
	}
}

func TestAnErrorChunkReadsAsAnErrorTag(t *testing.T) {
	chunk := AppendChunk(nil, Chunk{FragmentNumber: "7", ErrorID: 4501, ErrorCode: "KMS_KEY_DISABLED"})
	_, err := payload.NewSplitter(bytes.NewReader(chunk), payload.Config{}).Next()
	var tag *payload.ErrorTag
	if !errors.As(err, &tag) || tag.ID != 4501 || tag.Code != "KMS_KEY_DISABLED" || tag.FragmentNumber != "7" {
		t.Errorf("error is %v", err)
	}
}

func TestStampsHaveThreeDecimals(t *testing.T) {
	for stamp, want := range map[string]int64{"1511852109.126": 1511852109126, "0.000": 0, "7": 7000, "7.5": 7500} {
		if got, ok := parseStamp(stamp); !ok || got.UnixMilli() != want {
			t.Errorf("%s is read as %v", stamp, got)
		}
	}
	for _, stamp := range []string{"", "a", "-1.000", "1.-1", "1.0000000001"} {
		if got, ok := parseStamp(stamp); ok {
			t.Errorf("%q is read as %v", stamp, got)
		}
	}
	if got := formatStamp(time.UnixMilli(1511852109007)); got != "1511852109.007" {
		t.Errorf("stamp is %s", got)
	}
}

func TestAllFragmentsOfADamagedOrMergedRecordingAreServed(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	one := func(n string) []byte {
		return AppendChunk(nil, Chunk{
			FragmentNumber: n, ProducerTime: at, ServerTime: at, ContinuationToken: n,
			Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_MPEG4/ISO/AVC"}},
			Blocks: []Block{{Track: 1, Key: true, Data: []byte("picture")}},
		})
	}
	first, second, third := one("1"), one("2"), one("3")
	body := bytes.Index(second, []byte{0x12, 0x54, 0xC3, 0x67}) // the first Tags
	for name, recording := range map[string][]byte{
		"damaged": slices.Concat(first, []byte("\x00\x00 no Matroska"), second, third),
		"merged":  slices.Concat(first, second[body:], third[body:]),
	} {
		data, err := splitChunks(held(recording))
		if err != nil || len(data) != 3 || data[2].number != "3" || data[2].token != "3" {
			t.Errorf("%s: %d chunks, %v", name, len(data), err)
		}
		s := NewServer(Options{})
		if err := s.AddRecording("cam", bytes.NewReader(recording)); err != nil || len(s.lookup("cam").chunks) != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
