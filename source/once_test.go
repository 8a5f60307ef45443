package source

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/kvsframes/kvsframes/media"
)

// withMedia is fragment n with a byte for its media.
func withMedia(n int, content byte) *media.Fragment {
	f := frag(n)
	f.MKV[50] = content
	f.Blocks[0].Offset, f.Blocks[0].Size = 50, 1
	return f
}

func TestAFragmentThatComesTwiceIsNoOtherOne(t *testing.T) {
	cut := withMedia(3, 7)
	cut.Cut = true
	later := withMedia(2, 7)
	later.Blocks[1].Time++
	in := &steps{}
	for _, f := range []*media.Fragment{withMedia(1, 7), withMedia(2, 7), withMedia(1, 7), withMedia(2, 8), later, cut, withMedia(3, 7), withMedia(3, 7), withMedia(4, 7)} {
		in.answers = append(in.answers, result{f, nil})
	}
	s := Once(in)
	var got []string
	for {
		f, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		var gap *media.GapError
		switch {
		case err == nil && f.Cut:
			got = append(got, "CUT "+short47(f.Number))
		case err == nil:
			got = append(got, short47(f.Number))
		case errors.As(err, &gap) && gap.Gap.Reason == media.GapConflict:
			got = append(got, "gap "+short47(gap.Gap.FragmentNumber))
		default:
			t.Fatal(err)
		}
	}
	if want := []string{"1", "2", "gap 2", "gap 2", "CUT 3", "3", "4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestALiveStreamSeesThatANumberComesWithOtherMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live{
			start:   fromEarliest,
			answers: []any{play(withMedia(1, 7), withMedia(2, 7)), play(withMedia(1, 7), withMedia(2, 8), withMedia(3, 7))},
			want:    "1, 2, gap 2, 3, time", starts: "EARLIEST, after 2",
		}.run(t)
	})
}

func TestOnlyTheLastNumbersAreRemembered(t *testing.T) {
	var r recent
	for n := range 3 * maxRecent {
		r.note(withMedia(n, 1))
	}
	if len(r.digests) != maxRecent || len(r.order) != maxRecent {
		t.Errorf("%d digests, %d numbers", len(r.digests), len(r.order))
	}
	if known, _ := r.compare(withMedia(2*maxRecent-1, 1)); known {
		t.Error("an old one is remembered")
	}
	if known, other := r.compare(withMedia(2*maxRecent, 2)); !known || !other {
		t.Error("a late one is not")
	}
}
