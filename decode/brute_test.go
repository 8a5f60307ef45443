//go:build cgo

package decode

import (
	"bytes"
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/decodetest"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// shot is one frame of a stream as the reference knows it: decoded by libav alone.
type shot struct {
	fragment int
	info     media.FrameInfo
	wanted   bool // within the fragment's bounds
	nominal  time.Duration
	unit     time.Duration
	picture  []byte
}

// clip is a recording, and the pictures that libav makes of it.
type clip struct {
	fragments []*media.Fragment
	pictures  [][][]byte // by fragment, by block
}

func newClip(t *testing.T, name string) clip {
	t.Helper()
	c := clip{fragments: fragments(t, "testdata/"+name)}
	for _, f := range c.fragments {
		shown := decodetest.Frames(t, f.MKV)
		if len(shown) != len(f.Blocks) {
			t.Fatalf("fragment %s: %d pictures of %d blocks", f.Number, len(shown), len(f.Blocks))
		}
		of := make([][]byte, len(f.Blocks))
		for k, b := range f.Blocks {
			earlier := 0
			for _, other := range f.Blocks {
				if other.Time < b.Time {
					earlier++
				}
			}
			of[k] = shown[earlier]
		}
		c.pictures = append(c.pictures, of)
	}
	return c
}

// retime returns a stream of the clip's fragments with a variable frame rate and with
// clocks that start off the grid, jump, stand still and repeat; and its frames in order.
func (c clip) retime(rng *rand.Rand) (stream []*media.Fragment, shots []shot) {
	pick := func(ms ...int) time.Duration { return time.Duration(ms[rng.IntN(len(ms))]) * time.Millisecond }
	nominal := []time.Duration{0, 40 * time.Millisecond, 33366666}[rng.IntN(3)]
	producer := time.UnixMilli(1793491200000 + rng.Int64N(3000)).UTC()
	server := time.UnixMilli(-20000 + rng.Int64N(40000)).UTC() // around the epoch
	told, calm := rng.IntN(4) > 0, rng.IntN(3) == 0
	for n := range 2 * len(c.fragments) {
		i := n % len(c.fragments)
		f := *c.fragments[i]
		f.Number = fmt.Sprintf("%06d", n)
		f.ProducerTime, f.ServerTime = producer, time.Time{}
		if told {
			f.ServerTime = server
		}
		f.Tracks = slices.Clone(f.Tracks)
		f.Tracks[0].DefaultDuration = nominal
		f.Blocks = slices.Clone(f.Blocks)
		order := make([]int, len(f.Blocks))
		for k := range order {
			order[k] = k
		}
		sort.Slice(order, func(a, b int) bool { return f.Blocks[order[a]].Time < f.Blocks[order[b]].Time })
		at := pick(0, 0, 0, 7, -40)
		for _, k := range order {
			f.Blocks[k].Time = at
			if calm {
				at += 40 * time.Millisecond
			} else {
				at += pick(0, 1, 20, 40, 40, 40, 41, 100, 700)
			}
		}
		if rng.IntN(5) == 0 {
			f.Clock = []media.Clock{media.ClockProducer, media.ClockServer}[rng.IntN(2)]
			f.From = f.At(f.Clock).Add(time.Duration(rng.Int64N(int64(at + 100*time.Millisecond))))
			if rng.IntN(2) == 0 {
				f.Until = f.From.Add(time.Duration(rng.Int64N(int64(at + time.Second))))
			}
		}
		stream = append(stream, &f)
		shots = append(shots, c.shotsOf(&f, n, i, nominal)...)
		step := func(t time.Time) time.Time {
			if calm {
				return t.Add(at)
			}
			return t.Add(at + pick(0, 0, 0, 3, 200, 60000, -40, -3000, -3600000) - []time.Duration{0, 0, 0, 0, at}[rng.IntN(5)])
		}
		producer, server = step(producer), step(server)
	}
	return stream, shots
}

func (c clip) shotsOf(f *media.Fragment, n, source int, nominal time.Duration) []shot {
	var out []shot
	for k, b := range f.Blocks {
		info := media.FrameInfo{Stream: f.Stream, FragmentNumber: f.Number, PTS: b.Time, ProducerTime: f.ProducerTime.Add(b.Time), Key: b.Key}
		if !f.ServerTime.IsZero() {
			info.ServerTime = f.ServerTime.Add(b.Time)
		}
		bound := info.ProducerTime
		if f.Clock == media.ClockServer && !f.ServerTime.IsZero() {
			bound = info.ServerTime
		}
		wanted := bound.Compare(f.From) >= 0 && (f.Until.IsZero() || bound.Compare(f.Until) < 0)
		out = append(out, shot{n, info, wanted, nominal, f.TimeScale, c.pictures[source][k]})
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].info.PTS < out[b].info.PTS })
	for i := range out {
		out[i].info.Index = i
	}
	return out
}

