package payload

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/kvsframes/kvsframes/media"
)

// arrival is what a Splitter told of a fragment, and its state at that time.
type arrival struct {
	*media.Fragment
	state uint64
	// longer are its blocks, and one of track 99 that was appended to them.
	longer []media.Block
}

var seed = maphash.MakeSeed()

// stateOf stands for everything in a fragment.
func stateOf(f *media.Fragment) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.Write(f.MKV)
	for _, b := range f.Blocks {
		maphash.WriteComparable(&h, b)
	}
	rest := *f
	rest.MKV, rest.Blocks = nil, nil
	_, _ = fmt.Fprintf(&h, "%+v", rest)
	return h.Sum64()
}

// watcher reads a payload and holds what is told of each fragment against what comes of it.
type watcher struct {
	t       testing.TB
	split   *Splitter
	all     []arrival // of the whole payload
	current []arrival // of the fragment that Next returns next
	told    int       // blocks of all fragments
	why     []string
}

func watch(t testing.TB, r io.Reader, cfg Config) *watcher {
	w := &watcher{t: t, split: NewSplitter(r, cfg)}
	w.split.Tell(func(f *media.Fragment) {
		_ = append(f.MKV, "not the part's"...)
		a := arrival{f, stateOf(f), append(f.Blocks, media.Block{Track: 99})}
		w.all, w.current = append(w.all, a), append(w.current, a)
	}, func(why string) { w.why = append(w.why, why) })
	return w
}

// read reads to the end and returns what readAll returns.
func (w *watcher) read() (all []result) {
	w.t.Helper()
	for {
		f, err := w.split.Next()
		told := 0
		for i, a := range w.current {
			if len(a.Blocks) <= told {
				w.t.Fatalf("call %d for fragment %s has %d blocks, the one before it %d", i, a.Number, len(a.Blocks), told)
			}
			told = len(a.Blocks)
			w.check(a.Fragment, f, err)
		}
		w.told, w.current = w.told+told, nil
		if err != io.EOF {
			all = append(all, result{f, err})
		}
		if err != nil && !errors.As(err, new(*media.GapError)) && !errors.As(err, new(*ErrorTag)) {
			break
		}
	}
	for _, a := range w.all {
		if stateOf(a.Fragment) != a.state || a.longer[len(a.Blocks)].Track != 99 {
			w.t.Fatalf("what was told of fragment %s with %d blocks has changed", a.Number, len(a.Blocks))
		}
	}
	if len(w.why) > 1 {
		w.t.Fatalf("reasons for telling nothing: %q", w.why)
	}
	return all
}

// check checks that a is the beginning of what Next returned: of a fragment with damage at most two blocks that are not in it.
func (w *watcher) check(a, f *media.Fragment, err error) {
	w.t.Helper()
	if gap := (*media.GapError)(nil); errors.As(err, &gap) && gap.Gap.FragmentNumber == a.Number {
		return
	}
	if err != nil {
		w.t.Fatalf("after fragment %s was told of comes %v", a.Number, err)
	}
	for _, b := range a.Blocks {
		if b.Offset+b.Size > len(a.MKV) {
			w.t.Fatalf("a block ends at %d of %d bytes", b.Offset+b.Size, len(a.MKV))
		}
	}
	blocks, size := len(a.Blocks), len(a.MKV)
	if f.Damage != "" {
		blocks, size = max(min(blocks, len(f.Blocks)), blocks-2), min(size, len(f.MKV))
	}
	if blocks > len(f.Blocks) || size > len(f.MKV) {
		w.t.Fatalf("told %d blocks and %d bytes of fragment %s, of %d and %d", blocks, size, a.Number, len(f.Blocks), len(f.MKV))
	}
	want, got := *f, *a
	want.Blocks, want.MKV, got.Blocks, got.MKV = f.Blocks[:blocks], f.MKV[:size], a.Blocks[:blocks], a.MKV[:size]
	want.ContinuationToken, want.MillisBehindNow, want.Tags, want.Cut, want.CutBlock, want.Damage = "", -1, nil, false, false, ""
	if !reflect.DeepEqual(got, want) {
		w.t.Fatalf("told  %+v\nfound %+v", got, want)
	}
}

