package source

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

func TestAnArrivalIsOfAFragmentThatIsReturned(t *testing.T) {
	broken := fmt.Errorf("connection reset")
	runLive(t, []live{
		{"block by block", fromEarliest, []any{play(part{1, 1}, part{1, 2}, frag(1), part{2, 1}, frag(2))}, nil, "1+1, 1+2, 1, 2+1, 2, time", ""},
		{"again in the next session", fromEarliest, []any{play(part{1, 1}, cutFrag(1, 50), broken), play(part{1, 1}, part{1, 2}, frag(1))}, nil, "1+1, 1+1, 1+2, 1, time", ""},
		{"again after damage", fromEarliest, []any{play(part{1, 2}, damagedFrag(1)), play(part{1, 1}, frag(1))}, nil, "1+2, 1+1, 1, time", ""},
		{"again when the fragment made no sense", fromEarliest, []any{play(part{1, 2}, badContent(1)), play(part{1, 1}, badContent(1)), play(part{1, 1}, badContent(1))}, nil, "1+2, 1+1, 1+1, gap 1, time", ""},
		{"not of what was read", fromEarliest, []any{frags(1, 2), play(part{1, 2}, frag(1), part{2, 2}, frag(2), part{3, 1}, frag(3))}, nil, "1, 2, 3+1, 3, time", ""},
		{"not of what was given up", fromEarliest, []any{play(part{1, 1}, &payload.SplitError{FragmentNumber: num(1), Err: payload.ErrTooLarge}), play(part{1, 1}, frag(1), part{2, 1}, frag(2))}, nil, "1+1, gap 1, 2+1, 2, time", ""},
		{"not before the fragment in front is known to be whole", fromEarliest, []any{play(part{1, 1}, tokenless(1), part{2, 1}, part{2, 2}, frag(2), part{3, 1}, frag(3))}, nil, "1+1, 1, 2, 3+1, 3, time", ""},
		{"not before the fragment in front is given up", fromEarliest, []any{play(part{1, 1}, cutFrag(1, 50)), play(part{2, 1}, frag(2), part{3, 1}, frag(3))}, nil, "1+1, CUT 1, 2, 3+1, 3, time", ""},
		{"of the first one after NOW", fromNow, []any{play(part{4, 1}, cutFrag(4, 50)), play(part{3, 1}, frag(3), part{4, 1}, frag(4))}, nil, "4+1, 4+1, 4, time", ""},
		{"before an outage of which only its end tells", fromEarliest, []any{play(frag(1), broken), play(part{60, 1}, frag(60))}, nil, "1, 60+1, gap, 60, time", ""},
		{"before the end of what can be read", fromEarliest, []any{play(part{1, 1}, cutFrag(1, 50)), coded("ResourceNotFoundException")}, nil, "1+1, CUT 1, fatal", ""},
	})
}

func TestNothingArrivesWhileReadingSkipsToNow(t *testing.T) {
	late := play(behind(1, 11), time.Minute, part{2, 1}, behind(2, 11), part{3, 1}, behind(3, 11))
	synctest.Test(t, func(t *testing.T) {
		live{start: fromEarliest, answers: []any{late, play(part{9, 1}, frag(9), part{10, 1}, frag(10))}, want: "1, 2+1, 2, hole 2 to 9, 9, 10+1, 10, time"}.runWithin(t, 10*time.Second)
	})
}

// tellingSource is a Source that tells of each of its fragments, with one block, and returns it.
type tellingSource struct{ *steps }

func (s tellingSource) Next(ctx context.Context) (*media.Fragment, error) {
	f, err := s.steps.Next(ctx)
	if arrived := media.Arrivals(ctx); f != nil && arrived != nil {
		begun := *f
		begun.Blocks = f.Blocks[:1]
		arrived(&begun)
	}
	return f, err
}

// arrivals are what is told of s until it ends, with what is returned: N+ and N, or gap.
func arrivals(t *testing.T, s Source, each ...func(*media.Fragment)) string {
	t.Helper()
	var got []string
	ctx := media.WithArrivals(t.Context(), func(f *media.Fragment) {
		got = append(got, short47(f.Number)+"+")
		for _, do := range each {
			do(f)
		}
	})
	for {
		f, err := s.Next(ctx)
		switch {
		case err == io.EOF:
			return strings.Join(got, " ")
		case err != nil:
			got = append(got, "gap")
		default:
			got = append(got, short47(f.Number))
		}
	}
}

// tells is such a source of fragments.
func tells(numbers ...int) tellingSource {
	s := tellingSource{&steps{}}
	for _, n := range numbers {
		s.answers = append(s.answers, result{fragment: frag(n)})
	}
	return s
}

