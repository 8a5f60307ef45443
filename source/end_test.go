package source

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// steps is a Source of answers that are written down.
type steps struct {
	answers  []result
	read     int
	closed   int
	closeErr error
}

func (s *steps) Next(context.Context) (*media.Fragment, error) {
	if s.read == len(s.answers) {
		return nil, io.EOF
	}
	s.read++
	return s.answers[s.read-1].fragment, s.answers[s.read-1].err
}
func (s *steps) Stats() Stats { return Stats{BytesRead: int64(s.read)} }
func (s *steps) Close() error { s.closed++; return s.closeErr }

// atSeconds is a source of fragments at these seconds on the producer's clock,
// with the server's clock a minute ahead. A negative second is a gap.
func atSeconds(seconds ...int) *steps {
	s := &steps{}
	for _, n := range seconds {
		if n < 0 {
			s.answers = append(s.answers, result{nil, &media.GapError{Err: payload.ErrTooLarge}})
			continue
		}
		at := time.Unix(int64(n), 0)
		s.answers = append(s.answers, result{&media.Fragment{ProducerTime: at, ServerTime: at.Add(time.Minute)}, nil})
	}
	return s
}

func TestWithEnd(t *testing.T) {
	at := func(n int64) time.Time { return time.Unix(n, 0) }
	for _, c := range []struct {
		name   string
		end    End
		clock  media.Clock
		in     []int
		want   []int
		closed int
		read   int
	}{
		{"no limit reads to the end", End{}, media.ClockProducer, []int{0, 2, 4}, []int{0, 2, 4}, 0, 3},
		{"fragments are counted and the next is not read", End{Fragments: 2}, media.ClockProducer, []int{0, -1, 2, 4}, []int{0, -1, 2}, 1, 3},
		{"a timestamp ends before the fragment that starts at it", End{Timestamp: at(4)}, media.ClockProducer, []int{0, 2, 4, 6}, []int{0, 2}, 1, 3},
		{"a timestamp may be on the server's clock", End{Timestamp: at(63)}, media.ClockServer, []int{0, 2, 4, 6}, []int{0, 2}, 1, 3},
		{"a duration counts from the first fragment", End{Duration: 3 * time.Second}, media.ClockProducer, []int{10, 12, 13, 14}, []int{10, 12}, 1, 3},
		{"the first limit ends it", End{Fragments: 3, Duration: time.Second}, media.ClockProducer, []int{0, 1, 2}, []int{0}, 1, 2},
		{"a stream that is shorter ends by itself", End{Fragments: 9}, media.ClockProducer, []int{0, 1}, []int{0, 1}, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := atSeconds(c.in...)
			s := WithEnd(in, c.end, c.clock)
			var got []int
			for {
				f, err := s.Next(t.Context())
				if err == io.EOF {
					break
				}
				if err != nil {
					got = append(got, -1)
					continue
				}
				got = append(got, int(f.ProducerTime.Unix()))
			}
			if _, err := s.Next(t.Context()); err != io.EOF {
				t.Errorf("after the end: %v", err)
			}
			if !slices.Equal(got, c.want) || in.closed != c.closed || in.read != c.read {
				t.Errorf("got %v, closed %d times, read %d; want %+v", got, in.closed, in.read, c)
			}
		})
	}
}

func TestTheEndIsSetInEveryFragment(t *testing.T) {
	at := func(n int64) time.Time { return time.Unix(n, 0) }
	for name, c := range map[string]struct {
		end  End
		want time.Time
	}{
		"a count is no time":  {End{Fragments: 9}, time.Time{}},
		"a timestamp":         {End{Timestamp: at(13)}, at(13)},
		"a duration":          {End{Duration: 2500 * time.Millisecond}, at(12).Add(500 * time.Millisecond)},
		"the earlier of both": {End{Timestamp: at(13), Duration: 9 * time.Second}, at(13)},
	} {
		in := atSeconds(10, 12)
		s := WithEnd(in, c.end, media.ClockProducer)
		for range 2 {
			f, err := s.Next(t.Context())
			if err != nil || !f.Until.Equal(c.want) {
				t.Errorf("%s: until %v, want %v, error %v", name, f.Until, c.want, err)
			}
		}
		if !in.answers[0].fragment.Until.IsZero() {
			t.Errorf("%s: the source's own fragment was changed", name)
		}
	}
}

