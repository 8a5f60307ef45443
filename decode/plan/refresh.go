package plan

import (
	"github.com/kvsframes/kvsframes/decode/h26x"
)

// Refresh is the gradual refresh of a fragment.
type Refresh struct {
	// From is the index of the frame that it begins with, Done that of the first frame that is whole again because of it. Both are -1
	// if there is none.
	From, Done int
}

// findRefresh looks for one in a fragment without an entry.
func (pl *Plan) findRefresh() Refresh {
	r := Refresh{-1, -1}
	left := 0
	for k, pic := range pl.Pictures {
		if pic.Entry != EntryNone {
			break
		}
		recovery := pic.recovery
		if recovery == h26x.NoRecovery && pic.Intra && pl.Frames[k].Info.Key {
			recovery = 0 // all that is known is that it is a key frame
		}
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
