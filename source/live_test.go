package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

var (
	fromEarliest = StartSelector{Type: StartEarliest}
	fromNow      = StartSelector{Type: StartNow}
)

func badContent(n int) error {
	number := ""
	if n > 0 {
		number = num(n)
	}
	return payload.NewGap("cam", number, &payload.SyntaxError{Offset: 7, Reason: "nonsense"}, 2)
}

func poison(n int) error {
	number := ""
	if n > 0 {
		number = num(n)
	}
	return fmt.Errorf("read: %w", &payload.SplitError{Where: "chunk 1", FragmentNumber: number, Err: &payload.SyntaxError{Reason: "nonsense"}})
}

func TestReadingGoesOnAfterEveryEnd(t *testing.T) {
	broken := errors.New("connection reset")
	runLive(t, []live{
		{"cuts between fragments", fromEarliest, []any{frags(1, 2), frags(3, 3), frags(4, 5)}, nil, "1, 2, 3, 4, 5, time", "EARLIEST, after 2, after 3, after 5, after 5"},
		{"what comes again is dropped", fromEarliest, []any{frags(1, 3), frags(2, 4), frags(1, 5)}, nil, "1, 2, 3, 4, 5, time", "EARLIEST, after 3, after 4"},
		{"a fragment that was cut is read again", fromEarliest, []any{play(frag(1), cutFrag(2, 50)), play(cutFrag(2, 60), broken), play(frag(2), frag(3))}, nil, "1, 2, 3, time", "EARLIEST, after 1, after 1, after 3"},
		{"a fragment that is cut at the same place again and again is handed on cut", fromEarliest, []any{play(frag(1), cutFrag(2, 50)), play(cutFrag(2, 50)), play(cutFrag(2, 50)), play(cutFrag(2, 50)), frags(3, 3)}, nil, "1, CUT 2, 3, time", "EARLIEST, after 1, after 1, after 1, after 2, after 3"},
		{"one without its closing tags may be cut", fromEarliest, []any{play(tokenless(1)), play(frag(1))}, nil, "1, time", "EARLIEST, EARLIEST, after 1"},
		{"one without closing tags is whole when more follows", fromEarliest, []any{play(tokenless(1), tokenless(2), frag(3))}, nil, "1, 2, 3, time", "EARLIEST, after 3"},
		{"one that never has closing tags is handed on in the end", fromEarliest, nil, play(tokenless(1)), "1, time", "EARLIEST, EARLIEST, EARLIEST, after 1"},
		{"a payload that ended in a head is nothing", fromEarliest, []any{play(frag(1), payload.NewGap("cam", "", payload.ErrCutHeader, 0)), frags(2, 2)}, nil, "1, 2, time", "EARLIEST, after 1, after 2"},
		{"one that makes no sense is read again", fromEarliest, []any{play(frag(1), badContent(2), frag(3)), frags(2, 3)}, nil, "1, 2, 3, time", "EARLIEST, after 1, after 3"},
		{"one that never makes sense is a gap", fromEarliest, []any{play(frag(1), badContent(2), frag(3)), play(badContent(2), frag(3)), play(badContent(2), frag(3))}, nil, "1, gap 2, 3, time", "EARLIEST, after 1, after 1, after 3"},
		{"so is one that does not say its number", fromEarliest, []any{play(frag(1), badContent(0), frag(3)), play(badContent(0)), play(badContent(0)), play(badContent(0), frag(3))}, nil, "1, gap, 3, time", "EARLIEST, after 1, after 1, after 1, after 3"},
		{"each place is counted by itself", fromEarliest, []any{play(frag(1), badContent(0)), play(badContent(0)), play(badContent(0), frag(3), badContent(0)), play(badContent(0)), play(badContent(0), frag(5))}, nil, "1, gap, 3, gap, 5, time", "EARLIEST, after 1, after 1, after 3, after 3, after 5"},
		{"a fragment that is not there any more is a gap at once", fromEarliest, []any{play(frag(1), payload.NewGap("cam", num(2), &payload.ErrorTag{ID: 4000}, 0), frag(3))}, nil, "1, gap 2, 3, time", "EARLIEST, after 3"},
		{"one whose read fails is read again", fromEarliest, []any{play(frag(1), &payload.ErrorTag{ID: 3000, FragmentNumber: num(2)}), frags(2, 2)}, nil, "1, 2, time", "EARLIEST, after 1, after 2"},
		{"and is a gap when that does not help", fromEarliest, []any{play(frag(1), tokenless(2), &payload.ErrorTag{ID: 3000, FragmentNumber: num(2)}), play(&payload.ErrorTag{ID: 3000, FragmentNumber: num(2)}), play(tokenless(2), &payload.ErrorTag{ID: 3000, FragmentNumber: num(2)}), frags(3, 3)}, nil, "1, gap 2, 3, time", "EARLIEST, after 1, after 1, after 2, after 3"},
		{"a payload that cannot be split is read again", fromEarliest, []any{play(frag(1), poison(2)), frags(2, 2)}, nil, "1, 2, time", "EARLIEST, after 1, after 2"},
		{"a fragment that cannot be split is a gap", fromEarliest, []any{play(frag(1), poison(2)), play(poison(2)), play(poison(2)), frags(3, 3)}, nil, "1, gap 2, 3, time", "EARLIEST, after 1, after 1, after 2, after 3"},
		{"one that is too large is a gap at once", fromEarliest, []any{play(frag(1), &payload.SplitError{FragmentNumber: num(2), Err: fmt.Errorf("fragment size (9) %w, maximum is 8", payload.ErrTooLarge)}), frags(3, 3)}, nil, "1, gap 2, 3, time", "EARLIEST, after 2, after 3"},
		{
			"what cannot be read and has no number is stepped over by time", fromEarliest,
			[]any{play(frag(1), poison(0)), play(poison(0)), play(poison(0)), play(frag(1), poison(0)), frags(4, 4)},
			nil, "1, gap, gap, 4, time", "EARLIEST, after 1, after 1, at 2s, at 3s, after 4",
		},
		{"nothing but nonsense is fatal", fromNow, nil, play(poison(0)), "fatal", "NOW, at 0s, at 0s, NOW, NOW"},
		{"one that was cut and does not come again is handed on as it was", fromEarliest, []any{play(frag(1), cutFrag(2, 50)), frags(3, 3)}, nil, "1, CUT 2, 3, time", "EARLIEST, after 1, after 3"},
		{"one without its closing tags that does not come again", fromEarliest, []any{play(frag(1), tokenless(2)), frags(3, 3)}, nil, "1, 2, 3, time", "EARLIEST, after 1, after 3"},
		{"one that is damaged and does not come again", fromEarliest, []any{play(frag(1), damagedFrag(2)), frags(3, 3)}, nil, "1, CUT 2, 3, time", "EARLIEST, after 1, after 3"},
		{"one that makes no sense and does not come again is a gap", fromEarliest, []any{play(frag(1), badContent(2)), frags(3, 3)}, nil, "1, gap 2, 3, time", "EARLIEST, after 1, after 3"},
		{"one that does not come again before a gap", fromEarliest, []any{play(frag(1), cutFrag(2, 50)), play(payload.NewGap("cam", num(3), &payload.ErrorTag{ID: 4000}, 0), frag(4))}, nil, "1, CUT 2, gap 3, 4, time", "EARLIEST, after 1, after 4"},
		{"one after which nothing can be read", fromEarliest, []any{play(frag(1), cutFrag(2, 50)), coded("ResourceNotFoundException")}, nil, "1, CUT 2, fatal", "EARLIEST, after 1"},
		{"a broken connection", fromEarliest, []any{play(frag(1), broken), broken, frags(2, 2)}, nil, "1, 2, time", "EARLIEST, after 1, after 1, after 2"},
	})
}

