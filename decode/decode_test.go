//go:build cgo

package decode

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/decodetest"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

func jpegOf(sample plan.Sample, resize Resize) Output {
	if sample.Clock == "" {
		sample.Clock = media.ClockProducer
	}
	if resize.Fit == "" {
		resize.Fit = FitContain
	}
	return Output{Sink: "thumbs", Sample: sample, Resize: resize, Format: FormatJPEG, Quality: 90}
}

func rawOf(format PixelFormat, resize Resize) Output {
	o := everyFrame()
	o.PixelFormat, o.Resize = format, resize
	if o.Resize.Fit == "" {
		o.Resize.Fit = FitContain
	}
	return o
}

func TestClipsGiveExactlyWhatLibavGives(t *testing.T) {
	for _, name := range []string{"bframes.mkv", "hevc.mkv", "small.mkv"} {
		t.Run(name, func(t *testing.T) {
			frags := fragments(t, "testdata/"+name)
			images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
			for i, f := range frags {
				want := decodetest.Frames(t, f.MKV)
				if len(images[i]) != len(want) || len(want) != len(f.Blocks) || len(outcomes[i].Gaps) != 0 {
					t.Fatalf("fragment %d: %d frames of %d, outcome %+v", i, len(images[i]), len(want), outcomes[i])
				}
				for k, img := range images[i] {
					if !bytes.Equal(img.Data, want[k]) {
						t.Fatalf("fragment %d frame %d differs from libav's", i, k)
					}
				}
			}
		})
	}
}

// TestSkippingNeverChangesAPicture compares every sampler with the pictures that
// it picks out of a decode of everything.
func TestSkippingNeverChangesAPicture(t *testing.T) {
	samples := map[string]plan.Sample{
		"keyframes":     {Rule: plan.Keyframes{}},
		"every second":  {Rule: plan.Stride{N: 2}},
		"every seventh": {Rule: plan.Stride{N: 7}},
		"5 a second":    {Rule: plan.Interval{Rate: plan.Rate{Num: 5, Den: 1}}},
		"every 333ms":   {Rule: plan.Interval{Every: 333 * time.Millisecond}},
		"every 2s":      {Rule: plan.Interval{Every: 2 * time.Second}},
	}
	for _, clip := range []string{"bframes.mkv", "hevc.mkv"} {
		frags := fragments(t, "testdata/"+clip)
		all, _ := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
		for name, sample := range samples {
			t.Run(clip+" "+name, func(t *testing.T) {
				o := everyFrame()
				o.Sample, o.Sample.Clock = sample, media.ClockProducer
				some, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), o), frags)
				total, decoded := 0, 0
				planner := plan.NewPlanner(plan.SkipNone, requested(o))
				for i := range frags {
					var want []media.Image
					for _, frame := range planner.Plan(frags[i]).Frames {
						if len(frame.Outputs) > 0 {
							want = append(want, all[i][frame.Info.Index])
						}
					}
					slices.SortFunc(want, func(a, b media.Image) int { return a.Index - b.Index })
					if len(some[i]) != len(want) {
						t.Fatalf("fragment %d: %d frames, want %d", i, len(some[i]), len(want))
					}
					for k, img := range some[i] {
						if img.FrameInfo != want[k].FrameInfo || !bytes.Equal(img.Data, want[k].Data) {
							t.Fatalf("fragment %d: frame %d differs from frame %d of the whole", i, img.Index, want[k].Index)
						}
					}
					total += len(want)
					decoded += outcomes[i].FramesDecoded
				}
				if total == 0 {
					t.Error("nothing was sampled")
				}
				if sample.Rule == (plan.Keyframes{}) && decoded != total {
					t.Errorf("%d frames were decoded for %d key frames", decoded, total)
				}
			})
		}
	}
}

