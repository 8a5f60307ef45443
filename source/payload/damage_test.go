package payload

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// recording is a payload that is to be damaged: its fragments lie at places, and what lies in none of
// them is a header that all of them need.
type recorded struct {
	name    string
	payload []byte
	places  []span
}

// noise is a picture: bytes that hold anything.
func noise(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// recordings returns a payload of each shape, of eight fragments.
func recordedShapes(r *rand.Rand) []recorded {
	blocks := func() [][]byte {
		all := [][]byte{simple(1, 0, 0x80, noise(r, 300+r.IntN(300)))}
		for i := range 6 {
			all = append(all, simple(2, int16(40*i), 0x80, noise(r, 20)), simple(1, int16(40*i+40), 0, noise(r, 30+r.IntN(200))))
		}
		return all
	}
	shapes := []recorded{{name: "chunks"}, {name: "chunks of open clusters"}, {name: "merged"}, {name: "merged without tokens"}, {name: "plain"}}
	for i := range shapes {
		s := &shapes[i]
		switch i {
		case 2, 3:
			s.payload = cat(segment(), header2())
		case 4:
			s.payload = cat(segment(), header2())
		}
		for n := range 8 {
			number, at := fmt.Sprint(100+n), uint64(1000*n)
			var f []byte
			switch i {
			case 0:
				f = cat(segment(), header2(), opening(number), cluster(at, blocks()...), tags(tag("a", "b")), closing(number))
			case 1:
				f = cat(segment(), header2(), opening(number), openCluster(at, blocks()...), closing(number))
			case 2:
				f = cat(opening(number), cluster(at, blocks()...), closing(number))
			case 3:
				f = cat(opening(number), cluster(at, blocks()...))
			case 4:
				f = cluster(at, blocks()...)
			}
			s.places = append(s.places, span{len(s.payload), len(f)})
			s.payload = append(s.payload, f...)
		}
	}
	return shapes
}

// mutant returns a damaged copy, and the place of the damage in the original.
func mutant(r *rand.Rand, payload []byte) (damaged []byte, at span, how string) {
	i := r.IntN(len(payload))
	n := 1 + r.IntN(min(40, len(payload)-i))
	switch r.IntN(6) {
	case 0:
		damaged, at, how = slices.Clone(payload), span{i, 1}, "a flipped bit"
		damaged[i] ^= 1 << r.IntN(8)
	case 1:
		damaged, at, how = slices.Concat(payload[:i], payload[i+n:]), span{i, n}, "dropped bytes"
	case 2:
		damaged, at, how = slices.Concat(payload[:i], []byte(noise(r, n)), payload[i:]), span{i, 0}, "inserted bytes"
	case 3:
		damaged, at, how = slices.Clone(payload), span{i, n}, "zeros"
		clear(damaged[i : i+n])
	case 4:
		damaged, at, how = slices.Concat(payload[:i], []byte("HTTP/1.1 502 Bad Gateway\r\n\r\n"), payload[i:]), span{i, 0}, "inserted text"
	default:
		n = min(len(payload)-i, n*100)
		damaged, at, how = slices.Concat(payload[:i], payload[i+n:]), span{i, n}, "a cut"
	}
	return damaged, at, how
}

// content is what a fragment shows, whatever document it lies in.
func content(f *media.Fragment) string {
	var b bytes.Buffer
	fmt.Fprint(&b, "\n", f.Timecode, f.ProducerTime, f.ServerTime, f.Tags)
	for _, block := range f.Blocks {
		fmt.Fprintf(&b, "|%d %v %v %x", block.Track, block.Time, block.Key, f.MKV[block.Offset:block.Offset+block.Size])
	}
	return b.String()
}

func TestDamageCostsNoFragmentThatItDoesNotTouch(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		for _, shape := range recordedShapes(r) {
			var want []*media.Fragment
			for _, a := range readAll(t, bytes.NewReader(shape.payload), Config{}) {
				if a.err != nil {
					t.Fatalf("%s: %v", shape.name, a.err)
				}
				want = append(want, a.fragment)
			}
			if len(want) != len(shape.places) {
				t.Fatalf("%s: %d fragments of %d", shape.name, len(want), len(shape.places))
			}
			for range 10 {
				damaged, at, how := mutant(r, shape.payload)
				if at.at < shape.places[0].at {
					continue // of the header that all need
				}
				checkUntouched(t, fmt.Sprintf("seed %d, %s, %s at %d+%d", seed, shape.name, how, at.at, at.len), shape, want, damaged, at)
			}
		}
	}
}