// reference picks frames of the whole stream, the plain way: by shot, with the requests that it answers.
func reference(shots []shot, s plan.Sample) (picked map[int][]time.Time, misses []time.Time) {
	clock := func(i int) time.Time {
		if s.Clock == media.ClockServer && !shots[i].info.ServerTime.IsZero() {
			return shots[i].info.ServerTime
		}
		return shots[i].info.ProducerTime
	}
	picked = map[int][]time.Time{}
	count := 0
	for i, f := range shots {
		if !f.wanted {
			continue
		}
		sampled := false
		switch rule := s.Rule.(type) {
		case plan.All:
			sampled = true
		case plan.Keyframes:
			sampled = f.info.Key
		case plan.Stride:
			sampled = count%rule.N == 0
		}
		if sampled {
			picked[i] = nil
		}
		count++
	}
	if rule, ok := s.Rule.(plan.Interval); ok {
		onGrid(shots, rule, clock, picked)
	}
	rule, _ := s.Rule.(plan.Timestamps)
	for _, r := range rule.Asked {
		i := answer(shots, rule, clock, r.Time)
		if i < 0 {
			misses = append(misses, r.Time)
			continue
		}
		picked[i] = append(picked[i], r.Time)
	}
	slices.SortFunc(misses, time.Time.Compare)
	return picked, misses
}

// toNext returns the distance of the first frame to the next one, the nominal one when there is none.
func toNext(frames []plan.Candidate, nominal time.Duration) time.Duration {
	if len(frames) > 1 && frames[1].At.After(frames[0].At) {
		return frames[1].At.Sub(frames[0].At)
	}
	return max(nominal, time.Microsecond)
}

// onGrid picks the frames that come first at or after a point of the grid.
func onGrid(shots []shot, s plan.Interval, clock func(int) time.Time, picked map[int][]time.Time) {
	step := big.NewRat(s.Every.Nanoseconds(), 1)
	if s.Rate != (plan.Rate{}) {
		step = big.NewRat(1e9*s.Rate.Den, s.Rate.Num)
	}
	var before *time.Time // the latest so far
	for i, f := range shots {
		now := clock(i)
		var rest []plan.Candidate // of the fragment
		for k := i; k < len(shots) && shots[k].fragment == f.fragment; k++ {
			rest = append(rest, plan.Candidate{At: clock(k)})
		}
		told := plan.Timing{Nominal: f.nominal, Unit: f.unit}
		if before == nil || now.Before(before.Add(-toNext(rest, f.nominal))) {
			assumed := plan.Precedes(rest, told)
			before = &assumed
		}
		// The last point at or before now, half a unit early, and the time before it.
		early := func(t time.Time) *big.Rat {
			half := big.NewRat(int64(f.unit), 2)
			return half.Add(half, new(big.Rat).SetInt64(t.UnixNano()))
		}
		k := new(big.Rat).Quo(early(now), step)
		floor := new(big.Int).Div(k.Num(), k.Denom()) // rounds down
		point := new(big.Rat).Mul(new(big.Rat).SetInt(floor), step)
		if point.Cmp(early(*before)) > 0 && f.wanted {
			picked[i] = nil
		}
		if now.After(*before) {
			before = &now
		}
	}
}

