package plan

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// late returns fragment n of a stream, a second of four pictures, that is so far behind. Its first picture is an IDR picture unless
// broken off: then the group began in the fragment before.
func late(n int, behind time.Duration, brokenOff bool) *media.Fragment {
	headers := []byte{idr, ref, ref, ref}
	if brokenOff {
		headers[0] = ref
	}
	f := gop([]int{0, 250, 500, 750}, headers)
	f.Number, f.ProducerTime = fmt.Sprint(n), time.Unix(int64(n), 0).UTC()
	f.MillisBehindNow = behind.Milliseconds()
	return f
}

// keysOnly plans fragments, each five seconds after the one before, and describes each plan: k if only key frames are decoded, w if the
// whole fragment is, and ! behind it if catching up began or ended with it. planned is called after each.
func keysOnly(t *testing.T, p *Planner, frags []*media.Fragment, planned func(i int, pl *Plan)) string {
	t.Helper()
	var text strings.Builder
	for i, f := range frags {
		pl := p.Plan(f)
		word := "w"
		if pl.KeysOnly {
			word = "k"
		}
		if began, ended := p.Turned(); began || ended {
			word += "!"
		}
		text.WriteString(word)
		planned(i, pl)
		pl.Release()
		time.Sleep(5 * time.Second)
	}
	return text.String()
}

func releaseOnly(_ int, pl *Plan) { pl.GiveUp() }

// lags are fragments that are so many seconds behind.
func lags(seconds ...int) (frags []*media.Fragment) {
	for i, s := range seconds {
		frags = append(frags, late(i+1, time.Duration(s)*time.Second, false))
	}
	return frags
}

