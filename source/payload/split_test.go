package payload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"weak"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// describe writes one answer of Next as one line:
//
//	NUMBER cut=CUT[+1] t=TIMECODE [TRACK k|d MILLISECONDS ...] TAG=VALUE ... damage: DAMAGE
//	gap NUMBER lost=FRAMES: REASON
//	syntax|large|tag: ERROR
func describe(f *media.Fragment, err error) string {
	var gap *media.GapError
	var syntax *SyntaxError
	var tag *ErrorTag
	switch {
	case err == nil:
		return describeFragment(f)
	case errors.As(err, &gap):
		return fmt.Sprintf("gap %s lost=%d: %s", gap.Gap.FragmentNumber, gap.Gap.FramesLost, gap.Gap.Detail)
	case errors.As(err, &syntax):
		return fmt.Sprintf("syntax: %v", err)
	case errors.Is(err, ErrTooLarge):
		return fmt.Sprintf("large: %v", err)
	case errors.As(err, &tag):
		return fmt.Sprintf("tag: %v", err)
	}
	return err.Error()
}

func describeFragment(f *media.Fragment) string {
	cut := "0"
	if f.Cut {
		cut = "1"
	}
	if f.CutBlock {
		cut += "+1"
	}
	blocks := make([]string, len(f.Blocks))
	for i, b := range f.Blocks {
		kind := "d"
		if b.Key {
			kind = "k"
		}
		blocks[i] = fmt.Sprintf("%d%s%v", b.Track, kind, float64(b.Time)/float64(time.Millisecond))
	}
	line := fmt.Sprintf("%s cut=%s t=%v [%s]", f.Number, cut, f.Timecode, strings.Join(blocks, " "))
	for _, t := range f.Tags {
		line += " " + t.Name + "=" + t.Value
	}
	if t, _ := f.VideoTrack(); t.Encoded {
		line += " encoded"
	}
	if f.Damage != "" {
		line += " damage: " + f.Damage
	}
	return line
}

// readAll calls Next until it repeats an error, which must be the end.
func readAll(t testing.TB, r io.Reader, cfg Config) []result {
	t.Helper()
	s := NewSplitter(r, cfg)
	var all []result
	for {
		f, err := s.Next()
		if (f == nil) == (err == nil) {
			t.Fatalf("Next returned fragment %v and error %v", f, err)
		}
		var gap *media.GapError
		var tag *ErrorTag
		if err != nil && !errors.As(err, &gap) && !errors.As(err, &tag) {
			if _, again := s.Next(); again != err {
				t.Fatalf("Next returned %v, then %v", err, again)
			}
			if err != io.EOF {
				all = append(all, result{nil, err})
			}
			return all
		}
		all = append(all, result{f, err})
	}
}

func describeAll(all []result) []string {
	var lines []string
	for _, a := range all {
		lines = append(lines, describe(a.fragment, a.err))
	}
	return lines
}

// readers are the shapes in which a payload can arrive.
var readers = map[string]func(io.Reader) io.Reader{
	"whole":        func(r io.Reader) io.Reader { return r },
	"byte by byte": iotest.OneByteReader,
	"by halves":    iotest.HalfReader,
	"with the end": iotest.DataErrReader,
}

func TestSplitter(t *testing.T) {
	for _, c := range splits() {
		for shape, reader := range readers {
			t.Run(c.name+", read "+shape, func(t *testing.T) {
				got := readAll(t, reader(bytes.NewReader(c.payload)), Config{Stream: "cam"})
				if lines := describeAll(got); !slices.Equal(lines, c.want) {
					t.Errorf("got\n  %s\nwant\n  %s", strings.Join(lines, "\n  "), strings.Join(c.want, "\n  "))
				}
			})
		}
	}
}

// each walks the answers of a Splitter up to its end.
func each(t testing.TB, s *Splitter) iter.Seq2[*media.Fragment, error] {
	t.Helper()
	return func(yield func(*media.Fragment, error) bool) {
		for {
			f, err := s.Next()
			if err == io.EOF || !yield(f, err) {
				return
			}
		}
	}
}

