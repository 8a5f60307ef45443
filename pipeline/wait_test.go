package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// patient is a planner whose fragments wait for the next one, for 32 lost ones, or for the
// end. Every fragment gives one image.
type patient struct {
	held   chan struct{}
	losses int
	missed []string // what the end says is missing

	mu    sync.Mutex
	calls []string
}

func (p *patient) Sinks() []string   { return []string{"a"} }
func (p *patient) MaxLookahead() int { return 32 }

func (p *patient) note(call string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, call)
}

func (p *patient) decide() {
	if p.held != nil {
		close(p.held)
	}
	p.held, p.losses = nil, 0
}

func (p *patient) Plan(f *media.Fragment) func(context.Context, func(media.Image) error) (media.Outcome, error) {
	p.note(f.Number)
	p.decide()
	held := make(chan struct{})
	p.held = held
	return func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error) {
		select {
		case <-ctx.Done():
			return media.Outcome{}, ctx.Err()
		case <-held:
		}
		err := emit(media.Image{FrameInfo: media.FrameInfo{FragmentNumber: f.Number}, Sink: "a", Data: make([]byte, 10)})
		return media.Outcome{FramesDecoded: 1}, err
	}
}

func (p *patient) Lost() {
	p.note("lost")
	if p.losses++; p.losses == 32 {
		p.decide()
	}
}

func (p *patient) End() (gaps []media.Gap) {
	p.note("end")
	p.decide()
	for _, reason := range p.missed {
		gaps = append(gaps, media.Gap{FrameIndex: media.WholeFragment, Detail: reason})
	}
	return gaps
}

func lostFragment(i int) error {
	return &media.GapError{Gap: media.Gap{FragmentNumber: fmt.Sprintf("%06d", i), FrameIndex: media.WholeFragment, Detail: "not found"}, Err: errors.New("4000")}
}

// TestAFragmentMayWaitForTheNext lets every fragment wait for the one after it, under the
// narrowest bounds, with many lost ones in between.
func TestAFragmentMayWaitForTheNext(t *testing.T) {
	for name, o := range map[string]Options{
		"one in flight":          {FragmentsInFlight: 1},
		"fragments of all bytes": {FragmentsInFlight: 8, FragmentBytes: 1, BacklogBytes: 1},
		"the default":            {},
	} {
		t.Run(name, func(t *testing.T) {
			gone(t)
			src := &script{n: 200, fail: map[int]error{}}
			for i := 10; i < 41; i++ { // one less than what decides by itself
				src.fail[i] = lostFragment(i)
			}
			for i := 50; i < 150; i++ {
				src.fail[i] = lostFragment(i)
			}
			src.fail[199] = lostFragment(199)
			p, l := &patient{missed: []string{"x", "y"}}, newLedger("a")
			o.Log = slog.New(slog.DiscardHandler)
			got, err := Run(t.Context(), Stream{Source: src, Planner: p, Sinks: []Sink{l}}, o)
			if err != nil {
				t.Fatal(err)
			}
			if got.Fragments != 68 || got.FramesWritten["a"] != 68 || got.Gaps != 132+2 || !slices.IsSorted(l.commits) {
				t.Errorf("%d fragments, %d images, %d gaps", got.Fragments, got.FramesWritten["a"], got.Gaps)
			}
			var end []string
			for _, g := range got.GapList[len(got.GapList)-3:] {
				end = append(end, g.FragmentNumber+" "+g.Detail)
			}
			if !slices.Equal(end, []string{"000199 not found", " x", " y"}) {
				t.Errorf("the last gaps are %q", end)
			}
			for i, call := range p.calls {
				want := fmt.Sprintf("%06d", i)
				if src.fail[i] != nil {
					want = "lost"
				}
				if i == 200 {
					want = "end"
				}
				if call != want || i > 200 {
					t.Fatalf("call %d is %s, want %s", i, call, want)
				}
			}
		})
	}
}

func TestWhatWaitsIsFinishedHoweverTheSourceEnds(t *testing.T) {
	reset := errors.New("connection reset")
	for name, c := range map[string]struct {
		source func(stop context.Context) Source
		want   error
	}{
		"its end":   {func(context.Context) Source { return &script{n: 3} }, nil},
		"a failure": {func(context.Context) Source { return &script{n: 9, fail: map[int]error{3: reset}} }, reset},
		"a drain":   {func(stop context.Context) Source { return source.Until(stop, &script{n: 3, block: true}) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			gone(t)
			stop, signal := context.WithCancel(t.Context())
			p := &patient{missed: []string{"x"}}
			l := newLedger("a")
			o := quiet()
			o.Meter = &Meter{}
			go func() {
				for o.Meter.Fragments.Load() < 2 { // the third waits for what comes next
					runtime.Gosched()
				}
				signal()
			}()
			got, err := Run(t.Context(), Stream{Source: c.source(stop), Planner: p, Sinks: []Sink{l}}, o)
			signal()
			if !errors.Is(err, c.want) || got.Fragments != 3 || len(l.commits) != 3 || got.Gaps != 1 || got.LastFragmentNumber != "000002" {
				t.Errorf("summary %+v, error %v, commits %v", got, err, l.commits)
			}
		})
	}
}

func TestARunThatIsGivenUpLeavesNothingWaiting(t *testing.T) {
	gone(t)
	ctx, cancel := context.WithCancel(t.Context())
	p, l := &patient{missed: []string{"x"}}, newLedger("a")
	o := quiet()
	o.Meter = &Meter{}
	go func() {
		for o.Meter.Fragments.Load() < 2 {
			runtime.Gosched()
		}
		cancel()
	}()
	got, err := Run(ctx, Stream{Source: &script{n: 3, block: true}, Planner: p, Sinks: []Sink{l}}, o)
	if !errors.Is(err, context.Canceled) || got.Fragments != 2 || got.Gaps != 0 || slices.Contains(p.calls, "end") {
		t.Errorf("summary %+v, error %v, calls %v", got, err, p.calls)
	}
}

func TestVeryManyGapsAtOnceAreAFewLinesOfTheLog(t *testing.T) {
	var log bytes.Buffer
	p := &patient{missed: make([]string, 5000)}
	got, err := Run(t.Context(), Stream{Name: "cam", Source: &script{n: 1}, Planner: p, Sinks: []Sink{newLedger("a")}}, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil || got.Gaps != 5000 {
		t.Errorf("%d gaps, error %v", got.Gaps, err)
	}
	if lines := strings.Count(log.String(), "\n"); lines != maxLoggedGaps+1 || !strings.Contains(log.String(), "gaps=4900") {
		t.Errorf("%d lines, the last of them\n%s", lines, log.String()[log.Len()-200:])
	}
}
