//go:build cgo

package decode

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/kvsframes/kvsframes/decode/decodetest"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// recordings is the folder of real GetMedia recordings beside the checkout.
const recordings = "../../shared/kvs"

// allClips returns the paths of all clips.
func allClips(t testing.TB) []string {
	t.Helper()
	clips, err := filepath.Glob("testdata/*.mkv")
	if err != nil || len(clips) < 50 {
		t.Fatalf("%d clips, %v", len(clips), err)
	}
	return clips
}

// fragments splits a file of the folder beside the checkout, or of testdata.
func fragments(t testing.TB, path string) []*media.Fragment {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && filepath.Dir(path) == recordings {
		t.Skip("no recordings beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return split(t, f, payload.Config{Stream: "cam"})
}

// split returns the fragments of a payload.
func split(t testing.TB, r io.Reader, cfg payload.Config) []*media.Fragment {
	t.Helper()
	s := payload.NewSplitter(r, cfg)
	var out []*media.Fragment
	for {
		frag, err := s.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, frag)
	}
}

func everyFrame() Output {
	return Output{
		Sink: "raw", Sample: plan.Sample{Rule: plan.All{}, Clock: media.ClockProducer},
		Resize: Resize{Fit: FitContain}, Format: FormatNone, PixelFormat: PixelYUV420P,
	}
}

// testIsolation returns where the tests decode: KVSTEST_ISOLATION says so.
func testIsolation() Isolation {
	return cmp.Or(Isolation(os.Getenv("KVSTEST_ISOLATION")), IsolationNone)
}

func newTestPool(t testing.TB, change func(*Config)) *Pool {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Workers, cfg.Isolation = 1, testIsolation()
	if change != nil {
		change(&cfg)
	}
	p, err := NewPool(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// decodeAll runs fragments one after the other and returns the images and the outcomes.
func decodeAll(t testing.TB, s *Stream, frags []*media.Fragment) (images [][]media.Image, outcomes []media.Outcome) {
	t.Helper()
	for _, f := range frags {
		var got []media.Image
		out, err := s.Plan(f)(context.Background(), func(img media.Image) error {
			got = append(got, img)
			return nil
		})
		if err != nil {
			t.Fatalf("fragment %s: %v", f.Number, err)
		}
		images = append(images, got)
		outcomes = append(outcomes, out)
	}
	return images, outcomes
}

func stream(t testing.TB, p *Pool, outputs ...Output) *Stream {
	t.Helper()
	s, err := p.Stream(outputs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRecordingsGiveExactlyWhatLibavGivesForEachFragmentAlone runs every recording with one,
// two and eight workers, all fragments at once, for one sink and for several.
func TestRecordingsGiveExactlyWhatLibavGivesForEachFragmentAlone(t *testing.T) {
	thumbs, some := jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{Width: 80}), everyFrame()
	some.Sink, some.Sample = "some", plan.Sample{Rule: plan.Stride{N: 3}, Clock: media.ClockProducer}
	for name, frames := range map[string]int{
		"output_get_media.mkv":                         300,
		"output-get-media-non-increasing-timecode.mkv": 358,
		"clusters.mkv":                                 444,
		"vogels_480.mkv":                               909,
	} {
		t.Run(name, func(t *testing.T) {
			frags := fragments(t, filepath.Join(recordings, name))
			want := digestsOf(t, frags)
			total := 0
			for _, sums := range want {
				total += len(sums)
			}
			if total != frames {
				t.Errorf("libav gives %d frames, the recording has %d", total, frames)
			}
			for _, c := range []struct {
				workers int
				outputs []Output
			}{{1, []Output{everyFrame()}}, {2, []Output{everyFrame()}}, {8, []Output{thumbs, everyFrame(), some}}} {
				p := newTestPool(t, func(cfg *Config) { cfg.Workers = c.workers })
				holdFrames(t, stream(t, p, c.outputs...), frags, want)
			}
		})
	}
}

// digestsOf returns the digests of the frames that libav gives for each fragment alone.
func digestsOf(t *testing.T, frags []*media.Fragment) (all [][][sha256.Size]byte) {
	t.Helper()
	for _, f := range frags {
		var sums [][sha256.Size]byte
		for _, data := range decodetest.Frames(t, f.MKV) {
			sums = append(sums, sha256.Sum256(data))
		}
		all = append(all, sums)
	}
	return all
}

// holdFrames decodes all fragments side by side and compares the digests of the raw frames,
// as they come, with what they should be.
func holdFrames(t *testing.T, s *Stream, frags []*media.Fragment, want [][][sha256.Size]byte) {
	t.Helper()
	var wg sync.WaitGroup
	for i, f := range frags {
		work := s.Plan(f)
		wg.Go(func() {
			n := 0
			_, err := work(context.Background(), func(img media.Image) error {
				if img.Sink == "raw" {
					if img.Index != n || n >= len(want[i]) || sha256.Sum256(img.Data) != want[i][n] {
						t.Errorf("fragment %s frame %d (index %d) differs from libav's", f.Number, n, img.Index)
					}
					n++
				} else if img.Sink == "some" && sha256.Sum256(img.Data) != want[i][img.Index] {
					t.Errorf("fragment %s frame %d of the second sink differs from libav's", f.Number, img.Index)
				}
				return nil
			})
			if err != nil || n != len(want[i]) {
				t.Errorf("fragment %s: %d frames, libav gives %d; error %v", f.Number, n, len(want[i]), err)
			}
		})
	}
	wg.Wait()
	s.End()
}

func TestUndecodableRecordingsAreGapsThatNameTheFragment(t *testing.T) {
	for name, want := range map[string]struct{ fragments, lost int }{
		"test_mixed_tags.mkv":     {10, 10},
		"empty-mkv-with-tags.mkv": {1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			frags := fragments(t, filepath.Join(recordings, name))
			if len(frags) != want.fragments {
				t.Fatalf("%d fragments, want %d", len(frags), want.fragments)
			}
			images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
			for i, f := range frags {
				lost := 0
				for _, g := range outcomes[i].Gaps {
					lost += g.FramesLost
					if g.FragmentNumber != f.Number || g.Detail == "" {
						t.Errorf("fragment %s: gap = %+v", f.Number, g)
					}
				}
				if len(images[i]) != 0 || lost != want.lost || len(outcomes[i].Gaps) == 0 && !f.Cut {
					t.Errorf("fragment %s: %d images, outcome %+v", f.Number, len(images[i]), outcomes[i])
				}
			}
		})
	}
}

// psnr returns the peak signal-to-noise ratio of two pictures of 8-bit samples, in dB.
func psnr(a, b []byte) float64 {
	var sum float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	if sum == 0 {
		return math.Inf(1)
	}
	return 10 * math.Log10(255*255*float64(len(a))/sum)
}
