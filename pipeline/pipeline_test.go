package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// script is a source that yields n fragments (and errors in their place).
type script struct {
	n, next int
	fail    map[int]error
	block   bool // wait for the context instead of ending
	closed  int
}

func (s *script) Next(ctx context.Context) (*media.Fragment, error) {
	i := s.next
	s.next++
	if err := s.fail[i]; err != nil {
		return nil, err
	}
	if i >= s.n {
		if s.block {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, io.EOF
	}
	return &media.Fragment{Stream: "cam", Number: fmt.Sprintf("%06d", i), MKV: make([]byte, 100), MillisBehindNow: -1}, nil
}

func (s *script) Stats() media.SourceStats {
	return media.SourceStats{BytesRead: int64(100 * min(s.next, s.n))}
}
func (s *script) Close() error { s.closed++; return nil }

// fan gives every fragment some images for each sink, later fragments first: the
// even ones wait until the next odd one has begun.
type fan struct {
	images, size int
	sinks        []string
	fail         string // the number of the fragment that fails
	mu           sync.Mutex
	planned      []string
	running      atomic.Int64
	peak         atomic.Int64
}

func (f *fan) Plan(frag *media.Fragment) func(context.Context, func(media.Image) error) (media.Outcome, error) {
	f.mu.Lock()
	f.planned = append(f.planned, frag.Number)
	f.mu.Unlock()
	return func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error) {
		f.peak.Store(max(f.peak.Load(), f.running.Add(1)))
		defer f.running.Add(-1)
		if frag.Number == f.fail {
			return media.Outcome{}, errors.New("no memory")
		}
		for i := range f.images {
			for _, s := range f.sinks {
				img := media.Image{FrameInfo: media.FrameInfo{FragmentNumber: frag.Number, Index: i}, Sink: s, Data: make([]byte, f.size)}
				if err := emit(img); err != nil {
					return media.Outcome{}, err
				}
			}
		}
		return media.Outcome{FramesDecoded: f.images}, nil
	}
}

func (f *fan) Sinks() []string   { return f.sinks }
func (f *fan) MaxLookahead() int { return 0 }
func (f *fan) Lost()             {}
func (f *fan) End() []media.Gap  { return nil }

// stray makes images for other sinks than it says.
type stray struct{ *fan }

func (stray) Sinks() []string { return []string{"a"} }

// ledger is a sink that notes what happens to it.
type ledger struct {
	name     string
	inFlight int
	gate     chan struct{} // when set, writes wait for it to close
	failAt   string

	mu        sync.Mutex
	written   map[string]bool
	under     map[string]int // writes under way, by fragment
	images    map[string][]media.FrameInfo
	commits   []string
	perCommit []int
	early     []string // fragments that ended before all of their writes had returned
	now, peak int
	finished  int
	abandoned int
}

func newLedger(name string) *ledger {
	return &ledger{name: name, inFlight: 4, written: map[string]bool{}, under: map[string]int{}, images: map[string][]media.FrameInfo{}}
}

func (l *ledger) Name() string     { return l.name }
func (l *ledger) MaxInFlight() int { return l.inFlight }

func (l *ledger) Write(ctx context.Context, img media.Image) error {
	key := fmt.Sprintf("%s/%d", img.FragmentNumber, img.Index)
	l.mu.Lock()
	l.now++
	l.peak = max(l.peak, l.now)
	l.under[img.FragmentNumber]++
	l.mu.Unlock()
	if l.gate != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.gate:
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now--
	l.under[img.FragmentNumber]--
	if key == l.failAt {
		return errors.New("disk full")
	}
	l.written[key] = true
	l.images[img.FragmentNumber] = append(l.images[img.FragmentNumber], img.FrameInfo)
	return nil
}

func (l *ledger) EndFragment(_ context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	l.mu.Lock()
	images := l.images[f.Number]
	if l.under[f.Number] > 0 {
		l.early = append(l.early, f.Number)
	}
	for i := range images { // all of them, in whatever order they were written
		if !l.written[fmt.Sprintf("%s/%d", f.Number, i)] {
			l.early = append(l.early, f.Number)
		}
	}
	l.commits = append(l.commits, f.Number)
	l.perCommit = append(l.perCommit, len(images))
	l.mu.Unlock()
	durable(media.Receipt{Written: len(images)})
	return nil
}