func TestWhereReadingStarts(t *testing.T) {
	after := StartSelector{Type: StartFragmentNumber, AfterFragmentNumber: num(2)}
	token := StartSelector{Type: StartContinuationToken, ContinuationToken: num(2)}
	opaque := StartSelector{Type: StartContinuationToken, ContinuationToken: "a-b"}
	at := StartSelector{Type: StartServerTimestamp, Timestamp: epoch.Add(time.Minute + time.Second)}
	gone := payload.NewGap("cam", "", &payload.ErrorTag{ID: 4000}, 0)
	goneNumber := payload.NewGap("cam", num(2), &payload.ErrorTag{ID: 4000}, 0)
	invalid := coded("InvalidArgumentException")
	runLive(t, []live{
		{"NOW is the moment of the first session", fromNow, []any{play(), play(), frags(4, 5), frags(6, 6)}, nil, "4, 5, 6, time", "NOW, at 0s, at 0s, after 5, after 6"},
		{"NOW is NOW until a session was open", fromNow, []any{coded("ClientLimitExceededException"), play(), frags(4, 4)}, nil, "4, time", "NOW, NOW, at 0s, after 4"},
		{"NOW whose first fragment is cut goes on with it", fromNow, []any{play(cutFrag(4, 50)), frags(3, 5)}, nil, "4, 5, time", "NOW, at 4s, after 5"},
		{"NOW whose moment is refused", fromNow, []any{play(), invalid, frags(4, 4)}, nil, "4, time", "NOW, at 0s, NOW, after 4"},
		{"a number is exclusive", after, []any{play(), frags(1, 4)}, nil, "3, 4, time", "after 2, after 2, after 4"},
		{"a token is exclusive", token, []any{play(), frags(2, 4)}, nil, "3, 4, time", "CONTINUATION_TOKEN, after 2, after 4"},
		{"a token that is no number", opaque, []any{play(), frags(1, 2)}, nil, "1, 2, time", "CONTINUATION_TOKEN, CONTINUATION_TOKEN, after 2"},
		{"a time stays until something came", at, []any{play(), frags(1, 2)}, nil, "1, 2, time", "at 1s, at 1s, after 2"},
		{"a last fragment that is gone", fromEarliest, []any{frags(1, 2), play(gone), frags(2, 3)}, nil, "1, 2, 3, time", "EARLIEST, after 2, at 2s, after 3"},
		{"what was read once need not make sense again", fromEarliest, []any{frags(1, 2), play(gone), play(poison(2)), play(badContent(2)), play(poison(2)), play(poison(2)), frags(2, 3)}, nil, "1, 2, 3, time", "EARLIEST, after 2, at 2s, at 2s, at 2s, at 2s, at 2s, after 3"},
		{"a last fragment that is gone, and its time as well", fromEarliest, []any{frags(1, 2), play(goneNumber), play(gone), frags(7, 8)}, nil, "1, 2, gap 2, gap, 7, 8, time", "EARLIEST, after 2, at 2s, EARLIEST, after 8"},
		{"a last fragment that is refused", fromEarliest, []any{frags(1, 2), invalid, frags(2, 3)}, nil, "1, 2, 3, time", "EARLIEST, after 2, at 2s, after 3"},
		{"everything refused", fromEarliest, []any{frags(1, 2)}, invalid, "1, 2, gap 2, fatal", "EARLIEST, after 2, at 2s, EARLIEST"},
		{"a number to start after that is gone", after, []any{play(goneNumber), frags(7, 7)}, nil, "gap 2, 7, time", "after 2, EARLIEST, after 7"},
		{"a start that is refused", after, nil, invalid, "fatal", "after 2"},
		{"a lost fragment without a number in mid stream", fromEarliest, []any{play(frag(1), gone, frag(3))}, nil, "1, gap, 3, time", "EARLIEST, after 3"},
	})
}

