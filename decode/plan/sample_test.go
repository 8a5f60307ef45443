package plan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// times returns instants at the given milliseconds.
func times(ms ...float64) []time.Time {
	var ts []time.Time
	for _, m := range ms {
		ts = append(ts, time.UnixMicro(int64(m*1000)).UTC())
	}
	return ts
}

// still returns a fragment of IDR pictures at the given milliseconds on the producer's clock.
func still(ms ...int) *media.Fragment {
	headers := make([]byte, len(ms))
	for i := range headers {
		headers[i] = idr
	}
	return gop(ms, headers)
}

// requestsAt asks for instants at the given milliseconds.
func requestsAt(ms ...float64) []Request {
	var rs []Request
	for _, t := range times(ms...) {
		rs = append(rs, Request{Time: t})
	}
	return rs
}

// nearest asks for times with a tolerance of 100 ms.
func nearest(ms ...float64) Sample {
	return Sample{Rule: Timestamps{Asked: requestsAt(ms...), Tolerance: 100 * time.Millisecond}}
}

// shown asks for the frames on screen at times, with a tolerance of 100 ms.
func shown(ms ...float64) Sample {
	return Sample{Rule: Timestamps{Asked: requestsAt(ms...), Tolerance: 100 * time.Millisecond, Pick: PickShown}}
}

// answersOf returns what a plan answers, a word each frame: index=request,request in milliseconds.
func answersOf(pl *Plan) string {
	var words []string
	for _, k := range pl.InOrder {
		for _, a := range pl.Frames[k].Outputs {
			var ms []string
			at, _ := a.Answer()
			for _, t := range at {
				ms = append(ms, fmt.Sprint(float64(t.UnixMicro())/1000))
			}
			words = append(words, fmt.Sprintf("%d=%s", pl.Frames[k].Info.Index, strings.Join(ms, ",")))
		}
	}
	return strings.Join(words, " ")
}

