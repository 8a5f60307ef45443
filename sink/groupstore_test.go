package sink_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// threeGroups are fragments of images, of which each two are a group. The second and the third group begin inside a fragment.
func threeGroups() (all []media.Image) {
	for i, f := range []int{1, 1, 1, 2, 2, 3} {
		all = append(all, sample(f, i, i*100))
	}
	return all
}

// inPairs makes a sink one of groups of two images.
func inPairs(ifExists sink.IfExists) func(c *sink.Config) {
	return func(c *sink.Config) {
		inGroups(sink.Group{Every: time.Hour, Count: 2})(c)
		c.Destination.IfExists = ifExists
	}
}

// counting is a store that counts the writers that are neither committed nor abandoned.
type counting struct {
	*sink.Mem
	open int
}

func (s *counting) Create(ctx context.Context, key string, opts sink.PutOptions) (sink.ObjectWriter, error) {
	w, err := s.Mem.Create(ctx, key, opts)
	s.open++
	return &counted{ObjectWriter: w, store: s}, err
}

type counted struct {
	sink.ObjectWriter
	store *counting
	ended bool
}

func (w *counted) end() {
	if !w.ended {
		w.ended = true
		w.store.open--
	}
}

func (w *counted) Commit(ctx context.Context) error {
	err := w.ObjectWriter.Commit(ctx)
	if err == nil {
		w.end()
	}
	return err
}

func (w *counted) Abandon() error {
	w.end()
	return w.ObjectWriter.Abandon()
}

// TestGroupsThatAreThereAlready puts objects in the place of the second of three groups, or of what is beside it.
func TestGroupsThatAreThereAlready(t *testing.T) {
	const key, beside = "1_000002.txt", "1_000002.idx"
	whole := sink.NewMem()
	w := newSink(t, whole, inPairs(sink.IfExistsOverwrite)).NewWriter()
	if err := errors.Join(deliver(t.Context(), w, threeGroups(), nobody), w.Finish(t.Context())); err != nil {
		t.Fatal(err)
	}
	want := objectsOf(whole)
	for _, test := range []struct {
		name             string
		there            map[string]string
		skipped, differs bool
		also             bool // whether fail is an error
	}{
		{"nothing", nil, false, false, false},
		{"the same", map[string]string{key: want[key], beside: want[beside]}, true, false, true},
		{"the same object alone", map[string]string{key: want[key]}, true, false, true},
		{"the same object, and another one beside it", map[string]string{key: want[key], beside: "other"}, true, false, true},
		{"another object", map[string]string{key: "other", beside: "other"}, true, true, true},
		{"another object alone", map[string]string{key: "other"}, true, true, true},
		{"another object of the same size", map[string]string{key: strings.Replace(want[key], "1/2", "7/7", 1)}, true, true, true},
		{"what a run that was killed has left beside it", map[string]string{beside: want[beside]}, false, false, false},
		{"another one beside it", map[string]string{beside: "other"}, true, true, true},
	} {
		for _, ifExists := range []sink.IfExists{sink.IfExistsOverwrite, sink.IfExistsSkip, sink.IfExistsFail} {
			for _, continues := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, %t", test.name, ifExists, continues), func(t *testing.T) {
					store := sink.NewMem()
					for k, body := range test.there {
						if err := store.Put(t.Context(), k, []byte(body), sink.PutOptions{}); err != nil {
							t.Fatal(err)
						}
					}
					writers := &counting{Mem: store}
					s := newSink(t, writers, inPairs(ifExists))
					w := s.NewWriter()
					if continues {
						w = s.Continue(sink.Continuation{RunID: "run-7"})
					}
					var got media.Receipt
					var split media.Split
					err := deliver(t.Context(), w, threeGroups(), func(f string, r media.Receipt) {
						got.Written, got.Skipped = got.Written+r.Written, got.Skipped+r.Skipped
						if f == "1" {
							split = r.Next
						}
					})
					if err = cmpOr(err, func() error { return w.Finish(t.Context()) }); err != nil {
						err = errors.Join(err, w.Abandon())
					}
					if writers.open != 0 {
						t.Errorf("%d writers are open in the end", writers.open)
					}
					ours := continues && !test.differs
					another := test.there[beside] == "other" && ours && ifExists == sink.IfExistsFail
					if fails := ifExists == sink.IfExistsFail && test.also && !ours || another; fails || err != nil {
						if !fails || !errors.Is(err, sink.ErrExist) {
							t.Errorf("error %v", err)
						}
						for k, body := range test.there {
							wantObject(t, store, k, body)
						}
						if o, err := store.Get(key); err == nil && string(o.Body) != test.there[key] {
							t.Errorf("there is %q", o.Body)
						}
						return
					}
					expected := maps.Clone(want)
					skipped, differs := 0, false
					if ifExists != sink.IfExistsOverwrite {
						maps.Copy(expected, test.there)
						if differs = test.differs; differs { // no record of the images, and nothing new beside another object
							for _, k := range []string{key, beside} {
								if _, there := test.there[k]; !there {
									delete(expected, k)
								}
							}
							for part, lines := range expected {
								if strings.HasPrefix(part, "manifest/") {
									kept := slices.DeleteFunc(slices.Collect(strings.Lines(lines)), func(l string) bool { return strings.Contains(l, key) })
									expected[part] = strings.Join(kept, "")
								}
							}
						}
						if test.skipped && !ours {
							skipped = 2
						}
					}
					if found := objectsOf(store); !maps.Equal(found, expected) {
						t.Errorf("there is\n%q, want\n%q", found, expected)
					}
					if got.Skipped != skipped || got.Written != 6-skipped {
						t.Errorf("%+v, want %d skipped", got, skipped)
					}
					if want := (media.Split{Number: "2", Index: 4, Key: key, Differs: differs}); split != want {
						t.Errorf("split %+v, want %+v", split, want)
					}
				})
			}
		}
	}
}

