//go:build cgo

package decode

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
)

// of gives fragments the name of a stream.
func of(stream string, frags []*media.Fragment) []*media.Fragment {
	out := make([]*media.Fragment, len(frags))
	for i, f := range frags {
		own := *f
		own.Stream = stream
		out[i] = &own
	}
	return out
}

// seen is what came of one fragment.
type seen struct {
	images  []media.Image
	outcome media.Outcome
}

// differs returns what tells two outcomes apart, "" if nothing does.
func (s seen) differs(from seen) string {
	if len(s.images) != len(from.images) {
		return fmt.Sprintf("%d images, not %d", len(s.images), len(from.images))
	}
	for i, img := range s.images {
		switch want := from.images[i]; {
		case img.FrameInfo != want.FrameInfo:
			return fmt.Sprintf("image %d is frame %d, not %d", i, img.Index, want.Index)
		case !bytes.Equal(img.Data, want.Data):
			return fmt.Sprintf("frame %d has other bytes", img.Index)
		case img.Concealed != want.Concealed:
			return fmt.Sprintf("frame %d: concealed is %t", img.Index, img.Concealed)
		}
	}
	if s.outcome.FramesConcealed != from.outcome.FramesConcealed || fmt.Sprintf("%+v", s.outcome.Gaps) != fmt.Sprintf("%+v", from.outcome.Gaps) {
		return fmt.Sprintf("outcome %+v, not %+v", s.outcome, from.outcome)
	}
	return ""
}

// decodeBeside decodes streams beside each other, fragment by fragment in turns, on one pool of workers.
func decodeBeside(t testing.TB, workers int, streams ...[]*media.Fragment) [][]seen {
	t.Helper()
	p := newTestPool(t, func(c *Config) { c.Workers = workers })
	out := make([][]seen, len(streams))
	handles := make([]*Stream, len(streams))
	for i := range streams {
		handles[i] = stream(t, p, everyFrame())
		out[i] = make([]seen, len(streams[i]))
	}
	limit := make(chan struct{}, workers)
	var wait sync.WaitGroup
	for k := range slices.MaxFunc(streams, func(a, b []*media.Fragment) int { return len(a) - len(b) }) {
		for i := range streams {
			if k >= len(streams[i]) {
				continue
			}
			decode, to := handles[i].Plan(streams[i][k]), &out[i][k]
			limit <- struct{}{} // with one worker, one after the other
			wait.Go(func() {
				defer func() { <-limit }()
				var err error
				to.outcome, err = decode(context.Background(), func(img media.Image) error {
					to.images = append(to.images, img)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wait.Wait()
	for _, s := range handles {
		s.End()
	}
	return out
}

// TestNothingOfAnotherStreamShows holds what comes of a damaged stream beside another with
// equal codec data against what comes of it alone.
func TestNothingOfAnotherStreamShows(t *testing.T) {
	rng := soaktest.Rand(t)
	for _, codec := range []string{"avc", "hevc"} {
		t.Run(codec, func(t *testing.T) {
			a, b := of("a", fragments(t, "testdata/"+codec+"-cam-a.mkv")), of("b", fragments(t, "testdata/"+codec+"-cam-b.mkv"))
			if !bytes.Equal(a[0].Tracks[0].CodecPrivate, b[0].Tracks[0].CodecPrivate) {
				t.Fatal("the clips have codec data of their own")
			}
			marked := 0
			for n := range cases(15, 500) {
				frags, did := slices.Clone(b), []string(nil)
				which := rng.IntN(len(b))
				frags[which], did = mutant(t, rng, b[which])
				alone := decodeBeside(t, 1, frags)[0]
				marked += alone[which].outcome.FramesConcealed
				for _, workers := range []int{1, 2} {
					beside := decodeBeside(t, workers, append(slices.Clone(a), a...), frags)[1]
					for i := range frags {
						if d := beside[i].differs(alone[i]); d != "" {
							t.Fatalf("mutant %d, fragment %d of %v in %d, %d workers: %s", n, i, did, which, workers, d)
						}
					}
				}
			}
			if marked == 0 {
				t.Error("no mutant has a marked picture")
			}
		})
	}
}
