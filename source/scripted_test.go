package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// epoch is when fragment 0 of the scripted streams begins on the producer's clock; the
// server's is a minute ahead.
var epoch = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)

// num is a fragment number as long as real ones.
func num(n int) string { return fmt.Sprintf("%047d", n) }

// frag is fragment n: a second of two frames, n seconds after epoch.
func frag(n int) *media.Fragment { return fragAt(n, time.Duration(n)*time.Second) }

func fragAt(n int, at time.Duration) *media.Fragment {
	return &media.Fragment{
		Number: num(n), ContinuationToken: num(n),
		ProducerTime: epoch.Add(at), ServerTime: epoch.Add(at + time.Minute),
		Tracks: []media.Track{{Number: 1, Type: media.TrackVideo}},
		Blocks: []media.Block{{Track: 1, Key: true}, {Track: 1, Time: 500 * time.Millisecond}},
		MKV:    make([]byte, 100),
	}
}

// cutFrag is fragment n of which size bytes came.
func cutFrag(n, size int) *media.Fragment {
	f := frag(n)
	f.Cut, f.ContinuationToken, f.MKV = true, "", make([]byte, size)
	return f
}

// damagedFrag is fragment n, up to its damage.
func damagedFrag(n int) *media.Fragment {
	f := cutFrag(n, 50)
	f.Damage = "bytes are missing"
	return f
}

// tokenless is fragment n without its closing tags.
func tokenless(n int) *media.Fragment {
	f := frag(n)
	f.ContinuationToken = ""
	return f
}

// part is a call that tells of fragment n with its first blocks.
type part struct{ n, blocks int }

// codedError is a refusal with a code.
type codedError struct {
	code   string
	status int
}

func (e *codedError) Error() string       { return "refused: " + e.code }
func (e *codedError) ErrorCode() string   { return e.code }
func (e *codedError) HTTPStatusCode() int { return e.status }

func coded(code string) error { return &codedError{code, 400} }

// scriptedSession is a session: fragments, errors (the last one ends it, io.EOF if
// there is none), parts of fragments, times to wait and numbers of bytes that come. One that is empty is idle as GetMedia is.
type scriptedSession []any

// play makes a session of steps.
func play(steps ...any) scriptedSession { return steps }

// frags are whole fragments, from and to included.
func frags(from, to int) scriptedSession {
	var s scriptedSession
	for n := from; n <= to; n++ {
		s = append(s, frag(n))
	}
	return s
}

// dial is one call that was made.
type dial struct {
	start   StartSelector
	refresh bool
	at      time.Time
}

func (d dial) String() string {
	switch d.start.Type {
	case StartFragmentNumber:
		return "after " + strings.TrimLeft(d.start.AfterFragmentNumber, "0")
	case StartServerTimestamp:
		return fmt.Sprint("at ", d.start.Timestamp.Sub(epoch.Add(time.Minute)))
	}
	return string(d.start.Type)
}

// script is a Dialer whose answers are written down: scriptedSessions and errors.
// After the last one come answers of then, or idle sessions if that is nil.
type script struct {
	t       *testing.T
	answers []any
	then    any
	dials   []dial
	open    []*playing
}

func (s *script) Dial(ctx context.Context, start StartSelector, refresh bool) (Source, error) {
	s.dials = append(s.dials, dial{start, refresh, time.Now()})
	answer := s.then
	if n := len(s.dials); n <= len(s.answers) {
		answer = s.answers[n-1]
	}
	if err, ok := answer.(error); ok {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err // asked for once: who gets a session closes it
	}
	for _, p := range s.open {
		if !p.closed {
			s.t.Error("a session is opened while another one is open")
		}
	}
	steps, _ := answer.(scriptedSession)
	if len(steps) == 0 {
		steps = play(3 * time.Second)
	}
	p := &playing{steps: steps, opened: epoch.Add(time.Minute), gone: make(chan struct{})}
	s.open = append(s.open, p)
	return p, nil
}

// starts describes where the sessions were to start.
func (s *script) starts() string {
	var all []string
	for _, d := range s.dials {
		all = append(all, d.String())
	}
	return strings.Join(all, ", ")
}

// delays are the times between the calls, in whole tenths of a second.
func (s *script) delays() []time.Duration {
	var all []time.Duration
	for i := 1; i < len(s.dials); i++ {
		all = append(all, s.dials[i].at.Sub(s.dials[i-1].at))
	}
	return all
}

// playing is a session that is open.
type playing struct {
	steps  scriptedSession
	opened time.Time
	read   atomic.Int64
	once   sync.Once
	gone   chan struct{}
	closed bool
	// arriving is the part of a fragment.
	arriving *media.Fragment
}

// OpenedAt is the moment of NOW.
func (p *playing) OpenedAt() time.Time { return p.opened }

