package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// group is a sink that makes one object of the images of several fragments, in stream order.
type group struct {
	fragments int  // of one object
	aside     bool // report on another goroutine
	failAt    int  // the operation that fails, from 1
	forget    bool // never report

	busy       atomic.Bool
	operations int
	abandoned  int
	open       []string // the images of the object that is not complete
	objects    [][]string
	waiting    []func()
	reports    sync.WaitGroup

	mu       sync.Mutex
	reported []string // fragments
}

var errNthOperation = errors.New("no space left")

// operation counts one operation, and fails if it is the one that is to fail or if another is under way.
func (g *group) operation() (func(), error) {
	if !g.busy.CompareAndSwap(false, true) {
		return nil, errors.New("two calls at once")
	}
	if g.operations++; g.operations == g.failAt {
		return nil, errNthOperation
	}
	return func() { g.busy.Store(false) }, nil
}

func (g *group) Name() string     { return "g" }
func (g *group) MaxInFlight() int { return 1 }

func (g *group) Write(_ context.Context, img media.Image) error {
	end, err := g.operation()
	if err != nil {
		return err
	}
	defer end()
	g.open = append(g.open, fmt.Sprintf("%s/%d", img.FragmentNumber, img.Index))
	return nil
}

func (g *group) EndFragment(_ context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	end, err := g.operation()
	if err != nil {
		return err
	}
	defer end()
	images := 0
	for _, name := range g.open {
		if strings.HasPrefix(name, f.Number+"/") {
			images++
		}
	}
	g.waiting = append(g.waiting, func() {
		g.mu.Lock()
		g.reported = append(g.reported, f.Number)
		g.mu.Unlock()
		durable(media.Receipt{Written: images})
	})
	if len(g.waiting) == g.fragments {
		g.complete()
	}
	return nil
}

// complete makes the open object visible and reports its fragments.
func (g *group) complete() {
	if len(g.open) > 0 {
		g.objects = append(g.objects, g.open)
	}
	reports := g.waiting
	g.open, g.waiting = nil, nil
	if g.forget {
		return
	}
	g.reports.Wait() // those of the object before
	report := func() {
		for _, r := range reports {
			r()
		}
	}
	if g.aside {
		g.reports.Go(report)
	} else {
		report()
	}
}

func (g *group) Finish(context.Context) error {
	end, err := g.operation()
	if err != nil {
		return err
	}
	defer end()
	g.complete()
	g.reports.Wait()
	return nil
}

func (g *group) Abandon() error {
	g.reports.Wait()
	g.abandoned++
	g.open, g.waiting = nil, nil
	return nil
}

// images returns the names of the images of fragments from one on and before another.
func images(from, to, each int) (names []string) {
	for f := from; f < to; f++ {
		for i := range each {
			names = append(names, fmt.Sprintf("%06d/%d", f, i))
		}
	}
	return names
}

func TestAnObjectMayHoldManyFragments(t *testing.T) {
	for name, g := range map[string]*group{
		"a few":                             {fragments: 7},
		"reported aside":                    {fragments: 7, aside: true},
		"one":                               {fragments: 1},
		"as many as a run has on their way": {fragments: leastUndelivered},
		"all of the stream":                 {fragments: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			gone(t)
			const n, each = 600, 3
			a := newLedger("a")
			o := quiet()
			o.Meter = &Meter{}
			got, err := Run(t.Context(), Stream{
				Name: "cam", Source: &script{n: n}, Planner: &fan{images: each, size: 1000, sinks: []string{"g", "a"}}, Sinks: []Sink{g, a},
			}, o)
			if err != nil {
				t.Fatal(err)
			}
			for i, object := range g.objects {
				if want := images(i*g.fragments, min(n, (i+1)*g.fragments), each); !slices.Equal(object, want) {
					t.Fatalf("object %d holds %q, want %q", i, object, want)
				}
			}
			if want := (n + g.fragments - 1) / g.fragments; len(g.objects) != want || g.abandoned != 0 {
				t.Errorf("%d objects, want %d; abandoned %d times", len(g.objects), want, g.abandoned)
			}
			if len(g.reported) != n || !slices.IsSorted(g.reported) || len(a.commits) != n || a.finished != 1 {
				t.Errorf("%d fragments reported, %d in the other sink", len(g.reported), len(a.commits))
			}
			if got.Fragments != n || got.FramesWritten["g"] != n*each || got.FramesWritten["a"] != n*each || got.Undelivered != (Undelivered{}) ||
				o.Meter.FramesWritten("g") != n*each || o.Meter.Fragments.Load() != n {
				t.Errorf("summary = %+v", got)
			}
		})
	}
}