// pieces returns a reader that gives pieces of random sizes.
func pieces(r *rand.Rand, in io.Reader) io.Reader { return &piecewise{r, in} }

type piecewise struct {
	r  *rand.Rand
	in io.Reader
}

func (p *piecewise) Read(b []byte) (int, error) {
	return p.in.Read(b[:min(len(b), 1+p.r.IntN(1<<p.r.IntN(14)))])
}

// checkArrivals reads a payload in pieces of all kinds. It returns the number of blocks that were told byte by byte.
func checkArrivals(t testing.TB, r *rand.Rand, payload []byte, cfg Config) (told int) {
	t.Helper()
	for _, shape := range []func(io.Reader) io.Reader{
		func(in io.Reader) io.Reader { return in },
		func(in io.Reader) io.Reader { return pieces(r, in) },
		iotest.OneByteReader,
	} {
		w := watch(t, shape(bytes.NewReader(payload)), cfg)
		a, b := describeAll(w.read()), describeAll(readAll(t, bytes.NewReader(payload), cfg))
		if told = w.told; !slices.Equal(a, b) {
			t.Fatalf("with arrivals  %q\nwithout        %q", a, b)
		}
	}
	return told
}

func TestWhatIsToldIsTheBeginningOfTheFragment(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	blocks := map[bool]int{}
	for _, c := range splits() {
		for _, chunks := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				blocks[chunks] += checkArrivals(t, r, c.payload, Config{Stream: "cam", Chunks: chunks})
			})
		}
	}
	if blocks[true] < 50 || blocks[false] < 50 {
		t.Errorf("too few blocks were told: %v", blocks)
	}
}

func TestWhatIsToldOfARecordingIsTheBeginningOfTheFragment(t *testing.T) {
	for file, want := range map[string]int{
		"output_get_media.mkv":                         1, // all: it has blocks of one track
		"output-get-media-non-increasing-timecode.mkv": 1,
		"test_mixed_tags.mkv":                          1,
		"empty-mkv-with-tags.mkv":                      0,
		"clusters.mkv":                                 0, // plain files
		"vogels_480.mkv":                               0,
	} {
		t.Run(file, func(t *testing.T) {
			payload, err := os.ReadFile(filepath.Join(recordings, file))
			if os.IsNotExist(err) {
				t.Skipf("no recordings in %s", recordings)
			}
			if err != nil {
				t.Fatal(err)
			}
			all := 0
			for _, r := range readAll(t, bytes.NewReader(payload), Config{}) {
				all += len(r.fragment.Blocks)
			}
			if told := checkArrivals(t, rand.New(rand.NewPCG(1, 2)), payload, Config{Stream: "cam"}); told != want*all {
				t.Errorf("%d of %d blocks were told", told, all)
			}
		})
	}
}

// Damage is found behind the element that has it, so that a little of what was told may be wrong, but no more.
func TestWhatIsToldOfADamagedFragmentIsNearlyItsBeginning(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 3))
		for _, shape := range recordedShapes(r) {
			for range 3 {
				damaged, at, how := mutant(r, shape.payload)
				t.Run(fmt.Sprintf("seed %d: %s at %d of %s", seed, how, at.at, shape.name), func(t *testing.T) {
					checkArrivals(t, r, damaged, Config{Stream: "cam", Chunks: seed%2 == 0 && !strings.HasPrefix(shape.name, "plain")})
				})
			}
		}
	}
}

// blockwise gives a payload up to the end of a block at a time.
type blockwise struct {
	payload []byte
	at      int
	ends    []int
	reached func(end int) // is called when more than the bytes up to an end is asked for
}

func (b *blockwise) Read(p []byte) (int, error) {
	if len(b.ends) > 0 && b.at == b.ends[0] {
		b.reached(b.at)
		b.ends = b.ends[1:]
	}
	until := len(b.payload)
	if len(b.ends) > 0 {
		until = b.ends[0]
	}
	if b.at == len(b.payload) {
		return 0, io.EOF
	}
	n := copy(p, b.payload[b.at:until])
	b.at += n
	return n, nil
}