func TestTimestampsPickTheNearestFrame(t *testing.T) {
	noVideo := &media.Fragment{Stream: "cam"}
	for name, c := range map[string]struct {
		sample Sample
		frags  []*media.Fragment
		want   []string // by fragment
		misses string
	}{
		"on a frame":                                  {nearest(40), []*media.Fragment{still(0, 40, 80)}, []string{"1=40"}, ""},
		"between two frames":                          {nearest(59, 61), []*media.Fragment{still(0, 40, 80)}, []string{"1=59 2=61"}, ""},
		"the earlier one at a tie":                    {nearest(60), []*media.Fragment{still(0, 40, 80)}, []string{"1=60"}, ""},
		"before the first frame":                      {nearest(899, 900), []*media.Fragment{still(1000)}, []string{"0=900"}, "0.899"},
		"after the last frame":                        {nearest(1100, 1100.001), []*media.Fragment{still(1000)}, []string{"0=1100"}, "1.100001"},
		"in no order, and twice":                      {nearest(80, 0, 80), []*media.Fragment{still(0, 40, 80)}, []string{"0=0 2=80,80"}, ""},
		"several for one frame, as asked":             {nearest(50, 30, 40, 30), []*media.Fragment{still(0, 40, 80)}, []string{"1=50,30,40,30"}, ""},
		"twice, and no frame":                         {nearest(500, 500), []*media.Fragment{still(0)}, []string{""}, "0.5 0.5"},
		"of equal times the first at a request":       {nearest(40), []*media.Fragment{still(0, 40, 40, 40)}, []string{"1=40"}, ""},
		"of equal times the first after a request":    {nearest(30), []*media.Fragment{still(0, 40, 40, 40)}, []string{"1=30"}, ""},
		"of equal times the last before a request":    {nearest(45), []*media.Fragment{still(0, 40, 40, 40, 80)}, []string{"3=45"}, ""},
		"no tolerance":                                {Sample{Rule: Timestamps{Asked: requestsAt(0, 39, 40)}}, []*media.Fragment{still(0, 40)}, []string{"0=0 1=40"}, "0.039"},
		"between fragments, nearer to the one":        {nearest(1040), []*media.Fragment{still(1000), still(1100)}, []string{"0=1040", ""}, ""},
		"between fragments, nearer to the other":      {nearest(1060), []*media.Fragment{still(1000), still(1100)}, []string{"", "0=1060"}, ""},
		"between fragments that are far apart":        {nearest(1100, 1101, 1899, 1900), []*media.Fragment{still(1000), still(2000)}, []string{"0=1100", "0=1900"}, "1.101 1.899"},
		"over a fragment without video":               {nearest(1060), []*media.Fragment{still(1000), noVideo, still(1100)}, []string{"", "", "0=1060"}, ""},
		"over fragments of one time":                  {nearest(1010, 1060), []*media.Fragment{still(1000), still(1000), still(1000, 1100)}, []string{"", "", "0=1010 1=1060"}, ""},
		"a clock that goes back answers what is open": {nearest(50, 1000, 2000), []*media.Fragment{still(1000), still(0, 40), still(2000)}, []string{"0=1000", "1=50", "0=2000"}, ""},
		"a clock that repeats answers once":           {nearest(0, 45), []*media.Fragment{still(0, 40), still(0, 45)}, []string{"0=0 1=45", ""}, ""},
		"the first segment within the tolerance":      {nearest(100), []*media.Fragment{still(0), still(-10, 100)}, []string{"0=100", ""}, ""},
		"a clock that jumps on":                       {nearest(0, 400000, 900000), []*media.Fragment{still(0), still(900000)}, []string{"0=0", "0=900000"}, "400"},
		"before the epoch":                            {nearest(-1060, -990), []*media.Fragment{still(-1100, -1000)}, []string{"0=-1060 1=-990"}, ""},
		"nothing at all":                              {nearest(1, 2), nil, nil, "0.001 0.002"},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPlanner(SkipAuto, []Output{{Sink: "s", Sample: c.sample}})
			var plans []*Plan
			for _, f := range c.frags {
				plans = append(plans, p.Plan(f))
			}
			var misses []string
			for _, g := range p.End() {
				if g.FragmentNumber != "" || g.FrameIndex != media.WholeFragment || g.FramesLost != 0 {
					t.Errorf("gap %+v", g)
				}
				at, ok := strings.CutPrefix(g.Detail, "sink s: no frame within "+c.sample.Rule.(Timestamps).Tolerance.String()+" of ")
				parsed, err := time.Parse(time.RFC3339, at)
				if !ok || err != nil || g.Reason != media.GapNoFrame || g.Sink != "s" || len(g.AskedFor) != 1 || !g.AskedFor[0].Equal(parsed) {
					t.Fatalf("gap %+v", g)
				}
				misses = append(misses, fmt.Sprint(float64(parsed.UnixMicro())/1e6))
			}
			for i, pl := range plans {
				if err := pl.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := answersOf(pl); got != c.want[i] {
					t.Errorf("fragment %d answers %q, want %q", i, got, c.want[i])
				}
			}
			if got := strings.Join(misses, " "); got != c.misses {
				t.Errorf("misses %q, want %q", got, c.misses)
			}
		})
	}
}

func decidedNow(pl *Plan) bool {
	if pl.decided == nil {
		return true
	}
	select {
	case <-pl.decided:
		return true
	default:
		return false
	}
}

func TestAWaitForAPlanEndsWithItsContext(t *testing.T) {
	p := NewPlanner(SkipAuto, []Output{{Sample: nearest(1050)}})
	pl := p.Plan(still(1000))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pl.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestOnlyARequestAfterTheLastFrameWaits(t *testing.T) {
	lone := []Output{{Sample: nearest(1050)}}
	for name, c := range map[string]struct {
		outputs []Output
		next    func(p *Planner)
		waits   bool
		after   bool // still waits after next
	}{
		"no request near":        {[]Output{{Sample: nearest(500, 1101, 2000)}}, nil, false, false},
		"a request on the frame": {[]Output{{Sample: nearest(1000)}}, nil, false, false},
		"no output of times":     {[]Output{{Sample: Sample{Rule: All{}}}}, nil, false, false},
		"the next fragment":      {lone, func(p *Planner) { p.Plan(still(1100)) }, true, false},
		"a fragment far away":    {lone, func(p *Planner) { p.Plan(still(9000)) }, true, false},
		"a clock that goes back": {lone, func(p *Planner) { p.Plan(still(0)) }, true, false},
		"the end":                {lone, func(p *Planner) { p.End() }, true, false},
		"a lost fragment":        {lone, func(p *Planner) { p.Lost() }, true, true},
		"a fragment out of bounds": {lone, func(p *Planner) {
			f := still(1100)
			f.Until, f.Clock = time.UnixMilli(1100), media.ClockProducer
			p.Plan(f)
		}, true, true},
		"a fragment without frames": {lone, func(p *Planner) {
			p.Plan(gop(nil, nil))
		}, true, true},
		"too many lost fragments": {lone, func(p *Planner) {
			for range MaxLookahead {
				p.Lost()
			}
		}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPlanner(SkipAuto, c.outputs)
			pl := p.Plan(still(960, 1000))
			if decidedNow(pl) == c.waits {
				t.Fatalf("waits: %t, want %t", !c.waits, c.waits)
			}
			if c.next == nil {
				return
			}
			c.next(p)
			if decidedNow(pl) == c.after {
				t.Fatalf("waits after it: %t, want %t", !c.after, c.after)
			}
			p.End()
			if !decidedNow(pl) {
				t.Error("the end did not decide it")
			}
		})
	}
}