func (l *ledger) Finish(context.Context) error { l.finished++; return nil }
func (l *ledger) Abandon() error               { l.abandoned++; return nil }

func quiet() Options { return Options{Log: slog.New(slog.DiscardHandler), FragmentsInFlight: 3} }

// gone fails the test if goroutines of a run outlive it.
func gone(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 1000 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(time.Millisecond) // goroutines end after their last statement
		}
		t.Errorf("%d goroutines before the run, %d after it", before, runtime.NumGoroutine())
	})
}

func TestRunCommitsEveryFragmentInOrderAndOnlyWhatIsDurable(t *testing.T) {
	gone(t)
	src, plan := &script{n: 50}, &fan{images: 5, size: 10, sinks: []string{"a", "b"}}
	a, b := newLedger("a"), newLedger("b")
	meter := &Meter{}
	o := quiet()
	o.Meter = meter
	got, err := Run(t.Context(), Stream{Name: "cam", Source: src, Planner: plan, Sinks: []Sink{a, b}}, o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Fragments != 50 || got.FramesDecoded != 250 || got.FramesWritten["a"] != 250 || got.FramesWritten["b"] != 250 ||
		got.BytesRead != 5000 || got.FirstFragmentNumber != "000000" || got.LastFragmentNumber != "000049" || got.Gaps != 0 || got.Undelivered != (Undelivered{}) {
		t.Errorf("summary = %+v", got)
	}
	for _, l := range []*ledger{a, b} {
		if len(l.early) > 0 {
			t.Errorf("sink %s: committed out of order or before durable: %v", l.name, l.early)
		}
		if !slices.IsSorted(l.commits) || len(l.commits) != 50 {
			t.Errorf("sink %s: commits = %v", l.name, l.commits)
		}
		if l.finished != 1 || l.abandoned != 0 {
			t.Errorf("sink %s: finished %d times, abandoned %d times", l.name, l.finished, l.abandoned)
		}
		if l.peak > l.inFlight {
			t.Errorf("sink %s: %d writes at once, the limit is %d", l.name, l.peak, l.inFlight)
		}
	}
	if !slices.IsSorted(plan.planned) {
		t.Errorf("planned out of order: %v", plan.planned)
	}
	if plan.peak.Load() > 3 {
		t.Errorf("%d fragments decoded at once, the limit is 3", plan.peak.Load())
	}
	if src.closed != 1 {
		t.Errorf("source closed %d times", src.closed)
	}
	if meter.Fragments.Load() != 50 || meter.FramesWritten("b") != 250 || meter.BytesRead.Load() != 5000 {
		t.Errorf("meter: %d fragments, %d written, %d bytes", meter.Fragments.Load(), meter.FramesWritten("b"), meter.BytesRead.Load())
	}
}

func TestRunFinishesWhatWasReadWhenTheSourceFails(t *testing.T) {
	gone(t)
	reset := errors.New("connection reset")
	src := &script{n: 10, fail: map[int]error{7: reset}}
	a := newLedger("a")
	got, err := Run(t.Context(), Stream{Name: "cam", Source: src, Planner: &fan{images: 2, size: 1, sinks: []string{"a"}}, Sinks: []Sink{a}}, quiet())
	if !errors.Is(err, reset) {
		t.Errorf("error = %v", err)
	}
	if got.Fragments != 7 || len(a.commits) != 7 {
		t.Errorf("fragments = %d, commits = %v", got.Fragments, a.commits)
	}
}

func TestRunNotesALostFragmentAndGoesOn(t *testing.T) {
	gone(t)
	lost := &media.GapError{Gap: media.Gap{Stream: "cam", FragmentNumber: "000003", FrameIndex: media.WholeFragment, Detail: "not found"}, Err: errors.New("4000")}
	src := &script{n: 6, fail: map[int]error{3: lost}}
	got, err := Run(t.Context(), Stream{Name: "cam", Source: src, Planner: &fan{images: 1, size: 1, sinks: []string{"a"}}, Sinks: []Sink{newLedger("a")}}, quiet())
	if err != nil || got.Fragments != 5 || got.Gaps != 1 || !reflect.DeepEqual(got.GapList, []media.Gap{lost.Gap}) {
		t.Errorf("summary = %+v, error = %v", got, err)
	}
}

func TestRunStopsAtOnceWhenAStageFails(t *testing.T) {
	for name, stream := range map[string]func() Stream{
		"decoding": func() Stream {
			return Stream{Source: &script{n: 1 << 30}, Planner: &fan{images: 2, size: 1, sinks: []string{"a"}, fail: "000020"}, Sinks: []Sink{newLedger("a")}}
		},
		"writing": func() Stream {
			l := newLedger("a")
			l.failAt = "000020/1"
			return Stream{Source: &script{n: 1 << 30}, Planner: &fan{images: 2, size: 1, sinks: []string{"a"}}, Sinks: []Sink{l}}
		},
		"an image for no sink": func() Stream {
			return Stream{Source: &script{n: 1 << 30}, Planner: stray{&fan{images: 2, size: 1, sinks: []string{"x"}}}, Sinks: []Sink{newLedger("a")}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			gone(t)
			s := stream()
			got, err := Run(t.Context(), s, quiet())
			if err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("error = %v, want the cause", err)
			}
			if got.Fragments > 20 {
				t.Errorf("%d fragments were committed after the failure", got.Fragments)
			}
			// What was read and not committed is named, up to the last one.
			if u := got.Undelivered; u.Fragments < 1 || u.From != fmt.Sprintf("%06d", got.Fragments) || u.To != fmt.Sprintf("%06d", got.Fragments+u.Fragments-1) {
				t.Errorf("undelivered are %+v after %d fragments", u, got.Fragments)
			}
			if sinkErr := (*SinkError)(nil); errors.As(err, &sinkErr) != (name == "writing") || sinkErr != nil && sinkErr.Sink != "a" {
				t.Errorf("the error %v blames %+v", err, sinkErr)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	gone(t)
	ctx, cancel := context.WithCancel(t.Context())
	l := newLedger("a")
	l.gate = make(chan struct{}) // never opens: writes hang
	src := &script{n: 1 << 30}
	done := make(chan error)
	go func() {
		_, err := Run(ctx, Stream{Source: src, Planner: &fan{images: 9, size: 1 << 20, sinks: []string{"a"}}, Sinks: []Sink{l}}, quiet())
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

func TestUntilDrainsWhatWasRead(t *testing.T) {
	gone(t)
	stop, signal := context.WithCancel(t.Context())
	src := &script{n: 5, block: true}
	l := newLedger("a")
	l.gate = make(chan struct{})
	go func() {
		signal()
		close(l.gate)
	}()
	got, err := Run(t.Context(), Stream{Source: source.Until(stop, src), Planner: &fan{images: 3, size: 1, sinks: []string{"a"}}, Sinks: []Sink{l}}, quiet())
	if err != nil || got.Fragments != len(l.commits) || got.FramesWritten["a"] != 3*got.Fragments {
		t.Errorf("summary = %+v, error = %v, commits = %v", got, err, l.commits)
	}
	if src.closed != 1 {
		t.Error("source was not closed")
	}
}

// skipping is a sink that finds every other image there already.
type skipping struct{ *ledger }

func (s skipping) EndFragment(ctx context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	return s.ledger.EndFragment(ctx, f, func(r media.Receipt) {
		durable(media.Receipt{Written: r.Written - r.Written/2, Skipped: r.Written / 2})
	})
}

func TestWhatWasThereAlreadyIsCountedApart(t *testing.T) {
	o := quiet()
	o.Meter, o.Account = &Meter{}, NewAccount("a")
	got, err := Run(t.Context(), Stream{Source: &script{n: 3}, Planner: &fan{images: 5, size: 1, sinks: []string{"a"}}, Sinks: []Sink{skipping{newLedger("a")}}}, o)
	if err != nil || got.FramesWritten["a"] != 9 || got.FramesSkipped["a"] != 6 || o.Meter.FramesWritten("a") != 9 {
		t.Errorf("summary = %+v, error = %v", got, err)
	}
}

func TestAnAccountNamesTheFirstGapsAndCountsAll(t *testing.T) {
	a := NewAccount("x", "y")
	for i := range MaxListedGaps + 500 {
		a.commit(&pending{gaps: []media.Gap{{FrameIndex: 2 * i}, {FrameIndex: 2*i + 1}}})
	}
	s := a.Summary()
	if s.Gaps != 2*MaxListedGaps+1000 || len(s.GapList) != MaxListedGaps || s.GapList[MaxListedGaps-1].FrameIndex != MaxListedGaps-1 {
		t.Errorf("%d gaps, %d named", s.Gaps, len(s.GapList))
	}
	if s.Status != StatusRunning || len(s.FramesWritten) != 2 || len(s.FramesSkipped) != 2 {
		t.Errorf("summary = %+v", s)
	}
}

func TestAnAccountKnowsWhatIsOnItsWay(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a := NewAccount()
	fragments := []*media.Fragment{{Number: "1", ProducerTime: at}, {Number: "2", ProducerTime: at.Add(time.Second)}, {Number: "3"}}
	for _, f := range fragments {
		a.begin(f)
	}
	a.commit(&pending{fragment: true, counts: true, number: "1", at: at})
	early := a.Summary()
	if want := (Undelivered{From: "2", To: "3", Fragments: 2}); early.Undelivered != want {
		t.Errorf("undelivered are %+v, want %+v", early.Undelivered, want)
	}
	a.commit(&pending{fragment: true, counts: true, number: "2", at: at.Add(time.Second)})
	a.End(StatusFailed, errors.New("no such bucket"))
	s := a.Summary()
	if s.FirstFragmentNumber != "1" || s.FirstProducerTimestamp != "2026-01-02T03:04:05.000Z" || s.LastFragmentNumber != "2" ||
		s.LastProducerTimestamp != "2026-01-02T03:04:06.000Z" || s.Status != StatusFailed || s.Error != "no such bucket" || early.Fragments != 1 {
		t.Errorf("summary = %+v", s)
	}
}

// reopening is a source that says how often it was opened again, and paused.
type reopening struct{ script }

func (*reopening) Stats() media.SourceStats { return media.SourceStats{Reconnects: 7, Pauses: 3} }

func TestTheSummaryHasTheSourcesReconnectsAndPauses(t *testing.T) {
	for _, c := range []struct {
		source             Source
		reconnects, pauses int
	}{{&reopening{script{n: 1}}, 7, 3}, {source.Until(t.Context(), &reopening{script{n: 1}}), 7, 3}, {source.Until(t.Context(), &script{n: 1}), 0, 0}} {
		got, err := Run(t.Context(), Stream{Source: c.source, Planner: &fan{}}, quiet())
		if err != nil || got.Reconnects != c.reconnects || got.Pauses != c.pauses {
			t.Errorf("summary = %+v, error = %v, want %+v", got, err, c)
		}
	}
}

// TestBacklogIsBounded holds sinks shut until decoding can go no further, and
// looks at how much it has produced.
func TestBacklogIsBounded(t *testing.T) {
	gone(t)
	const size, limit = 1000, 5000
	l := newLedger("a")
	l.inFlight = 1
	l.gate = make(chan struct{})
	o := quiet()
	o.BacklogBytes = limit
	produced := &counting{fan: &fan{images: 100, size: size, sinks: []string{"a"}}}
	done := make(chan error)
	go func() {
		_, err := Run(t.Context(), Stream{Source: &script{n: 6}, Planner: produced, Sinks: []Sink{l}}, o)
		done <- err
	}()
	for produced.n.Load() < limit/size {
		runtime.Gosched()
	}
	for range 1000 { // whoever could still produce gets the chance to
		runtime.Gosched()
	}
	// The oldest fragment may add one image; each of three has one more under way.
	if n := produced.n.Load(); n > limit/size+1+3 {
		t.Errorf("%d images were produced, %d fit the backlog", n, limit/size)
	}
	close(l.gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(l.written) != 600 {
		t.Errorf("%d images were written", len(l.written))
	}
}

// counting counts the images that are on their way into the backlog.
type counting struct {
	*fan
	n atomic.Int64
}

func (c *counting) Plan(f *media.Fragment) func(context.Context, func(media.Image) error) (media.Outcome, error) {
	work := c.fan.Plan(f)
	return func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error) {
		return work(ctx, func(img media.Image) error {
			c.n.Add(1)
			return emit(img)
		})
	}
}
