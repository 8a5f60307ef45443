package pipeline

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/kvsframes/kvsframes/media"
)

// telling is a source of a few steps: what arrives, and what Next returns then.
type telling struct {
	script
	steps []any // a fragment's number that begins to arrive, a fragment, or an error
}

func (s *telling) Next(ctx context.Context) (*media.Fragment, error) {
	for len(s.steps) > 0 {
		step := s.steps[0]
		s.steps = s.steps[1:]
		switch step := step.(type) {
		case string:
			if arrived := media.Arrivals(ctx); arrived != nil {
				arrived(&media.Fragment{Stream: "cam", Number: step})
			}
			synctest.Wait()
		case error:
			return nil, step
		case *media.Fragment:
			return step, nil
		}
	}
	return nil, io.EOF
}

// early is a planner that makes an image of frame 0 as soon as something of a fragment has come, and one of frame 1 at its end. Where the
// fragment's end contradicts that, it makes both again.
type early struct {
	fan
	wrong string // the number of the fragment that contradicts
	// begun has what makes the sinks forget a fragment that was begun.
	begun map[string]func(context.Context) error
	// closed are the fragments whose arrival was closed.
	closed []string
}

type earlyArrival struct {
	planner *early
	number  string
	come    chan struct{}
	once    sync.Once
	sinks   []string
}

func (e *early) image(number, sink string, index int) media.Image {
	return media.Image{FrameInfo: media.FrameInfo{Stream: "cam", FragmentNumber: number, Index: index}, Sink: sink, Data: []byte("x")}
}

func (e *early) Ahead(f *media.Fragment, takes func(string) bool, again func(context.Context) error) media.Arrival {
	a := &earlyArrival{planner: e, number: f.Number, come: make(chan struct{}, 1)}
	for _, s := range e.sinks {
		if takes(s) {
			a.sinks = append(a.sinks, s)
		}
	}
	e.begun[f.Number] = again
	return a
}

func (a *earlyArrival) More(*media.Fragment) {
	a.once.Do(func() { a.come <- struct{}{} })
}

func (a *earlyArrival) Close() {
	a.planner.closed = append(a.planner.closed, a.number)
	a.once.Do(func() { close(a.come) })
}

func (a *earlyArrival) Decode(_ context.Context, emit func(media.Image) error) error {
	if _, ok := <-a.come; !ok {
		return nil
	}
	for _, s := range a.sinks {
		if err := emit(a.planner.image(a.number, s, 0)); err != nil {
			return err
		}
	}
	return nil
}

func (e *early) Plan(f *media.Fragment) func(context.Context, func(media.Image) error) (media.Outcome, error) {
	first, again := 0, e.begun[f.Number]
	if again != nil {
		first = 1
	}
	return func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error) {
		if f.Number == e.wrong {
			if err := again(ctx); err != nil {
				return media.Outcome{}, err
			}
			first = 0
		}
		for i := first; i < 2; i++ {
			if err := emit(e.image(f.Number, "a", i)); err != nil {
				return media.Outcome{}, err
			}
		}
		for i := range 2 { // a sink that takes one image at a time gets none before
			if err := emit(e.image(f.Number, "serial", i)); err != nil {
				return media.Outcome{}, err
			}
		}
		return media.Outcome{}, nil
	}
}

func TestImagesLeaveBeforeTheirFragmentEnds(t *testing.T) {
	fragment := func(number string) *media.Fragment {
		return &media.Fragment{Stream: "cam", Number: number, MKV: make([]byte, 10), MillisBehindNow: -1}
	}
	lost := func(number string) error {
		return &media.GapError{Gap: media.Gap{Stream: "cam", FragmentNumber: number, Reason: media.GapMissing}, Err: errors.New("lost")}
	}
	for name, test := range map[string]struct {
		steps []any
		wrong string
		// ahead are the fragments of which an image was written before Next returned them.
		ahead []string
		ended map[string]int // images by fragment that ended
	}{
		"whole":                      {[]any{"1", "1", fragment("1"), fragment("2"), "3", fragment("3")}, "", []string{"1", "3"}, map[string]int{"1": 2, "2": 2, "3": 2}},
		"lost":                       {[]any{"1", lost("1"), "2", fragment("2")}, "", []string{"1", "2"}, map[string]int{"2": 2}},
		"a hole before":              {[]any{"1", lost(""), fragment("1")}, "", []string{"1"}, map[string]int{"1": 2}},
		"another comes":              {[]any{"1", "2", fragment("2")}, "", []string{"1", "2"}, map[string]int{"2": 2}},
		"another comes as a whole":   {[]any{"1", fragment("2")}, "", []string{"1"}, map[string]int{"2": 2}},
		"contradicted":               {[]any{"1", fragment("1"), "2", fragment("2")}, "1", []string{"1", "2"}, map[string]int{"1": 2, "2": 2}},
		"the stream ends inside":     {[]any{fragment("1"), "2"}, "", []string{"2"}, map[string]int{"1": 2}},
		"the source fails inside":    {[]any{fragment("1"), "2", errors.New("broken")}, "", []string{"2"}, map[string]int{"1": 2}},
		"nothing arrives by itself":  {[]any{fragment("1"), fragment("2")}, "", nil, map[string]int{"1": 2, "2": 2}},
		"lost, and then there again": {[]any{"1", lost("1"), fragment("2")}, "", []string{"1"}, map[string]int{"2": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &telling{steps: test.steps}
				var mu sync.Mutex
				var ahead []string
				returned := map[string]bool{}
				count := func(_ context.Context, img media.Image) error {
					mu.Lock()
					defer mu.Unlock()
					if !returned[img.FragmentNumber] && img.Index == 0 {
						ahead = append(ahead, img.FragmentNumber)
						returned[img.FragmentNumber] = true
					}
					return nil
				}
				ended := map[string]int{}
				sinks := []Sink{&receipts{Sink: NewFuncSink("a", 4, count), ended: ended}, NewFuncSink("serial", 1, func(context.Context, media.Image) error { return nil })}
				planner := &early{fan: fan{sinks: []string{"a", "serial"}}, wrong: test.wrong, begun: map[string]func(context.Context) error{}}
				noting := &notedSource{telling: src, note: func(number string) {
					mu.Lock()
					defer mu.Unlock()
					returned[number] = true
				}}
				o := quiet()
				o.Ahead = true
				_, err := Run(t.Context(), Stream{Name: "cam", Source: noting, Planner: planner, Sinks: sinks}, o)
				if fails := name == "the source fails inside"; (err != nil) != fails {
					t.Fatal(err)
				}
				if !slices.Equal(ahead, test.ahead) || !maps.Equal(ended, test.ended) {
					t.Errorf("images of %v came before, fragments ended with %v; want %v and %v", ahead, ended, test.ahead, test.ended)
				}
			})
		})
	}
}

// notedSource notes which fragments a source has returned.
type notedSource struct {
	*telling
	note func(number string)
}

func (s *notedSource) Next(ctx context.Context) (*media.Fragment, error) {
	f, err := s.telling.Next(ctx)
	if f != nil {
		s.note(f.Number)
	}
	return f, err
}

// receipts notes how many images fragments had when they ended.
type receipts struct {
	Sink
	ended map[string]int
}

func (r *receipts) Forget(stream, number string) { r.Sink.(Forgetter).Forget(stream, number) }

func (r *receipts) EndFragment(ctx context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	return r.Sink.EndFragment(ctx, f, func(receipt media.Receipt) {
		r.ended[f.Number] = receipt.Written
		durable(receipt)
	})
}
