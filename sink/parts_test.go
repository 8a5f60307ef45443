package sink_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// piece is a fragment of a number and a time in ms, with so many images.
type piece struct{ n, at, images int }

func (p piece) fragment() *media.Fragment {
	at := time.UnixMilli(int64(p.at)).UTC()
	return &media.Fragment{Stream: "front-door", Number: fmt.Sprint(p.n), ProducerTime: at, ServerTime: at.Add(30 * time.Second)}
}

// give gives a fragment to a writer, as a run does.
func (p piece) give(ctx context.Context, w *sink.Writer, reported func(media.Receipt)) error {
	for i := range p.images {
		if err := w.Write(ctx, sample(p.n, i, p.at+100*i)); err != nil {
			return err
		}
	}
	return w.EndFragment(ctx, p.fragment(), reported)
}

// inParts makes a sink one whose parts have several fragments.
func inParts(every time.Duration) func(c *sink.Config) {
	return func(c *sink.Config) {
		c.Path, c.Manifest.Path, c.Ledger.Path = "{fragment_number}_{frame_index}.{ext}", "manifest/{fragment_number}_{producer_time}", "gaps/{fragment_number}"
		c.Manifest.Every = every
	}
}

// partsOf returns the fragments of the records in each manifest part of a store, in order, by its key.
func partsOf(t *testing.T, store *sink.Mem) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range store.Keys() {
		if !strings.HasPrefix(key, "manifest/") {
			continue
		}
		o, err := store.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for line := range bytes.Lines(o.Body) {
			var r sink.ManifestRecord
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Get(r.Key); err != nil {
				t.Errorf("%s names %s: %v", key, r.Key, err)
			}
			names = append(names, r.FragmentNumber)
		}
		all[strings.TrimPrefix(key, "manifest/")] = strings.Join(names, " ")
	}
	return all
}

