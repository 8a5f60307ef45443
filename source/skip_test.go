package source

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// behind returns fragment n, which is so many seconds behind the newest one.
func behind(n int, seconds int64) *media.Fragment {
	f := frag(n)
	f.MillisBehindNow = 1000 * seconds
	return f
}

// silent returns fragment n without the distance to the newest one.
func silent(n int) *media.Fragment {
	f := frag(n)
	f.MillisBehindNow = -1
	return f
}

func TestAStreamThatIsTooFarBehindSkipsToNow(t *testing.T) {
	const s = time.Second
	late := play(behind(1, 11), 60*s, behind(2, 11), behind(3, 11))
	gone := payload.NewGap("cam", "", &payload.ErrorTag{ID: 4000}, 0)
	for _, c := range []live{
		{"a minute beyond the limit", fromEarliest, []any{late, frags(9, 10)}, nil, "1, 2, hole 2 to 9, 9, 10, time", "EARLIEST, NOW, after 10"},
		{"less than a minute", fromEarliest, []any{play(behind(1, 11), 59*s, behind(2, 11), s/2, behind(3, 11))}, nil, "1, 2, 3, time", "EARLIEST, after 3"},
		{"a better moment", fromEarliest, []any{play(behind(1, 11), 59*s, behind(2, 10), s, behind(3, 11), 59*s, behind(4, 11))}, nil, "1, 2, 3, 4, time", "EARLIEST, after 4"},
		{"the minute goes on over sessions", fromEarliest, []any{play(behind(1, 11), 60*s), frags(2, 1), play(behind(2, 11)), frags(9, 9)}, nil, "1, 2, hole 2 to 9, 9, time", "EARLIEST, after 1, after 1, NOW, after 9"},
		{"again a minute later", fromEarliest, []any{late, play(behind(9, 11), 59*s, behind(10, 11), s, behind(11, 11)), frags(20, 20)}, nil, "1, 2, hole 2 to 9, 9, 10, 11, hole 11 to 20, 20, time", "EARLIEST, NOW, NOW, after 20"},
		{"the newest one has been read", fromEarliest, []any{late, frags(2, 4)}, nil, "1, 2, 3, 4, time", "EARLIEST, NOW, after 4"},
		{"the newest one has been read, and no other comes", fromEarliest, []any{late, play(tokenless(2), 3*s), frags(5, 5)}, nil, "1, 2, 5, time", "EARLIEST, NOW, after 2, after 5"},
		{"nothing comes at first", fromEarliest, []any{late, play(), play(), frags(9, 9)}, nil, "1, 2, hole 2 to 9, 9, time", "EARLIEST, NOW, at 0s, at 0s, after 9"},
		{"the call is refused", fromEarliest, []any{late, coded("ClientLimitExceededException"), frags(9, 9)}, nil, "1, 2, hole 2 to 9, 9, time", "EARLIEST, NOW, NOW, after 9"},
		{"the time of NOW is refused", fromEarliest, []any{late, play(), coded("InvalidArgumentException"), frags(9, 9)}, nil, "1, 2, hole 2 to 9, 9, time", "EARLIEST, NOW, at 0s, NOW, after 9"},
		{"the time of NOW is gone", fromEarliest, []any{late, play(), play(gone), frags(9, 9)}, nil, "1, 2, hole 2 to 9, 9, time", "EARLIEST, NOW, at 0s, NOW, after 9"},
		{"the newest one is cut", fromEarliest, []any{late, play(cutFrag(9, 50)), frags(8, 10)}, nil, "1, 2, hole 2 to 9, 9, 10, time", "EARLIEST, NOW, at 9s, after 10"},
		{"the newest one cannot be read", fromEarliest, []any{late, play(badContent(9)), play(badContent(9)), play(badContent(9), frag(10))}, nil, "1, 2, hole 2 to 9, gap 9, 10, time", "EARLIEST, NOW, at 0s, at 0s, after 10"},
		{"the newest one is poison", fromEarliest, []any{late, play(poison(9)), play(poison(9)), play(poison(9)), frags(9, 10)}, nil, "1, 2, hole 2 to 9, gap 9, 10, time", "EARLIEST, NOW, at 0s, at 0s, after 9"},
		{"what cannot be read has no number", fromEarliest, []any{late, play(poison(0)), play(poison(0)), play(poison(0)), frags(9, 9)}, nil, "1, 2, hole 2 to 9, 9, time", "EARLIEST, NOW, at 0s, at 0s, NOW, after 9"},
		{"a fragment that may be cut is left out", fromEarliest, []any{play(behind(1, 11), 60*s, behind(2, 11), tokenless(3)), frags(9, 9)}, nil, "1, 2, hole 2 to 9, 9, time", "EARLIEST, NOW, after 9"},
		// The first session is opened when fragment 0 reaches the service.
		{"by the service's clock", fromEarliest, []any{play(12*s, silent(1), 60*s, silent(2)), frags(90, 90)}, nil, "1, 2, hole 2 to 90, 90, time", "EARLIEST, NOW, after 90"},
		{"a camera that pauses", fromEarliest, []any{play(10*s, silent(1), 120*s, silent(125), 120*s, silent(245))}, nil, "1, 125, 245, time", "EARLIEST, after 245"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.runWithin(t, 10*s)
			})
		})
	}
	without := live{start: fromEarliest, answers: []any{play(behind(1, 999), 120*s, behind(2, 999))}, want: "1, 2, time", starts: "EARLIEST, after 2"}
	synctest.Test(t, func(t *testing.T) { without.run(t) })
}

