package decode

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// at returns candidates at the given milliseconds; negative ones are no key frames.
func at(ms ...int) []candidate {
	var cs []candidate
	for i, m := range ms {
		cs = append(cs, candidate{at: time.UnixMilli(int64(m)).UTC(), key: i == 0})
	}
	return cs
}

func every(d time.Duration) Sample { return Sample{Type: SampleInterval, Interval: d} }

func TestSamplersPick(t *testing.T) {
	second := every(time.Second)
	for name, c := range map[string]struct {
		sample  Sample
		nominal time.Duration
		frags   [][]candidate
		want    [][]int
	}{
		"all takes everything":                                {Sample{Type: SampleAll}, 0, [][]candidate{at(0, 5, 9)}, [][]int{{0, 1, 2}}},
		"keyframes takes key frames":                          {Sample{Type: SampleKeyframes}, 0, [][]candidate{at(0, 5), at(9)}, [][]int{{0}, {0}}},
		"a stride goes over fragments":                        {Sample{Type: SampleStride, N: 4}, 0, [][]candidate{at(0, 1, 2), at(3, 4, 5), at(6), at(7, 8)}, [][]int{{0}, {1}, nil, {1}}},
		"the first at or after each point":                    {second, 0, [][]candidate{at(0, 400, 800, 1200, 1600, 2000)}, [][]int{{0, 3, 5}}},
		"points go over fragments":                            {second, 0, [][]candidate{at(0, 400, 800), at(1200, 1600), at(2000)}, [][]int{{0}, {0}, {0}}},
		"a first frame off the grid":                          {second, 0, [][]candidate{at(300, 340, 1100)}, [][]int{{2}}},
		"a first frame just after a point":                    {second, 0, [][]candidate{at(1010, 1050, 1090)}, [][]int{{0}}},
		"a lone first frame after a point":                    {second, 40 * time.Millisecond, [][]candidate{at(1010)}, [][]int{{0}}},
		"a lone first frame of unknown duration off the grid": {second, 0, [][]candidate{at(1010)}, [][]int{nil}},
		"several points in one step are one frame":            {second, 0, [][]candidate{at(0, 40), at(5500, 5540)}, [][]int{{0}, {0}}},
		"more points than frames takes every frame":           {every(10 * time.Millisecond), 0, [][]candidate{at(0, 40, 80)}, [][]int{{0, 1, 2}}},
		"equal times are one point":                           {second, 0, [][]candidate{at(0, 0, 0), at(0, 1000, 1000)}, [][]int{{0}, {1}}},
		"a clock that goes back starts again":                 {second, 0, [][]candidate{at(9900, 10000, 10100), at(100, 140, 1000, 1100)}, [][]int{{1}, {2}}},
		"a clock that goes back less than a frame does not":   {second, 0, [][]candidate{at(9960, 10000), at(9999, 10039)}, [][]int{{1}, nil}},
		"before the epoch":                                    {second, 0, [][]candidate{at(-1500, -1100, -900, -100, 50)}, [][]int{{2, 4}}},
		"frames per second":                                   {Sample{Type: SampleInterval, Rate: Rate{2, 1}}, 0, [][]candidate{at(0, 400, 500, 900, 1000)}, [][]int{{0, 2, 4}}},
		"thirds of a second do not drift": {
			Sample{Type: SampleInterval, Rate: Rate{3, 1}},
			0,
			[][]candidate{at(3600000000, 3600000333, 3600000334, 3600000666, 3600000667, 3600001000)},
			[][]int{{0, 2, 4, 5}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSampler(c.sample)
			for i, frames := range c.frags {
				var got []int
				for k, picked := range s.pick(frames, timing{nominal: c.nominal}) {
					if picked {
						got = append(got, k)
					}
				}
				if !slices.Equal(got, c.want[i]) {
					t.Errorf("fragment %d: picked %v, want %v", i, got, c.want[i])
				}
			}
		})
	}
}