// answer returns the shot that answers a request, or -1.
func answer(shots []shot, s plan.Timestamps, clock func(int) time.Time, r time.Time) int {
	var wanted []int
	for i, f := range shots {
		if f.wanted {
			wanted = append(wanted, i)
		}
	}
	for len(wanted) > 0 {
		n := 1
		for n < len(wanted) && !clock(wanted[n]).Before(clock(wanted[n-1])) {
			n++
		}
		segment := wanted[:n]
		wanted = wanted[n:]
		best := -1
		for _, i := range segment {
			closer := best < 0 || clock(i).Sub(r).Abs() < clock(best).Sub(r).Abs()
			// Of equal times before the request, the last.
			if closer || clock(i).Equal(clock(best)) && clock(i).Before(r) {
				best = i
			}
		}
		if s.Pick == plan.PickShown {
			if best = lastShown(shots, segment, clock, r); best >= 0 && r.Sub(clock(best)) <= s.Tolerance {
				return best
			}
			continue
		}
		if clock(best).Sub(r).Abs() <= s.Tolerance {
			return best
		}
	}
	return -1
}

// lastShown returns the last shot of a segment that is there at r, half a unit early, or -1.
func lastShown(shots []shot, segment []int, clock func(int) time.Time, r time.Time) int {
	last := -1
	for _, i := range segment {
		if !clock(i).Add(-shots[i].unit / 2).After(r) {
			last = i
		}
	}
	return last
}

// requests returns times on, between and near to the frames of a stream, and far from them.
func requests(rng *rand.Rand, shots []shot, clock media.Clock) (asked []plan.Request) {
	var at []time.Time
	for range 12 {
		i := rng.IntN(len(shots))
		t := shots[i].info.At(clock)
		other := shots[min(i+1, len(shots)-1)].info.At(clock)
		at = append(at, t, t.Add(time.Duration(rng.Int64N(int64(1400*time.Millisecond)))-700*time.Millisecond), t.Add(other.Sub(t)/2), t.Add(time.Duration(rng.Int64N(2e9))))
	}
	for _, t := range append(at, at[0], at[0].Add(-24*time.Hour)) {
		asked = append(asked, plan.Request{Time: t})
	}
	return asked
}

func samplesFor(rng *rand.Rand, shots []shot) []plan.Sample {
	tolerances := []time.Duration{0, 20 * time.Millisecond, plan.DefaultTolerance, 10 * time.Second}
	var out []plan.Sample
	for _, clock := range []media.Clock{media.ClockProducer, media.ClockServer} {
		out = append(out,
			plan.Sample{Rule: plan.All{}, Clock: clock},
			plan.Sample{Rule: plan.Keyframes{}, Clock: clock},
			plan.Sample{Rule: plan.Stride{N: 1 + rng.IntN(13)}, Clock: clock},
			plan.Sample{Rule: plan.Interval{Every: time.Duration(1+rng.IntN(2500)) * time.Millisecond}, Clock: clock},
			plan.Sample{Rule: plan.Interval{Every: 10 * time.Second}, Clock: clock},
			plan.Sample{Rule: plan.Interval{Rate: plan.Rate{Num: int64(1 + rng.IntN(30)), Den: int64(1 + rng.IntN(7))}}, Clock: clock},
			plan.Sample{Rule: plan.Timestamps{Asked: requests(rng, shots, clock), Tolerance: tolerances[rng.IntN(len(tolerances))]}, Clock: clock},
			plan.Sample{Rule: plan.Timestamps{Asked: requests(rng, shots, clock), Tolerance: tolerances[rng.IntN(len(tolerances))], Pick: plan.PickShown}, Clock: clock},
		)
	}
	return out
}