func TestAHeldPlanFeedsWhatTheDecisionNeeds(t *testing.T) {
	// Presentation 0, 40, 80, 120; the last one is wanted only if nothing nearer follows.
	headers := []byte{idr, ref, disposed, disposed}
	for next, want := range map[int][]bool{150: {false, false, false, false}, 1000: {true, true, false, false}} {
		p := NewPlanner(SkipAuto, []Output{{Sink: "a", Sample: nearest(140)}, {Sink: "b", Sample: nearest(1000)}})
		pl := p.Plan(gop([]int{0, 120, 40, 80}, headers))
		p.Plan(still(next))
		if !decidedNow(pl) {
			t.Fatal("undecided")
		}
		var fed []bool
		for _, f := range pl.Frames {
			fed = append(fed, f.Feed)
		}
		if !slices.Equal(fed, want) || pl.Samples != len(pl.InOrder) || (pl.Samples == 1) != want[0] {
			t.Errorf("next at %d ms: fed %v, want %v, %d samples", next, fed, want, pl.Samples)
		}
	}
}

func TestALateAnswerKeepsTheOutputsInOrder(t *testing.T) {
	p := NewPlanner(SkipAuto, []Output{{Sink: "a", Sample: nearest(1040)}, {Sink: "b", Sample: Sample{Rule: All{}}}, {Sink: "c", Sample: nearest(1000)}})
	pl := p.Plan(still(1000))
	p.End()
	var outputs []int
	for _, a := range pl.Frames[0].Outputs {
		outputs = append(outputs, a.Output)
	}
	if !slices.Equal(outputs, []int{0, 1, 2}) || pl.Samples != 1 {
		t.Errorf("outputs %v, %d samples", outputs, pl.Samples)
	}
}

func TestFramesOutOfBoundsAnswerNothing(t *testing.T) {
	f := still(1000, 1040, 1080)
	f.From, f.Until, f.Clock = time.UnixMilli(1001), time.UnixMilli(1080), media.ClockProducer
	p := NewPlanner(SkipAuto, []Output{{Sample: nearest(1000, 1079)}})
	pl := p.Plan(f)
	gaps := p.End()
	if got := answersOf(pl); got != "1=1000,1079" || len(gaps) != 0 {
		t.Errorf("answers %q, gaps %v", got, gaps)
	}
}

func TestVeryManyMissesAreNamedUpToALimit(t *testing.T) {
	var asked []Request
	for i := range maxNamedMisses + 7 {
		asked = append(asked, Request{Time: time.Unix(int64(i), 0)})
	}
	p := NewPlanner(SkipAuto, []Output{{Sink: "s", Sample: Sample{Rule: Timestamps{Asked: asked, Tolerance: time.Millisecond}}}})
	gaps := p.End()
	want := "sink s: no frame within 1ms of 7 more times from 1970-01-01T02:46:40Z to 1970-01-01T02:46:46Z"
	if len(gaps) != maxNamedMisses+1 || gaps[len(gaps)-1].Detail != want || len(gaps[len(gaps)-1].AskedFor) != 7 {
		t.Errorf("%d gaps, the last %q", len(gaps), gaps[len(gaps)-1])
	}
}