func TestAPlannedCutIsNoWarningAndCostsNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l, lines := live{start: fromEarliest, answers: []any{frags(1, 1), play(frag(2), cutFrag(3, 50)), frags(3, 3), play(time.Hour)}, want: "1, 2, 3, time", starts: "EARLIEST, after 1, after 2, after 3"}.run(t)
		if l.Stats().Reconnects != 3 || len(warnings(lines)) != 0 || l.Stats().BytesRead != 350 {
			t.Errorf("%d reconnects, %d bytes, log %q", l.Stats().Reconnects, l.Stats().BytesRead, lines)
		}
		if delays := d.delays(); slices.Max(delays) != 0 {
			t.Errorf("delays are %v", delays)
		}
	})
}

func TestDelaysGrowWhileNothingComes(t *testing.T) {
	cases := []struct {
		name string
		then any
		// idle is what a session lasts by itself.
		idle time.Duration
	}{
		{"idle", nil, 3 * time.Second},
		{"throttled", coded("ClientLimitExceededException"), 0},
		{"limit of connections", coded("ConnectionLimitExceededException"), 0},
		{"endpoint refused", coded("InvalidEndpointException"), 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				quiet := []any{c.then, c.then, c.then, c.then, c.then, c.then, c.then, c.then}
				answers := slices.Concat([]any{frags(1, 1)}, quiet, []any{frags(2, 2)})
				d, _, lines := live{start: fromEarliest, answers: answers, then: c.then, want: "1, 2, time", starts: "EARLIEST, after 1"}.run(t)
				delays := d.delays()
				longest := time.Second
				for i, delay := range delays[1:9] {
					if delay -= c.idle; delay < max(time.Second, longest/2) || delay > longest {
						t.Errorf("delay %d is %v, want %v at most", i, delay, longest)
					}
					longest = min(2*longest, 30*time.Second)
				}
				if c.idle > 0 && (delays[9] != 0 || delays[10]-c.idle != time.Second) {
					t.Errorf("after media the delays are %v", delays[9:11])
				}
				if c.idle > 0 && !slices.Equal(lines[:4], []string{"INFO stream opened", "DEBUG session ended, opening the next one", "DEBUG stream opened again", "INFO stream is idle, waiting for media"}) {
					t.Errorf("the log is %q", lines)
				}
			})
		})
	}
}