func TestOutputsShareOneDecode(t *testing.T) {
	frags := fragments(t, "testdata/bframes.mkv")
	alone := func(o Output) []media.Image {
		images, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), frags)
		return slices.Concat(images...)
	}
	keys, raw := jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{Width: 80}), everyFrame()
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), keys, raw), frags)
	for i, o := range outcomes {
		if o.FramesDecoded != len(frags[i].Blocks) {
			t.Errorf("fragment %d: %d frames decoded, it has %d", i, o.FramesDecoded, len(frags[i].Blocks))
		}
	}
	bySink := map[string][]media.Image{}
	for _, img := range slices.Concat(images...) {
		bySink[img.Sink] = append(bySink[img.Sink], img)
	}
	for _, o := range []Output{keys, raw} {
		if !slices.EqualFunc(bySink[o.Sink], alone(o), func(a, b media.Image) bool {
			return a.FrameInfo == b.FrameInfo && bytes.Equal(a.Data, b.Data)
		}) {
			t.Errorf("sink %s gets other images in company than alone", o.Sink)
		}
	}
}

// TestCodecDataThatChangesBetweenFragments goes back and forth between streams,
// with as many workers as stated, all fragments at once.
func TestCodecDataThatChangesBetweenFragments(t *testing.T) {
	var frags []*media.Fragment
	for _, name := range []string{"bframes.mkv", "small.mkv", "hevc.mkv", "card-bt709.mkv", "bframes.mkv", "small.mkv"} {
		frags = append(frags, fragments(t, "testdata/"+name)...)
	}
	want := digestsOf(t, frags)
	for _, workers := range []int{1, 2, 8} {
		p := newTestPool(t, func(c *Config) { c.Workers = workers })
		holdFrames(t, stream(t, p, everyFrame()), frags, want)
	}
}

// patches are the colours of the cards, left to right, 32 pixels each.
var patches = []RGB{
	{255, 0, 0},
	{0, 255, 0},
	{0, 0, 255},
	{255, 255, 0},
	{0, 255, 255},
	{255, 255, 255},
	{128, 128, 128},
	{32, 64, 96},
}

// checkCard compares the middles of the patches with what they should be.
func checkCard(t *testing.T, at func(x, y int) RGB, width, height int) {
	t.Helper()
	worst, sum, n := 0, 0, 0
	for i, want := range patches {
		side := width / len(patches)
		for y := height / 4; y < height*3/4; y++ {
			for x := i*side + side/4; x < (i+1)*side-side/4; x++ {
				got := at(x, y)
				for c := range got {
					d := int(math.Abs(float64(got[c]) - float64(want[c])))
					worst, sum, n = max(worst, d), sum+d, n+1
				}
			}
		}
	}
	if mean := float64(sum) / float64(n); mean > 2 || worst > 8 {
		t.Errorf("colours are off by %.2f levels in the mean, %d at most", mean, worst)
	}
}

var cards = []string{
	"card-bt601.mkv", "card-bt709.mkv", "card-bt709-full.mkv", "card-untagged.mkv",
	"card-10bit.mkv", "card-10bit-full.mkv", "card-main10.mkv", "card-bt2020.mkv",
	"card-422.mkv", "card-422-10bit.mkv", "card-444.mkv", "card-rgb.mkv",
}

func TestColoursAreRightInEveryForm(t *testing.T) {
	for _, card := range cards {
		frags := fragments(t, "testdata/"+card)
		for name, resize := range map[string]Resize{"full size": {}, "half size": {Width: 128}} {
			t.Run(card+" "+name, func(t *testing.T) {
				outputs := []Output{
					jpegOf(plan.Sample{Rule: plan.Keyframes{}}, resize),
					rawOf(PixelRGB24, resize), rawOf(PixelBGR24, resize),
				}
				outputs[0].Sink, outputs[1].Sink, outputs[2].Sink = "jpeg", "rgb24", "bgr24"
				images, _ := decodeAll(t, stream(t, newTestPool(t, nil), outputs...), frags[:1])
				for _, img := range images[0][:3] {
					w := img.Width
					checkCard(t, pixels(t, img), w, img.Height)
				}
			})
		}
	}
}

