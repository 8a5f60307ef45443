//go:build cgo

package decode

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
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

// damagedChain returns a stream whose fragments need each other, with damage in some of them, and what was done to it. It may begin in the
// middle of a group.
func damagedChain(t *testing.T, rng *rand.Rand) (frags []*media.Fragment, did []string) {
	t.Helper()
	clip := dependent[rng.IntN(len(dependent))]
	frags, did = dependentFragments(t, clip.name, clip.cut), append(did, fmt.Sprintf("%s by %d", clip.name, clip.cut))
	frags = frags[:min(len(frags), 24)]
	if rng.IntN(4) == 0 {
		frags, did = frags[1:], append(did, "without the first")
	}
	for range rng.IntN(4) {
		i := rng.IntN(len(frags))
		if len(frags[i].Blocks) <= 3 {
			continue // nothing may be left of it
		}
		var mutations []string
		frags[i], mutations = mutant(t, rng, frags[i])
		did = append(did, fmt.Sprintf("fragment %d: %v", i, mutations))
	}
	return frags, did
}

// sameMarks holds the pictures of a second run to be those of a first one, or marked in both.
func sameMarks(t *testing.T, what string, got, want [][]media.Image) {
	t.Helper()
	have, expected := picturesOf(got), picturesOf(want)
	for picture, shows := range expected {
		if have[picture] != shows {
			t.Errorf("%s: %s is %.12q, in the first run %.12q", what, picture, have[picture], shows)
		}
	}
	if len(have) != len(expected) {
		t.Errorf("%s: %d pictures, in the first run %d", what, len(have), len(expected))
	}
}

// TestADecoderThatIsLedUpMarksWhatOneThatContinuesMarks has a second run in which some of the decoders that continue are lost, as when
// their process is killed.
func TestADecoderThatIsLedUpMarksWhatOneThatContinuesMarks(t *testing.T) {
	rng := soaktest.Rand(t)
	for n := range cases(60, 3000) {
		frags, did := damagedChain(t, rng)
		sameWhenLedUp(t, rng, fmt.Sprintf("case %d, %v", n, did), frags, n%4 == 0)
	}
}