// checkEach reads a payload whose fragments are its chunks, byte for byte, block by block.
func checkEach(t *testing.T, payload []byte, cfg Config) {
	t.Helper()
	in := &blockwise{payload: payload}
	place := map[int]string{} // of the ends
	begin := 0
	for _, r := range readAll(t, bytes.NewReader(payload), cfg) {
		if r.err != nil || !bytes.HasPrefix(payload[begin:], r.fragment.MKV) {
			t.Fatalf("the payload does not consist of chunks: %s", describe(r.fragment, r.err))
		}
		for i, b := range r.fragment.Blocks {
			in.ends = append(in.ends, begin+b.Offset+b.Size)
			place[begin+b.Offset+b.Size] = fmt.Sprint(r.fragment.Number, " ", i+1)
		}
		begin += len(r.fragment.MKV)
	}
	w := watch(t, in, cfg)
	calls := 0
	in.reached = func(end int) {
		calls++
		got := "nothing"
		if n := len(w.all); n > 0 {
			got = fmt.Sprint(w.all[n-1].Number, " ", len(w.all[n-1].Blocks))
		}
		if got != place[end] || len(w.all) != calls {
			t.Fatalf("behind block %s were %d calls, the last one for %s", place[end], len(w.all), got)
		}
	}
	w.read()
	if len(in.ends) > 0 || calls == 0 {
		t.Errorf("%d blocks were read, %d were not", calls, len(in.ends))
	}
}

func TestABlockIsToldBeforeMoreIsAskedFor(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 5000)
	blocks := [][]byte{
		key(0), delta(40), simple(2, 35, 0x80, "audio"), simple(1, 80, 0, large), group(120), delta(-5), simple(1, 160, 0, large+large), delta(200),
	}
	var payload []byte
	for i, c := range [][]byte{
		cluster(1000, blocks...),
		openCluster(2000, blocks...),
		cat(cluster(3000, blocks...), cluster(3500, blocks...)),
		cat(openCluster(4000, blocks...), openCluster(4100, blocks[2:]...)),
	} {
		payload = cat(payload, segment(), header2(), opening(fmt.Sprint(i+1)), c, tags(tag("a", "b")), closing(fmt.Sprint(i+1)))
	}
	for _, chunks := range []bool{false, true} {
		checkEach(t, payload, Config{Stream: "cam", Chunks: chunks})
	}
	file := openRecording(t, "output_get_media.mkv")
	recorded, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	checkEach(t, recorded, Config{Stream: "cam", Chunks: true})
}

