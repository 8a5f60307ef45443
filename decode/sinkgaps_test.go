//go:build cgo

package decode

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
)

// TestTheGapsOfASinkDependOnItAlone decodes damaged streams for sinks with all samplers at once, and then for each of them by itself.
func TestTheGapsOfASinkDependOnItAlone(t *testing.T) {
	rng := soaktest.Rand(t)
	gaps := 0
	for n := range cases(25, 500) {
		frags, did := damagedChain(t, rng)
		outputs := resumable(rng, frags)
		drop := func(c *Config) {
			c.SkipFrame = plan.SkipNone // what is decoded besides changes what libav makes of damage
			if n%2 == 0 {
				c.Concealed = ConcealedDrop
			}
		}
		_, together := decodeEach(t, stream(t, newTestPool(t, drop), outputs...), frags, func(int) {})
		for _, o := range outputs {
			_, alone := decodeEach(t, stream(t, newTestPool(t, drop), o), frags, func(int) {})
			for i := range frags {
				var got, want []string
				for _, g := range together[i].Gaps {
					if g.Sink == "" || g.Sink == o.Sink {
						got = append(got, gapText(g))
					}
				}
				for _, g := range alone[i].Gaps {
					want = append(want, gapText(g))
				}
				if gaps += len(want); !slices.Equal(got, want) {
					t.Errorf("case %d, %v: fragment %d: %T has the gaps %q among others, %q alone", n, did, i, o.Sample.Rule, got, want)
				}
			}
		}
	}
	if gaps == 0 {
		t.Error("there were no gaps")
	}
}

// gapText is a gap without the name of its sink.
func gapText(g media.Gap) string {
	g.Sink = ""
	return fmt.Sprintf("%d+%d %s %s", g.FrameIndex, g.FramesLost, g, g.AskedFor)
}