// pixels returns a reader of an image's colours.
func pixels(t *testing.T, img media.Image) func(x, y int) RGB {
	t.Helper()
	at := func(x, y int) []byte { return img.Data[3*(y*img.Width+x):] }
	switch img.Format {
	case "rgb24":
		return func(x, y int) RGB { p := at(x, y); return RGB{p[0], p[1], p[2]} }
	case "bgr24":
		return func(x, y int) RGB { p := at(x, y); return RGB{p[2], p[1], p[0]} }
	}
	decoded := decodeJPEG(t, img)
	return func(x, y int) RGB {
		c := color.RGBAModel.Convert(decoded.At(x, y)).(color.RGBA)
		return RGB{c.R, c.G, c.B}
	}
}

func decodeJPEG(t *testing.T, img media.Image) image.Image {
	t.Helper()
	decoded, err := jpeg.Decode(bytes.NewReader(img.Data))
	if err != nil {
		t.Fatalf("frame %d is no JPEG: %v", img.Index, err)
	}
	if b := decoded.Bounds(); b.Dx() != img.Width || b.Dy() != img.Height {
		t.Fatalf("frame %d is %v, said to be %dx%d", img.Index, b, img.Width, img.Height)
	}
	return decoded
}

func TestGrayIsFullRange(t *testing.T) {
	for _, card := range cards {
		images, _ := decodeAll(t, stream(t, newTestPool(t, nil), rawOf(PixelGray, Resize{})), fragments(t, "testdata/"+card)[:1])
		img := images[0][0]
		at := func(patch int) byte { return img.Data[img.Width*img.Height/2+patch*32+16] }
		if white, gray := at(5), at(6); white < 253 || gray < 126 || gray > 130 {
			t.Errorf("%s: white is %d, middle grey is %d", card, white, gray)
		}
	}
}

func TestRawSizesHaveNoPadding(t *testing.T) {
	frags := fragments(t, "testdata/bframes.mkv")[:1]
	for format, size := range map[PixelFormat]func(w, h int) int{
		PixelRGB24:   func(w, h int) int { return 3 * w * h },
		PixelBGR24:   func(w, h int) int { return 3 * w * h },
		PixelGray:    func(w, h int) int { return w * h },
		PixelNV12:    func(w, h int) int { return w*h + 2*((w+1)/2)*((h+1)/2) },
		PixelYUV420P: func(w, h int) int { return w*h + 2*((w+1)/2)*((h+1)/2) },
	} {
		for _, width := range []int{0, 33, 64, 159} {
			images, _ := decodeAll(t, stream(t, newTestPool(t, nil), rawOf(format, Resize{Width: width})), frags)
			img := images[0][0]
			if len(img.Data) != size(img.Width, img.Height) || width != 0 && img.Width != width {
				t.Errorf("%s at width %d: %d bytes for %dx%d", format, width, len(img.Data), img.Width, img.Height)
			}
		}
	}
}

// TestNV12IsYUV420PInterleaved holds two layouts of the same samples together.
func TestNV12IsYUV420PInterleaved(t *testing.T) {
	frags := fragments(t, "testdata/bframes.mkv")[:1]
	planar, _ := decodeAll(t, stream(t, newTestPool(t, nil), rawOf(PixelYUV420P, Resize{})), frags)
	packed, _ := decodeAll(t, stream(t, newTestPool(t, nil), rawOf(PixelNV12, Resize{})), frags)
	for i, p := range planar[0] {
		luma := p.Width * p.Height
		want := slices.Clone(p.Data[:luma])
		u, v := p.Data[luma:luma+luma/4], p.Data[luma+luma/4:]
		for k := range u {
			want = append(want, u[k], v[k])
		}
		if !bytes.Equal(packed[0][i].Data, want) {
			t.Fatalf("frame %d: nv12 holds other samples than yuv420p", i)
		}
	}
}