// blind is a store that does not tell what is there.
type blind struct{ *sink.Mem }

func (s blind) Create(ctx context.Context, key string, opts sink.PutOptions) (sink.ObjectWriter, error) {
	w, err := s.Mem.Create(ctx, key, opts)
	return blindWriter{w}, err
}

func (blind) Holds(context.Context, string, []byte) (bool, error) { return false, nil }

type blindWriter struct{ sink.ObjectWriter }

func (blindWriter) Same(context.Context) (bool, error) { return false, sink.ErrUnseen }

// TestAGroupIsStoredWhereNobodyMayLook has a place for the first two of three groups, and another object in that of the third.
func TestAGroupIsStoredWhereNobodyMayLook(t *testing.T) {
	for _, ifExists := range []sink.IfExists{sink.IfExistsSkip, sink.IfExistsFail} {
		store := blind{sink.NewMem()}
		if err := store.Put(t.Context(), "2_000004.txt", []byte("other"), sink.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		w := newSink(t, store, inPairs(ifExists)).NewWriter()
		err := cmpOr(deliver(t.Context(), w, threeGroups(), nobody), func() error { return w.Finish(t.Context()) })
		if fails := ifExists == sink.IfExistsFail; fails != errors.Is(err, sink.ErrExist) || !fails && err != nil {
			t.Errorf("%s: error %v", ifExists, err)
		}
		objects := objectsOf(store.Mem)
		if objects["2_000004.txt"] != "other" || objects["1_000000.txt"] == "" || objects["1_000002.txt"] == "" || strings.Contains(objects["manifest/3"], "2_000004") {
			t.Errorf("%s: %q", ifExists, objects)
		}
	}
}

// TestARunThatContinuesHasNoRecordsOfWhatIsNotThere continues inside a fragment whose earlier images are in a group in whose place another
// object is.
func TestARunThatContinuesHasNoRecordsOfWhatIsNotThere(t *testing.T) {
	for _, differs := range []bool{false, true} {
		store := sink.NewMem()
		w := newSink(t, store, inPairs(sink.IfExistsSkip)).Continue(sink.Continuation{RunID: "run-7", Split: media.Split{Number: "2", Index: 4, Key: "1_000002.txt", Differs: differs}})
		var got media.Receipt
		if err := errors.Join(deliver(t.Context(), w, threeGroups()[3:5], func(_ string, r media.Receipt) { got = r }), w.Finish(t.Context())); err != nil {
			t.Fatal(err)
		}
		o, err := store.Get("manifest/2")
		if lines := strings.Count(string(o.Body), "\n"); err != nil || differs && lines != 1 || !differs && lines != 2 || (got.Skipped == 1) != differs {
			t.Errorf("differs %t: %+v, %v\n%s", differs, got, err, o.Body)
		}
	}
}

// deadly is a store that works until it has done so many operations: the last one is done, or not.
type deadly struct {
	failing
	left int
	done bool
}

var errDead = errors.New("killed")

func newDeadly(store *sink.Mem, left int, done bool) *deadly {
	d := &deadly{failing{Mem: store}, left, done}
	d.pass = func() error {
		if d.left--; d.left < 0 || d.left == 0 && !d.done {
			return errDead
		}
		return nil
	}
	return d
}

func (d *deadly) Put(ctx context.Context, key string, body []byte, opts sink.PutOptions) error {
	return d.after(d.failing.Put(ctx, key, body, opts))
}

// after returns an error if the process did not live to see that there was none.
func (d *deadly) after(err error) error {
	if err == nil && d.left == 0 {
		return errDead
	}
	return err
}

func (d *deadly) Create(ctx context.Context, key string, opts sink.PutOptions) (sink.ObjectWriter, error) {
	w, err := d.failing.Create(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	return &deadlyWriter{w, d}, nil
}

type deadlyWriter struct {
	sink.ObjectWriter
	store *deadly
}

func (w *deadlyWriter) Commit(ctx context.Context) error {
	return w.store.after(w.ObjectWriter.Commit(ctx))
}

// TestARunThatIsKilledWhileItMakesGroupsIsContinued kills a process before and after each operation of the store. Whether it may replace objects or not,
// the next one leaves what an undisturbed run leaves.
func TestARunThatIsKilledWhileItMakesGroupsIsContinued(t *testing.T) {
	for _, ifExists := range []sink.IfExists{sink.IfExistsOverwrite, sink.IfExistsSkip, sink.IfExistsFail} {
		for _, parts := range []time.Duration{0, time.Hour} {
			var want map[string]string
			killed := 0
			for n, over := 0, false; !over; n++ {
				for _, done := range []bool{false, true} {
					memory := sink.NewMem()
					settings := func(c *sink.Config) {
						inPairs(ifExists)(c)
						c.Manifest.Every = parts
						c.Destination.MaxInFlight = 1 // the operations are one after the other
					}
					last, split, written := "", media.Split{}, 0
					run := func(store sink.Store) error {
						w := newSink(t, store, settings).Continue(sink.Continuation{RunID: "run-7", Split: split})
						from := slices.IndexFunc(threeGroups(), func(img media.Image) bool { return media.CompareNumbers(img.FragmentNumber, last) > 0 })
						if from < 0 {
							return nil
						}
						report := func(f string, r media.Receipt) { last, split, written = f, r.Next, written+r.Written }
						return cmpOr(deliver(t.Context(), w, threeGroups()[from:], report), func() error { return w.Finish(t.Context()) })
					}
					var err error
					if n > 0 {
						if err = run(newDeadly(memory, n, done)); err != nil && !errors.Is(err, errDead) {
							t.Fatal(err)
						}
						if over = err == nil; !over {
							killed++
						}
					}
					if err := run(memory); err != nil {
						t.Errorf("%s, killed at operation %d (done: %t): %v", ifExists, n, done, err)
					}
					got := objectsOf(memory)
					if want == nil {
						want = got
					}
					if !maps.Equal(got, want) || len(want) < 7 || written != 6 {
						t.Errorf("%s, killed at operation %d (done: %t), %d images written:\n%q\nwant\n%q", ifExists, n, done, written, got, want)
					}
				}
			}
			if killed < 20 {
				t.Errorf("%s: killed %d times", ifExists, killed)
			}
		}
	}
}

// TestAGroupWhoseCommitWasDoneAllTheSameIsNoFailure has a store that does its work, and then fails in a way that passes.
func TestAGroupWhoseCommitWasDoneAllTheSameIsNoFailure(t *testing.T) {
	for _, ifExists := range []sink.IfExists{sink.IfExistsOverwrite, sink.IfExistsSkip, sink.IfExistsFail} {
		synctest.Test(t, func(t *testing.T) {
			store := &forgetful{Mem: sink.NewMem()}
			w := newSink(t, store, inPairs(ifExists)).NewWriter()
			written := 0
			err := deliver(t.Context(), w, threeGroups(), func(_ string, r media.Receipt) { written += r.Written })
			if err = errors.Join(err, w.Finish(t.Context())); err != nil || written != 6 || store.lost < 10 {
				t.Errorf("%s: %d images written, %d answers lost, %v", ifExists, written, store.lost, err)
			}
		})
	}
}

// forgetful is a store that makes each object, and whose first answer is then lost.
type forgetful struct {
	*sink.Mem
	lost int
}

func (s *forgetful) Put(ctx context.Context, key string, body []byte, opts sink.PutOptions) error {
	return s.lose(s.Mem.Put(ctx, key, body, opts))
}

func (s *forgetful) lose(err error) error {
	if s.lost++; err == nil && s.lost%2 == 1 {
		return refused{true}
	}
	return err
}

func (s *forgetful) Create(ctx context.Context, key string, opts sink.PutOptions) (sink.ObjectWriter, error) {
	w, err := s.Mem.Create(ctx, key, opts)
	return &forgetfulWriter{w, s, key, opts.IfAbsent}, err
}

// forgetfulWriter does not know whether it has made its object.
type forgetfulWriter struct {
	sink.ObjectWriter
	store    *forgetful
	key      string
	ifAbsent bool
}

func (w *forgetfulWriter) Commit(ctx context.Context) error {
	switch _, err := w.store.Get(w.key); {
	case err != nil:
		return w.store.lose(w.ObjectWriter.Commit(ctx))
	case w.ifAbsent:
		return w.store.lose(sink.ErrExist)
	}
	return nil
}

func (w *forgetfulWriter) Same(context.Context) (bool, error) {
	_, err := w.store.Get(w.key)
	return err == nil, err
}
