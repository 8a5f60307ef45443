//go:build cgo

package decode

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
)

// forgetful is a worker that loses some of the decoders that continue with a fragment.
type forgetful struct {
	executor
	mu  *sync.Mutex
	rng *rand.Rand
}

// run implements executor.
func (e forgetful) run(ctx context.Context, s *Stream, what work, before plan.Decoder, room *room, a *account) error {
	e.mu.Lock()
	loses := e.rng.IntN(3) == 0
	e.mu.Unlock()
	if before != nil && loses {
		before.Free()
		before = nil
	}
	return e.executor.run(ctx, s, what, before, room, a)
}

// picturesOf tells for each picture whether it is marked, and what is in it if it is not.
func picturesOf(images [][]media.Image) map[string]string {
	all := map[string]string{}
	for i := range images {
		for _, img := range images[i] {
			what := "guessed"
			if !img.Concealed {
				what = fmt.Sprintf("%x", sha256.Sum256(img.Data))
			}
			all[fmt.Sprintf("fragment %d frame %d", i, img.Index)] = what
		}
	}
	return all
}

// TestADecoderThatIsLedUpMarksWhatOneThatContinuesMarks has damaged streams whose fragments need each other. In a second run, some of the
// decoders that continue are lost, as when their process is killed. Every picture must be marked, or the same, as in the first run.
func TestADecoderThatIsLedUpMarksWhatOneThatContinuesMarks(t *testing.T) {
	rng := soaktest.Rand(t)
	for n := range cases(60, 3000) {
		clip := dependent[rng.IntN(len(dependent))]
		frags := dependentFragments(t, clip.name, clip.cut)
		frags = frags[:min(len(frags), 24)]
		var did []string
		if rng.IntN(4) == 0 {
			frags, did = frags[1:], append(did, "without the first")
		}
		for range rng.IntN(4) {
			i := rng.IntN(len(frags))
			if len(frags[i].Blocks) <= 3 {
				continue // nothing may be left of it
			}
			bad, mutations := mutant(t, rng, frags[i])
			frags[i] = bad
			did = append(did, fmt.Sprintf("fragment %d: %v", i, mutations))
		}
		images, _ := decodeSideBySide(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
		p := newTestPool(t, func(c *Config) {
			if n%4 == 0 {
				c.Isolation = IsolationProcess
			}
		})
		mu := &sync.Mutex{}
		for range p.Workers() {
			e, err := p.idle.take(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			p.idle.put(forgetful{e, mu, rng})
		}
		again, _ := decodeSideBySide(t, stream(t, p, everyFrame()), frags)
		want, got := picturesOf(images), picturesOf(again)
		for picture, what := range want {
			if got[picture] != what {
				t.Errorf("case %d, %s by %d, %v: %s is %.20q, with decoders that continue %.20q", n, clip.name, clip.cut, did, picture, got[picture], what)
			}
		}
		if len(got) != len(want) {
			t.Errorf("case %d, %s by %d, %v: %d pictures, with decoders that continue %d", n, clip.name, clip.cut, did, len(got), len(want))
		}
	}
}