// TestTheFrameThatIsShown asks for what is on screen, as torchcodec's get_frames_played_at does.
func TestTheFrameThatIsShown(t *testing.T) {
	unit := func(f *media.Fragment, unit time.Duration) *media.Fragment {
		f.TimeScale = unit
		return f
	}
	for name, c := range map[string]struct {
		sample Sample
		frags  []*media.Fragment
		want   []string // by fragment
		misses []time.Time
	}{
		"the last at or before":                    {shown(0, 39.999, 40, 79), []*media.Fragment{still(0, 40, 80)}, []string{"0=0,39.999 1=40,79"}, nil},
		"before the first":                         {shown(-1, 0), []*media.Fragment{still(0, 40)}, []string{"0=0"}, times(-1)},
		"after the last":                           {shown(140, 141), []*media.Fragment{still(0, 40)}, []string{"1=140"}, times(141)},
		"in a hole":                                {shown(100, 101, 999), []*media.Fragment{still(0, 1000)}, []string{"0=100"}, times(101, 999)},
		"of equal times the last":                  {shown(40, 45), []*media.Fragment{still(0, 40, 40, 80)}, []string{"2=40,45"}, nil},
		"between fragments":                        {shown(1099, 1100), []*media.Fragment{still(1000), still(1100)}, []string{"0=1099", "0=1100"}, nil},
		"of equal times in two fragments the last": {shown(1010), []*media.Fragment{still(1000), still(1000)}, []string{"", "0=1010"}, nil},
		"a clock that goes back":                   {shown(1050, 20), []*media.Fragment{still(1000), still(0)}, []string{"0=1050", "0=20"}, nil},
		// 33 ms stand for 33.333, 67 for 66.667.
		"half a unit early":                  {shown(33.333, 66.667, 66.499, 66.5), []*media.Fragment{unit(still(0, 33, 67, 100), time.Millisecond)}, []string{"1=33.333,66.499 2=66.667,66.5"}, nil},
		"half a unit before the first":       {shown(66.5, 66.499), []*media.Fragment{unit(still(67, 100), time.Millisecond)}, []string{"0=66.5"}, times(66.499)},
		"a unit makes the tolerance no less": {shown(100, 167), []*media.Fragment{unit(still(0, 67), time.Millisecond)}, []string{"1=100,167"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPlanner(SkipAuto, []Output{{Sink: "s", Sample: c.sample}})
			var plans []*Plan
			for _, f := range c.frags {
				plans = append(plans, p.Plan(f))
			}
			var misses []time.Time
			for _, g := range p.End() {
				misses = append(misses, g.AskedFor...)
			}
			for i, pl := range plans {
				if got := answersOf(pl); got != c.want[i] {
					t.Errorf("fragment %d answers %q, want %q", i, got, c.want[i])
				}
			}
			if !slices.EqualFunc(misses, c.misses, time.Time.Equal) {
				t.Errorf("misses %v, want %v", misses, c.misses)
			}
		})
	}
}

func TestLabelsOfAnImageAreThoseOfItsRequests(t *testing.T) {
	at := times(40)[0]
	for want, labels := range map[string][]string{"": {"", ""}, "a": {"", "a", "a"}, "b,a c": {"b", "a c", "b"}} {
		var asked []Request
		for _, label := range labels {
			asked = append(asked, Request{Time: at, Label: label})
		}
		p := NewPlanner(SkipAuto, []Output{{Sample: Sample{Rule: Timestamps{Asked: asked}}}})
		pl := p.Plan(still(0, 40))
		p.End()
		if answers, got := pl.Frames[1].Outputs[0].Answer(); got != want || len(answers) != len(labels) {
			t.Errorf("labels %q give %q for %v, want %q", labels, got, answers, want)
		}
	}
}

func TestIndicesCountTheFramesOfARun(t *testing.T) {
	p := NewPlanner(SkipAuto, []Output{{Sink: "s", Sample: Sample{Rule: Indices{At: []string{"7", "0", "3", "9", "3", "4"}}}}})
	bounded := still(0, 40, 80, 120)
	bounded.From, bounded.Clock = time.UnixMilli(40), media.ClockProducer
	var got []string
	for _, f := range []*media.Fragment{bounded, still(160, 200), still(240, 280)} {
		pl := p.Plan(f)
		for _, k := range pl.InOrder {
			got = append(got, fmt.Sprint(pl.Frames[k].Info.ProducerTime.UnixMilli()))
		}
	}
	if want := []string{"40", "160", "200"}; !slices.Equal(got, want) {
		t.Errorf("frames at %v, want %v", got, want)
	}
	var misses []string
	for _, g := range p.End() {
		if g.Reason != media.GapNoFrame || g.Sink != "s" {
			t.Errorf("gap %+v", g)
		}
		misses = append(misses, g.Detail)
	}
	if want := []string{"sink s: no frame 7: there are 7", "sink s: no frame 9: there are 7"}; !slices.Equal(misses, want) {
		t.Errorf("misses %q, want %q", misses, want)
	}
}

