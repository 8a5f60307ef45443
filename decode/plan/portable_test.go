package plan

import (
	"bytes"
	"slices"
	"testing"
)

// TestAPlanIsReadAsItWasWritten looks at what a decoder asks a plan for.
func TestAPlanIsReadAsItWasWritten(t *testing.T) {
	for _, clip := range []string{"bframes.mkv", "hevc-open.mkv", "refresh.mkv", "lists-open.mkv"} {
		p := NewPlanner(SkipAuto, []Output{{Sample: Sample{Rule: Stride{N: 5}}}})
		for _, f := range fragments(t, clip) {
			pl := p.Plan(f)
			b := append(pl.Append(nil, f.MKV, false), "rest"...)
			got, mkv, rest, err := Read(b)
			if err != nil || !bytes.Equal(mkv, f.MKV) || string(rest) != "rest" {
				t.Fatalf("%s: %d bytes, rest %q, error %v", clip, len(mkv), rest, err)
			}
			if got.Form != pl.Form || got.Refresh != pl.Refresh || got.LengthSize != pl.LengthSize || !slices.Equal(got.InOrder, pl.InOrder) ||
				(got.Chain == nil) != (pl.Chain == nil) || (got.Next() == nil) != (pl.Next() == nil) || got.LastFed() != pl.LastFed() {
				t.Errorf("%s: %+v\nof %+v", clip, got, pl)
			}
			for k := range pl.Frames {
				if want := pl.Frames[k]; want.Feed && (!bytes.Equal(got.Packet(mkv, k), pl.Packet(f.MKV, k)) || len(got.Frames[k].Outputs) != len(want.Outputs)) {
					t.Errorf("%s: frame %d differs", clip, k)
				}
			}
			if pl.Chain != nil {
				for i, l := range pl.Chain.Lead {
					if other := got.Chain.Lead[i]; other.From != l.From || !bytes.Equal(other.Media, l.Media) || len(other.Whole().Frames) != len(l.Whole().Frames) {
						t.Errorf("%s: lead %d differs", clip, i)
					}
				}
			}
			pl.GiveUp()
		}
		p.End()
	}
}

func TestBytesThatAreNoPlanAreRefused(t *testing.T) {
	f := fragments(t, "small.mkv")[0]
	p := NewPlanner(SkipAuto, []Output{{Sample: Sample{Rule: All{}}}})
	whole := p.Plan(f).Append(nil, f.MKV[:200], false)
	if _, _, _, err := Read(whole); err == nil {
		t.Error("packets lie outside the media")
	}
	whole = p.Plan(f).Append(nil, f.MKV, false)
	for n := range whole {
		if _, _, _, err := Read(whole[:n]); err == nil {
			t.Fatalf("%d of %d bytes are a plan", n, len(whole))
		}
	}
}
