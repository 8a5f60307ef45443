//go:build cgo && linux

package decode

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/pick"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// TestBothWaysGiveTheSameImages holds what processes make against what is made without them: of some clips, or of all and of the recordings
// when soaking.
func TestBothWaysGiveTheSameImages(t *testing.T) {
	rng := soaktest.Rand(t)
	clips := allClips(t)
	rng.Shuffle(len(clips), func(i, j int) { clips[i], clips[j] = clips[j], clips[i] })
	clips = clips[:cases(8, len(clips))]
	if soaktest.Soaking() {
		more, _ := filepath.Glob(recordings + "/*.mkv")
		clips = append(clips, more...)
	}
	raw, jpeg, png := rawOf(PixelNV12, Resize{}), jpegOf(plan.Sample{Rule: plan.Stride{N: 4}}, Resize{Width: 70}), pngOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{Height: 50})
	bytesOf, floats := arrayOf(PixelGray, Resize{}, "", Normalize{}), arrayOf(PixelBGR24, Resize{Width: 33}, LayoutCHW, imagenet)
	raw.Sink, jpeg.Sink, png.Sink, jpeg.EXIF, png.EXIF, bytesOf.Sink, floats.Sink = "raw", "jpeg", "png", true, true, "bytes", "floats"
	scenes, best, filtered := jpegOf(plan.Sample{Rule: plan.Scene{Threshold: setting.NewLevel(2)}}, Resize{Width: 40}), rawOf(PixelGray, Resize{Width: 20}), pngOf(plan.Sample{Rule: plan.Stride{N: 2}}, Resize{Width: 20})
	scenes.Sink, best.Sink, filtered.Sink, best.Sample.Rule = "scenes", "best", "filtered", plan.Best{Window: 500 * time.Millisecond}
	filtered.Filters = pick.Filters{Black: pick.Black{Amount: setting.NewLevel(20)}, Blur: pick.Blur{Max: setting.NewLevel(6)}, Duplicate: pick.Duplicate{Distance: setting.NewLevel(4)}}
	measured, without := 0, 0
	for _, clip := range clips {
		t.Run(filepath.Base(clip), func(t *testing.T) {
			frags := fragments(t, clip)
			if which := rng.IntN(3); which == 0 && !strings.HasPrefix(clip, recordings) {
				frags[0], _ = mutant(t, rng, frags[0])
			}
			asked := frags[0].ProducerTime.Add(200 * time.Millisecond).Format(time.RFC3339Nano)
			stamps := jpegOf(plan.Sample{Rule: plan.Timestamps{At: []string{asked}, Tolerance: time.Second}}, Resize{Width: 33, Height: 60, Fit: FitPad})
			stamps.Sink, stamps.EXIF = "stamps", true
			var images [2][][]media.Image
			var outcomes [2][]media.Outcome
			for i, isolation := range []Isolation{IsolationNone, IsolationProcess} {
				p := newTestPool(t, func(c *Config) { c.Isolation = isolation })
				images[i], outcomes[i] = decodeToTheEnd(t, stream(t, p, raw, jpeg, png, stamps, bytesOf, floats, scenes, best, filtered), frags)
			}
			if !reflect.DeepEqual(outcomes[0], outcomes[1]) {
				t.Errorf("outcomes %+v\nand %+v", outcomes[0], outcomes[1])
			}
			for i := range frags {
				if len(images[0][i]) != len(images[1][i]) {
					t.Fatalf("fragment %d: %d images and %d", i, len(images[0][i]), len(images[1][i]))
				}
				for k := range images[0][i] {
					a, b := images[0][i][k], images[1][i][k]
					if !reflect.DeepEqual(a, b) {
						t.Errorf("fragment %d, image %d of %s differs", i, k, a.Sink)
					}
					if a.Measured != nil {
						measured++
					}
					if len(a.Data) == 0 {
						without++
					}
				}
			}
		})
	}
	if measured < 20 || without < 5 || without == measured {
		t.Errorf("%d images were measured, %d of them have no data", measured, without)
	}
}

// decodeToTheEnd decodes fragments after the stream has ended, so that no plan waits.
func decodeToTheEnd(t *testing.T, s *Stream, frags []*media.Fragment) (images [][]media.Image, outcomes []media.Outcome) {
	t.Helper()
	var works []func(context.Context, func(media.Image) error) (media.Outcome, error)
	for _, f := range frags {
		works = append(works, s.Plan(f))
	}
	s.End()
	for _, work := range works {
		var got []media.Image
		outcome, err := work(t.Context(), func(img media.Image) error { got = append(got, img); return nil })
		if err != nil {
			t.Fatal(err)
		}
		images, outcomes = append(images, got), append(outcomes, outcome)
	}
	return images, outcomes
}

// TestLargeImagesAndFragmentsCrossInParts has images and media that are larger than what a process shares.
func TestLargeImagesAndFragmentsCrossInParts(t *testing.T) {
	frags := fragments(t, "testdata/small.mkv")
	large := *frags[0]
	large.MKV = append(bytes.Clone(large.MKV), make([]byte, 2*windowSize)...)
	o := rawOf(PixelRGB24, Resize{Width: 2000, Height: 1500, Fit: FitStretch, Upscale: true})
	o.Sample = plan.Sample{Rule: plan.Stride{N: 4}, Clock: media.ClockProducer}
	want, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), []*media.Fragment{&large})
	p := newTestPool(t, func(c *Config) { c.Isolation = IsolationProcess })
	got, _ := decodeAll(t, stream(t, p, o), []*media.Fragment{&large})
	if len(want[0]) == 0 || len(want[0][0].Data) <= windowSize || !reflect.DeepEqual(got, want) {
		t.Errorf("%d images, want %d", len(got[0]), len(want[0]))
	}
}

