package kvsframes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/kvsframes/kvsframes/internal/disk/disktest"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
)

// fault is how one call fails.
type fault struct {
	n int // the call, from 1
	// ever reports whether all later calls fail too, done whether the call does its work all the same, and passing whether its error
	// is one that may pass.
	ever, done, passing bool
}

func (f fault) String() string {
	return fmt.Sprintf("call %d fails (for ever: %t, but is done: %t, may pass: %t)", f.n, f.ever, f.done, f.passing)
}

// faults returns each kind of fault of a call.
func faults(n int) (all []fault) {
	for i := range 8 {
		all = append(all, fault{n, i&1 != 0, i&2 != 0, i&4 != 0})
	}
	return all
}

// hits reports whether call n fails.
func (f fault) hits(n int) bool { return n == f.n || f.ever && n > f.n }

func (f fault) err() error {
	if f.passing {
		return fmt.Errorf("a fault: %w", syscall.ENOSPC)
	}
	return fmt.Errorf("a fault: %w", syscall.EIO)
}

// judge checks how a run with a fault ended, and that of the next one, which has none.
func (d *delivery) judge(t *testing.T, f fault, want map[string]string, objects func() (map[string]string, []string), run func() (Summary, error)) {
	t.Helper()
	s, err := run()
	got, _ := objects()
	switch wrong := differences(got, want); {
	case err == nil && (s.ExitCode != 3 || len(wrong) > 0):
		t.Errorf("%v: the run ends with %d, although\n%s", f, s.ExitCode, strings.Join(wrong, "\n"))
	case err != nil && (s.ExitCode != 1 || s.Error == ""):
		t.Errorf("%v: the run ends with %d, %q: %v", f, s.ExitCode, s.Error, err)
	}
	for name, content := range got { // whatever is there is right
		if !strings.Contains(name, ".kvsframes-tmp-") && content != want[name] {
			t.Errorf("%v: %s is wrong", f, name)
		}
	}
	s, err = d.run(t, nil)
	got, unfinished := objects()
	if wrong := differences(got, want); err != nil || len(wrong) > 0 || len(unfinished) > 0 {
		t.Errorf("%v: the next run: %s, %v, unfinished %q:\n%s", f, s.Status, err, unfinished, strings.Join(wrong, "\n"))
	}
}

// every returns the faults that are tried of a number of calls: all when soaking, else one of each few calls, by chance.
func every(t *testing.T, calls, few int) (all []fault) {
	t.Helper()
	rng := soaktest.Rand(t)
	if soaktest.UnderRace {
		few *= 4
	}
	for n := 1; n <= calls; n++ {
		if kinds := faults(n); soaktest.Soaking() {
			all = append(all, kinds...)
		} else if rng.IntN(few) == 0 {
			all = append(all, kinds[rng.IntN(len(kinds))])
		}
	}
	return all
}

// TestNoFaultOfADiskLosesAnything makes operations of the disk fail, which has the images and the checkpoint.
func TestNoFaultOfADiskLosesAnything(t *testing.T) {
	for _, to := range []string{"", ", fsync: true"} {
		d := newDelivery(t, to)
		want, ops := d.undisturbed(t)
		for _, f := range every(t, ops, 6) {
			synctest.Test(t, func(t *testing.T) {
				on := disktest.New(t, d.mount)
				var of disktest.Op // the first that failed
				fail := func(op disktest.Op) error {
					if !f.hits(op.N) {
						return nil
					}
					if of.N == 0 {
						of = op
					}
					return f.err()
				}
				if f.done {
					on.After = fail
				} else {
					on.Before = fail
				}
				d.judge(t, f, want, func() (map[string]string, []string) { return d.objects(on) }, func() (Summary, error) {
					s, err := d.run(t, nil)
					on.Before, on.After = nil, nil
					// What a sync that failed was to write may be lost. An image is written again, a group is not: the next run makes it.
					group := of.Name == "sync" && (strings.HasPrefix(of.Path, "out/rows/") || strings.HasPrefix(of.Path, "out/shards/"))
					if waited := f.passing && !f.ever && strings.HasPrefix(of.Path, "out/") && !group; waited && err != nil || of.Name == "syncfs" && err == nil {
						t.Errorf("%v on %v: %v", f, of, err)
					}
					return s, err
				})
			})
		}
	}
}