func (p *playing) Next(ctx context.Context) (*media.Fragment, error) {
	for {
		step := any(io.EOF)
		if len(p.steps) > 0 {
			step, p.steps = p.steps[0], p.steps[1:]
		}
		switch step := step.(type) {
		case *media.Fragment:
			p.read.Add(int64(len(step.MKV)))
			p.arriving = nil
			return step, nil
		case part:
			f := cutFrag(step.n, 50)
			if f.Blocks = f.Blocks[:step.blocks]; media.Arrivals(ctx) != nil {
				media.Arrivals(ctx)(f)
			}
			p.arriving = f
		case int:
			p.read.Add(int64(step))
		case time.Duration:
			select {
			case <-time.After(step):
			case <-ctx.Done():
				if p.arriving != nil {
					return nil, &UnfinishedError{Fragment: p.arriving, Err: ctx.Err()}
				}
				return nil, ctx.Err()
			case <-p.gone:
				return nil, errors.New("session is closed")
			}
		case error:
			if gap := (*media.GapError)(nil); len(p.steps) == 0 && !errors.As(step, &gap) {
				p.steps = scriptedSession{step} // it repeats its end
			}
			return nil, step
		}
	}
}

func (p *playing) Stats() Stats { return Stats{BytesRead: p.read.Load()} }

func (p *playing) Close() error {
	p.once.Do(func() { p.closed = true; close(p.gone) })
	return nil
}

// journal keeps the log: a line of level and message for each record.
type journal struct {
	slog.Handler
	lines *[]string
}

func newJournal() (*slog.Logger, *[]string) {
	lines := &[]string{}
	return slog.New(&journal{slog.NewTextHandler(io.Discard, nil), lines}), lines
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	*j.lines = append(*j.lines, r.Level.String()+" "+r.Message)
	return nil
}

// live is a case of most tests: a script, and what comes of it.
type live struct {
	name    string
	start   StartSelector
	answers []any
	then    any
	// want are the answers of Next: numbers, CUT numbers, gap numbers, and the
	// last one, which is "time" when d was over. 1+2 are two blocks that are told of fragment 1.
	want   string
	starts string
}

// read reads s until it ends or d is over.
func read(t *testing.T, s Source, d time.Duration) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var got []string
	told := "" // the fragment that is open
	ctx = media.WithArrivals(ctx, func(f *media.Fragment) {
		if told != "" && told != f.Number {
			t.Errorf("fragment %s is told of while %s is open", f.Number, told)
		}
		told = f.Number
		got = append(got, fmt.Sprint(short47(f.Number), "+", len(f.Blocks)))
	})
	for {
		f, err := s.Next(ctx)
		var gap *media.GapError
		switch ofIt := err != nil && errors.As(err, &gap) && gap.Gap.FragmentNumber == told; {
		case err == nil && told != "" && told != f.Number:
			t.Errorf("fragment %s is returned while %s is open", f.Number, told)
		case err == nil || ofIt:
			told = ""
		}
		switch {
		case err == nil && f.Cut:
			got = append(got, "CUT "+short47(f.Number))
		case err == nil:
			got = append(got, short47(f.Number))
		case errors.As(err, &gap) && gap.Gap.Until.Number != "":
			got = append(got, fmt.Sprintf("hole %s to %s", short47(gap.Gap.FragmentNumber), short47(gap.Gap.Until.Number)))
		case errors.As(err, &gap):
			got = append(got, strings.TrimSpace("gap "+short47(gap.Gap.FragmentNumber)))
		case errors.Is(err, context.DeadlineExceeded):
			return append(got, "time")
		case errors.Is(err, io.EOF):
			return append(got, "EOF")
		default:
			if _, again := s.Next(ctx); again == nil || again.Error() != err.Error() {
				t.Errorf("after %v comes %v", err, again)
			}
			return append(got, "fatal")
		}
	}
}

func short47(number string) string { return strings.TrimLeft(number, "0") }

// run plays the case.
func (c live) run(t *testing.T) (*script, *Live, []string) { return c.runWithin(t, 0) }

// runWithin plays the case with a lag after which the stream skips to its newest fragment.
func (c live) runWithin(t *testing.T, maxLag time.Duration) (*script, *Live, []string) {
	d := &script{t: t, answers: c.answers, then: c.then}
	log, lines := newJournal()
	l := NewLive(d, LiveConfig{Stream: "cam", Start: c.start, MaxLag: maxLag, Log: log})
	defer l.Close()
	if got := strings.Join(read(t, l, 10*time.Minute), ", "); got != c.want {
		t.Errorf("got  %s\nwant %s", got, c.want)
	}
	starts := d.starts()
	if len(starts) > len(c.starts) {
		starts = starts[:len(c.starts)]
	}
	if starts != c.starts {
		t.Errorf("started %s\nwant    %s", d.starts(), c.starts)
	}
	_ = l.Close()
	for _, p := range d.open {
		if !p.closed {
			t.Error("a session is left open")
		}
	}
	return d, l, *lines
}

func runLive(t *testing.T, cases []live) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(t) })
		})
	}
}

// above returns the lines at or above Warn.
func warnings(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool {
		return !strings.HasPrefix(l, "WARN") && !strings.HasPrefix(l, "ERROR")
	})
}