// checkUntouched checks that the fragments that the damage does not touch come out, and that it is
// told when one that it touches has lost frames.
func checkUntouched(t *testing.T, name string, shape recorded, want []*media.Fragment, damaged []byte, at span) {
	t.Helper()
	all := readAll(t, bytes.NewReader(damaged), Config{})
	var came strings.Builder
	frames, told := 0, false
	for _, a := range all {
		var gap *media.GapError
		switch {
		case a.err == nil:
			came.WriteString(content(a.fragment))
			frames += videoCount(a.fragment)
			told = told || a.fragment.Cut
		case errors.As(a.err, &gap):
			told = true
		default:
			t.Fatalf("%s: %v", name, a.err)
		}
	}
	frameCount, spoiled := 0, 0
	for i, place := range shape.places {
		frameCount += videoCount(want[i])
		touched := at.at < place.at+place.len && place.at < at.at+max(at.len, 1)
		// What is inserted between two fragments may be taken for a part of the first.
		touched = touched || at.at == place.at+place.len
		if touched {
			spoiled++
		}
		// A cluster whose key flag is damaged joins the one before.
		if !touched && !strings.Contains(came.String(), content(want[i])) {
			t.Errorf("%s: fragment %d at %d+%d is lost or changed: %q", name, i, place.at, place.len, describeAll(all))
		}
	}
	// Where whole fragments or blocks of a cluster that tells no size are cut out, nothing shows it.
	if frames < frameCount && !told && spoiled == 1 && shape.name != "chunks of open clusters" {
		t.Errorf("%s: %d of %d frames, and nothing told: %q", name, frames, frameCount, describeAll(all))
	}
}

func TestMergedRecordingsAreSplitAtTheirNumbersAndTokens(t *testing.T) {
	head := cat(segment(), header())
	one := func(n string, at uint64) []byte { return cat(opening(n), cluster(at, key(0), delta(33))) }
	want := []string{"7 cut=0 t=0s [1k0 1d33]", "8 cut=0 t=1s [1k0 1d33]", "9 cut=0 t=2s [1k0 1d33]"}
	for _, c := range []struct {
		name    string
		payload []byte
		want    []string
	}{
		{"with tokens", cat(head, one("7", 0), closing("7"), one("8", 1000), closing("8"), one("9", 2000), closing("9")), want},
		{"without tokens", cat(head, one("7", 0), one("8", 1000), one("9", 2000)), want},
		{
			"tags without a number belong to the fragment before them",
			cat(head, one("7", 0), tags(tag("a", "7")), one("8", 1000), tags(tag("a", "8"))),
			[]string{want[0] + " a=7", want[1] + " a=8"},
		},
		{
			"tags behind a token belong to the next fragment",
			cat(head, one("7", 0), closing("7"), tags(tag("a", "8")), one("8", 1000), closing("8")),
			[]string{want[0], want[1] + " a=8"},
		},
		{
			"tags that stand behind their clusters",
			cat(head, cluster(0, key(0), delta(33)), opening("7"), cluster(1000, key(0), delta(33)), opening("8"), cluster(2000, key(0), delta(33)), opening("9")),
			want,
		},
		{
			"a cluster behind a token that has no number is a gap",
			cat(head, one("7", 0), closing("7"), cluster(1000, key(0)), one("9", 2000)),
			[]string{want[0], "gap  lost=1: at byte 387: the chunk has no fragment number", want[2]},
		},
		{
			"the first number is lost",
			cat(head, cluster(0, key(0)), closing("7"), one("8", 1000), closing("8")),
			[]string{"gap 7 lost=1: at byte 212: the chunk has no fragment number", want[1]},
		},
		{"open clusters", cat(head, opening("7"), openCluster(0, key(0), delta(33)), opening("8"), openCluster(1000, key(0), delta(33)), closing("8")), want[:2]},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := readAll(t, bytes.NewReader(c.payload), Config{})
			if got := describeAll(all); !slices.Equal(got, c.want) {
				t.Fatalf("got %q\nwant %q", got, c.want)
			}
			for _, a := range all {
				if a.err == nil {
					checkAgain(t, a.fragment, 1<<20)
				}
			}
		})
	}
}