func TestKeyFramesAloneAreDecodedUntilHalfIsMadeUp(t *testing.T) {
	minute := func(s int) []int { return slices.Repeat([]int{s}, 12) } // in fragments
	unknown := func(frags []*media.Fragment) []*media.Fragment {
		for _, f := range frags[2:16] {
			f.MillisBehindNow = -1
		}
		return frags
	}
	w, k := strings.Repeat("w", 12), strings.Repeat("k", 12)
	for name, test := range map[string]struct {
		frags []*media.Fragment
		want  string
	}{
		"behind for a minute":    {lags(append(minute(31), 31, 31, 30, 16, 15, 31, 31)...), w + "k!kkkw!ww"},
		"less than a minute":     {lags(append(minute(31), 30, 31, 31, 31)...), w + "wwww"},
		"at the limit":           {lags(append(minute(30), 30, 30, 30)...), w + "www"},
		"again, a minute later":  {lags(slices.Concat(minute(31), []int{31, 15}, minute(31), []int{31})...), w + "k!w!" + w + "k!"},
		"it does not get better": {lags(slices.Concat(minute(31), []int{31}, minute(90))...), w + "k!" + k},
		"fragments that do not say how far behind they are": {unknown(lags(append(minute(31), 31, 31, 31, 31, 31, 31, 15)...)), w + "wwwwk!kw!"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := NewPlanner(SkipAuto, []Output{{Sink: "a"}})
				p.CatchUp(30*time.Second, 0)
				if got := keysOnly(t, p, test.frags, releaseOnly); got != test.want {
					t.Errorf("%s, want %s", got, test.want)
				}
				if gaps := p.End(); len(gaps) > 0 {
					t.Errorf("gaps at the end: %v", gaps)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		if got := keysOnly(t, NewPlanner(SkipAuto, []Output{{Sink: "a"}}), lags(minute(3600)...), releaseOnly); got != w {
			t.Errorf("without a limit: %s", got)
		}
	})
}

// described returns which packets a plan feeds, which samples it gives, as output:frame, and what it leaves out, as output:frame+frames
// with the seconds that were asked for.
func described(pl *Plan, outputs []Output) (fed, given, left string) {
	var packets, samples, gaps []string
	for k, f := range pl.Frames {
		if f.Feed {
			packets = append(packets, fmt.Sprint(k))
		}
	}
	for _, k := range pl.InOrder {
		for _, a := range pl.Frames[k].Outputs {
			samples = append(samples, fmt.Sprintf("%s:%d", outputs[a.Output].Sink, pl.Frames[k].Info.Index))
		}
	}
	for _, g := range pl.LeftOut {
		text := fmt.Sprintf("%s:%d+%d", g.Sink, g.FrameIndex, g.FramesLost)
		for _, at := range g.AskedFor {
			text += "@" + at.Format("5.999")
		}
		gaps = append(gaps, text)
	}
	return strings.Join(packets, " "), strings.Join(samples, " "), strings.Join(gaps, " ")
}

func TestWhatIsLeftOutToCatchUpIsNamed(t *testing.T) {
	outputs := []Output{
		{Sink: "all", Sample: Sample{Rule: All{}}},
		{Sink: "keys", Sample: Sample{Rule: Keyframes{}}},
		{Sink: "stride", Sample: Sample{Rule: Stride{N: 3}}},
		// Only the third fragment decides whether the last frame of the second one is wanted.
		{Sink: "times", Sample: nearest(1240, 1260, 2240, 2760, 2770, 3010)},
	}
	for _, skip := range []SkipFrame{SkipAuto, SkipNone} {
		p := NewPlanner(skip, outputs)
		same := State{CaughtUp: CaughtUp{Decided: "3", KeysOnly: []Span{{"0", "2"}}}}
		if err := p.Resume(slices.Repeat([]State{same}, len(outputs))); err != nil {
			t.Fatal(err)
		}
		var plans []*Plan
		for _, f := range lags(60, 60, 60) {
			plans = append(plans, p.Plan(f))
		}
		if gaps := p.End(); len(gaps) > 0 {
			t.Errorf("gaps at the end: %v", gaps)
		}
		for i, want := range [][3]string{
			{"0", "all:0 keys:0 stride:0", "all:1+3 stride:3+1 times:-1+1@1.24@1.26"},
			{"0", "all:0 keys:0", "all:1+3 stride:-1+1 times:1+1@2.24 times:3+1@2.76@2.77"},
			{"0 1 2 3", "all:0 keys:0 times:0 all:1 stride:1 all:2 all:3", ""},
		} {
			fed, given, left := described(plans[i], outputs)
			if got := [3]string{fed, given, left}; got != want {
				t.Errorf("skip_frame %s, fragment %d: %q, want %q", skip, i+1, got, want)
			}
			for _, g := range plans[i].LeftOut {
				first := g.FrameIndex
				if first == media.WholeFragment {
					first = 0
				}
				at := time.Unix(int64(i+1), 0).Add(time.Duration(first) * 250 * time.Millisecond)
				if g.Reason != media.GapLeftOut || g.Stream != "cam" || g.FragmentNumber != fmt.Sprint(i+1) || !g.ProducerTime.Equal(at) || g.Detail == "" {
					t.Errorf("gap %+v", g)
				}
			}
			plans[i].GiveUp()
		}
	}
}

// TestALaterRunLeavesOutTheSame ends a run after each fragment, and plans all again from what a checkpoint holds then: what had been
// planned is planned alike, and it goes on from there.
func TestALaterRunLeavesOutTheSame(t *testing.T) {
	seconds := slices.Concat(slices.Repeat([]int{31}, 14), slices.Repeat([]int{15}, 3), slices.Repeat([]int{31}, 14), []int{15})
	const whole = "wwwwwwwwwwwwk!kw!ww" + "wwwwwwwwwwwwk!kw!"
	outputs := []Output{{Sink: "a"}}
	synctest.Test(t, func(t *testing.T) {
		first := NewPlanner(SkipAuto, outputs)
		first.CatchUp(30*time.Second, 0)
		saved := make([][]byte, len(seconds))
		got := keysOnly(t, first, lags(seconds...), func(i int, pl *Plan) {
			pl.GiveUp()
			var err error
			if saved[i], err = json.Marshal(first.Mark().CaughtUp(0, media.Place{})); err != nil {
				t.Error(err)
			}
		})
		if got != whole {
			t.Fatalf("%s, want %s", got, whole)
		}
		for end := range seconds {
			var from CaughtUp
			if err := json.Unmarshal(saved[end], &from); err != nil {
				t.Fatal(err)
			}
			later := NewPlanner(SkipAuto, outputs)
			later.CatchUp(30*time.Second, 0)
			if err := later.Resume([]State{{CaughtUp: from}}); err != nil {
				t.Fatal(err)
			}
			// Time has passed: what is read again is further behind, and a fresh minute begins after it.
			again := lags(seconds...)
			for _, f := range again {
				f.MillisBehindNow += 600_000
			}
			got := strings.ReplaceAll(keysOnly(t, later, again[:min(len(again), end+6)], releaseOnly), "!", "")
			want := []byte(strings.ReplaceAll(whole, "!", "")[:end+1])
			for len(want) < len(got) {
				want = append(want, want[end])
			}
			if got != string(want) {
				t.Errorf("after fragment %d: %s, want %s", end+1, got, want)
			}
		}
	})
}

// TestCatchingUpEndsWhereItsReferencesAre catches up in streams whose groups are four fragments long.
func TestCatchingUpEndsWhereItsReferencesAre(t *testing.T) {
	for begins, want := range map[int]string{
		// The decoder of the group that goes on is gone then, and a new one is led up.
		0: "wwwwwwwwwwwwk!w!www", 1: "wwwwwwwwwwwwk!w!www", 2: "wwwwwwwwwwwwk!w!www", 3: "wwwwwwwwwwwwk!w!www",
	} {
		synctest.Test(t, func(t *testing.T) {
			frags := lags(slices.Concat(slices.Repeat([]int{31}, 13), slices.Repeat([]int{15}, 4))...)
			for i := range frags {
				if (i-12)%4 != begins && i > 0 {
					frags[i] = late(i+1, time.Duration(frags[i].MillisBehindNow)*time.Millisecond, true)
				}
			}
			p := NewPlanner(SkipAuto, []Output{{Sink: "a"}})
			p.CatchUp(30*time.Second, 0)
			got := keysOnly(t, p, frags, func(i int, pl *Plan) {
				for k, f := range pl.Frames {
					if f.Broken && len(f.Outputs) > 0 {
						t.Errorf("group at %d: frame %d of fragment %d lacks what it refers to", begins, k, i+1)
					}
				}
				pl.GiveUp()
			})
			if p.End(); got != want {
				t.Errorf("group at %d: %s, want %s", begins, got, want)
			}
		})
	}
}

func TestALimitThatIsGoneEndsCatchingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPlanner(SkipAuto, []Output{{Sink: "a"}})
		if err := p.Resume([]State{{CaughtUp: CaughtUp{Decided: "2", KeysOnly: []Span{{"1", "2"}}, On: true}}}); err != nil {
			t.Fatal(err)
		}
		if got := keysOnly(t, p, lags(60, 60, 60, 60), releaseOnly); got != "wkw!w" {
			t.Errorf("%s, want wkw!w", got)
		}
		for after, want := range map[string]CaughtUp{
			"": {"4", []Span{{"1", "2"}}, false}, "1": {"4", []Span{{"1", "2"}}, false}, "2": {"4", []Span{}, false}, "4": {"4", []Span{}, false},
		} {
			if got := p.Mark().CaughtUp(0, media.Place{Number: after}); !reflect.DeepEqual(got, want) {
				t.Errorf("after %s: %+v, want %+v", after, got, want)
			}
		}
	})
}

