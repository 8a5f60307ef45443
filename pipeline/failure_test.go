package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

// TestASinkThatFailsStopsAlone fails one sink of three in a long stream, at each number of images at once.
func TestASinkThatFailsStopsAlone(t *testing.T) {
	for _, inFlight := range []int{1, 4} {
		for _, failAt := range []string{"000000/0", "000020/1", "000399/2"} {
			t.Run(fmt.Sprintf("%d at once, %s", inFlight, failAt), func(t *testing.T) {
				gone(t)
				const n, each = 400, 3
				var sinks []Sink
				var ledgers []*ledger
				for _, name := range []string{"a", "b", "c"} {
					l := newLedger(name)
					l.inFlight = inFlight
					sinks, ledgers = append(sinks, l), append(ledgers, l)
				}
				bad := ledgers[1]
				bad.failAt = failAt
				var log strings.Builder
				o := quiet()
				o.Log = slog.New(slog.NewTextHandler(&log, nil))
				got, err := Run(t.Context(), Stream{Name: "cam", Source: &script{n: n}, Planner: &fan{images: each, size: 10, sinks: []string{"a", "b", "c"}}, Sinks: sinks}, o)

				var failed *SinkError
				if !errors.As(err, &failed) || failed.Sink != "b" || len(bad.commits) > n-1 {
					t.Fatalf("error %v, %d fragments ended", err, len(bad.commits))
				}
				lacks := fmt.Sprintf("%06d", len(bad.commits))
				if text := err.Error(); failed.Fragment != lacks || text != "write to sink b: disk full (the sink lacks fragment "+lacks+" and those after it)" {
					t.Errorf("the sink has %d fragments, and the error is %s", len(bad.commits), text)
				}
				if want := (Undelivered{From: lacks, To: "000399", Fragments: n - len(bad.commits)}); got.Undelivered != want || got.Fragments != n {
					t.Errorf("undelivered are %+v, want %+v; %d fragments", got.Undelivered, want, got.Fragments)
				}
				if bad.finished != 0 || bad.abandoned != 1 || got.FramesWritten["b"] != len(bad.commits)*each {
					t.Errorf("the sink that failed finished %d times, was abandoned %d times, and wrote %d", bad.finished, bad.abandoned, got.FramesWritten["b"])
				}
				for _, l := range []*ledger{ledgers[0], ledgers[2]} {
					if len(l.written) != n*each || len(l.commits) != n || !slices.IsSorted(l.commits) || len(l.early) > 0 || l.finished != 1 || l.abandoned != 0 || got.FramesWritten[l.name] != n*each {
						t.Errorf("sink %s has %d images of %d fragments, %d too early, finished %d times", l.name, len(l.written), len(l.commits), len(l.early), l.finished)
					}
				}
				if text := log.String(); strings.Count(text, "sink failed") != 1 || !strings.Contains(text, "sink=b fragment="+lacks) {
					t.Errorf("the log is %s", text)
				}
			})
		}
	}
}

// TestARunEndsWithItsLastSink has two sinks that fail one after the other, and a stream without an end.
func TestARunEndsWithItsLastSink(t *testing.T) {
	for _, inFlight := range []int{1, 4} {
		gone(t)
		a, b := newLedger("a"), newLedger("b")
		a.inFlight, b.inFlight, a.failAt, b.failAt = inFlight, inFlight, "000010/0", "000200/1"
		got, err := Run(t.Context(), Stream{Source: &script{n: 1 << 30}, Planner: &fan{images: 2, size: 10, sinks: []string{"a", "b"}}, Sinks: []Sink{a, b}}, quiet())
		var failures SinkErrors
		if !errors.As(err, &failures) || len(failures) != 2 || failures[0].Sink != "a" || failures[1].Sink != "b" || a.abandoned != 1 || b.abandoned != 1 {
			t.Fatalf("%d at once: error %v, abandoned %d and %d times", inFlight, err, a.abandoned, b.abandoned)
		}
		from, lacks := fmt.Sprintf("%06d", len(a.commits)), fmt.Sprintf("%06d", len(b.commits))
		if failures[0].Fragment != from || failures[1].Fragment != lacks || got.Undelivered.From != from {
			t.Errorf("%d at once: the sinks have %d and %d fragments, the errors are %v, undelivered %+v", inFlight, len(a.commits), len(b.commits), err, got.Undelivered)
		}
		if got.Fragments > len(b.commits) || got.FramesWritten["a"] != 2*len(a.commits) || got.FramesWritten["b"] != 2*len(b.commits) {
			t.Errorf("%d at once: %d and %d fragments ended, summary %+v", inFlight, len(a.commits), len(b.commits), got)
		}
	}
}