// TestEverySamplerPicksWhatAReferencePicksFromADecodeOfEverything decodes streams whose
// clocks do all that clocks do, with any number of workers, and compares names, pictures,
// answers and misses with a reference that shares with the samplers only what they take for the time before the first frame.
func TestEverySamplerPicksWhatAReferencePicksFromADecodeOfEverything(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, name := range []string{"bframes.mkv", "lists-slices.mkv", "hevc.mkv"} {
		c := newClip(t, name)
		for _, workers := range []int{1, 2, 8} {
			pool := newTestPool(t, func(c *Config) { c.Workers = workers })
			for round := range 6 {
				rng := rand.New(rand.NewPCG(seed, uint64(round)))
				stream, shots := c.retime(rng)
				samples := samplesFor(rng, shots)
				rng.Shuffle(len(samples), func(a, b int) { samples[a], samples[b] = samples[b], samples[a] })
				for len(samples) > 0 && !t.Failed() { // all at once would leave nothing out
					n := min(len(samples), 1+rng.IntN(3))
					what := fmt.Sprintf("%s, %d workers, round %d, seed %d", name, workers, round, seed)
					compare(t, what, decodeStream(t, pool, stream, samples[:n]), shots, samples[:n])
					samples = samples[n:]
				}
			}
		}
	}
}

// decodedStream is what a stream gave: the images in order, and the gaps.
type decodedStream struct {
	images []media.Image
	gaps   []media.Gap
}

// decodeStream decodes all fragments side by side, for an output of each sample.
func decodeStream(t *testing.T, pool *Pool, frags []*media.Fragment, samples []plan.Sample) decodedStream {
	t.Helper()
	var outputs []Output
	for i, sample := range samples {
		o := everyFrame()
		o.Sink, o.Sample = fmt.Sprintf("s%d", i), sample
		outputs = append(outputs, o)
	}
	s := stream(t, pool, outputs...)
	images, outcomes, errs := make([][]media.Image, len(frags)), make([]media.Outcome, len(frags)), make([]error, len(frags))
	var decoding sync.WaitGroup
	for i, f := range frags {
		work := s.Plan(f)
		decoding.Go(func() {
			outcomes[i], errs[i] = work(context.Background(), func(img media.Image) error {
				images[i] = append(images[i], img)
				return nil
			})
		})
	}
	misses := s.End()
	decoding.Wait()
	var out decodedStream
	for i := range frags {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		out.images = append(out.images, images[i]...)
		out.gaps = append(out.gaps, outcomes[i].Gaps...)
	}
	out.gaps = append(out.gaps, misses...)
	return out
}

func compare(t *testing.T, what string, got decodedStream, shots []shot, samples []plan.Sample) {
	t.Helper()
	var want []media.Image
	var gaps []string
	picks := make([]map[int][]time.Time, len(samples))
	for o, s := range samples {
		var misses []time.Time
		picks[o], misses = reference(shots, s)
		for _, at := range misses {
			rule := s.Rule.(plan.Timestamps)
			near := "within " + rule.Tolerance.String() + " of"
			if rule.Pick == plan.PickShown {
				near = "shown, " + rule.Tolerance.String() + " after its time at most, at"
			}
			gaps = append(gaps, fmt.Sprintf("sink s%d: no frame %s %s", o, near, at.Format(time.RFC3339Nano)))
		}
	}
	for i, f := range shots {
		for o := range samples {
			if answers, ok := picks[o][i]; ok {
				want = append(want, media.Image{FrameInfo: f.info, Sink: fmt.Sprintf("s%d", o), Answers: answers, Data: f.picture})
			}
		}
	}
	if len(got.images) != len(want) {
		t.Errorf("%s: %+v: %d images, want %d", what, samples, len(got.images), len(want))
		return
	}
	for i, img := range got.images {
		w := want[i]
		if img.FrameInfo != w.FrameInfo || img.Sink != w.Sink || !slices.Equal(img.Answers, w.Answers) || !bytes.Equal(img.Data, w.Data) {
			t.Errorf("%s: %+v: image %d is %+v for %s answering %v, want %+v for %s answering %v; equal pictures: %t",
				what, samples, i, img.FrameInfo, img.Sink, img.Answers, w.FrameInfo, w.Sink, w.Answers, bytes.Equal(img.Data, w.Data))
			return
		}
	}
	if len(got.gaps) != len(gaps) {
		t.Errorf("%s: %+v: gaps %v, want %v", what, samples, got.gaps, gaps)
		return
	}
	for i, g := range got.gaps {
		if g.Detail != gaps[i] {
			t.Errorf("%s: gap %q, want %q", what, g.Detail, gaps[i])
		}
	}
}
