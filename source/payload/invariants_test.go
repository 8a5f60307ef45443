package payload

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
)

// checkInvariants splits a payload and checks what must hold for any bytes
// whatever.
func checkInvariants(t *testing.T, payload []byte, limit int64) {
	cfg := Config{Stream: "fuzz", MaxFragmentSize: media.Size(limit)}
	all := readAll(t, bytes.NewReader(payload), cfg)
	slow := watch(t, iotest.OneByteReader(bytes.NewReader(payload)), cfg).read()
	if a, b := describeAll(all), describeAll(slow); !slices.Equal(a, b) {
		t.Fatalf("read whole:\n%q\nread byte by byte:\n%q", a, b)
	}
	// Two answers take at least the two bytes of an element.
	if len(all) > len(payload)+1 {
		t.Fatalf("%d answers from %d bytes", len(all), len(payload))
	}
	for i, a := range all {
		if a.err != nil {
			checkError(t, a.err)
			continue
		}
		if !bytes.Equal(a.fragment.MKV, slow[i].fragment.MKV) {
			t.Fatalf("fragment %d differs when it is read byte by byte", i)
		}
		checkFragment(t, a.fragment, payload, limit)
		if len(a.fragment.Blocks) > 0 {
			checkAgain(t, a.fragment, limit)
		}
	}
}

// checkError checks that an error is one of those that Next may return.
func checkError(t *testing.T, err error) {
	var gap *media.GapError
	var syntax *SyntaxError
	var tag *ErrorTag
	switch {
	case errors.As(err, &gap):
		if gap.Gap.Stream != "fuzz" || gap.Gap.Detail == "" || gap.Gap.FrameIndex != media.WholeFragment || gap.Err == nil {
			t.Fatalf("incomplete gap %+v", gap.Gap)
		}
	case errors.As(err, &syntax), errors.Is(err, ErrTooLarge):
	case errors.As(err, &tag):
		if tag.ID == tagNotFound {
			t.Fatalf("an error tag that should be a gap: %v", err)
		}
	default:
		t.Fatalf("error of no known kind: %v", err)
	}
}

// checkFragment checks one fragment by itself.
func checkFragment(t *testing.T, f *media.Fragment, payload []byte, limit int64) {
	// A plain file's Segment header may become longer than it was, and a lost EBML header
	// is made anew.
	made := ebml.MaxHeader + len(defaultHeader())
	if size := len(f.MKV); int64(size) > limit || size > len(payload)+made {
		t.Fatalf("MKV of %d bytes from %d, the cap is %d", size, len(payload), limit)
	}
	if room := cap(f.MKV) - len(f.MKV); room > len(f.MKV)/4+4096 {
		t.Fatalf("%d bytes kept beyond an MKV of %d", room, len(f.MKV))
	}
	if f.Number == "" || f.Stream != "fuzz" || f.CutBlock && !f.Cut {
		t.Fatalf("fragment %q of stream %q, cut %v, cut block %v", f.Number, f.Stream, f.Cut, f.CutBlock)
	}
	last := 0
	for i, b := range f.Blocks {
		if b.Size < 0 || b.Offset < last || b.Offset+b.Size > len(f.MKV) {
			t.Fatalf("block %d at %d+%d after %d in an MKV of %d bytes", i, b.Offset, b.Size, last, len(f.MKV))
		}
		last = b.Offset + b.Size
	}
	for i, track := range f.Tracks {
		if len(track.CodecPrivate) > 0 && !bytes.Contains(f.MKV, track.CodecPrivate) {
			t.Fatalf("codec data of track %d is not in the MKV", i)
		}
		if track.Width < 0 || track.Height < 0 || track.DefaultDuration < 0 {
			t.Fatalf("track %d is %dx%d, %v", i, track.Width, track.Height, track.DefaultDuration)
		}
	}
}

// checkAgain checks that the fragment's MKV, split by itself, is the same
// fragment again: that it is a complete document. Only whether it is cut and
// its number may differ.
func checkAgain(t *testing.T, f *media.Fragment, limit int64) {
	all := readAll(t, bytes.NewReader(f.MKV), Config{MaxFragmentSize: media.Size(limit)})
	if len(all) == 0 || all[0].err != nil {
		t.Fatalf("split again: %q", describeAll(all))
	}
	again := all[0].fragment
	if !slices.Equal(again.Blocks, f.Blocks) || again.Timecode != f.Timecode || len(again.Tracks) != len(f.Tracks) {
		t.Fatalf("split again: %s\nwas: %s", describeFragment(again), describeFragment(f))
	}
}

func TestInvariantsHoldForEveryPrefixOfATablePayload(t *testing.T) {
	for _, c := range slices.Concat(chunkSplits(), errorSplits(), plainSplits()) {
		for n := range len(c.payload) + 1 {
			checkInvariants(t, c.payload[:n], 1<<20)
		}
	}
}

// FuzzSplitter looks for a payload that breaks what must hold for every one of
// them. The cap is small enough for the fuzzer to reach.
func FuzzSplitter(f *testing.F) {
	for _, c := range splits() {
		f.Add(c.payload, uint16(8<<10))
		f.Add(c.payload, uint16(300))
	}
	f.Fuzz(func(t *testing.T, payload []byte, limit uint16) {
		checkInvariants(t, payload, max(int64(limit), 1<<6))
	})
}
