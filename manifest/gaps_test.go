package manifest_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/media"
)

// TestGapsThatARepairHasClosedAreNone: a line with the reason repaired closes the gap of which it is a copy, wherever it is, and no other.
func TestGapsThatARepairHasClosedAreNone(t *testing.T) {
	gap := func(number string, frame int, until string, reason media.GapReason) media.Gap {
		return media.Gap{Stream: "cam", Sink: "thumbs", FragmentNumber: number, FrameIndex: frame, FramesLost: 2, ProducerTime: start, Until: media.Place{Number: until}, Reason: reason, Detail: string(reason)}
	}
	part := func(gaps ...media.Gap) (part []byte) {
		for _, g := range gaps {
			line, err := json.Marshal(g)
			if err != nil {
				t.Fatal(err)
			}
			part = append(append(part, line...), '\n')
		}
		return part
	}
	other := gap("5", 3, "", media.GapRepaired)
	other.Sink = "raw"
	from := held{
		"a/5-repaired.jsonl":       part(gap("5", 3, "", media.GapRepaired)),
		"a/5.jsonl":                part(gap("5", 3, "", media.GapCut), gap("5", 9, "", media.GapDamaged)),
		"a/6-after.jsonl":          part(gap("6", -1, "9", media.GapOutage)),
		"a/6-after-repaired.jsonl": part(gap("6", -1, "9", media.GapRepaired)),
		"a/6.jsonl":                part(gap("6", -1, "", media.GapCut)),
		"a/other.jsonl":            part(other),
	}
	want := []string{"5 damaged", "6 cut"}
	for name, read := range map[string]func(gap func([]byte) error) error{
		"Gaps": func(gap func([]byte) error) error {
			return manifest.Gaps(t.Context(), from, manifest.Options{}, gap)
		},
		"Scan": func(gap func([]byte) error) error {
			_, err := manifest.Scan(t.Context(), from, manifest.Options{}, func([]byte) error { return nil }, gap)
			return err
		},
	} {
		var got []string
		err := read(func(line []byte) error {
			var g media.Gap
			if err := json.Unmarshal(line, &g); err != nil {
				return err
			}
			got = append(got, g.FragmentNumber+" "+g.Detail)
			return nil
		})
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}