// TestIntervalPicksTheSameFramesFromAnyStart starts runs at every fragment of a
// stream and compares them with the run over all of it.
func TestIntervalPicksTheSameFramesFromAnyStart(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const ntsc = 1001.0 / 30
	for round := range 50 {
		var frags [][]candidate
		n := rng.IntN(100000)
		for range 12 {
			var ms []int
			for range 20 + rng.IntN(60) {
				ms = append(ms, 1700000000000+int(float64(n)*ntsc))
				n++
			}
			frags = append(frags, at(ms...))
		}
		sample := every(time.Duration(100+rng.IntN(5000)) * time.Millisecond)
		run := func(from int) (picked []int64) {
			s := newSampler(sample)
			for _, f := range frags[from:] {
				for k, ok := range s.pick(f, timing{33366666 * time.Nanosecond, time.Millisecond}) {
					if ok {
						picked = append(picked, f[k].at.UnixMilli())
					}
				}
			}
			return picked
		}
		whole := run(0)
		for from := range frags {
			begin := frags[from][0].at.UnixMilli()
			want := slices.DeleteFunc(slices.Clone(whole), func(ms int64) bool { return ms < begin })
			if got := run(from); !slices.Equal(got, want) {
				t.Fatalf("round %d, interval %s, from fragment %d: %v, the whole run picks %v", round, sample.Interval, from, got, want)
			}
		}
	}
}

// avc returns an AVCC packet of NAL units with the given headers.
func avc(headers ...byte) []byte {
	var p []byte
	for _, h := range headers {
		p = binary.BigEndian.AppendUint32(p, 3)
		p = append(p, h, 0x80, 0x40)
	}
	return p
}

const (
	idr      = 0x65
	ref      = 0x41
	disposed = 0x01
	sei      = 0x06
)

// gop returns a fragment of AVC packets: presentation times in ms, and slice headers.
func gop(times []int, headers []byte) *media.Fragment {
	f := &media.Fragment{
		Stream: "cam", Number: "1", ProducerTime: time.UnixMilli(0).UTC(),
		Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: codecAVC, CodecPrivate: []byte{1, 0x64, 0, 0x28, 0xff, 0xe0, 0}}},
	}
	for i, ms := range times {
		p := avc(sei, headers[i])
		f.Blocks = append(f.Blocks, media.Block{Track: 1, Time: time.Duration(ms) * time.Millisecond, Key: headers[i] == idr, Offset: len(f.MKV), Size: len(p)})
		f.MKV = append(f.MKV, p...)
	}
	return f
}