func TestAFragmentTellsEverything(t *testing.T) {
	payload := chunk("7")
	all := readAll(t, bytes.NewReader(payload), Config{Stream: "cam"})
	f := all[0].fragment
	if f.Stream != "cam" || f.ContinuationToken != "7" || f.MillisBehindNow != 17 {
		t.Errorf("stream %q, token %q, %d ms behind", f.Stream, f.ContinuationToken, f.MillisBehindNow)
	}
	if got := f.ProducerTime; !got.Equal(time.UnixMilli(1_500_000_000_001)) || got.Location() != time.UTC {
		t.Errorf("producer time %v", got)
	}
	if got := f.ServerTime; !got.Equal(time.UnixMilli(1_500_000_001_234)) || got.Location() != time.UTC {
		t.Errorf("server time %v", got)
	}
	if !bytes.Equal(f.MKV, payload) {
		t.Error("the MKV is not the chunk")
	}
	want := media.Track{
		Number: 1, Type: media.TrackVideo, CodecID: "V_MPEG4/ISO/AVC", CodecPrivate: []byte{1, 77, 64, 30},
		Width: 64, Height: 48, DefaultDuration: 33_333_333,
	}
	if len(f.Tracks) != 1 || !reflect.DeepEqual(f.Tracks[0], want) {
		t.Errorf("tracks %+v", f.Tracks)
	}
	for i, want := range []string{"key!", "dlt"} {
		if b := f.Blocks[i]; string(f.MKV[b.Offset:b.Offset+b.Size]) != want {
			t.Errorf("block %d holds %q", i, f.MKV[b.Offset:b.Offset+b.Size])
		}
	}
}

func TestAFragmentOfAPlainFileIsADocumentWithItsHeader(t *testing.T) {
	file := cat(ebmlHead(), element(ebml.IDSegment, element(ebml.IDVoid, make([]byte, 99)), header(), cluster(0, key(0)), element(ebml.IDCues, []byte("c")), cluster(1500, key(0))))
	all := readAll(t, bytes.NewReader(file), Config{Stream: "file"})
	f := all[1].fragment
	if want := cat(segment(), header(), cluster(1500, key(0))); !bytes.Equal(f.MKV, want) {
		t.Errorf("MKV\n%x, want\n%x", f.MKV, want)
	}
	if !f.ProducerTime.Equal(time.UnixMilli(1500)) || !f.ServerTime.IsZero() || f.MillisBehindNow != -1 {
		t.Errorf("producer time %v, server time %v, %d ms behind", f.ProducerTime, f.ServerTime, f.MillisBehindNow)
	}
	if got := f.Tracks[0].CodecPrivate; !bytes.Equal(got, []byte{1, 77, 64, 30}) {
		t.Errorf("codec data %x", got)
	}
}

// TestAFragmentTellsItsTimeScale has units that are coarser and finer than the clocks of KVS.
func TestAFragmentTellsItsTimeScale(t *testing.T) {
	tracks := element(ebml.IDTracks, videoEntry(1))
	for scale, want := range map[uint64][2]time.Duration{ // of a file, of a chunk
		1_000_000:  {time.Millisecond, time.Millisecond},
		20_833:     {20_833, time.Millisecond},
		40_000_000: {40 * time.Millisecond, 40 * time.Millisecond},
	} {
		head := cat(segment(), info(scale), tracks)
		for i, payload := range [][]byte{cat(head, cluster(1, key(0))), cat(head, opening("7"), cluster(1, key(0)), closing("7"))} {
			if got := readAll(t, bytes.NewReader(payload), Config{})[0].fragment.TimeScale; got != want[i] {
				t.Errorf("scale %d ns, payload %d: %s, want %s", scale, i, got, want[i])
			}
		}
	}
}