func TestFitsGiveTheSizeAndTheBackground(t *testing.T) {
	frags := fragments(t, "testdata/card-bt709.mkv")[:1] // 256x64
	pad := Resize{Width: 100, Height: 100, Fit: FitPad, Background: RGB{200, 30, 60}}
	for name, c := range map[string]struct {
		resize Resize
		w, h   int
	}{
		"contain": {Resize{Width: 100, Height: 100, Fit: FitContain}, 100, 25},
		"cover":   {Resize{Width: 60, Height: 60, Fit: FitCover}, 60, 60},
		"pad":     {pad, 100, 100},
		"stretch": {Resize{Width: 50, Height: 60, Fit: FitStretch}, 50, 60},
		"enlarge": {Resize{Width: 512, Upscale: true, Fit: FitContain}, 512, 128},
	} {
		t.Run(name, func(t *testing.T) {
			jpg := jpegOf(plan.Sample{Rule: plan.Keyframes{}}, c.resize)
			rgb := rawOf(PixelRGB24, c.resize)
			images, _ := decodeAll(t, stream(t, newTestPool(t, nil), jpg, rgb), frags)
			for _, img := range images[0][:2] {
				if img.Width != c.w || img.Height != c.h {
					t.Errorf("%s is %dx%d, want %dx%d", img.Format, img.Width, img.Height, c.w, c.h)
				}
				at := pixels(t, img)
				if c.resize != pad {
					continue
				}
				for _, corner := range [][2]int{{0, 0}, {99, 0}, {0, 99}, {99, 99}, {50, 10}, {50, 90}} {
					got := at(corner[0], corner[1])
					for i := range got {
						if math.Abs(float64(got[i])-float64(pad.Background[i])) > 6 {
							t.Errorf("%s: background at %v is %v", img.Format, corner, got)
							break
						}
					}
				}
				if got := at(6, 50); got[0] < 200 || got[1] > 50 { // the red patch
					t.Errorf("%s: the picture is not where it should be: %v", img.Format, got)
				}
			}
		})
	}
}

func TestHigherQualityIsCloser(t *testing.T) {
	frags := fragments(t, "testdata/bframes.mkv")[:1]
	size := 0
	for _, quality := range []int{5, 30, 60, 80, 90, 100} {
		o := jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{})
		o.Quality = quality
		images, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), frags)
		decodeJPEG(t, images[0][0])
		if n := len(images[0][0].Data); n <= size {
			t.Errorf("quality %d takes %d bytes, less quality took %d", quality, n, size)
		} else {
			size = n
		}
	}
}

func TestEXIFTellsTimeStreamAndFragment(t *testing.T) {
	f := fragments(t, "testdata/small.mkv")[0]
	f.ProducerTime = time.Date(2026, 11, 22, 9, 8, 7, 60e6, time.UTC)
	f.ServerTime = f.ProducerTime.Add(2500 * time.Millisecond)
	f.Number = "91343852333181432392682062607743920146264094487"
	o := jpegOf(plan.Sample{Rule: plan.Keyframes{}}, Resize{})
	plain, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), []*media.Fragment{f})
	o.EXIF = true
	tagged, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), []*media.Fragment{f})
	data := tagged[0][0].Data
	for _, want := range []string{
		"Exif\x00\x00II*\x00", "2026:11:22 09:08:07\x00", "060\x00", "2026:11:22 09:08:09\x00", "560\x00", "+00:00\x00",
		`{"stream":"cam","fragment_number":"91343852333181432392682062607743920146264094487","frame_index":0}`,
	} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("%q is not in the file", want)
		}
	}
	decodeJPEG(t, tagged[0][0])
	if !bytes.HasSuffix(data, plain[0][0].Data[20:]) {
		t.Error("the segment changed the picture")
	}
}

func TestBytesAreTheSameEveryTime(t *testing.T) {
	frags := fragments(t, "testdata/bframes.mkv")
	run := func() [32]byte {
		images, _ := decodeAll(t, stream(t, newTestPool(t, nil), jpegOf(plan.Sample{Rule: plan.All{}}, Resize{Width: 80}), rawOf(PixelRGB24, Resize{Width: 96})), frags)
		h := sha256.New()
		for _, img := range slices.Concat(images...) {
			h.Write(img.Data)
		}
		return [32]byte(h.Sum(nil))
	}
	if a, b := run(), run(); a != b {
		t.Error("two runs gave different bytes")
	}
}