// flakyStore is a store in memory whose calls may fail.
type flakyStore struct {
	*sink.Mem
	mu    sync.Mutex
	calls int
	fault fault
}

// call counts a call, which do does, and makes it fail if its turn has come.
func (s *flakyStore) call(do func() error) error {
	s.mu.Lock()
	s.calls++
	hit := s.fault.hits(s.calls)
	s.mu.Unlock()
	if hit && !s.fault.done {
		return s.fault.err()
	}
	if err := do(); err != nil || !hit {
		return err
	}
	return s.fault.err()
}

func (s *flakyStore) Put(ctx context.Context, key string, body []byte, o sink.PutOptions) error {
	return s.call(func() error { return s.Mem.Put(ctx, key, body, o) })
}

func (s *flakyStore) Holds(ctx context.Context, key string, body []byte) (same bool, err error) {
	err = s.call(func() error {
		same, err = s.Mem.Holds(ctx, key, body)
		return err
	})
	return same && err == nil, err
}

func (s *flakyStore) Create(ctx context.Context, key string, o sink.PutOptions) (w sink.ObjectWriter, err error) {
	err = s.call(func() error {
		w, err = s.Mem.Create(ctx, key, o)
		return err
	})
	return &flakyWriter{ObjectWriter: w, store: s}, err
}

// flakyWriter is a writer whose calls may fail. What was done all the same is not done again, as an ObjectWriter promises.
type flakyWriter struct {
	sink.ObjectWriter
	store *flakyStore
	done  bool // by a call that failed
}

func (w *flakyWriter) call(do func() error) error {
	err := w.store.call(func() error {
		if w.done {
			return nil
		}
		err := do()
		w.done = err == nil
		return err
	})
	w.done = w.done && err != nil
	return err
}

func (w *flakyWriter) Write(ctx context.Context, p []byte) error {
	return w.call(func() error { return w.ObjectWriter.Write(ctx, p) })
}

func (w *flakyWriter) Same(ctx context.Context) (same bool, err error) {
	err = w.store.call(func() error {
		same, err = w.ObjectWriter.Same(ctx)
		return err
	})
	return same && err == nil, err
}

func (w *flakyWriter) Commit(ctx context.Context) error {
	return w.call(func() error { return w.ObjectWriter.Commit(ctx) })
}

// objects returns what the store has.
func (s *flakyStore) objects() (all map[string]string, unfinished []string) {
	all = map[string]string{}
	for _, key := range s.Keys() {
		if object, err := s.Get(key); err == nil {
			all[key] = string(object.Body)
		}
	}
	return all, nil
}

// TestNoFaultOfAStoreLosesAnything makes calls of the stores fail, whatever is done with objects that are there already.
func TestNoFaultOfAStoreLosesAnything(t *testing.T) {
	for _, ifExists := range []string{"overwrite", "skip", "fail"} {
		d := newDelivery(t, ", if_exists: "+ifExists)
		var want map[string]string
		calls := 0
		once := func(f fault, then func(t *testing.T, s *flakyStore)) {
			synctest.Test(t, func(t *testing.T) {
				disktest.New(t, d.mount) // for the checkpoint
				s := &flakyStore{Mem: sink.NewMem(), fault: f}
				d.store = s
				then(t, s)
			})
		}
		once(fault{}, func(t *testing.T, s *flakyStore) {
			sum, err := d.run(t, nil)
			if want, _ = s.objects(); err != nil || sum.Status != pipeline.StatusGaps || len(want) < 20 {
				t.Fatalf("an undisturbed run gives %v, %v, %q", sum, err, s.Keys())
			}
			calls = s.calls
		})
		for _, f := range every(t, calls, 4) {
			once(f, func(t *testing.T, s *flakyStore) {
				d.judge(t, f, want, s.objects, func() (Summary, error) {
					sum, err := d.run(t, nil)
					if f.passing && !f.ever && err != nil {
						t.Errorf("%v: %v", f, err)
					}
					s.fault = fault{n: -1}
					return sum, err
				})
			})
		}
	}
}

