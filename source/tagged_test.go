package source

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

func TestOnlyFragmentsWithTheTagsAreWanted(t *testing.T) {
	tag := func(pairs ...string) (tags []media.Tag) {
		for i := 0; i < len(pairs); i += 2 {
			tags = append(tags, media.Tag{Name: pairs[i], Value: pairs[i+1]})
		}
		return tags
	}
	in := atSeconds(0, 1, 2, 3, 4, 5, 6)
	for i, tags := range [][]media.Tag{nil, tag("motion", "1"), tag("motion", "0", "zone", "a"), tag("motion", "1", "zone", "a"), tag("zone", "a", "motion", "0", "motion", "1"), tag("motion", "1", "zone", "a"), tag("motion", "1", "zone", "a")} {
		in.answers[i].fragment.Tags = tags
	}
	s := WithEnd(WithTags(in, []string{"motion=1", "zone=a"}), End{Fragments: 3}, media.ClockProducer)
	var wanted []bool
	for {
		f, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		wanted = append(wanted, !f.Unwanted)
	}
	if want := []bool{false, false, false, true, true, true}; !slices.Equal(wanted, want) || s.Stats().Unwanted != 3 {
		t.Errorf("wanted %v, want %v; %d unwanted", wanted, want, s.Stats().Unwanted)
	}
	if in.answers[0].fragment.Unwanted {
		t.Error("the source's own fragment was changed")
	}
}