func TestSizesOfSegmentsAreNotReliedOn(t *testing.T) {
	media := cat(header(), cluster(0, key(0), delta(33)), cluster(1000, key(0)))
	want := []string{"000000 cut=0 t=0s [1k0 1d33]", "000001 cut=0 t=1s [1k0]"}
	sized := func(n int64) []byte { return cat(ebmlHead(), ebml.AppendHeader(nil, ebml.IDSegment, n), media) }
	for name, payload := range map[string][]byte{
		"zero":            sized(0),
		"before Tracks":   sized(int64(len(info(1)))),
		"after a Cluster": sized(int64(len(media) - len(cluster(1000, key(0))))),
	} {
		if got := describeAll(readAll(t, bytes.NewReader(payload), Config{})); !slices.Equal(got, want) {
			t.Errorf("%s: got %q", name, got)
		}
	}
	next := element(ebml.IDSegment, media)
	want = append(want, "000002 cut=0 t=0s [1k0 1d33]", "000003 cut=0 t=1s [1k0]")
	if got := describeAll(readAll(t, bytes.NewReader(cat(sized(int64(len(media))), next)), Config{})); !slices.Equal(got, want) {
		t.Errorf("a second Segment without an EBML header: got %q", got)
	}
	want[1] = "000001 cut=1 t=1s [1k0]"
	if got := describeAll(readAll(t, bytes.NewReader(sized(int64(len(media)+500))), Config{})); !slices.Equal(got, want[:2]) {
		t.Errorf("too large: got %q", got)
	}
}

func TestSizesOfClustersAreHeldAgainstTheirBlocks(t *testing.T) {
	first := cat(number(ebml.IDTimestamp, 0), key(0), delta(33))
	sized := func(n int) []byte {
		return cat(segment(), header(), ebml.AppendHeader(nil, ebml.IDCluster, int64(n)), first, cluster(1000, key(0)))
	}
	for _, c := range []struct {
		name string
		size int
		want string
	}{
		{"right", len(first), "000000 cut=0 t=0s [1k0 1d33]"},
		{"too small, inside a block", len(first) - 2, "000000 cut=1 t=0s [1k0 1d33] damage: at byte 114: the Cluster continues after its end"},
		{"too large", len(first) + 20, "000000 cut=1 t=0s [1k0 1d33] damage: at byte 123: the Cluster ends 20 bytes early"},
	} {
		got := describeAll(readAll(t, bytes.NewReader(sized(c.size)), Config{}))
		if want := []string{c.want, "000001 cut=0 t=1s [1k0]"}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
}

func TestABrokenBlockOfAnotherTrackCostsNothing(t *testing.T) {
	broken := simple(2, 5, 0x82, "\x02\x11\x02abbccc")
	payload := cat(segment(), header2(), opening("7"), cluster(0, key(0), broken, delta(33)), closing("7"))
	if got := describeAll(readAll(t, bytes.NewReader(payload), Config{})); !slices.Equal(got, []string{"7 cut=0 t=0s [1k0 1d33]"}) {
		t.Errorf("got %q", got)
	}
}

func TestOtherFormatsAreNamed(t *testing.T) {
	ts := make([]byte, 400)
	ts[0], ts[188] = 0x47, 0x47
	for name, payload := range map[string][]byte{
		"MP4":                             []byte("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00"),
		"MPEG-TS":                         ts,
		"FLV":                             []byte("FLV\x01\x05\x00\x00\x00\x09"),
		"AVI":                             []byte("RIFF\x00\x00\x10\x00AVI LIST"),
		"a bare stream of H.264 or H.265": {0, 0, 0, 1, 0x67, 0x64},
	} {
		got := readAll(t, bytes.NewReader(payload), Config{})
		var split *SplitError
		if len(got) != 1 || !errors.As(got[0].err, &split) || !strings.Contains(split.Error(), name+", not Matroska: convert it with ffmpeg -i") {
			t.Errorf("%s: got %q", name, describeAll(got))
		}
	}
}

// An input of nothing but damage, each piece of which has swallowed all that follows.
func TestReadingAgainIsBounded(t *testing.T) {
	greedy := cat(open(ebml.IDCluster), number(ebml.IDTimestamp, 0), ebml.AppendHeader(nil, ebml.IDSimpleBlock, 1<<20))
	payload := cat(segment(), header(), bytes.Repeat(greedy, 20_000))
	s := NewSplitter(bytes.NewReader(payload), Config{})
	for _, err := s.Next(); err == nil || s.err == nil; _, err = s.Next() {
	}
	if most := rereads * int64(len(payload)); s.reread > most {
		t.Errorf("%d bytes of %d were read again, the most is %d", s.reread, len(payload), most)
	}
}