// An object that is open holds back what counts as delivered, and nothing else: not the reading,
// and not another sink.
func TestAnOpenObjectBlocksNobody(t *testing.T) {
	gone(t)
	const n = 600
	stop, signal := context.WithCancel(t.Context())
	defer signal()
	g, a := &group{fragments: 1000}, newLedger("a")
	o := quiet()
	o.Account = NewAccount()
	var open Summary
	drained := &lastCommit{ledger: a, n: n, then: func() {
		open = o.Account.Summary()
		signal()
	}}
	got, err := Run(t.Context(), Stream{
		Name: "cam", Source: source.Until(stop, &script{n: n, block: true}), Planner: &fan{images: 1, size: 1000, sinks: []string{"g", "a"}}, Sinks: []Sink{g, drained},
	}, o)
	if err != nil || got.Fragments != n || len(g.objects) != 1 {
		t.Fatalf("summary %+v, error %v, %d objects", got, err, len(g.objects))
	}
	if open.Fragments != 0 || open.Undelivered.Fragments != n || open.FramesWritten["a"] < n-1 || open.FramesWritten["g"] != 0 {
		t.Errorf("while the object was open the summary was %+v", open)
	}
}

// lastCommit calls then when n fragments have ended.
type lastCommit struct {
	*ledger
	n    int
	then func()
}

func (l *lastCommit) EndFragment(ctx context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	err := l.ledger.EndFragment(ctx, f, durable)
	if len(l.commits) == l.n {
		l.then()
	}
	return err
}

// TestAFailingSinkLeavesWholeObjects fails every operation once.
func TestAFailingSinkLeavesWholeObjects(t *testing.T) {
	gone(t)
	const n, each, size = 10, 2, 3
	operations := n*each + n + 1
	for failAt := 1; failAt <= operations; failAt++ {
		g, a := &group{fragments: size, failAt: failAt, aside: failAt%2 == 0}, newLedger("a")
		got, err := Run(t.Context(), Stream{
			Name: "cam", Source: &script{n: n}, Planner: &fan{images: each, size: 10, sinks: []string{"g", "a"}}, Sinks: []Sink{g, a},
		}, quiet())
		var failed *SinkError
		if !errors.Is(err, errNthOperation) || !errors.As(err, &failed) || failed.Sink != "g" {
			t.Fatalf("operation %d: error %v", failAt, err)
		}
		if g.abandoned != 1 || len(g.open) > 0 {
			t.Errorf("operation %d: abandoned %d times with %q open", failAt, g.abandoned, g.open)
		}
		if a.finished != 1 || a.abandoned != 0 || got.FramesWritten["a"] != n*each || got.Fragments != n {
			t.Errorf("operation %d: the other sink finished %d times, was abandoned %d times, summary %+v", failAt, a.finished, a.abandoned, got)
		}
		whole := len(g.objects) * size
		if whole != min(n, (failAt-1)/(each+1))/size*size || !slices.Equal(slices.Concat(g.objects...), images(0, whole, each)) {
			t.Errorf("operation %d: the objects are %q", failAt, g.objects)
		}
		if len(g.reported) != whole || got.FramesWritten["g"] != whole*each {
			t.Errorf("operation %d: reported %q, summary %+v", failAt, g.reported, got)
		}
		first := fmt.Sprintf("%06d", whole)
		if want := (Undelivered{From: first, To: fmt.Sprintf("%06d", n-1), Fragments: n - whole}); got.Undelivered != want || failed.Fragment != first {
			t.Errorf("operation %d: undelivered are %+v, from %s, want %+v", failAt, got.Undelivered, failed.Fragment, want)
		}
	}
}