func TestPartsBeginWhereTheStreamSaysSo(t *testing.T) {
	for _, test := range []struct {
		name  string
		clock media.Clock
		given []piece
		want  map[string]string
	}{
		{
			"a grid from the Unix epoch", media.ClockProducer,
			[]piece{{1, 59_000, 1}, {2, 59_999, 2}, {3, 60_000, 1}, {4, 119_950, 2}, {5, 120_000, 1}},
			map[string]string{"1_19700101T000059_000Z": "1 2 2", "3_19700101T000100_000Z": "3 4 4", "5_19700101T000200_000Z": "5"},
		},
		{
			"the server's clock", media.ClockServer,
			[]piece{{1, 29_000, 1}, {2, 30_000, 1}, {3, 61_000, 1}},
			map[string]string{"1_19700101T000029_000Z": "1", "2_19700101T000030_000Z": "2 3"},
		},
		{
			"fragments without images", media.ClockProducer,
			[]piece{{1, 0, 0}, {2, 1000, 0}, {3, 2000, 1}, {4, 3000, 0}, {5, 4000, 1}, {6, 60_000, 0}, {7, 61_000, 0}, {8, 62_000, 1}},
			map[string]string{"3_19700101T000002_000Z": "3 5", "8_19700101T000102_000Z": "8"},
		},
		{
			"a clock that is set back", media.ClockProducer,
			[]piece{{1, 10_000, 1}, {2, 20_000, 1}, {3, 18_999, 1}, {4, 18_000, 1}, {5, 10_000, 0}, {6, 10_000, 1}},
			map[string]string{"1_19700101T000010_000Z": "1 2", "3_19700101T000018_999Z": "3 4", "6_19700101T000010_000Z": "6"},
		},
		{
			"rounding into the cell before", media.ClockProducer,
			[]piece{{1, 60_000, 1}, {2, 59_900, 1}, {3, 60_100, 1}},
			map[string]string{"1_19700101T000100_000Z": "1 2 3"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := sink.NewMem()
			w := newSink(t, store, func(c *sink.Config) {
				inParts(time.Minute)(c)
				c.Clock = test.clock
			}).NewWriter()
			for _, p := range test.given {
				if err := p.give(t.Context(), w, func(media.Receipt) {}); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := partsOf(t, store); !maps.Equal(got, test.want) {
				t.Errorf("parts %q, want %q", got, test.want)
			}
		})
	}
}

// TestAFragmentIsReportedWithItsPart looks when fragments are reported: those without images at once while no part is open, the others when
// theirs is written.
func TestAFragmentIsReportedWithItsPart(t *testing.T) {
	store := sink.NewMem()
	w := newSink(t, store, inParts(time.Minute)).NewWriter()
	var reported []string
	written := 0
	step := func(p piece, want string, parts int) {
		t.Helper()
		err := p.give(t.Context(), w, func(r media.Receipt) {
			reported, written = append(reported, fmt.Sprint(p.n)), written+r.Written
		})
		if got := strings.Join(reported, " "); err != nil || got != want || len(partsOf(t, store)) != parts {
			t.Errorf("after fragment %d %q are reported, want %q; %d parts, want %d (%v)", p.n, got, want, len(partsOf(t, store)), parts, err)
		}
	}
	step(piece{1, 0, 0}, "1", 0)
	step(piece{2, 1000, 2}, "1", 0)
	step(piece{3, 2000, 0}, "1", 0)
	step(piece{4, 3000, 1}, "1", 0)
	step(piece{5, 60_000, 0}, "1 2 3 4 5", 1)
	step(piece{6, 61_000, 1}, "1 2 3 4 5", 1)
	if err := w.Abandon(); err != nil || len(reported) != 5 || written != 3 || len(partsOf(t, store)) != 1 {
		t.Errorf("abandoned: %q with %d images, %v", reported, written, err)
	}
}

// TestThePartOfGroupsEndsWithTheGroup has parts and groups of the same length: a part does not wait for the group after it.
func TestThePartOfGroupsEndsWithTheGroup(t *testing.T) {
	store := sink.NewMem()
	w := newSink(t, store, func(c *sink.Config) {
		inGroups(sink.Group{Every: time.Minute})(c)
		inParts(time.Minute)(c)
	}).NewWriter()
	reported := 0
	for _, p := range []piece{{1, 0, 1}, {2, 30_000, 1}, {3, 60_000, 1}} {
		if err := p.give(t.Context(), w, func(media.Receipt) { reported++ }); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"1_19700101T000000_000Z": "1 2"}
	if got := partsOf(t, store); !maps.Equal(got, want) || reported != 2 {
		t.Errorf("parts %q, want %q; %d reported", got, want, reported)
	}
	if err := w.Abandon(); err != nil || reported != 2 {
		t.Errorf("abandoned: %d reported, %v", reported, err)
	}
}

// TestARunThatContinuesMakesTheSameParts stops after each fragment, as a process that is killed does, and continues where the reports say: with an
// object for each image, and with groups that span fragments and end inside them.
func TestARunThatContinuesMakesTheSameParts(t *testing.T) {
	var all []piece
	for n := range 14 {
		all = append(all, piece{n + 1, n * 1000, n % 4})
	}
	all[9].at -= 5000 // the clock is set back
	for _, groups := range []*sink.Group{nil, {Every: time.Hour, Count: 1}, {Every: time.Hour, Count: 2}, {Every: time.Hour, Count: 7}, {Every: 3 * time.Second}, {Every: time.Hour}} {
		run := func(stops ...int) map[string]string {
			store := sink.NewMem()
			s := newSink(t, store, func(c *sink.Config) {
				if groups != nil {
					inGroups(*groups)(c)
				}
				inParts(4 * time.Second)(c)
			})
			last, split := 0, media.Split{}
			counted := 0
			for _, stop := range append(stops, len(all)) {
				w := s.Continue(sink.Continuation{RunID: "run-7", Split: split})
				var err error
				for _, p := range all[last:max(last, stop)] {
					err = errors.Join(err, p.give(t.Context(), w, func(r media.Receipt) {
						last, split, counted = last+1, r.Next, counted+r.Written
					}))
				}
				if stop == len(all) {
					err = errors.Join(err, w.Finish(t.Context()))
				} else {
					err = errors.Join(err, w.Abandon())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if want := 3*(1+2+3) + 1; counted != want || last != len(all) {
				t.Errorf("groups %+v, stopped at %v: %d images of %d fragments were reported, want %d of %d", groups, stops, counted, last, want, len(all))
			}
			if parts := partsOf(t, store); len(parts) == 0 {
				t.Errorf("groups %+v: no parts", groups)
			}
			return objectsOf(store)
		}
		want := run()
		for first := range all {
			for _, second := range []int{first, min(first+1, len(all)-1), len(all) - 1} {
				if got := run(first, second); !maps.Equal(got, want) {
					t.Errorf("groups %+v, stopped at %d and %d:\n%q\nwant\n%q", groups, first, second, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
				}
			}
		}
	}
}

// TestEachPlaceOfTheReceiptsIsOneToContinueFrom writes a stream, and continues it after each receipt: a checkpoint may be written between any two.
func TestEachPlaceOfTheReceiptsIsOneToContinueFrom(t *testing.T) {
	var all []piece
	for n := range 14 {
		all = append(all, piece{n + 1, n * 1000, n % 4})
	}
	for _, every := range []time.Duration{0, 4 * time.Second} {
		for _, groups := range []*sink.Group{nil, {Every: time.Hour, Count: 2}, {Every: time.Hour, Count: 7}, {Every: 3 * time.Second}, {Every: time.Hour}} {
			store := sink.NewMem()
			s := newSink(t, store, func(c *sink.Config) {
				if groups != nil {
					inGroups(*groups)(c)
				}
				inParts(every)(c)
			})
			type place struct {
				last  int
				split media.Split
			}
			var places []place // as a checkpoint has them, after each receipt
			run := func(from place) {
				w := s.Continue(sink.Continuation{RunID: "run-7", Split: from.split})
				receipts := from.last
				var err error
				for _, p := range all[from.last:] {
					err = errors.Join(err, p.give(t.Context(), w, func(r media.Receipt) {
						if receipts++; !r.More {
							from = place{receipts, r.Next}
						}
						places = append(places, from)
					}))
				}
				if err := errors.Join(err, w.Finish(t.Context())); err != nil || receipts != len(all) || from.last != len(all) {
					t.Fatalf("%d receipts, the last place is %d: %v", receipts, from.last, err)
				}
			}
			run(place{})
			want := objectsOf(store)
			for i, from := range places[:len(all)] {
				if run(from); !maps.Equal(objectsOf(store), want) {
					t.Fatalf("groups %+v, parts of %v, after %d receipts: continued at %+v, there is\n%q\nwant\n%q", groups, every, i+1, from, slices.Sorted(maps.Keys(objectsOf(store))), slices.Sorted(maps.Keys(want)))
				}
			}
		}
	}
}

// TestAPartHasALimit has records of more bytes than a part may have.
func TestAPartHasALimit(t *testing.T) {
	store := sink.NewMem()
	w := newSink(t, store, inParts(time.Hour)).NewWriter()
	long := []media.Tag{{Name: "long", Value: strings.Repeat("x", sink.FullLines/4)}}
	for n := range 8 {
		f := piece{n: n, at: 1000 * n}.fragment()
		f.Tags = long
		if err := errors.Join(w.Write(t.Context(), sample(n, 0, 1000*n)), w.EndFragment(t.Context(), f, func(media.Receipt) {})); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"0_19700101T000000_000Z": "0 1 2", "3_19700101T000003_000Z": "3 4 5", "6_19700101T000006_000Z": "6 7"}
	if got := partsOf(t, store); !maps.Equal(got, want) {
		t.Errorf("parts %q, want %q", got, want)
	}
}

// TestThePartOfASilentStreamIsWritten has a live stream fall silent, with an object for each image and with groups.
func TestThePartOfASilentStreamIsWritten(t *testing.T) {
	for _, groups := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := sink.NewMem()
			c := named("thumbs")
			if groups {
				inGroups(sink.Group{Every: 5 * time.Minute})(&c)
			}
			inParts(5 * time.Minute)(&c)
			s, err := sink.New(c, store, sink.Options{RunID: "run-7", Endless: true})
			if err != nil {
				t.Fatal(err)
			}
			kept := borders{wait: make(chan struct{})}
			w := s.Continue(sink.Continuation{RunID: "run-7", KeepEnd: kept.keep})
			var reported atomic.Int32
			give := func(p piece) error {
				return p.give(t.Context(), w, func(media.Receipt) { reported.Add(1) })
			}
			if err := errors.Join(give(piece{1, 0, 1}), give(piece{2, 10_000, 1})); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5*time.Minute - time.Second)
			if err := give(piece{3, 20_000, 0}); err != nil || reported.Load() > 0 {
				t.Errorf("before the time: %d reported, %v", reported.Load(), err)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if got, at := partsOf(t, store), kept.at.Load(); len(got) > 0 || reported.Load() > 0 || at == nil || *at != "3" {
				t.Fatalf("before the checkpoint has the border %v: %q, %d reported", at, got, reported.Load())
			}
			// What belongs to the same cell and comes now is in another part, when the checkpoint has the border.
			written := make(chan error, 1)
			go func() { written <- errors.Join(give(piece{4, 30_000, 1}), give(piece{5, 300_000, 1})) }()
			close(kept.wait)
			want := map[string]string{"1_19700101T000000_000Z": "1 2"}
			if err := errors.Join(<-written, w.Finish(t.Context())); err != nil {
				t.Fatal(err)
			}
			want["4_19700101T000030_000Z"], want["5_19700101T000500_000Z"] = "4", "5"
			if got := partsOf(t, store); !maps.Equal(got, want) || reported.Load() != 5 {
				t.Errorf("in the end: %q, want %q; %d reported", got, want, reported.Load())
			}
			time.Sleep(time.Hour)
		})
	}
}

// TestTroubleWithThePartOfASilentStream has the store fail for good when the part of a silent stream is due.
func TestTroubleWithThePartOfASilentStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, down := newOutage(), errors.New("down")
		c := named("thumbs")
		inParts(5 * time.Minute)(&c)
		s, err := sink.New(c, store, sink.Options{Endless: true})
		if err != nil {
			t.Fatal(err)
		}
		w := s.NewWriter()
		if err := (piece{1, 0, 1}).give(t.Context(), w, func(media.Receipt) { t.Error("reported") }); err != nil {
			t.Fatal(err)
		}
		store.set(down)
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		store.set(nil)
		if err := (piece{2, 1000, 0}).give(t.Context(), w, func(media.Receipt) { t.Error("reported") }); !errors.Is(err, down) {
			t.Errorf("error %v", err)
		}
		if err := w.Abandon(); err != nil || len(partsOf(t, store.Mem)) > 0 {
			t.Errorf("abandoned: %v, %q", err, partsOf(t, store.Mem))
		}
	})
}