// damaged returns a copy of f with its packets from..to overwritten.
func damaged(f *media.Fragment, from, to int) *media.Fragment {
	c := *f
	c.MKV = slices.Clone(f.MKV)
	for _, b := range f.Blocks[from:to] {
		for i := b.Offset; i < b.Offset+b.Size; i++ {
			c.MKV[i] = 0xaa
		}
	}
	return &c
}

func TestDamageIsAGapAndTheNextFragmentIsWhole(t *testing.T) {
	frags := fragments(t, "testdata/bframes.mkv")
	frags[1] = damaged(frags[1], 0, len(frags[1].Blocks))
	images, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), frags)
	if len(outcomes[0].Gaps) != 0 || len(outcomes[2].Gaps) != 0 || len(images[2]) != len(frags[2].Blocks) {
		t.Errorf("outcomes = %+v", outcomes)
	}
	want := decodetest.Frames(t, frags[2].MKV)
	for k, img := range images[2] {
		if !bytes.Equal(img.Data, want[k]) {
			t.Fatalf("frame %d after the damage differs from libav's", k)
		}
	}
	if g := outcomes[1].Gaps; len(g) != 1 || g[0].FramesLost != len(frags[1].Blocks) || g[0].FragmentNumber != frags[1].Number {
		t.Errorf("gaps = %+v", g)
	}
}

func TestTimesWhoseFrameIsDamagedAreNamed(t *testing.T) {
	f := fragments(t, "testdata/bframes.mkv")[1]
	o := everyFrame()
	o.Sample = plan.Sample{Rule: plan.Timestamps{Asked: []plan.Request{{Time: f.ProducerTime}, {Time: f.ProducerTime.Add(time.Millisecond)}}, Tolerance: time.Second}, Clock: media.ClockProducer}
	_, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), o), []*media.Fragment{damaged(f, 0, len(f.Blocks))})
	at := func(t time.Time) string { return t.Format(time.RFC3339Nano) }
	want := "; no frame for " + at(f.ProducerTime) + ", " + at(f.ProducerTime.Add(time.Millisecond))
	if g := outcomes[0].Gaps; len(g) != 1 || !strings.HasSuffix(g[0].Detail, want) || g[0].FramesLost != 1 {
		t.Errorf("gaps %+v, want the reason to end %q", g, want)
	}
}

func TestOnErrorFailStops(t *testing.T) {
	f := fragments(t, "testdata/bframes.mkv")[0]
	p := newTestPool(t, func(c *Config) { c.OnError = OnErrorFail })
	_, err := stream(t, p, everyFrame()).Plan(damaged(f, 0, len(f.Blocks)))(t.Context(), func(media.Image) error { return nil })
	if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), f.Number) {
		t.Errorf("error = %v", err)
	}
}

func TestRefusedFragmentsSayWhy(t *testing.T) {
	clip := fragments(t, "testdata/small.mkv")[0]
	with := func(change func(*media.Fragment)) *media.Fragment {
		c := *clip
		c.Tracks = slices.Clone(c.Tracks)
		change(&c)
		return &c
	}
	p := newTestPool(t, func(c *Config) { c.MaxPixels = 96 * 64 })
	for name, c := range map[string]struct {
		fragment *media.Fragment
		reason   string
	}{
		"a codec that is not decoded": {with(func(f *media.Fragment) { f.Tracks[0].CodecID = "V_VP9" }), `"V_VP9"`},
		"a picture above max_pixels":  {with(func(f *media.Fragment) { f.Tracks[0].Width = 97 }), "max_pixels is 6144"},
		"bytes that are no video":     {with(func(f *media.Fragment) { f.MKV = make([]byte, len(f.MKV)) }), "decode: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, outcomes := decodeAll(t, stream(t, p, everyFrame()), []*media.Fragment{c.fragment})
			if g := outcomes[0].Gaps; len(g) != 1 || !strings.Contains(g[0].Detail, c.reason) {
				t.Errorf("gaps = %+v, want one that says %q", g, c.reason)
			}
		})
	}
	// The sequence header can tell another size than the track.
	hidden := with(func(f *media.Fragment) { f.Tracks[0].Width, f.Tracks[0].Height = 16, 16 })
	small := newTestPool(t, func(c *Config) { c.MaxPixels = 1000 })
	images, outcomes := decodeAll(t, stream(t, small, everyFrame()), []*media.Fragment{hidden})
	if len(images[0]) != 0 || len(outcomes[0].Gaps) != 1 {
		t.Errorf("a hidden size passed: %d images, %+v", len(images[0]), outcomes[0])
	}
}

