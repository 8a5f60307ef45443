package plan

import (
	"github.com/kvsframes/kvsframes/decode/h26x"
)

// Refresh is the gradual refresh of a fragment.
type Refresh struct {
	// From is the index of the frame at which it begins, Done that of the first frame that it has refreshed completely. Each is -1
	// if there is none.
	From, Done int
}

// recovery returns the number of reference pictures after which pictures are correct if decoding starts at frame k, or NoRecovery.
func (pl *Plan) recovery(k int) int {
	pic := &pl.Pictures[k]
	if pic.recovery == h26x.NoRecovery && pic.Intra && pl.Frames[k].Info.Key {
		return 0 // there is no recovery point, only the mark of a key frame
	}
	return pic.recovery
}

// findRefresh looks for a gradual refresh before the first entry.
func (pl *Plan) findRefresh() Refresh {
	r := Refresh{-1, -1}
	left := 0
	for k, pic := range pl.Pictures {
		if pic.Entry != EntryNone {
			break
		}
		recovery := pl.recovery(k)
		if r.From < 0 && recovery >= 0 {
			r.From, left = k, recovery
		}
		if r.From >= 0 && left == 0 {
			r.Done = k
			break
		}
		if r.From >= 0 && !pic.disposable {
			left--
		}
	}
	return r
}

// leadsRefresh marks the pictures that follow the first refreshed one in the stream and are shown before it. They may refer to what the refresh replaces.
func (pl *Plan) leadsRefresh() {
	done := pl.Refresh.Done
	if done < 0 {
		return
	}
	for k := done + 1; k < len(pl.Frames) && pl.Pictures[k].Entry == EntryNone; k++ {
		pl.Frames[k].Leads = pl.Frames[k].Info.Index < pl.Frames[done].Info.Index
	}
}
