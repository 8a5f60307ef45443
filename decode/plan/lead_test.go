package plan

import (
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

func TestWhatIsKeptToLeadUpWithIsBoundedHoweverSmallTheFramesAre(t *testing.T) {
	const frames = 1 << 16
	// Frames of one byte, of which nothing can be said, behind a random access point.
	pl := &Plan{Pictures: make([]Picture, frames), Frames: make([]Frame, frames), Refresh: Refresh{-1, -1}, hold: newHold(nil)}
	f := &media.Fragment{MKV: make([]byte, frames)}
	h := past{}
	h.remember(&Plan{Pictures: []Picture{{Entry: EntryClosed}}, Frames: make([]Frame, 1), Refresh: Refresh{-1, -1}, hold: newHold(nil)}, f, false)
	if len(h.lead) != 1 {
		t.Fatal("the entry is not kept")
	}
	most := 0
	for range maxLeadFragments {
		h.remember(pl, f, false)
		kept := 0
		for _, l := range h.lead {
			kept += len(l.plan.Frames)
		}
		most = max(most, kept)
	}
	if most == 0 || most*frameBytes > maxLeadBytes {
		t.Errorf("the plans of %d frames were kept at once", most)
	}
}
