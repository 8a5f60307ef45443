package plan

import (
	"github.com/kvsframes/kvsframes/decode/h26x"
)

// Refresh is where a gradual refresh of a fragment begins, and the first packet from which
// on all is well again because of it. Both are -1 where there is none.
type Refresh struct{ From, Done int }

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
			recovery = 0 // the stream says no more than that it is a key frame
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
