package plan

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// at returns candidates at the given milliseconds; negative ones are no key frames.
func at(ms ...int) []Candidate {
	var cs []Candidate
	for i, m := range ms {
		cs = append(cs, Candidate{At: time.UnixMilli(int64(m)).UTC(), Key: i == 0})
	}
	return cs
}

func every(d time.Duration) Sample { return Sample{Rule: Interval{Every: d}} }

func TestSamplersPick(t *testing.T) {
	second := every(time.Second)
	for name, c := range map[string]struct {
		sample  Sample
		nominal time.Duration
		frags   [][]Candidate
		want    [][]int
	}{
		"all takes everything":                                {Sample{Rule: All{}}, 0, [][]Candidate{at(0, 5, 9)}, [][]int{{0, 1, 2}}},
		"keyframes takes key frames":                          {Sample{Rule: Keyframes{}}, 0, [][]Candidate{at(0, 5), at(9)}, [][]int{{0}, {0}}},
		"a stride goes over fragments":                        {Sample{Rule: Stride{N: 4}}, 0, [][]Candidate{at(0, 1, 2), at(3, 4, 5), at(6), at(7, 8)}, [][]int{{0}, {1}, nil, {1}}},
		"the first at or after each point":                    {second, 0, [][]Candidate{at(0, 400, 800, 1200, 1600, 2000)}, [][]int{{0, 3, 5}}},
		"points go over fragments":                            {second, 0, [][]Candidate{at(0, 400, 800), at(1200, 1600), at(2000)}, [][]int{{0}, {0}, {0}}},
		"a first frame off the grid":                          {second, 0, [][]Candidate{at(300, 340, 1100)}, [][]int{{2}}},
		"a first frame just after a point":                    {second, 0, [][]Candidate{at(1010, 1050, 1090)}, [][]int{{0}}},
		"a lone first frame after a point":                    {second, 40 * time.Millisecond, [][]Candidate{at(1010)}, [][]int{{0}}},
		"a lone first frame of unknown duration off the grid": {second, 0, [][]Candidate{at(1010)}, [][]int{nil}},
		"several points in one step are one frame":            {second, 0, [][]Candidate{at(0, 40), at(5500, 5540)}, [][]int{{0}, {0}}},
		"more points than frames takes every frame":           {every(10 * time.Millisecond), 0, [][]Candidate{at(0, 40, 80)}, [][]int{{0, 1, 2}}},
		"equal times are one point":                           {second, 0, [][]Candidate{at(0, 0, 0), at(0, 1000, 1000)}, [][]int{{0}, {1}}},
		"a clock that goes back starts again":                 {second, 0, [][]Candidate{at(9900, 10000, 10100), at(100, 140, 1000, 1100)}, [][]int{{1}, {2}}},
		"a clock that goes back less than a frame does not":   {second, 0, [][]Candidate{at(9960, 10000), at(9999, 10039)}, [][]int{{1}, nil}},
		"before the epoch":                                    {second, 0, [][]Candidate{at(-1500, -1100, -900, -100, 50)}, [][]int{{2, 4}}},
		"frames per second":                                   {Sample{Rule: Interval{Rate: Rate{2, 1}}}, 0, [][]Candidate{at(0, 400, 500, 900, 1000)}, [][]int{{0, 2, 4}}},
		"so many in each window":                              {Sample{Rule: Uniform{N: 4, Window: 2 * time.Second}}, 0, [][]Candidate{at(0, 400, 500, 900, 1000), at(1400, 2100, 2400)}, [][]int{{0, 2, 4}, {1}}},
		"thirds of a window do not drift": {
			Sample{Rule: Uniform{N: 3, Window: time.Second}},
			0,
			[][]Candidate{at(3600000000, 3600000333, 3600000334, 3600000666, 3600000667, 3600001000)},
			[][]int{{0, 2, 4, 5}},
		},
		"thirds of a second do not drift": {
			Sample{Rule: Interval{Rate: Rate{3, 1}}},
			0,
			[][]Candidate{at(3600000000, 3600000333, 3600000334, 3600000666, 3600000667, 3600001000)},
			[][]int{{0, 2, 4, 5}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.sample.NewSampler()
			for i, frames := range c.frags {
				var got []int
				for k, picked := range s.Pick(frames, Timing{Nominal: c.nominal}) {
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
		var frags [][]Candidate
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
			s := sample.NewSampler()
			for _, f := range frags[from:] {
				for k, ok := range s.Pick(f, Timing{33366666 * time.Nanosecond, time.Millisecond}) {
					if ok {
						picked = append(picked, f[k].At.UnixMilli())
					}
				}
			}
			return picked
		}
		whole := run(0)
		for from := range frags {
			begin := frags[from][0].At.UnixMilli()
			want := slices.DeleteFunc(slices.Clone(whole), func(ms int64) bool { return ms < begin })
			if got := run(from); !slices.Equal(got, want) {
				t.Fatalf("round %d, %v, from fragment %d: %v, the whole run picks %v", round, sample.Rule, from, got, want)
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
		Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: h26x.AVC, CodecPrivate: []byte{1, 0x64, 0, 0x28, 0xff, 0xe0, 0}}},
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
		"all":                          {SkipAuto, at(Sample{Rule: All{}}), []int{0, 2, 3, 1, 5, 6, 4, 7, 9, 10, 8}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		"keyframes":                    {SkipAuto, at(Sample{Rule: Keyframes{}}), []int{0, 7}, []int{0, 7}},
		"one disposable picture":       {SkipAuto, at(every(5 * time.Second)), []int{0}, []int{0}},
		"every fourth":                 {SkipAuto, at(Sample{Rule: Stride{N: 4}}), []int{0, 5, 9}, []int{0, 1, 4, 5, 7, 8, 9}},
		"every fifth":                  {SkipAuto, at(Sample{Rule: Stride{N: 5}}), []int{0, 6, 8}, []int{0, 1, 4, 6, 7, 8}},
		"none decodes all":             {SkipNone, at(Sample{Rule: Keyframes{}}), []int{0, 7}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
		"nonref takes pictures away":   {SkipNonRef, at(Sample{Rule: All{}}), []int{0, 1, 4, 7, 8}, []int{0, 1, 4, 7, 8}},
		"nonkey takes all but keys":    {SkipNonKey, at(Sample{Rule: All{}}), []int{0, 7}, []int{0, 7}},
		"two outputs share one decode": {SkipAuto, []Output{{Sample: Sample{Rule: Keyframes{}}}, {Sample: Sample{Rule: Stride{N: 3}}}}, []int{0, 1, 4, 7, 10}, []int{0, 1, 4, 7, 8, 10}},
		"no output":                    {SkipAuto, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			pl := NewPlanner(c.skip, c.outputs).Plan(gop(times, headers))
			var fed []int
			for k, f := range pl.Frames {
				if f.Feed {
					fed = append(fed, k)
				}
			}
			if !slices.Equal(pl.InOrder, c.wanted) {
				t.Errorf("wanted packets %v, want %v", pl.InOrder, c.wanted)
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
	pl := NewPlanner(SkipAuto, nil).Plan(f)
	for k, want := range []struct{ index, producer, server int }{{0, 4960, 8960}, {3, 5120, 9120}, {1, 5000, 9000}, {2, 5040, 9040}} {
		info := pl.Frames[k].Info
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
		"all":                            {Sample{Rule: All{}}, bounded(1040, 1160), []int{1, 2, 3}},
		"from alone":                     {Sample{Rule: All{}}, bounded(1200, 0), []int{5, 6}},
		"until alone":                    {Sample{Rule: All{}}, bounded(0, 1001), []int{0}},
		"a stride counts from the first": {Sample{Rule: Stride{N: 3}}, bounded(1040, 0), []int{1, 4}},
		"a grid knows the frame before":  {every(100 * time.Millisecond), bounded(1080, 0), []int{3, 5}},
		"nothing":                        {Sample{Rule: All{}}, bounded(2000, 0), nil},
	} {
		t.Run(name, func(t *testing.T) {
			pl := NewPlanner(SkipAuto, []Output{{Sample: c.sample}}).Plan(c.fragment)
			var got []int
			for _, k := range pl.InOrder {
				got = append(got, pl.Frames[k].Info.Index)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("frames %v, want %v", got, c.want)
			}
		})
	}
}

func TestPicturesOfUnreadablePacketsAreNeeded(t *testing.T) {
	lengthPrefixed := media.Track{CodecID: h26x.AVC, CodecPrivate: []byte{1, 0x64, 0, 0x28, 0xff, 0xe0, 0}}
	annexB := media.Track{CodecID: h26x.AVC}
	encrypted := media.Track{CodecID: h26x.AVC, CodecPrivate: []byte{1, 0x64, 0, 0x28, 0xff, 0xe0, 0}, Encoded: true}
	for name, c := range map[string]struct {
		track  media.Track
		packet []byte
		want   Picture
	}{
		"idr":                              {lengthPrefixed, avc(sei, idr), Picture{Entry: EntryClosed, Intra: true, recovery: h26x.NoRecovery}},
		"two slices, one of them referred": {lengthPrefixed, avc(disposed, ref), Picture{recovery: h26x.NoRecovery}},
		"disposable":                       {lengthPrefixed, avc(disposed, disposed), Picture{disposable: true, recovery: h26x.NoRecovery}},
		"no slice":                         {lengthPrefixed, avc(sei), unknownPicture},
		"a length that overruns":           {lengthPrefixed, append(avc(disposed), 0xff, 0xff, 0xff, 0xff, 1), unknownPicture},
		"a cut length":                     {lengthPrefixed, append(avc(disposed), 0, 0), unknownPicture},
		"empty":                            {lengthPrefixed, nil, unknownPicture},
		"annex b idr":                      {annexB, []byte{0, 0, 0, 1, 0x67, 9, 0, 0, 1, idr, 9}, Picture{Entry: EntryClosed, Intra: true, sets: true, recovery: h26x.NoRecovery}},
		"annex b disposable":               {annexB, []byte{0, 0, 1, disposed, 9}, Picture{disposable: true, recovery: h26x.NoRecovery}},
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
	r := newNALReader(media.Track{CodecID: h26x.HEVC, CodecPrivate: private}, nil, packets)
	got := r.pictures(packets)
	want := []Picture{
		{Entry: EntryClosed, Intra: true, recovery: h26x.NoRecovery},
		unknownPicture, unknownPicture,
		{disposable: true, recovery: h26x.NoRecovery},
		unknownPicture,
		{Entry: EntryOpen, Intra: true, recovery: h26x.NoRecovery},
	}
	if !slices.Equal(got, want) {
		t.Errorf("pictures = %+v, want %+v", got, want)
	}
}