func TestACancelledRunAbandonsWhatIsOpen(t *testing.T) {
	gone(t)
	ctx, cancel := context.WithCancel(t.Context())
	g, a := &group{fragments: 1000}, newLedger("a")
	got, err := Run(ctx, Stream{
		Name: "cam", Source: &script{n: 100, block: true}, Planner: &fan{images: 1, size: 10, sinks: []string{"g", "a"}},
		Sinks: []Sink{g, &lastCommit{ledger: a, n: 100, then: cancel}},
	}, quiet())
	if !errors.Is(err, context.Canceled) || got.Fragments != 0 || got.Undelivered.Fragments != 100 {
		t.Errorf("summary %+v, error %v", got, err)
	}
	if len(g.objects) != 0 || g.abandoned != 1 || a.finished != 0 || a.abandoned != 1 {
		t.Errorf("objects %q; abandoned %d and %d times", g.objects, g.abandoned, a.abandoned)
	}
}

func TestFragmentsWithoutImagesAreReportedToo(t *testing.T) {
	gone(t)
	g := &group{fragments: 4}
	got, err := Run(t.Context(), Stream{Source: &script{n: 10}, Planner: &fan{sinks: []string{"g"}}, Sinks: []Sink{g}}, quiet())
	if err != nil || got.Fragments != 10 || len(g.reported) != 10 || len(g.objects) != 0 {
		t.Errorf("summary %+v, error %v, reported %q, objects %q", got, err, g.reported, g.objects)
	}
}

func TestASinkThatReportsTooFewFragmentsFails(t *testing.T) {
	gone(t)
	g := &group{fragments: 4, forget: true}
	_, err := Run(t.Context(), Stream{Source: &script{n: 10}, Planner: &fan{images: 1, sinks: []string{"g"}}, Sinks: []Sink{g}}, quiet())
	if err == nil || err.Error() != "finish sink g: 10 fragments were not reported as durable (the sink lacks fragment 000000 and those after it)" || g.abandoned != 1 {
		t.Errorf("error %v, abandoned %d times", err, g.abandoned)
	}
}

func TestASinkThatReportsOutOfOrderPanics(t *testing.T) {
	for name, order := range map[string][]int{"the second first": {1}, "the first twice": {0, 0}} {
		r := newRun(Stream{Sinks: []Sink{newLedger("a")}}, Options{}.withDefaults())
		var reports []func(media.Receipt)
		for i := range 2 {
			p := &pending{fragment: true, number: fmt.Sprint(i)}
			r.Account.begin(&media.Fragment{Number: p.number})
			r.unsettled.push(p)
			reports = append(reports, r.report(r.outlets[0], p, nil))
		}
		said := func() (said any) {
			defer func() { said = recover() }()
			for _, i := range order {
				reports[i](media.Receipt{})
			}
			return nil
		}()
		if text, _ := said.(string); !strings.Contains(text, "out of order or twice") {
			t.Errorf("%s: the panic said %v", name, said)
		}
	}
}

