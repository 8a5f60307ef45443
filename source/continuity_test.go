package source

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// single is a fragment of one frame, which tells nothing of how long it lasts.
func single(n int, at time.Duration) *media.Fragment {
	f := fragAt(n, at)
	f.Blocks = f.Blocks[:1]
	return f
}

// slow is a fragment of three frames, 4 s apart.
func slow(n int, at time.Duration) *media.Fragment {
	f := fragAt(n, at)
	f.Blocks = []media.Block{{Track: 1}, {Track: 1, Time: 8 * time.Second}, {Track: 1, Time: 4 * time.Second}, {Track: 2, Time: time.Hour}}
	return f
}

func TestJumpsOfTheProducersClock(t *testing.T) {
	const s = time.Second
	throttled := coded("ClientLimitExceededException")
	for _, c := range []struct {
		name    string
		answers []any
		want    string
		pauses  int
		warn    bool
	}{
		{"fragments that follow each other", []any{play(fragAt(1, 0), fragAt(2, s), fragAt(3, 2*s))}, "1, 2, 3, time", 0, false},
		{"a second more is no jump", []any{play(fragAt(1, 0), fragAt(2, 2*s))}, "1, 2, time", 0, false},
		{"a pause within a session", []any{play(fragAt(1, 0), fragAt(2, 5*s))}, "1, 2, time", 1, false},
		{"a pause over idle sessions", []any{play(fragAt(1, 0)), play(), play(), play(fragAt(2, 60*s))}, "1, 2, time", 1, false},
		{"a pause over a planned cut", []any{play(fragAt(1, 0), cutFrag(2, 9)), play(fragAt(2, 60*s))}, "1, 2, time", 1, false},
		{"a jump over calls that were refused", []any{play(fragAt(1, 0)), throttled, play(fragAt(2, 60*s), fragAt(3, 90*s))}, "1, gap, 2, 3, time", 1, true},
		{"a jump over a broken connection", []any{play(fragAt(1, 0), errors.New("reset")), play(fragAt(2, 60*s))}, "1, gap, 2, time", 0, true},
		{"a jump over a last fragment that is gone", []any{play(fragAt(1, 0)), play(payload.NewGap("cam", "", &payload.ErrorTag{ID: 4000}, 0)), play(fragAt(2, 60*s))}, "1, gap, 2, time", 0, true},
		{"a broken connection without a jump", []any{play(fragAt(1, 0), errors.New("reset")), play(fragAt(2, s))}, "1, 2, time", 0, true},
		{"a producer that goes back", []any{play(fragAt(1, 60*s), fragAt(2, 0), fragAt(3, s))}, "1, 2, 3, time", 0, false},
		{"single frames now and then", []any{play(single(1, 0), single(2, 10*s), single(3, 20*s), single(4, 31*s), single(5, 80*s))}, "1, 2, 3, 4, 5, time", 1, false},
		{"slow frames out of order", []any{play(slow(1, 0), slow(2, 12*s), slow(3, 31*s), slow(4, 60*s))}, "1, 2, 3, 4, time", 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, l, lines := live{start: fromEarliest, answers: c.answers, want: c.want, starts: "EARLIEST"}.run(t)
				if l.Stats().Pauses != c.pauses || (len(warnings(lines)) > 0) != c.warn {
					t.Errorf("%d pauses, want %d; log %q", l.Stats().Pauses, c.pauses, lines)
				}
				if logged := slices.Contains(lines, "INFO producer has paused"); logged != (c.pauses > 0) {
					t.Errorf("the log is %q", lines)
				}
			})
		})
	}
}

func TestAGapInTimeSaysFromWhenToWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := newJournal()
		d := &script{t: t, answers: []any{play(fragAt(1, 0), errors.New("reset")), play(fragAt(2, time.Minute))}}
		l := NewLive(d, LiveConfig{Stream: "cam", Start: fromEarliest, Log: log})
		defer l.Close()
		if _, err := l.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := l.Next(t.Context())
		var gap *media.GapError
		want := media.Gap{
			Stream: "cam", FrameIndex: media.WholeFragment, Reason: media.GapOutage,
			Detail: "no media from 2026-03-04T05:06:08.000Z to 2026-03-04T05:07:07.000Z, before fragment " + num(2) +
				": the service was out of reach in between, so that media may have been lost",
		}
		if !errors.As(err, &gap) || !reflect.DeepEqual(gap.Gap, want) {
			t.Errorf("got %v\nwant %v", err, want)
		}
	})
}

func TestFragmentNumbersAreComparedAsNumbers(t *testing.T) {
	long := num(1)[:46]
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"9", "10", -1},
		{"10", "9", 1},
		{"0010", "10", 0},
		{"0", "", 0},
		{"91343852333181432392682062607743920146264895001", "91343852333181432392682062607743920146264895000", 1},
		{long + "9", "1" + long + "0", -1},
	} {
		if got := media.CompareNumbers(c.a, c.b); got != c.want {
			t.Errorf("%s and %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