func TestJoinedClustersStayUnderTheCap(t *testing.T) {
	head := cat(segment(), header())
	file := slices.Concat(head, cluster(0, key(0)), cluster(1, delta(0)), cluster(2, delta(0)))
	limit := len(head) + len(cluster(0, key(0))) + len(cluster(1, delta(0)))
	got := describeAll(readAll(t, bytes.NewReader(file), Config{MaxFragmentSize: media.Size(limit)}))
	if want := []string{"000000 cut=0 t=0s [1k0 1d1]", "000002 cut=0 t=2ms [1d0]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAFragmentAboveTheCapIsRefused(t *testing.T) {
	payload := cat(chunk("7"), chunk("8"))
	size := len(chunk("7"))
	if got := readAll(t, bytes.NewReader(payload), Config{MaxFragmentSize: media.Size(size)}); len(got) != 2 || got[1].err != nil {
		t.Errorf("at the cap: %q", describeAll(got))
	}
	got := readAll(t, bytes.NewReader(payload), Config{MaxFragmentSize: media.Size(size - 1)})
	if len(got) != 2 || !errors.Is(got[0].err, ErrTooLarge) || !errors.Is(got[1].err, ErrTooLarge) {
		t.Errorf("above the cap: %q", describeAll(got))
	}
}

func TestAReadErrorComesAfterTheCutFragment(t *testing.T) {
	reset := errors.New("connection reset")
	for _, c := range []struct {
		name    string
		payload []byte
		want    []string
	}{
		{"inside a block", short(cat(segment(), header(), opening("7"), openCluster(0, key(0), delta(1))), 1), []string{"7 cut=1+1 t=0s [1k0]"}},
		{"after a whole cluster", cat(segment(), header(), opening("7"), cluster(0, key(0))), []string{"7 cut=1 t=0s [1k0]"}},
		{"inside a header", short(cat(segment(), header()), 1), nil},
		{"in a plain file", cat(segment(), header(), cluster(0, key(0)), open(ebml.IDCluster)), []string{"000000 cut=1 t=0s [1k0]"}},
		{"after a token", chunk("7"), []string{"7 cut=0 t=1s [1k0 1d33]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := io.MultiReader(bytes.NewReader(c.payload), iotest.ErrReader(reset))
			all := readAll(t, broken, Config{})
			last := len(all) - 1
			if !errors.Is(all[last].err, reset) {
				t.Errorf("last answer is %v", all[last].err)
			}
			if got := describeAll(all[:last]); !slices.Equal(got, c.want) {
				t.Errorf("got %q before the error, want %q", got, c.want)
			}
		})
	}
}

// A reader that waits for bytes after the token would hold back every live
// fragment until the next one is there.
func TestAFragmentIsThereAsSoonAsItsTokenIs(t *testing.T) {
	r, w := io.Pipe()
	defer r.Close()
	go w.Write(chunk("7")) // ends with the read of its last byte
	f, err := NewSplitter(r, Config{}).Next()
	if err != nil || f.Number != "7" {
		t.Fatalf("fragment %v, %v", f, err)
	}
}

// Declared sizes take no memory: only bytes that arrive do.
func TestDeclaredSizesTakeNoMemory(t *testing.T) {
	block := func(size int64) []byte { return ebml.AppendHeader(nil, ebml.IDSimpleBlock, size) }
	for _, c := range []struct {
		name    string
		payload []byte
	}{
		{"a gigabyte, above the cap", cat(segment(), open(ebml.IDCluster), block(1<<30))},
		{"50 MB, below the cap", cat(segment(), open(ebml.IDCluster), block(50_000_000))},
		{"tags of 50 MB", cat(segment(), ebml.AppendHeader(nil, ebml.IDTags, 50_000_000))},
		{"a cluster of 50 MB after a fragment", cat(chunk("7"), segment(), opening("8"), ebml.AppendHeader(nil, ebml.IDCluster, 50_000_000), key(0))},
		{"50 MB to skip", cat(chunk("7"), ebml.AppendHeader(nil, ebml.IDVoid, 50_000_000))},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			readAll(t, bytes.NewReader(c.payload), Config{})
			runtime.ReadMemStats(&after)
			if taken := after.TotalAlloc - before.TotalAlloc; taken > 256<<10 {
				t.Errorf("%d bytes taken for a payload of %d", taken, len(c.payload))
			}
		})
	}
}

// largeChunk is a chunk of many megabytes.
func largeChunk(n string) []byte {
	block := simple(1, 0, 0x80, strings.Repeat("k", 300<<10))
	return cat(segment(), header(), opening(n), cluster(0, slices.Repeat([][]byte{block}, 10)...), closing(n))
}

func TestAFragmentWhoseClusterTellsItsSizeHasNoRoomToSpare(t *testing.T) {
	for _, a := range readAll(t, bytes.NewReader(cat(largeChunk("7"), largeChunk("8"))), Config{}) {
		if room := cap(a.fragment.MKV) - len(a.fragment.MKV); room > 16<<10 {
			t.Errorf("fragment %s has room for %d more bytes", a.fragment.Number, room)
		}
	}
}

// The next fragment of a live stream comes seconds later, and there may be many streams.
func TestNothingHoldsOnToAFragmentThatWasHandedOn(t *testing.T) {
	s := NewSplitter(bytes.NewReader(cat(largeChunk("7"), largeChunk("8"))), Config{})
	f, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	media := weak.Make(&f.MKV[0])
	runtime.GC()
	if media.Value() != nil {
		t.Error("the media is still there")
	}
	if f, err = s.Next(); err != nil || f.Number != "8" {
		t.Errorf("fragment %v, %v", f, err)
	}
}

func BenchmarkSplitter(b *testing.B) {
	picture := strings.Repeat("p", 8<<10)
	blocks := [][]byte{simple(1, 0, 0x80, strings.Repeat("k", 100<<10))}
	for i := range 59 {
		blocks = append(blocks, simple(1, int16(33*(i+1)), 0, picture))
	}
	one := cat(segment(), header(), opening("7"), cluster(0, blocks...), closing("7"))
	payload := slices.Concat(one, one, one, one)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for f, err := range each(b, NewSplitter(bytes.NewReader(payload), Config{})) {
			if err != nil || len(f.Blocks) != 60 {
				b.Fatal(f, err)
			}
			n++
		}
		if n != 4 {
			b.Fatalf("%d fragments", n)
		}
	}
}