// TestEachOutputKeepsToWhatWasDecidedForIt continues outputs of readers that had decided differently with one planner.
func TestEachOutputKeepsToWhatWasDecidedForIt(t *testing.T) {
	outputs := []Output{{Sink: "a"}, {Sink: "b"}, {Sink: "c"}}
	synctest.Test(t, func(t *testing.T) {
		p := NewPlanner(SkipAuto, outputs)
		p.CatchUp(30*time.Second, 0)
		err := p.Resume([]State{
			{CaughtUp: CaughtUp{Decided: "4", KeysOnly: []Span{{"1", "2"}}}},
			{CaughtUp: CaughtUp{Decided: "2", KeysOnly: []Span{{"0", "2"}}, On: true}},
			{},
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		all := keysOnly(t, p, lags(60, 60, 60, 60, 60, 10), func(_ int, pl *Plan) {
			_, _, left := described(pl, outputs)
			got = append(got, left)
			pl.GiveUp()
		})
		want := []string{"b:1+3 c:1+3", "a:1+3 b:1+3 c:1+3", "b:1+3 c:1+3", "b:1+3 c:1+3", "a:1+3 b:1+3 c:1+3", ""}
		if !slices.Equal(got, want) || all != "wkwwkw!" {
			t.Errorf("%s: %q, want %q", all, got, want)
		}
		for o, want := range []CaughtUp{
			{"6", []Span{{"1", "2"}, {"4", "5"}}, false}, {"6", []Span{{"0", "2"}, {"2", "5"}}, false}, {"6", []Span{{"", "5"}}, false},
		} {
			if got := p.Mark().CaughtUp(o, media.Place{}); !reflect.DeepEqual(got, want) {
				t.Errorf("output %d: %+v, want %+v", o, got, want)
			}
		}
	})
}

func TestTheSpansOfAStreamAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPlanner(SkipAuto, []Output{{Sink: "a", Sample: Sample{Rule: Keyframes{}}}})
		for n := 1; n <= 4*maxSpans; n++ {
			p.CatchUp(time.Duration(n%2)*time.Millisecond, time.Nanosecond) // which every other fragment exceeds
			p.catchUp.watch.Exceeded(time.Hour)
			time.Sleep(time.Nanosecond)
			pl := p.Plan(late(n, time.Hour, false))
			pl.GiveUp()
			pl.Release()
		}
		if spans := p.Mark().CaughtUp(0, media.Place{}).KeysOnly; len(spans) != maxSpans || spans[0].Last != fmt.Sprint(2*maxSpans+1) {
			t.Errorf("%d spans, the first is %v", len(spans), spans[0])
		}
	})
}

func TestTheMinuteBeginsAfterWhatIsOnlyReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPlanner(SkipAuto, []Output{{Sink: "a"}})
		p.CatchUp(30*time.Second, 0)
		if err := p.Resume([]State{{Place: media.Place{Number: "6"}}}); err != nil {
			t.Fatal(err)
		}
		want := strings.Repeat("w", 6+12) + "k!"
		if got := keysOnly(t, p, lags(slices.Repeat([]int{31}, 19)...), releaseOnly); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}
