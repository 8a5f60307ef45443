package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

// recorder is a sink that records the order of fragments and gaps.
type recorder struct {
	*ledger
	calls []string
	fail  string // the call that fails
}

func (r *recorder) note(call string) error {
	r.calls = append(r.calls, call)
	if call == r.fail {
		return errors.New("disk full")
	}
	return nil
}

func (r *recorder) Gaps(_ context.Context, after media.Place, gaps []media.Gap) error {
	var details []string
	for _, g := range gaps {
		details = append(details, g.Detail)
	}
	return r.note(fmt.Sprintf("%s after %q", strings.Join(details, "+"), after.Number))
}

func (r *recorder) EndFragment(ctx context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	if err := r.note(f.Number); err != nil {
		return err
	}
	return r.ledger.EndFragment(ctx, f, durable)
}

// lacking is a planner with gaps at the end, and in one fragment.
type lacking struct {
	*fan
	gaps []media.Gap
}

func (l *lacking) End() []media.Gap { return l.gaps }

func (l *lacking) Plan(f *media.Fragment) func(context.Context, func(media.Image) error) (media.Outcome, error) {
	work := l.fan.Plan(f)
	return func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error) {
		out, err := work(ctx, emit)
		if f.Number == "000003" {
			out.Gaps = append(out.Gaps, media.Gap{Detail: "frames"}, media.Gap{Detail: "of b", Sink: "b"})
		}
		return out, err
	}
}

func TestSinksGetTheGapsOfTheirPlaceInOrder(t *testing.T) {
	lost := func(gap media.Gap) error { return &media.GapError{Gap: gap, Err: errors.New("lost")} }
	for _, inFlight := range []int{1, 4} {
		for name, test := range map[string]struct{ fail, want string }{
			"all": {"", `first after "", 000001, frames after "000001", 000003, third after "000003", 000005, end after "000005"`},
			// A record of gaps that fails is a failure of the sink.
			"a failure": {`third after "000003"`, `first after "", 000001, frames after "000001", 000003, third after "000003"`},
		} {
			gone(t)
			a, b := &recorder{ledger: newLedger("a"), fail: test.fail}, newLedger("b")
			a.inFlight = inFlight
			planner := &lacking{&fan{images: 2, size: 10, sinks: []string{"a", "b"}}, []media.Gap{{Detail: "end"}, {Detail: "end of b", Sink: "b"}}}
			got, err := Run(t.Context(), Stream{
				Source: &script{n: 6, fail: map[int]error{
					0: lost(media.Gap{Detail: "first"}), 2: lost(media.Gap{Detail: "second", Sink: "b"}), 4: lost(media.Gap{Detail: "third"}),
				}},
				Planner: planner, Sinks: []Sink{a, b},
			}, quiet())
			if text := strings.Join(a.calls, ", "); text != test.want || (err != nil) != (test.fail != "") {
				t.Errorf("%s, %d at once: %v: %s", name, inFlight, err, text)
			}
			if got.Gaps != 7 || got.Fragments != 3 || len(b.commits) != 3 {
				t.Errorf("%s, %d at once: %+v", name, inFlight, got)
			}
		}
	}
}

// TestASinkThatHasAFragmentGetsNoGapsOfIt reads a fragment again for another sink: the part of the ledger that it has is whole.
func TestASinkThatHasAFragmentGetsNoGapsOfIt(t *testing.T) {
	gone(t)
	a, b := &recorder{ledger: newLedger("a")}, &recorder{ledger: newLedger("b")}
	o := quiet()
	o.Planned = func() Planned {
		return Planned{Durable: func(string, media.Receipt) {}, Lacks: func(sink string) bool { return sink == "b" }, First: true}
	}
	planner := &lacking{&fan{images: 2, size: 10, sinks: []string{"a", "b"}}, nil}
	if _, err := Run(t.Context(), Stream{Source: &script{n: 4}, Planner: planner, Sinks: []Sink{a, b}}, o); err != nil {
		t.Fatal(err)
	}
	for sink, want := range map[*recorder]string{
		a: "000000, 000001, 000002, 000003",
		b: `000000, 000001, 000002, frames+of b after "000002", 000003`,
	} {
		if got := strings.Join(sink.calls, ", "); got != want {
			t.Errorf("sink %s: %s, want %s", sink.Name(), got, want)
		}
	}
}