func TestSourcesAroundASourceHoldBackWhatTheyMayNotReturn(t *testing.T) {
	place := func(n int) media.Place { return frag(n).Place() }
	decodable := func(n int, codec string) result {
		f := frag(n)
		f.Tracks[0].CodecID = codec
		return result{fragment: f}
	}
	const avc, other = "V_MPEG4/ISO/AVC", "V_OTHER"
	videos := func(results ...result) tellingSource { return tellingSource{&steps{answers: results}} }
	for name, c := range map[string]struct {
		s    Source
		want string
	}{
		"until":                       {Until(t.Context(), tells(1, 2)), "1+ 1 2+ 2"},
		"no end":                      {WithEnd(tells(1, 2), End{}, media.ClockProducer), "1+ 1 2+ 2"},
		"an end by number":            {WithEnd(tells(1, 2, 3), End{Fragments: 2}, media.ClockProducer), "1+ 1 2+ 2"},
		"an end by time":              {WithEnd(tells(1, 2, 3), End{Timestamp: epoch.Add(3 * time.Second)}, media.ClockProducer), "1+ 1 2+ 2"},
		"an end by the other clock":   {WithEnd(tells(1, 2, 3), End{Timestamp: epoch.Add(time.Minute + 2*time.Second)}, media.ClockServer), "1+ 1"},
		"an end after a duration":     {WithEnd(tells(5, 6, 7), End{Duration: 2 * time.Second}, media.ClockProducer), "5+ 5 6+ 6"},
		"tags":                        {WithTags(tells(1, 2), []string{"a=b"}), "1 2"},
		"no tags":                     {WithTags(tells(1, 2), nil), "1+ 1 2+ 2"},
		"once":                        {Once(tells(1, 1, 2, 1)), "1+ 1 2+ 2"},
		"a stream that continues":     {Continued(tells(1, 2, 3, 4), "cam", place(2)), "1 2 3+ 3 4+ 4"},
		"and whose place is gone":     {Continued(tells(1, 3, 4), "cam", place(2)), "1 3+ gap 3 4+ 4"},
		"a stream that begins again":  {From(tells(1, 2, 3), "cam", place(2)), "1+ 1 2+ 2 3+ 3"},
		"a stream that begins anew":   {Anew(tells(5, 6), "cam", place(2)), "5+ gap 5 6+ 6"},
		"video that can be decoded":   {WithVideo(videos(decodable(1, avc), decodable(2, avc)), 0), "1+ 1 2+ 2"},
		"video that cannot, at first": {WithVideo(videos(decodable(1, other), decodable(2, avc)), 0), "1 2+ 2 gap"},
		"an archive, and then live": {NewCrossing(CrossingConfig{
			Archive: func(after Place) (Source, error) {
				if after.Number != "" {
					return tells(), nil
				}
				return &steps{answers: tells(1, 2).answers}, nil
			},
			Live: func(StartSelector) Source { return tells(3, 4) },
		}), "1 2 3+ 3 4+ 4"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := arrivals(t, c.s); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// What is told has the bounds and the track of what is returned.
func TestArrivalsAreChangedAsFragmentsAre(t *testing.T) {
	f := frag(1)
	f.Tracks = []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_MPEG4/ISO/AVC"}, {Number: 3, Type: media.TrackVideo, CodecID: "V_MPEG4/ISO/AVC"}}
	s := WithVideo(WithEnd(tellingSource{&steps{answers: []result{{fragment: f}}}}, End{Duration: 500 * time.Millisecond, IdleTimeout: time.Hour}, media.ClockServer), 3)
	told := 0
	got := arrivals(t, s, func(f *media.Fragment) {
		told++
		if f.VideoTrackNumber != 3 || !f.Until.Equal(epoch.Add(time.Minute+1500*time.Millisecond)) || f.Clock != media.ClockServer {
			t.Errorf("track %d, until %v on the %s clock", f.VideoTrackNumber, f.Until, f.Clock)
		}
	})
	if got != "1+ 1" || told != 1 || !f.Until.IsZero() || f.VideoTrackNumber != 0 {
		t.Errorf("got %s, and the source's own fragment has track %d, until %v", got, f.VideoTrackNumber, f.Until)
	}
}

// A receiver that takes its time is not silence of the stream.
func TestTheIdleTimeoutDoesNotRunWhileAnArrivalIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &script{t: t, answers: []any{play(part{1, 1}, 4*time.Second, part{1, 2}, frag(1), 9*time.Second)}}
		s := WithEnd(NewLive(d, LiveConfig{Stream: "cam", Start: fromEarliest}), End{IdleTimeout: 5 * time.Second}, media.ClockProducer)
		defer s.Close()
		begun := time.Now()
		got := arrivals(t, s, func(*media.Fragment) { time.Sleep(time.Minute) })
		if took := time.Since(begun); got != "1+ 1+ 1" || took != 2*time.Minute+9*time.Second {
			t.Errorf("got %s after %v", got, took)
		}
	})
}

// The part of a fragment that arrived is returned when the stream falls silent inside of it, and when it does not come again after an interruption.
func TestAFragmentThatWasToldOfIsReturnedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &script{t: t, answers: []any{play(frag(1), part{2, 1}, time.Hour)}}
		s := WithEnd(NewLive(d, LiveConfig{Stream: "cam", Start: fromEarliest}), End{IdleTimeout: 5 * time.Second}, media.ClockProducer)
		defer s.Close()
		if got := strings.Join(read(t, s, time.Hour), ", "); got != "1, 2+1, CUT 2, EOF" {
			t.Errorf("got %s", got)
		}
	})
	for want, again := range map[string]scriptedSession{
		"2+1, 2, 3, time": play(part{2, 1}, frag(2), frag(3)),
		"CUT 2, 3, time":  frags(3, 3),
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &script{t: t, answers: []any{play(frag(1), part{2, 2}, time.Hour), again}}
			l := NewLive(d, LiveConfig{Stream: "cam", Start: fromEarliest})
			defer l.Close()
			if got := strings.Join(read(t, l, time.Minute), ", "); got != "1, 2+2, time" {
				t.Errorf("got %s", got)
			}
			if got := strings.Join(read(t, l, time.Minute), ", "); got != want {
				t.Errorf("afterwards %s, want %s", got, want)
			}
		})
	}
}

func TestTellingAddsNothingToAContextWithoutArrivals(t *testing.T) {
	ctx := t.Context()
	if telling(ctx, nil) != ctx || media.Arrivals(ctx) != nil || media.Arrivals(media.WithArrivals(ctx, nil)) != nil {
		t.Error("there is a function")
	}
}