func TestStagesThatDoNotGoTogetherAreFoundBeforeReading(t *testing.T) {
	for want, s := range map[string]Stream{
		`set up stream cam: the planner makes images for sink "b", which does not exist`: {
			Planner: &fan{sinks: []string{"a", "b"}}, Sinks: []Sink{newLedger("a")},
		},
		`set up stream cam: the planner makes no images for sink "b"`: {
			Planner: &fan{sinks: []string{"a"}}, Sinks: []Sink{newLedger("a"), newLedger("b")},
		},
		`set up stream cam: two sinks are named "a"`: {
			Planner: &fan{sinks: []string{"a"}}, Sinks: []Sink{newLedger("a"), newLedger("a")},
		},
		`set up stream cam: the planner looks 64 fragments ahead, maximum is 63`: {Planner: farsighted{&fan{}}},
	} {
		src := &script{n: 3}
		s.Name, s.Source = "cam", src
		got, err := Run(t.Context(), s, Options{})
		if err == nil || err.Error() != want || src.next != 0 || src.closed != 1 || got.Fragments != 0 {
			t.Errorf("error %v, want %s; %d read, closed %d times", err, want, src.next, src.closed)
		}
		for _, sink := range s.Sinks {
			if l := sink.(*ledger); l.abandoned != 1 || l.finished != 0 {
				t.Errorf("%s: finished %d times, abandoned %d times", want, l.finished, l.abandoned)
			}
		}
	}
}

type farsighted struct{ *fan }

func (farsighted) MaxLookahead() int { return leastUndelivered }

func TestAFuncSinkCountsWhatItsFunctionTook(t *testing.T) {
	gone(t)
	refused := errors.New("not now")
	for _, failAt := range []int{0, 33} {
		var calls, taken, now, peak atomic.Int64
		s := NewFuncSink("f", 3, func(context.Context, media.Image) error {
			peak.Store(max(peak.Load(), now.Add(1)))
			defer now.Add(-1)
			if calls.Add(1) == int64(failAt) {
				return refused
			}
			taken.Add(1)
			return nil
		})
		got, err := Run(t.Context(), Stream{Source: &script{n: 20}, Planner: &fan{images: 5, size: 10, sinks: []string{"f"}}, Sinks: []Sink{s}}, quiet())
		if failAt == 0 && (err != nil || got.FramesWritten["f"] != 100 || got.Fragments != 20) || failAt > 0 && (!errors.Is(err, refused) || got.Fragments > int(taken.Load())/5 || got.Fragments == 20) {
			t.Errorf("fails at %d: summary %+v, error %v", failAt, got, err)
		}
		if peak.Load() > 3 || s.MaxInFlight() != 3 {
			t.Errorf("%d calls at once", peak.Load())
		}
	}
	if n := NewFuncSink("f", 0, nil).MaxInFlight(); n != 1 {
		t.Errorf("max in flight is %d, want 1", n)
	}
}

// TestAnInterruptedRunLeavesOpenObjectsToTheNext interrupts a stream with an open object. If a later run can make it again, the object is
// discarded, and otherwise completed.
func TestAnInterruptedRunLeavesOpenObjectsToTheNext(t *testing.T) {
	for _, how := range []struct{ continues, completes bool }{{true, false}, {false, false}, {true, true}} {
		gone(t)
		stop, signal := context.WithCancel(t.Context())
		defer signal()
		g, a := &group{fragments: 4}, newLedger("a")
		o := quiet()
		o.Completes, o.Interrupted = how.completes, func(error) bool { return how.continues }
		got, err := Run(t.Context(), Stream{
			Name: "cam", Source: source.Until(stop, &script{n: 10, block: true}), Planner: &fan{images: 1, size: 10, sinks: []string{"g", "a"}},
			Sinks: []Sink{g, &lastCommit{ledger: a, n: 10, then: signal}},
		}, o)
		objects, fragments, abandoned := 3, 10, 0
		if how.continues && !how.completes {
			objects, fragments, abandoned = 2, 8, 1
		}
		if err != nil || len(g.objects) != objects || len(g.reported) != fragments || g.abandoned != abandoned || got.Fragments != fragments || got.FramesWritten["a"] != 10 {
			t.Errorf("%+v: %d objects, reported %q, abandoned %d times, summary %+v, error %v", how, len(g.objects), g.reported, g.abandoned, got, err)
		}
		if a.finished != 1 || a.abandoned != 0 {
			t.Errorf("%+v: the other sink was finished %d and abandoned %d times", how, a.finished, a.abandoned)
		}
	}
}