func TestForgedImagesAreRefused(t *testing.T) {
	jpeg, png := jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{Width: 40}), pngOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{Width: 40})
	jpeg.EXIF, png.EXIF = false, false
	for _, o := range []Output{jpeg, png} {
		images, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), fragments(t, "testdata/small.mkv"))
		img := images[0][0]
		if _, err := o.complete(bytes.Clone(img.Data), img); err != nil {
			t.Fatalf("%s: %v", o.Format, err)
		}
		header := jfifEnd + 69 + 19
		if o.Format == FormatPNG {
			header = pngStart
		}
		for i := range header { // but for tables, each byte is known
			if o.Format == FormatJPEG && (i > 10 && i < jfifEnd || i >= jfifEnd+4 && i < jfifEnd+69 || i >= jfifEnd+69+9) ||
				o.Format == FormatPNG && i > 28 && i < pngHeader {
				continue
			}
			forged := bytes.Clone(img.Data)
			forged[i] ^= 0x40
			if _, err := o.complete(forged, img); err == nil {
				t.Errorf("%s: byte %d can be any", o.Format, i)
			}
		}
		for n := range img.Data {
			if _, err := o.complete(img.Data[:n], img); err == nil {
				t.Errorf("%s: %d bytes are enough", o.Format, n)
			}
		}
	}
	for _, c := range []struct {
		name string
		o    Output
		w, h int
		size uint64
		want bool
	}{
		{"raw pixels", rawOf(PixelRGB24, Resize{}), 4, 2, 24, true},
		{"too many pixels", rawOf(PixelRGB24, Resize{}), 4, 2, 25, false},
		{"odd chroma", rawOf(PixelNV12, Resize{}), 3, 3, 17, true},
		{"gray", rawOf(PixelGray, Resize{}), 3, 3, 9, true},
		{"wider than asked for", rawOf(PixelGray, Resize{Width: 3}), 4, 1, 4, false},
		{"higher than asked for", rawOf(PixelGray, Resize{Height: 3}), 1, 4, 4, false},
		{"smaller than the canvas", rawOf(PixelGray, Resize{Width: 4, Height: 4, Fit: FitPad}), 4, 3, 12, false},
		{"no pixels", rawOf(PixelGray, Resize{}), 0, 3, 0, false},
		{"beyond the largest side", rawOf(PixelGray, Resize{}), maxSide + 1, 1, maxSide + 1, false},
		{"a JPEG of any size", jpeg, 40, 30, 1 << 40, false},
		{"an empty JPEG", jpeg, 40, 30, 0, false},
	} {
		if got := c.o.believable(c.w, c.h, c.size); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestMessagesAreReadAsTheyWereWritten(t *testing.T) {
	want := message{head{Kind: msgImage, Flag: true, Reason: 2, Frame: 3, Output: 4, Width: 5, Height: 6, Offset: 7, Size: 8, Total: 9}, "text"}
	b := want.append(nil)
	if len(b) != headSize+len(want.text) {
		t.Errorf("%d bytes", len(b))
	}
	if got, err := readMessage(b); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range headSize {
		if _, err := readMessage(b[:n]); err == nil {
			t.Errorf("%d bytes are a message", n)
		}
	}
	if got := printable("a\x1b[2J\x00\xff\u202e b"); got != "a?[2J??? b" {
		t.Errorf("%q", got)
	}
}

// TestSettingsReachAProcessWhole fails when a key is added that pictures depend on and a process does not get.
func TestSettingsReachAProcessWhole(t *testing.T) {
	c := DefaultConfig()
	c.Color, c.Concealed, c.MaxPixels = Color{MatrixBT2020, RangeFull}, ConcealedDrop, 77
	var got settings
	if err := json.Unmarshal(settingsOf(c, []Output{{Sink: "a", Resize: Resize{Width: 3, Background: RGB{1, 2, 3}}, PixelFormat: PixelGray, needs: pick.Needs{MaxBlur: 2, Blur: true}}}), &got); err != nil {
		t.Fatal(err)
	}
	if got.Config != c || got.Outputs[0].Resize.Background != (RGB{1, 2, 3}) || got.Outputs[0].Needs != (pick.Needs{MaxBlur: 2, Blur: true}) {
		t.Errorf("%+v", got)
	}
	parts := reflect.TypeFor[childOutput]()
	elsewhere := map[string]bool{"Sample": true, "EXIF": true, "Fast": true, "Filters": true, "needs": true} // in the plan, added by the parent, or in Needs
	for f := range fieldsOf(reflect.TypeFor[Output]()) {
		if _, ok := parts.FieldByName(f); !ok && !elsewhere[f] {
			t.Errorf("a process does not get %s", f)
		}
	}
}

func fieldsOf(t reflect.Type) map[string]bool {
	names := map[string]bool{}
	for i := range t.NumField() {
		names[t.Field(i).Name] = true
	}
	return names
}

// BenchmarkIsolation decodes a fragment with and without a process.
func BenchmarkIsolation(b *testing.B) {
	frags := fragments(b, "testdata/bframes.mkv")[:1]
	for _, isolation := range []Isolation{IsolationNone, IsolationProcess} {
		for name, o := range map[string]Output{"thumbnail": jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{Width: 80}), "all frames": everyFrame()} {
			b.Run(name+"/"+string(isolation), func(b *testing.B) {
				s := stream(b, newTestPool(b, func(c *Config) { c.Isolation = isolation }), o)
				for b.Loop() {
					decodeAll(b, s, frags)
				}
			})
		}
	}
}