func TestPlanFeedsNoMoreThanTheSamplesNeed(t *testing.T) {
	// Decode order I P b b P b b, presentation order I b b P b b P, and a second IDR.
	times := []int{0, 120, 40, 80, 240, 160, 200, 280, 400, 320, 360}
	headers := []byte{idr, ref, disposed, disposed, ref, disposed, disposed, idr, ref, disposed, disposed}
	at := func(s Sample) []Output { return []Output{{Sample: s}} }
	for name, c := range map[string]struct {
		skip    SkipFrame
		outputs []Output
		wanted  []int // packets, in presentation order
		fed     []int
	}{
		"all":                          {SkipAuto, at(Sample{Type: SampleAll}), []int{0, 2, 3, 1, 5, 6, 4, 7, 9, 10, 8}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		"keyframes":                    {SkipAuto, at(Sample{Type: SampleKeyframes}), []int{0, 7}, []int{0, 7}},
		"one disposable picture":       {SkipAuto, at(every(5 * time.Second)), []int{0}, []int{0}},
		"every fourth":                 {SkipAuto, at(Sample{Type: SampleStride, N: 4}), []int{0, 5, 9}, []int{0, 1, 4, 5, 7, 8, 9}},
		"every fifth":                  {SkipAuto, at(Sample{Type: SampleStride, N: 5}), []int{0, 6, 8}, []int{0, 1, 4, 6, 7, 8}},
		"none decodes all":             {SkipNone, at(Sample{Type: SampleKeyframes}), []int{0, 7}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		"nonref takes pictures away":   {SkipNonRef, at(Sample{Type: SampleAll}), []int{0, 1, 4, 7, 8}, []int{0, 1, 4, 7, 8}},
		"nonkey takes all but keys":    {SkipNonKey, at(Sample{Type: SampleAll}), []int{0, 7}, []int{0, 7}},
		"two outputs share one decode": {SkipAuto, []Output{{Sample: Sample{Type: SampleKeyframes}}, {Sample: Sample{Type: SampleStride, N: 3}}}, []int{0, 1, 4, 7, 10}, []int{0, 1, 4, 7, 8, 10}},
		"no output":                    {SkipAuto, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			pl := newPlanner(c.skip, c.outputs).plan(gop(times, headers))
			var fed []int
			for k, f := range pl.frames {
				if f.feed {
					fed = append(fed, k)
				}
			}
			if !slices.Equal(pl.inOrder, c.wanted) {
				t.Errorf("wanted packets %v, want %v", pl.inOrder, c.wanted)
			}
			if !slices.Equal(fed, c.fed) {
				t.Errorf("fed packets %v, want %v", fed, c.fed)
			}
		})
	}
}

func TestPlanNamesFramesInPresentationOrder(t *testing.T) {
	f := gop([]int{-40, 120, 0, 40}, []byte{idr, ref, disposed, disposed})
	f.ProducerTime, f.ServerTime = time.UnixMilli(5000).UTC(), time.UnixMilli(9000).UTC()
	pl := newPlanner(SkipAuto, nil).plan(f)
	for k, want := range []struct{ index, producer, server int }{{0, 4960, 8960}, {3, 5120, 9120}, {1, 5000, 9000}, {2, 5040, 9040}} {
		info := pl.frames[k].info
		if info.Index != want.index || info.ProducerTime.UnixMilli() != int64(want.producer) || info.ServerTime.UnixMilli() != int64(want.server) {
			t.Errorf("packet %d: %+v, want %+v", k, info, want)
		}
	}
}

func TestFramesOutOfTheFragmentsBoundsAreNoSamples(t *testing.T) {
	// Presentation times 1000, 1040 ... 1240 ms on the producer's clock.
	bounded := func(from, until int) *media.Fragment {
		f := gop([]int{0, 120, 40, 80, 240, 160, 200}, []byte{idr, ref, disposed, disposed, ref, disposed, disposed})
		f.ProducerTime, f.Clock = time.UnixMilli(1000).UTC(), media.ClockProducer
		if from > 0 {
			f.From = time.UnixMilli(int64(from))
		}
		if until > 0 {
			f.Until = time.UnixMilli(int64(until))
		}
		return f
	}
	for name, c := range map[string]struct {
		sample   Sample
		fragment *media.Fragment
		want     []int // frame indexes
	}{
		"all":                            {Sample{Type: SampleAll}, bounded(1040, 1160), []int{1, 2, 3}},
		"from alone":                     {Sample{Type: SampleAll}, bounded(1200, 0), []int{5, 6}},
		"until alone":                    {Sample{Type: SampleAll}, bounded(0, 1001), []int{0}},
		"a stride counts from the first": {Sample{Type: SampleStride, N: 3}, bounded(1040, 0), []int{1, 4}},
		"a grid knows the frame before":  {every(100 * time.Millisecond), bounded(1080, 0), []int{3, 5}},
		"nothing":                        {Sample{Type: SampleAll}, bounded(2000, 0), nil},
	} {
		t.Run(name, func(t *testing.T) {
			pl := newPlanner(SkipAuto, []Output{{Sample: c.sample}}).plan(c.fragment)
			var got []int
			for _, k := range pl.inOrder {
				got = append(got, pl.frames[k].info.Index)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("frames %v, want %v", got, c.want)
			}
		})
	}
}

func TestPicturesOfUnreadablePacketsAreNeeded(t *testing.T) {
	lengthPrefixed := media.Track{CodecID: codecAVC, CodecPrivate: []byte{1, 0x64, 0, 0x28, 0xff, 0xe0, 0}}
	annexB := media.Track{CodecID: codecAVC}
	encrypted := media.Track{CodecID: codecAVC, CodecPrivate: []byte{1, 0x64, 0, 0x28, 0xff, 0xe0, 0}, Encoded: true}
	for name, c := range map[string]struct {
		track  media.Track
		packet []byte
		want   picture
	}{
		"idr":                              {lengthPrefixed, avc(sei, idr), picture{entry: entryClosed, intra: true, recovery: noRecovery}},
		"two slices, one of them referred": {lengthPrefixed, avc(disposed, ref), picture{recovery: noRecovery}},
		"disposable":                       {lengthPrefixed, avc(disposed, disposed), picture{disposable: true, recovery: noRecovery}},
		"no slice":                         {lengthPrefixed, avc(sei), unknownPicture},
		"a length that overruns":           {lengthPrefixed, append(avc(disposed), 0xff, 0xff, 0xff, 0xff, 1), unknownPicture},
		"a cut length":                     {lengthPrefixed, append(avc(disposed), 0, 0), unknownPicture},
		"empty":                            {lengthPrefixed, nil, unknownPicture},
		"annex b idr":                      {annexB, []byte{0, 0, 0, 1, 0x67, 9, 0, 0, 1, idr, 9}, picture{entry: entryClosed, intra: true, sets: true, recovery: noRecovery}},
		"annex b disposable":               {annexB, []byte{0, 0, 1, disposed, 9}, picture{disposable: true, recovery: noRecovery}},
		"annex b without start code":       {annexB, []byte{9, 9, 9}, unknownPicture},
		"compressed by the container":      {encrypted, avc(disposed), unknownPicture},
	} {
		t.Run(name, func(t *testing.T) {
			packets := [][]byte{c.packet}
			reader := newNALReader(c.track, nil, packets)
			if got := reader.pictures(packets)[0]; got != c.want {
				t.Errorf("picture = %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestHEVCPicturesAreDisposableInTheHighestLayerOnly(t *testing.T) {
	private := make([]byte, 23)
	private[0], private[21] = 1, 3
	nal := func(kind, temporalID byte) []byte { return []byte{0, 0, 0, 3, kind << 1, temporalID + 1, 0x80} }
	packets := [][]byte{nal(19, 0), nal(1, 0), nal(0, 0), nal(0, 1), nal(1, 1), nal(21, 0)}
	r := newNALReader(media.Track{CodecID: codecHEVC, CodecPrivate: private}, nil, packets)
	got := r.pictures(packets)
	want := []picture{
		{entry: entryClosed, intra: true, recovery: noRecovery},
		unknownPicture, unknownPicture,
		{disposable: true, recovery: noRecovery},
		unknownPicture,
		{entry: entryOpen, intra: true, recovery: noRecovery},
	}
	if !slices.Equal(got, want) {
		t.Errorf("pictures = %+v, want %+v", got, want)
	}
}

func TestGeometry(t *testing.T) {
	whole := rect{0, 0, 1920, 1080}
	for name, c := range map[string]struct {
		resize Resize
		want   geometry
	}{
		"as the source":             {Resize{Fit: FitContain}, geometry{whole, whole, 1920, 1080}},
		"width alone":               {Resize{Width: 320, Fit: FitContain}, geometry{whole, rect{0, 0, 320, 180}, 320, 180}},
		"height alone":              {Resize{Height: 90, Fit: FitContain}, geometry{whole, rect{0, 0, 160, 90}, 160, 90}},
		"contain in a square":       {Resize{Width: 224, Height: 224, Fit: FitContain}, geometry{whole, rect{0, 0, 224, 126}, 224, 126}},
		"contain in a tall box":     {Resize{Width: 100, Height: 900, Fit: FitContain}, geometry{whole, rect{0, 0, 100, 56}, 100, 56}},
		"contain does not enlarge":  {Resize{Width: 4000, Height: 4000, Fit: FitContain}, geometry{whole, whole, 1920, 1080}},
		"contain enlarges if told":  {Resize{Width: 3840, Fit: FitContain, Upscale: true}, geometry{whole, rect{0, 0, 3840, 2160}, 3840, 2160}},
		"cover a square":            {Resize{Width: 224, Height: 224, Fit: FitCover}, geometry{rect{420, 0, 1080, 1080}, rect{0, 0, 224, 224}, 224, 224}},
		"cover a strip":             {Resize{Width: 960, Height: 100, Fit: FitCover}, geometry{rect{0, 440, 1920, 200}, rect{0, 0, 960, 100}, 960, 100}},
		"cover does not enlarge":    {Resize{Width: 2000, Height: 2000, Fit: FitCover}, geometry{rect{420, 0, 1080, 1080}, rect{0, 0, 1080, 1080}, 1080, 1080}},
		"pad to a square":           {Resize{Width: 224, Height: 224, Fit: FitPad}, geometry{whole, rect{0, 48, 224, 126}, 224, 224}},
		"pad around a small source": {Resize{Width: 2000, Height: 2000, Fit: FitPad}, geometry{whole, rect{40, 460, 1920, 1080}, 2000, 2000}},
		"stretch":                   {Resize{Width: 64, Height: 512, Fit: FitStretch}, geometry{whole, rect{0, 0, 64, 512}, 64, 512}},
		"stretch does not enlarge":  {Resize{Width: 64, Height: 2000, Fit: FitStretch}, geometry{whole, rect{0, 0, 64, 1080}, 64, 1080}},
		"never nothing":             {Resize{Width: 1, Fit: FitContain}, geometry{whole, rect{0, 0, 1, 1}, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.resize.geometry(1920, 1080); got != c.want {
				t.Errorf("geometry = %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestConversionAgreesWithTheDefinition turns RGB colours into YCbCr of one kind,
// converts, and compares with YCbCr of the other kind.
func TestConversionAgreesWithTheDefinition(t *testing.T) {
	kinds := []colorimetry{{MatrixBT601, false}, {MatrixBT601, true}, {MatrixBT709, false}, {MatrixBT709, true}, {MatrixBT2020, false}, {matrix240M, false}, {matrixFCC, false}, {matrixYCgCo, false}, {matrixYCgCo, true}}
	for _, from := range kinds {
		for _, to := range kinds {
			if to.matrix == matrixYCgCo && from.matrix != matrixYCgCo { // no image is in its terms
				continue
			}
			m := conversion(from, to)
			for c := 0; c < 1<<24; c += 0x0b0d0f {
				rgb := RGB{uint8(c >> 16), uint8(c >> 8), uint8(c)}
				in, want := from.ycc(rgb), to.ycc(rgb)
				got := m.apply(in)
				for i := range got {
					// Rounded twice, once at each end, and spread by the gain.
					if d := int(got[i]) - int(want[i]); d < -2 || d > 2 {
						t.Fatalf("%v to %v: %v gives %v, want %v", from, to, rgb, got, want)
					}
				}
			}
		}
	}
}

// apply computes what color.c computes, in the same steps.
func (m yuvMatrix) apply(ycc [3]uint8) [3]uint8 {
	high := func(a, b int) int { return a * b >> 16 }
	level := func(v int) uint8 { return uint8(min(max(v>>levelBits+128, 0), 255)) }
	y, u, v := int(ycc[0])*128, (int(ycc[1])-128)*256, (int(ycc[2])-128)*256
	sum := func(fromU, fromV int16) int { return high(u, int(fromU)) + high(v, int(fromV)) }
	return [3]uint8{
		level(high(y, int(m.yGain)) + sum(m.yFromU, m.yFromV) + int(m.yBase)),
		level(sum(m.uFromU, m.uFromV) + 32),
		level(sum(m.vFromU, m.vFromV) + 32),
	}
}

func TestValidateNamesEveryProblem(t *testing.T) {
	bad := Config{Workers: -1, SkipFrame: "most", OnError: "cry", MaxPixels: 0, Concealed: "hide", Deinterlace: "bob", Color: Color{UntaggedMatrix: "bt470", UntaggedRange: "wide"}}
	if n := len(problemsOf(bad.Validate())); n != 9 {
		t.Errorf("%d problems: %v", n, bad.Validate())
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	sample := func(s Sample) Output {
		return Output{Sample: s, Resize: Resize{Fit: FitContain}, Format: FormatJPEG, Quality: 80}
	}
	for name, c := range map[string]struct {
		output Output
		keys   []string
	}{
		"good":                   {sample(Sample{Type: SampleAll, Clock: media.ClockProducer}), nil},
		"a stride without n":     {sample(Sample{Type: SampleStride, Clock: media.ClockProducer}), []string{"sample.n"}},
		"n without a stride":     {sample(Sample{Type: SampleAll, N: 2, Clock: media.ClockProducer}), []string{"sample.n"}},
		"no interval":            {sample(Sample{Type: SampleInterval, Clock: media.ClockProducer}), []string{"sample.interval"}},
		"interval and fps":       {sample(Sample{Type: SampleInterval, Interval: time.Second, Rate: Rate{1, 1}, Clock: media.ClockProducer}), []string{"sample.fps"}},
		"fps of a stride":        {sample(Sample{Type: SampleStride, N: 1, Rate: Rate{1, 1}, Clock: media.ClockProducer}), []string{"sample.fps"}},
		"an interval too short":  {sample(Sample{Type: SampleInterval, Interval: time.Microsecond, Clock: media.ClockProducer}), []string{"sample.interval"}},
		"times":                  {sample(Sample{Type: SampleTimestamps, At: []string{"0.001"}, Clock: media.ClockServer}), nil},
		"a file of times":        {sample(Sample{Type: SampleTimestamps, File: "x", Clock: media.ClockServer}), nil},
		"no times":               {sample(Sample{Type: SampleTimestamps, Clock: media.ClockProducer}), []string{"sample.at"}},
		"times and a file":       {sample(Sample{Type: SampleTimestamps, At: []string{"0.001"}, File: "x", Clock: media.ClockProducer}), []string{"sample.file"}},
		"no time, and one":       {sample(Sample{Type: SampleTimestamps, At: []string{"1", "noon"}, Clock: media.ClockProducer}), []string{"sample.at[1]"}},
		"an unknown pick":        {sample(Sample{Type: SampleTimestamps, At: []string{"1"}, Pick: "first", Clock: media.ClockProducer}), []string{"sample.pick"}},
		"indices":                {sample(Sample{Type: SampleIndices, At: []string{"0", "30"}, Clock: media.ClockProducer}), nil},
		"indices below 0":        {sample(Sample{Type: SampleIndices, At: []string{"-1", "1.5", "9223372036854775807"}, Clock: media.ClockProducer}), []string{"sample.at[0]", "sample.at[1]", "sample.at[2]"}},
		"no indices":             {sample(Sample{Type: SampleIndices, Clock: media.ClockProducer}), []string{"sample.at"}},
		"a file of indices":      {sample(Sample{Type: SampleIndices, At: []string{"1"}, File: "x", Clock: media.ClockProducer}), []string{"sample.file"}},
		"a tolerance below 0":    {sample(Sample{Type: SampleTimestamps, At: []string{"0.001"}, Tolerance: -1, Clock: media.ClockProducer}), []string{"sample.tolerance"}},
		"times of a stride":      {sample(Sample{Type: SampleStride, N: 1, At: []string{"0.001"}, Clock: media.ClockProducer}), []string{"sample.at"}},
		"quality":                {Output{Sample: Sample{Type: SampleAll, Clock: media.ClockServer}, Resize: Resize{Fit: FitPad}, Format: FormatJPEG, Quality: 101}, []string{"quality"}},
		"size, fit and format":   {Output{Sample: Sample{Type: SampleAll, Clock: media.ClockServer}, Resize: Resize{Width: -1, Height: 70000, Fit: "squeeze"}, Format: "bmp"}, []string{"resize.width", "resize.height", "resize.fit", "format"}},
		"clock and pixel format": {Output{Sample: Sample{Type: SampleAll, Clock: "wall"}, Resize: Resize{Fit: FitPad}, Format: FormatNone, PixelFormat: "yuyv"}, []string{"sample.clock", "pixel_format"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := problemsOf(c.output.Validate()); !slices.Equal(got, c.keys) {
				t.Errorf("problems at %v, want %v", got, c.keys)
			}
		})
	}
}

// problemsOf returns the key paths of a Validate error.
func problemsOf(err error) (keys []string) {
	if err == nil {
		return nil
	}
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		keys = append(keys, e.(*setting.Error).Path)
	}
	return keys
}

func TestTextForms(t *testing.T) {
	for text, want := range map[string]Rate{"2": {2, 1}, "0.5": {1, 2}, "29.97": {2997, 100}, "30000/1001": {30000, 1001}} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("rate %q = %v, %v", text, r, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "fast", "1e3", "0x10", "1/0", "99999999999", "1/99999999999"} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("rate %q = %v, want an error", text, r)
		}
	}
	var c RGB
	if err := c.UnmarshalText([]byte("#20a0Ff")); err != nil || c != (RGB{0x20, 0xa0, 0xff}) || c.String() != "#20a0ff" {
		t.Errorf("colour = %v, %v", c, err)
	}
	for _, text := range []string{"", "#fff", "20a0ff0", "#20a0fg", "#+0a0ff"} {
		if err := c.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("colour %q is accepted", text)
		}
	}
}