func TestAStreamWithoutVideoIsReportedOnce(t *testing.T) {
	clip := fragments(t, "testdata/small.mkv")[0]
	audio, silent := *clip, *clip
	audio.Tracks, silent.Blocks = []media.Track{{Number: 1, Type: media.TrackAudio}}, nil
	unknown := *clip
	unknown.Tracks = nil
	_, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), everyFrame()), []*media.Fragment{clip, &unknown})
	if g := outcomes[1].Gaps; len(g) != 1 || g[0].Reason != media.GapDamaged || g[0].FragmentNumber != clip.Number {
		t.Errorf("blocks without tracks: gaps %+v", g)
	}
	for name, c := range map[string]struct {
		fragments []*media.Fragment
		gaps      int
	}{
		"none at all":       {[]*media.Fragment{&audio, &silent, &audio}, 1},
		"between the video": {[]*media.Fragment{&audio, clip, &silent, clip}, 0},
		"nothing":           {nil, 0},
	} {
		s := stream(t, newTestPool(t, nil), everyFrame())
		for _, f := range c.fragments {
			if out, err := s.Plan(f)(t.Context(), func(media.Image) error { return nil }); err != nil || len(out.Gaps) > 0 {
				t.Errorf("%s: %+v, error %v", name, out, err)
			}
		}
		gaps := s.End()
		if len(gaps) != c.gaps || c.gaps == 1 && gaps[0].Reason != media.GapNoVideo {
			t.Errorf("%s: gaps %+v at the end, want %d", name, gaps, c.gaps)
		}
	}
}

func TestDecodingEndsWithItsContextAndWithEmit(t *testing.T) {
	f := fragments(t, "testdata/bframes.mkv")[0]
	p := newTestPool(t, nil)
	s := stream(t, p, everyFrame())
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	_, err := s.Plan(f)(ctx, func(media.Image) error { n++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("after cancel: %d images, error %v", n, err)
	}
	full := errors.New("full")
	if _, err := s.Plan(f)(t.Context(), func(media.Image) error { return full }); !errors.Is(err, full) {
		t.Errorf("error = %v, want emit's", err)
	}
	// The worker is none the worse for it.
	images, _ := decodeAll(t, stream(t, p, everyFrame()), []*media.Fragment{f})
	if len(images[0]) != len(f.Blocks) {
		t.Errorf("%d frames afterwards, want %d", len(images[0]), len(f.Blocks))
	}
	// All workers are busy: a wait for one ends with the context too.
	busy, _ := p.idle.take(t.Context(), nil)
	if _, err := s.Plan(f)(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error while busy = %v", err)
	}
	p.idle.put(busy)
}

func TestLibavIsTheOneThatIsMeant(t *testing.T) {
	versions, licence, configuration := LibavVersions()
	if !strings.HasPrefix(versions["libavcodec"], "61.") {
		t.Errorf("libavcodec %s is not that of FFmpeg 7.1", versions["libavcodec"])
	}
	if strings.Contains(configuration, "--enable-gpl") && !strings.Contains(licence, "GPL") {
		t.Errorf("licence %q does not fit %q", licence, configuration)
	}
}