// TestAHoleIsAGapWithBothItsEnds reads a skip, with the last fragment of the first session before it.
func TestAHoleIsAGapWithBothItsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &script{t: t, answers: []any{play(behind(1, 11), time.Minute, behind(2, 11)), play(behind(9, 0), time.Hour)}}
		l := NewLive(d, LiveConfig{Stream: "cam", Start: fromEarliest, MaxLag: 10 * time.Second})
		defer l.Close()
		for n := range 2 {
			if f, err := l.Next(t.Context()); err != nil || f.Number != num(n+1) || l.Stats().Lag != 11*time.Second {
				t.Fatalf("%v, %v, behind %v", f, err, l.Stats().Lag)
			}
		}
		_, err := l.Next(t.Context())
		var gap *media.GapError
		if !errors.As(err, &gap) {
			t.Fatalf("error %v", err)
		}
		want := media.Gap{
			Stream: "cam", FragmentNumber: num(2), FrameIndex: media.WholeFragment, ProducerTime: epoch.Add(3 * time.Second),
			Until: frag(9).Place(), Reason: media.GapLeftOut, Detail: gap.Gap.Detail,
		}
		if got := gap.Gap; got.String() != want.String() || got.Until != want.Until || got.Reason != want.Reason || !got.ProducerTime.Equal(want.ProducerTime) {
			t.Errorf("gap %+v, want %+v", got, want)
		}
		if f, err := l.Next(t.Context()); err != nil || f.Number != num(9) || l.Stats().Lag != 0 || l.Stats().Pauses != 0 {
			t.Errorf("%v, %v, %+v", f, err, l.Stats())
		}
	})
}

// TestAStreamThatEndsInASkipNamesIt waits for the newest fragment until the stream is given up.
func TestAStreamThatEndsInASkipNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &script{t: t, answers: []any{play(behind(1, 11), time.Minute, behind(2, 11))}}
		l := NewLive(d, LiveConfig{Stream: "cam", Start: fromEarliest, MaxLag: 10 * time.Second})
		s := WithEnd(l, End{IdleTimeout: 2 * time.Minute}, media.ClockProducer)
		if got := strings.Join(read(t, s, time.Hour), ", "); got != "1, 2, gap, EOF" {
			t.Errorf("got %s", got)
		}
	})
}