// TestNoFaultOfASourceLosesAnything makes calls of the source fail: opening it, reading, and closing it.
func TestNoFaultOfASourceLosesAnything(t *testing.T) {
	d := newDelivery(t, "")
	want, _ := d.undisturbed(t)
	calls := 0
	synctest.Test(t, func(t *testing.T) {
		disktest.New(t, d.mount)
		if _, err := d.run(t, func() error { calls++; return nil }); err != nil || calls < 7 {
			t.Fatalf("%d calls, %v", calls, err)
		}
	})
	for n := 1; n <= calls; n++ {
		for _, f := range faults(n)[:2] { // it says itself whether it waits
			synctest.Test(t, func(t *testing.T) {
				on := disktest.New(t, d.mount)
				d.judge(t, f, want, func() (map[string]string, []string) { return d.objects(on) }, func() (Summary, error) {
					done := 0
					s, err := d.run(t, func() error {
						if done++; f.hits(done) {
							return errors.New("a fault")
						}
						return nil
					})
					if err == nil {
						t.Errorf("%v: no error", f)
					}
					return s, err
				})
			})
		}
	}
}

// refusing is a store that refuses the keys with some text.
type refusing struct {
	*sink.Mem
	text string
}

func (s refusing) Put(ctx context.Context, key string, body []byte, o sink.PutOptions) error {
	if s.text != "" && strings.Contains(key, s.text) {
		return fmt.Errorf("put %s: %w", key, syscall.EIO)
	}
	return s.Mem.Put(ctx, key, body, o)
}

// TestAnObjectWithoutARecordDoesNotCount has the images of a fragment stored, but not its part of the manifest.
func TestAnObjectWithoutARecordDoesNotCount(t *testing.T) {
	d := newDelivery(t, "")
	synctest.Test(t, func(t *testing.T) {
		disktest.New(t, d.mount)
		second := d.tape.fragments[1].Number
		store := &refusing{sink.NewMem(), "manifest/all/" + second}
		d.store = store
		images := func() (n int) {
			for _, key := range store.Keys() {
				if strings.HasPrefix(key, "all/"+second) {
					n++
				}
			}
			return n
		}
		const each = 4 // images of a fragment
		s, err := d.run(t, nil)
		if written := s.Streams["cam"].FramesWritten["all"]; err == nil || s.ExitCode != 1 || written != each || images() != each {
			t.Errorf("%d images count, %d of the fragment are there, exit code %d: %v", written, images(), s.ExitCode, err)
		}
		store.text = ""
		s, err = d.run(t, nil)
		if written := s.Streams["cam"].FramesWritten["all"]; err != nil || written != 3*each || images() != each {
			t.Errorf("then %d images count, %d of the fragment are there: %v", written, images(), err)
		}
	})
}

// TestASinkThatCouldNotSyncStaysWhereItIs fails to write back what a sink has put, each time in turn, and cuts the power after the run.
func TestASinkThatCouldNotSyncStaysWhereItIs(t *testing.T) {
	d := newDelivery(t, "")
	want, _ := d.undisturbed(t)
	rng := soaktest.Rand(t)
	for n, last := 1, false; !last; n++ {
		synctest.Test(t, func(t *testing.T) {
			on := disktest.New(t, d.mount)
			syncs := 0
			on.Before = func(op disktest.Op) error {
				if op.Name != "syncfs" {
					return nil
				}
				if syncs++; syncs == n {
					return syscall.EIO
				}
				return nil
			}
			s, err := d.run(t, nil)
			if last = syncs < n; last == (err != nil) {
				t.Errorf("sync %d fails: exit code %d: %v", n, s.ExitCode, err)
			}
			on = on.Cut(t, rng)
			s, err = d.run(t, nil)
			got, unfinished := d.objects(on)
			if wrong := differences(got, want); err != nil || len(wrong) > 0 || len(unfinished) > 0 {
				t.Errorf("sync %d fails, the next run: %s, %v, unfinished %q:\n%s", n, s.Status, err, unfinished, strings.Join(wrong, "\n"))
			}
		})
	}
}