func TestAFileIsNeverReconnected(t *testing.T) {
	if n := WithEnd(atSeconds(0), End{Fragments: 1}, media.ClockProducer).Stats().Reconnects; n != 0 {
		t.Errorf("%d reconnects", n)
	}
}

func TestAnErrorOfClosingAtTheEndIsReported(t *testing.T) {
	in := atSeconds(0, 1)
	in.closeErr = errors.New("disk on fire")
	s := WithEnd(in, End{Fragments: 1}, media.ClockProducer)
	if f, err := s.Next(t.Context()); f == nil || err != nil {
		t.Fatalf("the last fragment: %v, %v", f, err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, in.closeErr) {
		t.Errorf("got %v", err)
	}
}

func TestEndClockFollowsTheStartSelector(t *testing.T) {
	for start, want := range map[StartType]media.Clock{
		StartNow: media.ClockProducer, StartProducerTimestamp: media.ClockProducer, StartServerTimestamp: media.ClockServer,
	} {
		c := DefaultConfig()
		c.Origin = KVSConfig{StartSelector: StartSelector{Type: start}}
		if got := c.EndClock(); got != want {
			t.Errorf("%s: %s, want %s", start, got, want)
		}
	}
}

// TestAnEndCountsWhatAnotherRunHasRead continues after three fragments, from second 0 on.
func TestAnEndCountsWhatAnotherRunHasRead(t *testing.T) {
	begun := media.Place{Number: "1", ProducerTime: time.Unix(0, 0), ServerTime: time.Unix(60, 0)}
	from := media.Progress{Wanted: 3, Begun: begun}
	for _, c := range []struct {
		name  string
		end   End
		in    []int
		want  int
		atEnd bool
	}{
		{"a count", End{Fragments: 5}, []int{6, 8, 10}, 2, true},
		{"a count that was passed long ago", End{Fragments: 2}, []int{6, 8, 10}, 1, true},
		{"a length", End{Duration: 9 * time.Second}, []int{6, 8, 10}, 2, true},
		{"a time", End{Timestamp: time.Unix(7, 0)}, []int{6, 8, 10}, 1, true},
		{"a count that is not reached", End{Fragments: 9}, []int{6, 8, 10}, 3, false},
		{"a time that is not reached", End{Timestamp: time.Unix(70, 0)}, []int{6, 8, 10}, 3, false},
	} {
		s := WithEndFrom(atSeconds(c.in...), c.end, media.ClockProducer, from)
		n := 0
		for {
			if _, err := s.Next(t.Context()); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != c.want || s.Stats().AtEnd != c.atEnd {
			t.Errorf("%s: %d fragments, at the end: %t", c.name, n, s.Stats().AtEnd)
		}
	}
}

func TestTheNearestLimitTellsTheShare(t *testing.T) {
	at := func(n int64) time.Time { return time.Unix(n, 0) }
	for _, c := range []struct {
		name string
		end  End
		want []float64 // before each fragment, and at the end
	}{
		{"no limit", End{IdleTimeout: time.Hour}, []float64{0, 0, 0, 0}},
		{"fragments", End{Fragments: 4}, []float64{0, 0, 0.25, 0.5}},
		{"a moment", End{Timestamp: at(18)}, []float64{0, 0, 0.25, 0.5}},
		{"a duration", End{Duration: 8 * time.Second}, []float64{0, 0, 0.25, 0.5}},
		{"the nearest", End{Duration: 8 * time.Second, Fragments: 3}, []float64{0, 0, 1. / 3, 1}},
		{"a limit that is reached", End{Timestamp: at(14)}, []float64{0, 0, 0.5, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := WithEnd(atSeconds(10, 12, 14), c.end, media.ClockProducer)
			for i, want := range c.want {
				if got := s.Stats().Share; got != want {
					t.Errorf("after %d calls: %v, want %v", i, got, want)
				}
				_, _ = s.Next(t.Context()) // the last one is the end
			}
		})
	}
}