// busiest is the largest number of calls within any second.
func busiest(dials []dial) int {
	most := 0
	for i := range dials {
		n := 0
		for _, d := range dials[i:] {
			if d.at.Sub(dials[i].at) < time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func TestThereAreNeverMoreThanFourCallsASecond(t *testing.T) {
	t.Run("one fragment a session", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := live{start: fromEarliest, starts: "EARLIEST"}
			for n := 1; n <= 200; n++ {
				c.answers = append(c.answers, frags(n, n))
				c.want += fmt.Sprint(n, ", ")
			}
			c.want += "time"
			if d, _, _ := c.run(t); busiest(d.dials) > maxCalls {
				t.Errorf("%d calls in one second", busiest(d.dials))
			}
		})
	})
	for _, code := range []string{"ClientLimitExceededException", "ConnectionLimitExceededException", "InternalFailure", "InvalidEndpointException"} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, _, _ := live{start: fromNow, then: coded(code), want: "time", starts: "NOW, NOW"}.run(t)
				if n := len(d.dials); busiest(d.dials) > maxCalls || n < 20 || n > 45 {
					t.Errorf("%d calls in 10 min, %d in one second", n, busiest(d.dials))
				}
			})
		})
	}
	t.Run("a caller that gives up and comes back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := &script{t: t, then: coded("ClientLimitExceededException")}
			log, _ := newJournal()
			l := NewLive(d, LiveConfig{Stream: "cam", Start: fromNow, Log: log})
			defer l.Close()
			for range 200 {
				read(t, l, 1100*time.Millisecond)
			}
			if busiest(d.dials) > maxCalls {
				t.Errorf("%d calls in one second", busiest(d.dials))
			}
		})
	})
}

func TestAStalledConnectionIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled := errors.New("connection stalled")
		d, _, _ := live{start: fromEarliest, answers: []any{play(frag(1), cutFrag(2, 30), stalled), play(frag(2))}, want: "1, 2, time", starts: "EARLIEST, after 1, after 2"}.run(t)
		if !d.dials[1].refresh || d.dials[0].refresh || d.dials[2].refresh {
			t.Errorf("calls are %+v", d.dials)
		}
	})
}