func TestVeryManyIndicesThatAreNotThereAreNamedUpToALimit(t *testing.T) {
	var rule Indices
	for i := range maxNamedMisses + 7 {
		rule.At = append(rule.At, fmt.Sprint(i))
	}
	gaps := NewPlanner(SkipAuto, []Output{{Sink: "s", Sample: Sample{Rule: rule}}}).End()
	want := "sink s: no frame for 7 more indices from 10000 to 10006: there are 0"
	if len(gaps) != maxNamedMisses+1 || gaps[maxNamedMisses].Detail != want {
		t.Errorf("%d gaps, the last %+v", len(gaps), gaps[len(gaps)-1])
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-11-01T01:00:00.25+01:00": time.UnixMilli(1793491200250),
		"1793491200":                   time.UnixMilli(1793491200000),
		"1793491200.000000001":         time.Unix(1793491200, 1),
		"1793491200250":                time.UnixMilli(1793491200250),
		"1793491200250.5":              time.UnixMicro(1793491200250500),
		"0":                            time.Unix(0, 0),
		"1.5":                          time.UnixMilli(1500),
		"01":                           time.Unix(1, 0),
		"99999999999":                  time.Unix(99999999999, 0),
	} {
		if got, err := parseTime(text); err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "noon", "-1", "+1", "1.", ".5", "1e9", "1_000", "0x10", "179349120000", "17934912000000", "1793491200.0000000001",
		"1793491200250.0000001", "1793491200250.", "179349120025x", "1.2.3", "2026-11-01", "2026-11-01T00:00:00", "NaN", "\u0661",
	} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestReadRequests(t *testing.T) {
	got, err := ReadRequests(strings.NewReader("\ufeff1793491200 first\r\n# alarms\r\n\n 2026-11-01T00:00:00Z \r\n"+
		"2026-11-01T00:00:00.25+01:00\tdoor \u00e9  open\n1793491200000   7"), false)
	want := []Request{{Time: times(1793491200000)[0], Label: "first"}, {Time: times(1793491200000)[0], Label: ""}, {Time: times(1793487600250)[0], Label: "door \u00e9  open"}, {Time: times(1793491200000)[0], Label: "7"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for text, want := range map[string]string{
		"":                                  "holds no request",
		"# nothing\n":                       "holds no request",
		"2026-11-01T00:00:00Z\n\nnoon\n":    `line 3: "noon" is not a time: write RFC 3339, such as 2026-11-01T00:00:00Z, or seconds or milliseconds since the Unix epoch`,
		"2026-11-01 00:00:00Z\n":            `line 1: "2026-11-01" is not a time: write RFC 3339, such as 2026-11-01T00:00:00Z, or seconds or milliseconds since the Unix epoch`,
		"\n#" + strings.Repeat("x", 1<<20):  "line 2: is longer than 1048576 bytes",
		strings.Repeat("#\n", 32<<20) + "2": "is larger than 67108864 bytes",
	} {
		if _, err := ReadRequests(strings.NewReader(text), false); err == nil || err.Error() != want {
			t.Errorf("%.20q...: %v, want %s", text, err, want)
		}
	}
}

func TestGridPointsHaveTheFirstInstantAndNotTheLast(t *testing.T) {
	epoch := time.Unix(0, 0)
	for _, test := range []struct {
		sample   string
		from, to float64 // seconds
		want     int64
	}{
		{"1/1", 0, 10, 10},
		{"1/1", 0.001, 10, 9},
		{"1/1", 0.001, 10.001, 10},
		{"1/1", -3, 2.5, 6},
		{"30000/1001", 0, 1001, 30000},
		{"1/60", 1, 59, 0},
	} {
		var rule Interval
		if err := rule.Rate.UnmarshalText([]byte(test.sample)); err != nil {
			t.Fatal(err)
		}
		if got := rule.Points(epoch.Add(seconds(test.from)), epoch.Add(seconds(test.to))); got != test.want {
			t.Errorf("%+v: got %d", test, got)
		}
	}
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
