package source

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// readIdle reads a scripted stream that ends when it is idle.
func readIdle(t *testing.T, timeout time.Duration, then any, answers ...any) (got []string, took time.Duration, err error) {
	t.Helper()
	log, _ := newJournal()
	l := NewLive(&script{t: t, answers: answers, then: then}, LiveConfig{Stream: "cam", Start: fromEarliest, Log: log})
	s := WithEnd(l, End{IdleTimeout: timeout}, media.ClockProducer)
	defer s.Close()
	begin := time.Now()
	for {
		f, err := s.Next(t.Context())
		var gap *media.GapError
		switch {
		case err == nil && f.Cut:
			got = append(got, "CUT "+short47(f.Number))
		case err == nil:
			got = append(got, short47(f.Number))
		case errors.As(err, &gap):
			got = append(got, "gap")
		default:
			return got, time.Since(begin), err
		}
	}
}

func TestAnOutageIsNoEndOfAStream(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	tag := func(n int) error { return &payload.ErrorTag{ID: 5000, Code: "INTERNAL_ERROR", FragmentNumber: num(n)} }
	for _, c := range []struct {
		name    string
		answers []any
		then    any
		want    string
		// cause is what the error says, "" for a clean end.
		cause string
	}{
		{"silence of a stream that answers", []any{frags(1, 2)}, nil, "1, 2", ""},
		{"a connection that is refused", []any{frags(1, 2)}, refused, "1, 2", "connection refused"},
		{"a connection that breaks each time", []any{frags(1, 2)}, play(io.ErrUnexpectedEOF), "1, 2", "unexpected EOF"},
		{"a server that fails", []any{frags(1, 2)}, &codedError{"InternalFailure", 500}, "1, 2", "InternalFailure"},
		{"a server that fails from the start", nil, &codedError{"ServiceUnavailable", 503}, "", "ServiceUnavailable"},
		{"throttles", []any{frags(1, 2)}, coded("ClientLimitExceededException"), "1, 2", "ClientLimitExceededException"},
		{"error tags", []any{frags(1, 2)}, play(tag(3)), "1, 2", "INTERNAL_ERROR"},
		{"a fragment that makes no sense", []any{frags(1, 2), play(badContent(3))}, refused, "1, 2", "connection refused"},
		{"silence inside a fragment", []any{play(frag(1), 50, time.Hour)}, nil, "1, gap", ""},
		{"silence between fragments", []any{play(frag(1), time.Hour)}, nil, "1", ""},
		{"an outage that has passed", []any{frags(1, 2), refused, refused, frags(3, 3), refused}, nil, "1, 2, 3", ""},
		{"a fragment that was cut when the outage began", []any{play(frag(1), cutFrag(2, 50))}, refused, "1, CUT 2", "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, took, err := readIdle(t, 20*time.Second, c.then, c.answers...)
				if strings.Join(got, ", ") != c.want {
					t.Errorf("got %v, want %s", got, c.want)
				}
				if clean := errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "does not answer"); clean != (c.cause == "") || !strings.Contains(err.Error(), c.cause) {
					t.Errorf("ended with %v, want %q", err, c.cause)
				}
				if took < 20*time.Second || took > time.Minute {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestSilenceCountsOnlyWhileTheStreamAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := coded("ClientLimitExceededException")
		// Delays of 1, 2 and 4 s at most, and at least 3 s in all: then it answers.
		got, took, err := readIdle(t, 10*time.Second, nil, frags(1, 1), throttled, throttled, throttled)
		if err != io.EOF || len(got) != 1 || took < 13*time.Second {
			t.Errorf("got %v and %v after %v", got, err, took)
		}
	})
}

func TestWhatIsToldOfAnOutage(t *testing.T) {
	var r Reaching
	now := time.Now()
	if got := Trouble(r.Reach(), now); got != "" {
		t.Errorf("a source that has met with nothing is %q", got)
	}
	r.Lost(fmt.Errorf("call GetMedia of stream cam: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}))
	if got := Trouble(r.Reach(), r.Reach().Since.Add(2*time.Second)); got != "" {
		t.Errorf("after a moment it is %q", got)
	}
	if got, want := Trouble(r.Reach(), r.Reach().Since.Add(12*time.Second)), "out of reach for 12s: connection refused"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.Lost(fmt.Errorf("read: %w", &payload.ErrorTag{ID: 5000}))
	if got, want := Trouble(WithEnd(&reachable{r: &r}, End{Fragments: 1}, "").Stats().Reach, r.Reach().Since.Add(time.Minute)), "out of reach for 1m0s: error 5000"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.Back(slog.New(slog.DiscardHandler))
	if got := Trouble(r.Reach(), now.Add(time.Hour)); got != "" {
		t.Errorf("a service that answers again is %q", got)
	}
}

// reachable is a source with a service.
type reachable struct {
	steps
	r *Reaching
}

func (s *reachable) Stats() Stats { return Stats{Reach: s.r.Reach()} }

func TestInternalErrorsAreWaitedOut(t *testing.T) {
	tag := &payload.ErrorTag{ID: 5000, FragmentNumber: num(2)}
	for name, c := range map[string]struct {
		times int
		want  string
	}{
		"passing": {maxInternal - 1, "1, 2, 3, time"},
		"lasting": {maxInternal, "1, gap 2, 3, time"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answers := []any{play(frag(1), tag)}
				for range c.times - 1 {
					answers = append(answers, play(tag))
				}
				rest := frags(2, 3)
				if c.times == maxInternal {
					rest = frags(3, 3)
				}
				d, _, _ := live{start: fromEarliest, answers: append(answers, rest), want: c.want, starts: "EARLIEST, after 1, after 1"}.run(t)
				longest := time.Second
				for i, delay := range d.delays()[:c.times-1] {
					if delay < max(time.Second, longest/2) || delay > longest {
						t.Errorf("delay %d is %v, want %v at most", i, delay, longest)
					}
					longest = min(2*longest, 30*time.Second)
				}
			})
		})
	}
}