func TestCancellingEndsEveryWait(t *testing.T) {
	cases := map[string][]any{
		"in a session":      {play(frag(1), time.Hour)},
		"between sessions":  {play(frag(1)), coded("ClientLimitExceededException"), coded("ClientLimitExceededException"), coded("ClientLimitExceededException"), coded("ClientLimitExceededException")},
		"inside a fragment": {play(frag(1), cutFrag(2, 50), time.Hour)},
	}
	for name, answers := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &script{t: t, answers: answers, then: frags(2, 2)}
				log, _ := newJournal()
				l := NewLive(d, LiveConfig{Stream: "cam", Start: fromEarliest, Log: log})
				ctx, cancel := context.WithCancel(t.Context())
				if _, err := l.Next(ctx); err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(5*time.Second, cancel)
				begin := time.Now()
				if _, err := l.Next(ctx); !errors.Is(err, context.Canceled) || time.Since(begin) != 5*time.Second {
					t.Errorf("error is %v after %v", err, time.Since(begin))
				}
				if !d.open[0].closed {
					t.Error("the session is open")
				}
				if f, err := l.Next(t.Context()); err != nil || f.Number != num(2) {
					t.Errorf("afterwards comes %v, %v", f, err)
				}
				time.AfterFunc(time.Second, func() { _ = l.Close() })
				if _, err := l.Next(t.Context()); !errors.Is(err, fs.ErrClosed) {
					t.Errorf("after closing: %v", err)
				}
				_ = l.Close() // waits for the other one
				for _, p := range d.open {
					if !p.closed {
						t.Error("a session is left open")
					}
				}
			})
		})
	}
}

// lateDialer opens a session at the very moment at which nobody wants it any more.
type lateDialer struct {
	cancel  func()
	session *playing
}

func (d *lateDialer) Dial(context.Context, StartSelector, bool) (Source, error) {
	d.session = &playing{gone: make(chan struct{})}
	d.cancel()
	return d.session, nil
}

func TestASessionThatNobodyWantsAnyMoreIsClosed(t *testing.T) {
	log, _ := newJournal()
	ctx, cancel := context.WithCancel(t.Context())
	d := &lateDialer{cancel: cancel}
	l := NewLive(d, LiveConfig{Stream: "cam", Start: fromNow, Log: log})
	if _, err := l.Next(ctx); !errors.Is(err, context.Canceled) || !d.session.closed {
		t.Errorf("error is %v, closed: %v", err, d.session.closed)
	}
	d.cancel = func() { _ = l.Close() }
	if _, err := l.Next(t.Context()); !errors.Is(err, fs.ErrClosed) || !d.session.closed {
		t.Errorf("error is %v, closed: %v", err, d.session.closed)
	}
}

func TestAStreamIsNotIdleWhileBytesCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const s = time.Second
		log, _ := newJournal()
		d := &script{t: t, answers: []any{play(frag(1), 8*s, 100, 8*s, 100, 8*s, frag(2), 8*s, 100, time.Hour)}}
		e := WithEnd(NewLive(d, LiveConfig{Stream: "cam", Start: fromEarliest, Log: log}), End{IdleTimeout: 10 * s}, media.ClockProducer)
		begin := time.Now()
		if got := strings.Join(read(t, e, time.Hour), ", "); got != "1, 2, gap, EOF" {
			t.Errorf("got %s", got)
		}
		if took := time.Since(begin); took != 44*s {
			t.Errorf("it took %v", took)
		}
	})
}

func TestEndsCountFragmentsOnceOverAllSessions(t *testing.T) {
	answers := []any{frags(1, 2), play(frag(2), cutFrag(3, 10)), play(frag(3), frag(4), time.Hour, frag(5))}
	for _, c := range []struct {
		name string
		end  End
		want string
		took time.Duration
	}{
		{"fragments", End{Fragments: 4}, "1, 2, 3, 4, EOF", 0},
		{"duration", End{Duration: 2 * time.Second}, "1, 2, EOF", 0},
		{"timestamp", End{Timestamp: epoch.Add(3 * time.Second)}, "1, 2, EOF", 0},
		{"idle time", End{IdleTimeout: 20 * time.Second}, "1, 2, 3, 4, EOF", 20 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &script{t: t, answers: answers}
				log, _ := newJournal()
				s := WithEnd(NewLive(d, LiveConfig{Stream: "cam", Start: fromEarliest, Log: log}), c.end, media.ClockProducer)
				begin := time.Now()
				if got := strings.Join(read(t, s, 10*time.Minute), ", "); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
				if took := time.Since(begin); took < c.took || took > c.took+time.Second {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if n := len(d.open); !d.open[n-1].closed {
					t.Error("the session is open after the end")
				}
				if _, err := s.Next(t.Context()); err != io.EOF {
					t.Errorf("after the end comes %v", err)
				}
				if n := s.Stats().Reconnects; n != len(d.open)-1 {
					t.Errorf("%d reconnects over %d sessions", n, len(d.open))
				}
			})
		})
	}
}