// TestAFailedSinkHidesNoOtherError has a source that fails after a sink.
func TestAFailedSinkHidesNoOtherError(t *testing.T) {
	gone(t)
	a, b := newLedger("a"), newLedger("b")
	a.failAt = "000003/0"
	broken := errors.New("no route to host")
	_, err := Run(t.Context(), Stream{
		Name: "cam", Source: &script{n: 50, fail: map[int]error{20: broken}}, Planner: &fan{images: 1, size: 10, sinks: []string{"a", "b"}}, Sinks: []Sink{a, b},
	}, quiet())
	var failed *SinkError
	if !errors.Is(err, broken) || !errors.As(err, &failed) || failed.Sink != "a" || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if len(b.commits) != 20 || b.finished != 1 {
		t.Errorf("the other sink has %d fragments", len(b.commits))
	}
}

// TestNothingIsKeptForASinkThatFailed looks at what a run keeps long after a sink has failed, also among fragments that an earlier
// run has delivered.
func TestNothingIsKeptForASinkThatFailed(t *testing.T) {
	for _, again := range []int{0, 5, 5000} {
		gone(t)
		a, b := newLedger("a"), newLedger("b")
		a.failAt = "000001/0"
		o, planned := quiet().withDefaults(), 0
		o.Planned = func() Planned {
			if planned++; planned <= again {
				return Planned{}
			}
			return Planned{Durable: func(string, media.Receipt) {}, First: true}
		}
		r := newRun(Stream{Source: &script{n: 5000}, Planner: &fan{images: 1, size: 10, sinks: []string{"a", "b"}}, Sinks: []Sink{a, b}}, o)
		most, few := 0, false // what came before the sink was withdrawn may be many
		settle := r.unsettled.settle
		r.unsettled.settle = func(p *pending) {
			if n := len(r.unsettled.all); few {
				most = max(most, n)
			} else {
				few = r.unsettled.failed && n < leastUndelivered
			}
			settle(p)
		}
		if err := r.carry(t.Context()); err == nil {
			t.Error("no error")
		}
		if len(r.unsettled.all) > 0 || !few || most > 5*leastUndelivered || len(r.Account.reading) > 0 {
			t.Errorf("%d fragments were kept at most, %d and %d at the end", most, len(r.unsettled.all), len(r.Account.reading))
		}
		if got := r.Account.Summary(); got.Fragments != 5000-again || got.Undelivered.Fragments > 5000-again {
			t.Errorf("summary %+v", got)
		}
	}
}

// TestASinkThatLeavesIsNoFailure makes one of two sinks leave in the middle, and then the other one.
func TestASinkThatLeavesIsNoFailure(t *testing.T) {
	gone(t)
	a, b := newLedger("a"), newLedger("b")
	o := quiet()
	leave := map[string]context.CancelFunc{}
	o.Aside = map[string]context.Context{}
	for _, name := range []string{"a", "b"} {
		o.Aside[name], leave[name] = context.WithCancel(t.Context())
	}
	o.Account = NewAccount()
	part, planned := o.Account.Begin(), 0
	o.Planned = func() Planned {
		switch planned++; planned {
		case 100:
			leave["a"]()
		case 300:
			leave["b"]()
			leave["b"]()
		}
		return Planned{Durable: func(string, media.Receipt) {}, First: planned > 50}
	}
	whole := o.Account
	o.Account = part
	_, err := Run(t.Context(), Stream{Source: &script{n: 5000}, Planner: &fan{images: 1, size: 10, sinks: []string{"a", "b"}}, Sinks: []Sink{a, b}}, o)
	if !errors.Is(err, ErrAside) || len(part.Failures()) > 0 || a.abandoned != 1 || b.abandoned != 1 || a.finished+b.finished > 0 || planned == 5000 {
		t.Errorf("error %v, failures %v, abandoned %d and %d times, %d planned", err, part.Failures(), a.abandoned, b.abandoned, planned)
	}
	running := whole.Summary()
	// What b has counts: no other run reads it for b.
	if n := running.FramesWritten["b"]; n < 100 || len(a.commits) > 165 || running.Fragments != n-50 {
		t.Errorf("summary %+v", running)
	}
	whole.Fold(part, true)
	whole.SetBehind(Undelivered{From: "7", To: "9", Fragments: 3})
	if got := whole.Summary(); got.Fragments != running.Fragments || got.Undelivered != (Undelivered{From: "7", To: "9", Fragments: 3}) || len(whole.Failures()) > 0 {
		t.Errorf("summary %+v", got)
	}
}