func TestWhatCannotBeToldIsExplainedOnce(t *testing.T) {
	laced := element(0xA3, []byte{0x81, 0, 40, 0x04, 1, 'a', 'b'})
	for _, c := range []struct {
		name    string
		payload []byte
		cfg     Config
		told    int
		why     string
	}{
		{"a payload of KVS", cat(chunk("1"), chunk("2")), Config{Chunks: true}, 4, ""},
		{"a file", cat(chunk("1"), chunk("2")), Config{Size: 1}, 0, ""},
		{"a plain file", cat(segment(), header(), cluster(0, key(0), delta(33)), cluster(1000, key(0))), Config{}, 0, lateTags},
		{"tags behind the media", cat(segment(), header(), cluster(0, key(0)), opening("1"), closing("1"), cluster(1000, key(0)), opening("2"), closing("2")), Config{}, 0, lateTags},
		{"no time of the producer", cat(segment(), header(), tags(aws("FRAGMENT_NUMBER", "1")), cluster(0, key(0)), closing("1")), Config{}, 0, lateTags},
		{"no time of the server, which is a gap", cat(segment(), header(), tags(aws("FRAGMENT_NUMBER", "1"), aws("PRODUCER_TIMESTAMP", "1")), cluster(0, key(0)), closing("1")), Config{Chunks: true}, 0, lateTags},
		{"no time of the server", cat(segment(), header(), tags(aws("FRAGMENT_NUMBER", "1"), aws("PRODUCER_TIMESTAMP", "1")), cluster(0, key(0)), closing("1")), Config{}, 1, ""},
		{"tracks behind the media", cat(segment(), info(1_000_000), opening("1"), cluster(0, key(0), delta(33)), element(0x1654AE6B, videoEntry(1)), closing("1")), Config{}, 0, lateHeader},
		{"a time scale behind the media, from which on its blocks are told", cat(segment(), element(0x1654AE6B, videoEntry(1)), opening("1"), cluster(0, key(0), delta(33)), info(1_000_000_000), closing("1")), Config{}, 2, lateHeader},
		{"compressed video", cat(segment(), info(1_000_000), element(0x1654AE6B, videoEntry(1, compression(3, "k"))), opening("1"), cluster(0, simple(1, 0, 0x80, "ey!")), closing("1")), Config{}, 0, wrapped},
		{"frames that share a block", cat(segment(), header(), opening("1"), cluster(0, key(0), delta(33), laced, delta(99)), closing("1"), chunk("2")), Config{}, 4, lacing},
		{"two tracks of which the blocks decide", cat(segment(), info(1_000_000), element(0x1654AE6B, videoEntry(1), videoEntry(3)), opening("1"), cluster(0, simple(3, 0, 0x80, "key")), closing("1"), opening("2"), cluster(0, simple(3, 0, 0x80, "key")), closing("2")), Config{}, 1, ""},
		{"and the settings", cat(segment(), info(1_000_000), element(0x1654AE6B, videoEntry(1), videoEntry(3)), opening("1"), cluster(0, simple(3, 0, 0x80, "key")), closing("1")), Config{Track: 1}, 1, ""},
		{"no number, which is a gap", cat(segment(), header(), cluster(0, key(0)), closing("1")), Config{Chunks: true}, 0, ""},
		{"a broken head", cat(segment(), element(0x1549A966, []byte{0x2A, 0xD7, 0xB1, 0x81, 0}), element(0x1654AE6B, videoEntry(1)), opening("1"), cluster(0, key(0)), closing("1")), Config{}, 0, ""},
		{"a block of no track", cat(segment(), header(), opening("1"), cluster(0, key(0), simple(7, 0, 0, "what"), delta(33)), closing("1")), Config{}, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := watch(t, iotest.OneByteReader(bytes.NewReader(c.payload)), c.cfg)
			w.read()
			if w.told != c.told || strings.Join(w.why, "") != c.why {
				t.Errorf("%d blocks are told, because %q; want %d, %q", w.told, w.why, c.told, c.why)
			}
		})
	}
}

func TestNothingIsToldFromDamageOn(t *testing.T) {
	beginning := cat(segment(), header(), opening("1"), open(0x1F43B675), number(0xE7, 0), key(0), []byte("damage"))
	rest := cat(chunk("2"), chunk("3"))
	for n := range len(rest) { // so much comes with the beginning
		w := watch(t, io.MultiReader(bytes.NewReader(cat(beginning, rest[:n])), bytes.NewReader(rest[n:])), Config{Chunks: true})
		if all := describeAll(w.read()); len(all) != 3 || !strings.HasPrefix(all[0], "1 cut=1 t=0s [1k0] damage") {
			t.Errorf("read %q", all)
		}
		for _, a := range w.all {
			if a.Number == "1" {
				t.Errorf("fragment 1 is told of, which is known to be damaged: %s", describeFragment(a.Fragment))
			}
		}
	}
}

func TestTellingEnds(t *testing.T) {
	w := watch(t, iotest.OneByteReader(bytes.NewReader(cat(chunk("1"), chunk("2")))), Config{})
	if f, err := w.split.Next(); err != nil || f.Number != "1" || len(w.all) != 2 {
		t.Fatalf("fragment %v, %v, %d calls", f, err, len(w.all))
	}
	w.split.Tell(nil, nil)
	if f, err := w.split.Next(); err != nil || f.Number != "2" || len(w.all) != 2 {
		t.Fatalf("fragment %v, %v, %d calls", f, err, len(w.all))
	}
}