// sameWhenLedUp decodes fragments twice. The second time some of the decoders that continue are lost.
func sameWhenLedUp(t *testing.T, rng *rand.Rand, what string, frags []*media.Fragment, processes bool) {
	t.Helper()
	want, _ := decodeSideBySide(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
	p := newTestPool(t, func(c *Config) {
		if processes {
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
	got, _ := decodeSideBySide(t, stream(t, p, everyFrame()), frags)
	sameMarks(t, what, got, want)
}

// TestAPictureThatIsThereTwiceIsMarked has one packet of a fragment take the place of another. Whether a decoder of H.265 refuses the second one
// depends on the pictures between them that it was given, and a decoder that is led up is not given those that no other refers to.
func TestAPictureThatIsThereTwiceIsMarked(t *testing.T) {
	rng := soaktest.Rand(t)
	const damaged, each = 4, 7
	for _, pair := range rng.Perm(each * each)[:cases(12, each*each)] {
		from, to := pair/each, pair%each
		frags := dependentFragments(t, "hevc.mkv", each)
		p := packetsOf(frags[damaged])
		p[to] = p[from]
		frags[damaged] = p.fragment(t, frags[damaged], 0)
		sameWhenLedUp(t, rng, fmt.Sprintf("packet %d in place of %d", from, to), frags, false)
	}
}

// TestAPictureThatSaysItLeadsAndDoesNotIsDamaged turns pictures into ones that decoders skip if they begin with the key frame before them.
func TestAPictureThatSaysItLeadsAndDoesNotIsDamaged(t *testing.T) {
	rng := soaktest.Rand(t)
	const rasl = 8 // RASL_N; with the lowest bit that others may refer to it (ITU-T H.265, table 7-1)
	const damaged, each = 5, 9
	for k := range each {
		frags := dependentFragments(t, "hevc-open.mkv", each)
		p := packetsOf(frags[damaged])
		turned := false
		for _, nal := range p[k] {
			if kind := nal[0] >> 1; kind < 2 { // TRAIL
				nal[0], turned = nal[0]&0x81|(rasl+kind)<<1, true
			}
		}
		if !turned {
			continue
		}
		frags[damaged] = p.fragment(t, frags[damaged], 0)
		sameWhenLedUp(t, rng, fmt.Sprintf("packet %d", k), frags, false)
	}
}

// TestARunThatContinuesInDamageMarksWhatAnUndisturbedOneMarks has a second run that continues after some fragment.
func TestARunThatContinuesInDamageMarksWhatAnUndisturbedOneMarks(t *testing.T) {
	rng := soaktest.Rand(t)
	for n := range cases(60, 3000) {
		frags, did := damagedChain(t, rng)
		output := everyFrame()
		output.Sample.Rule = []plan.Rule{plan.All{}, plan.Stride{N: 3}, plan.Keyframes{}}[rng.IntN(3)]
		p := newTestPool(t, nil)
		s := stream(t, p, output)
		marks := make([]*plan.Mark, len(frags))
		want, _ := decodeEach(t, s, frags, func(i int) { marks[i] = s.Mark() })
		place := rng.IntN(len(frags))
		state := marks[place].State(0)
		again := stream(t, p, output)
		if err := again.Resume([]plan.State{state}); err != nil {
			t.Fatal(err)
		}
		first := 1 + slices.IndexFunc(frags, func(f *media.Fragment) bool { return f.Number == state.Lead.After.Number })
		got, _ := decodeEach(t, again, frags[first:], func(int) {})
		sameMarks(t, fmt.Sprintf("case %d, %v, after fragment %d", n, did, place), got[place+1-first:], want[place+1:])
	}
}

// rightOrMarked fails for each picture of damaged fragments that is not marked, and is not what the undamaged ones show. It returns how many of each fragment
// are not marked.
func rightOrMarked(t *testing.T, what string, damaged, clean []*media.Fragment) []int {
	t.Helper()
	decode := func(frags []*media.Fragment) map[string]string {
		images, _ := decodeSideBySide(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
		return picturesOf(images)
	}
	want, unmarked := decode(clean), make([]int, len(damaged))
	for picture, shows := range decode(damaged) {
		if shows == "guessed" {
			continue
		}
		var i int
		if _, err := fmt.Sscanf(picture, "fragment %d", &i); err != nil {
			t.Fatal(err)
		}
		unmarked[i]++
		if shows != want[picture] {
			t.Errorf("%s: %s is %.12s without a mark, and was %.12s", what, picture, shows, want[picture])
		}
	}
	return unmarked
}

// changed returns fragments of which one has other packets.
func changed(t *testing.T, frags []*media.Fragment, i int, how func(p packets)) []*media.Fragment {
	t.Helper()
	p := packetsOf(frags[i])
	how(p)
	frags = slices.Clone(frags)
	frags[i] = p.fragment(t, frags[i], 0)
	return frags
}

// TestARefreshThatIsDamagedIsNotDone damages gradual refreshes of a stream that has lost a picture before.
func TestARefreshThatIsDamagedIsNotDone(t *testing.T) {
	const lasts, whole = 8, 3 // pictures of a refresh; the first fragment whose refresh is not touched
	clean := dependentFragments(t, "refresh.mkv", 0)[:whole+1]
	after := changed(t, clean, 0, func(p packets) { p[20] = nil })
	after = changed(t, after, 2, func(p packets) { p[5] = p[16] })
	for k := 1; k < lasts; k++ {
		for _, left := range []int{2, 60} { // bytes of a slice; of the first not even the header can be read
			frags := changed(t, after, 1, func(p packets) {
				nal := &p[k][len(p[k])-1]
				*nal = (*nal)[:min(left, len(*nal)/2)]
			})
			// The lost picture moves those after it in its own fragment, but not the numbers of the others.
			unmarked := rightOrMarked(t, fmt.Sprintf("packet %d, %d bytes", k, left), frags[1:], clean[1:])
			if all := len(clean[whole].Blocks) - lasts; unmarked[whole-1] < all {
				t.Errorf("packet %d, %d bytes: %d pictures are not marked after the last refresh, want %d", k, left, unmarked[whole-1], all)
			}
		}
	}
}

// TestAfterAnOpenEntryPicturesAreRightOrMarked damages what comes before and after a recovery point of H.264. Later pictures name their references by place in
// a list, and what libav puts in place of lost pictures is in it.
func TestAfterAnOpenEntryPicturesAreRightOrMarked(t *testing.T) {
	clean := dependentFragments(t, "opengop.mkv", 10)[1:]
	for name, how := range map[string]func(p packets){
		"an earlier picture once more":                    func(p packets) { p[3] = p[0] },
		"a later picture before":                          func(p packets) { p[0] = p[6] },
		"a reference twice, after the entry":              func(p packets) { p[9] = p[7] },
		"no reference before the entry":                   func(p packets) { p[0], p[1] = p[3], p[2] },
		"a picture that becomes an IDR picture":           func(p packets) { p[5][0][0] = p[5][0][0]&0xe0 | 5 },
		"a reference that becomes an IDR picture":         func(p packets) { p[6][0][0] = p[6][0][0]&0xe0 | 5 },
		"damage, and an entry without its recovery point": func(p packets) { p[1], p[4] = p[0], p[4][1:] },
		"a picture that becomes no slice":                 func(p packets) { p[1][0][0] = p[1][0][0]&0xe0 | 30 },
	} {
		t.Run(name, func(t *testing.T) {
			frags := changed(t, clean, 1, how)
			if unmarked := rightOrMarked(t, "all frames", frags, clean); unmarked[len(clean)-1] == 0 {
				t.Error("everything is marked to the end")
			}
			sameWhenLedUp(t, soaktest.Rand(t), "led up", frags, false)
		})
	}
}
