package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

// lastOf chooses the last image of each so many, once the next one has come. Its state is the number of images so far.
type lastOf struct {
	each, seen int
	held       *media.Image
}

func (l *lastOf) Choose(img media.Image) (c media.Choice) {
	if c.Decided = l.held != nil; l.seen%l.each == 0 {
		c.Earlier = l.held
	}
	l.seen++
	l.held, c.Holds = &img, true
	return c
}

func (l *lastOf) End() media.Choice { return media.Choice{Decided: l.held != nil, Earlier: l.held} }

func (l *lastOf) State() json.Marshaler { return json.RawMessage(fmt.Sprint(l.seen)) }

// firstOf chooses the first image of each so many, at once.
type firstOf struct{ *lastOf }

func (l firstOf) Choose(img media.Image) (c media.Choice) {
	if l.seen++; l.seen%l.each == 1 {
		c.Chosen = &img
	}
	return c
}

// picky is a planner of which some sinks choose.
type picky struct {
	*fan
	choosers map[string]media.Chooser
}

func (p *picky) Chooser(sink string) media.Chooser { return p.choosers[sink] }

// TestWhatIsChosenIsDelivered has a sink that gets an image of many fragments earlier, one that takes one image at a time, one that chooses
// at once, and one that gets all. Fragments end at a sink in order, after their images, with the state behind them.
func TestWhatIsChosenIsDelivered(t *testing.T) {
	gone(t)
	late, first, all := newLedger("late"), newLedger("first"), newLedger("all")
	serial := &group{fragments: 1}
	planner := &picky{&fan{images: 3, size: 10, sinks: []string{"late", "first", "all", "g"}}, map[string]media.Chooser{
		"late": &lastOf{each: 250}, "first": firstOf{&lastOf{each: 4}}, "g": &lastOf{each: 7},
	}}
	states := map[string][]string{}
	o := quiet()
	o.Planned = func() Planned {
		return Planned{First: true, Durable: func(sink string, r media.Receipt) {
			text := ""
			if r.Chosen != nil {
				b, _ := r.Chosen.MarshalJSON()
				text = string(b)
			}
			planner.mu.Lock()
			states[sink] = append(states[sink], text)
			planner.mu.Unlock()
		}}
	}
	const n = 200
	got, err := Run(t.Context(), Stream{Name: "cam", Source: &script{n: n}, Planner: planner, Sinks: []Sink{late, first, all, serial}}, o)
	if err != nil || got.Fragments != n {
		t.Fatalf("%+v, %v", got, err)
	}
	place := func(i int) string { return fmt.Sprintf("%06d/%d", i/3, i%3) }
	for name, want := range map[*ledger][]string{late: {place(249), place(499), place(599)}, first: nil, all: nil} {
		each := map[string]int{"first": 4, "all": 1}[name.name]
		for i := 0; want == nil || each > 0 && i < 3*n; i += each {
			want = append(want, place(i))
		}
		var written []string
		for key := range name.written {
			written = append(written, key)
		}
		slices.Sort(written)
		if !slices.Equal(written, want) {
			t.Errorf("%s was given %d images, want %d: %.200q, %.200q", name.name, len(written), len(want), written, want)
		}
		atEnd := 0 // images that were written when their fragment ended
		for _, n := range name.perCommit {
			atEnd += n
		}
		if atEnd != len(want) || len(name.commits) != n || !slices.IsSorted(name.commits) || name.finished != 1 {
			t.Errorf("%s: %d images before the end of their fragment, %d fragments, finished %d times", name.name, atEnd, len(name.commits), name.finished)
		}
	}
	if len(serial.reported) != n || !slices.IsSorted(serial.reported) || len(serial.objects) != (3*n+6)/7 {
		t.Errorf("the sink that takes one at a time has %d objects, reported %d", len(serial.objects), len(serial.reported))
	}
	for sink, list := range states {
		for i, text := range list {
			want := fmt.Sprint(3 * (i + 1))
			if sink == "all" {
				want = ""
			}
			if text != want {
				t.Fatalf("%s: after fragment %d the state is %q, want %q", sink, i, text, want)
			}
		}
	}
}

// TestAHeldImageIsLeftToTheNextRun interrupts a stream while an image is held: its fragment and later ones are not reported.
func TestAHeldImageIsLeftToTheNextRun(t *testing.T) {
	for _, how := range []struct{ continues, completes bool }{{true, false}, {false, false}, {true, true}} {
		gone(t)
		l := newLedger("a")
		o := quiet()
		o.Completes, o.Interrupted = how.completes, func(error) bool { return how.continues }
		got, err := Run(t.Context(), Stream{
			Name: "cam", Source: &script{n: 10}, Sinks: []Sink{l},
			Planner: &picky{&fan{images: 1, size: 10, sinks: []string{"a"}}, map[string]media.Chooser{"a": &lastOf{each: 4}}},
		}, o)
		want, written := 10, 3
		if how.continues && !how.completes {
			want, written = 9, 2 // up to the one before the image that is held
		}
		if err != nil || got.Fragments != want || len(l.written) != written {
			t.Errorf("%+v: %d fragments, %d images, %v", how, got.Fragments, len(l.written), err)
		}
	}
}

// TestASinkThatChoosesMayFail has a sink fail while it holds an image.
func TestASinkThatChoosesMayFail(t *testing.T) {
	gone(t)
	a, b := newLedger("a"), newLedger("b")
	a.failAt = "000003/0"
	got, err := Run(t.Context(), Stream{
		Name: "cam", Source: &script{n: 100}, Sinks: []Sink{a, b},
		Planner: &picky{&fan{images: 1, size: 10, sinks: []string{"a", "b"}}, map[string]media.Chooser{"a": &lastOf{each: 4}}},
	}, quiet())
	// The choice of fragment 3 completes those before it. They may be committed, or not yet when the write fails.
	if from := got.Undelivered.From; err == nil || from == "" || from > "000003" || a.abandoned != 1 || len(b.commits) != 100 {
		t.Errorf("%+v, %v: abandoned %d times, the other has %d fragments", got, err, a.abandoned, len(b.commits))
	}
}
