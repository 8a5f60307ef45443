package sink_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// silent is a live stream with groups of 5 minutes, and what its sink has reported.
type silent struct {
	*sink.Writer
	store *sink.Mem
	mu    sync.Mutex
	ended []string // the fragments that are reported
	borders
}

// borders keeps what a later run must know.
type borders struct {
	at   atomic.Pointer[string] // the last one; nil for none
	wait chan struct{}          // is closed when they are kept; nil if that takes no time
}

func (b *borders) keep(ctx context.Context, number string) error {
	b.at.Store(&number)
	if b.wait != nil {
		select {
		case <-b.wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func newSilent(t *testing.T, store sink.Store, memory *sink.Mem) *silent {
	t.Helper()
	c := named("groups")
	inGroups(sink.Group{Every: 5 * time.Minute})(&c)
	s, err := sink.New(c, store, sink.Options{RunID: "run-7", Endless: true})
	if err != nil {
		t.Fatal(err)
	}
	live := &silent{store: memory}
	live.Writer = s.Continue(sink.Continuation{RunID: "run-7", KeepEnd: live.keep})
	return live
}

// give writes a fragment with an image, which was taken at a time in s.
func (s *silent) give(ctx context.Context, n, at int) error {
	return errors.Join(s.Write(ctx, sample(n, 0, 1000*at)), s.end(ctx, n))
}

func (s *silent) end(ctx context.Context, n int) error {
	return s.EndFragment(ctx, &media.Fragment{Stream: "front-door", Number: fmt.Sprint(n)}, func(media.Receipt) {
		s.mu.Lock()
		s.ended = append(s.ended, fmt.Sprint(n))
		s.mu.Unlock()
	})
}

func (s *silent) reported() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ended)
}

// groups returns the names of the groups that are complete.
func (s *silent) groups() (names []string) {
	for _, key := range s.store.Keys() {
		if name, ok := strings.CutSuffix(key, ".txt"); ok {
			names = append(names, name)
		}
	}
	return names
}

func TestTheGroupOfASilentStreamIsCompleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := sink.NewMem()
		s := newSilent(t, memory, memory)
		s.wait = make(chan struct{})
		ctx := t.Context()
		if err := errors.Join(s.give(ctx, 1, 0), s.give(ctx, 2, 10)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5*time.Minute - time.Second)
		if err := s.end(ctx, 3); err != nil { // has no image
			t.Fatal(err)
		}
		if len(s.groups()) > 0 || len(s.reported()) > 0 || s.at.Load() != nil {
			t.Errorf("before the time: %q, reported %q", s.groups(), s.reported())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if at := s.at.Load(); at == nil || *at != "3" || len(memory.Keys()) > 0 || len(s.reported()) > 0 {
			t.Fatalf("before the checkpoint has the border: %q, reported %q, border %v", memory.Keys(), s.reported(), at)
		}
		// What was taken before the border of the grid, and comes now, is in another group, when the checkpoint has the border.
		written := make(chan error, 1)
		go func() { written <- s.give(ctx, 4, 20) }()
		synctest.Wait()
		select {
		case err := <-written:
			t.Errorf("the next group did not wait: %v", err)
		default:
		}
		close(s.wait)
		synctest.Wait()
		if got := s.groups(); !slices.Equal(got, []string{"1_000000"}) || !slices.Equal(s.reported(), []string{"1", "2", "3"}) {
			t.Fatalf("after the time: %q, reported %q", got, s.reported())
		}
		if err := errors.Join(<-written, s.give(ctx, 5, 30), s.Finish(ctx)); err != nil {
			t.Fatal(err)
		}
		if got := s.groups(); !slices.Equal(got, []string{"1_000000", "4_000000"}) || !slices.Equal(s.reported(), []string{"1", "2", "3", "4", "5"}) {
			t.Errorf("in the end: %q, reported %q", got, s.reported())
		}
		time.Sleep(time.Hour)
	})
}

func TestNoGroupIsCompletedInsideAFragment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := sink.NewMem()
		s := newSilent(t, memory, memory)
		ctx := t.Context()
		if err := errors.Join(s.give(ctx, 1, 0), s.Write(ctx, sample(2, 0, 10_000))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(s.groups()) > 0 {
			t.Errorf("inside a fragment: %q", s.groups())
		}
		if err := s.end(ctx, 2); err != nil || len(s.groups()) != 1 || s.at.Load() == nil {
			t.Errorf("at its end: %q, %v", s.groups(), err)
		}
		if err := s.Finish(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestTroubleOfASilentStream has the store fail when the group of a silent stream is completed: for a while, or for good. Meanwhile the run ends, or
// an image comes.
func TestTroubleOfASilentStream(t *testing.T) {
	down := errors.New("down")
	for name, test := range map[string]struct {
		err  error
		then func(ctx context.Context, s *silent) error
		// what is there in the end
		fails  error
		groups []string
	}{
		"for a while, and the stream ends":   {refused{true}, func(ctx context.Context, s *silent) error { return s.Finish(ctx) }, nil, []string{"1_000000"}},
		"for a while, and it is interrupted": {refused{true}, func(context.Context, *silent) error { return nil }, nil, nil},
		"for a while, and an image comes": {refused{true}, func(ctx context.Context, s *silent) error {
			return errors.Join(s.give(ctx, 2, 10), s.Finish(ctx))
		}, nil, []string{"1_000000", "2_000000"}},
		"for good, and the stream ends":  {down, func(ctx context.Context, s *silent) error { return s.Finish(ctx) }, down, nil},
		"for good, and an image comes":   {down, func(ctx context.Context, s *silent) error { return s.give(ctx, 2, 10) }, down, nil},
		"for good, and a fragment comes": {down, func(ctx context.Context, s *silent) error { return s.end(ctx, 2) }, down, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newOutage()
				s := newSilent(t, store, store.Mem)
				if err := s.give(t.Context(), 1, 0); err != nil {
					t.Fatal(err)
				}
				store.set(test.err)
				time.Sleep(6 * time.Minute)
				synctest.Wait()
				if len(s.groups()) > 0 {
					t.Errorf("the store is down, and has %q", s.groups())
				}
				if test.fails != nil {
					store.set(nil) // and what was lost is not made good
				}
				began := time.Now()
				if name != "for a while, and it is interrupted" {
					time.AfterFunc(10*time.Minute, func() { store.set(nil) })
				}
				err := test.then(t.Context(), s)
				if !errors.Is(err, test.fails) {
					t.Errorf("error %v, want %v", err, test.fails)
				}
				if err != nil || len(test.groups) == 0 {
					if err := s.Abandon(); err != nil || time.Since(began) > 10*time.Second {
						t.Errorf("abandoned after %v: %v", time.Since(began), err)
					}
				}
				if got := s.groups(); !slices.Equal(got, test.groups) {
					t.Errorf("groups %q, want %q", got, test.groups)
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

// outage is a store whose operations fail while it has an error.
type outage struct {
	failing
	err atomic.Pointer[error]
}

func newOutage() *outage {
	s := &outage{failing: failing{Mem: sink.NewMem()}}
	s.pass = func() error {
		if err := s.err.Load(); err != nil {
			return *err
		}
		return nil
	}
	return s
}

func (s *outage) set(err error) { s.err.Store(&err) }

// TestOtherStreamsAreNotCompletedEarly has one that is no live stream.
func TestOtherStreamsAreNotCompletedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := sink.NewMem()
		s := &silent{Writer: newSink(t, memory, inGroups(sink.Group{Every: 5 * time.Minute})).NewWriter(), store: memory}
		if err := s.give(t.Context(), 1, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := s.give(t.Context(), 2, 10); err != nil || len(s.groups()) > 0 || s.at.Load() != nil {
			t.Errorf("%q, %v", s.groups(), err)
		}
		if err := s.Finish(t.Context()); err != nil || len(maps.Collect(slices.All(s.groups()))) != 1 {
			t.Errorf("%q, %v", s.groups(), err)
		}
	})
}

// TestARunThatIsKilledInSilenceIsContinuedBehindItsBorder kills a run at each operation of the store with which it completes what a silent stream has
// left. What was taken before the border of the grid then comes, and the next run reads all of that without a pause.
func TestARunThatIsKilledInSilenceIsContinuedBehindItsBorder(t *testing.T) {
	for _, ifExists := range []sink.IfExists{sink.IfExistsOverwrite, sink.IfExistsSkip, sink.IfExistsFail} {
		for _, groups := range []bool{false, true} {
			var want map[string]string
			killed := 0
			for n, over := 0, false; !over; n++ {
				for _, done := range []bool{false, true} {
					synctest.Test(t, func(t *testing.T) {
						c := named("thumbs")
						if groups {
							inGroups(sink.Group{Every: 5 * time.Minute})(&c)
						}
						inParts(5 * time.Minute)(&c)
						c.Destination.IfExists = ifExists
						memory, state, last := sink.NewMem(), borders{}, 0
						run := func(store sink.Store, silent bool) error {
							s, err := sink.New(c, store, sink.Options{RunID: "run-7", Endless: true})
							if err != nil {
								t.Fatal(err)
							}
							next := sink.Continuation{RunID: "run-7", KeepEnd: state.keep}
							if at := state.at.Load(); at != nil {
								next.Ends = *at
							}
							w := s.Continue(next)
							for f := last + 1; f <= 6; f++ {
								if silent && f == 4 {
									time.Sleep(6 * time.Minute)
									synctest.Wait()
								}
								if err := (piece{f, 1000 * f, f % 3}).give(t.Context(), w, func(media.Receipt) { last = max(last, f) }); err != nil {
									return errors.Join(err, w.Abandon())
								}
							}
							return w.Finish(t.Context())
						}
						if n > 0 {
							err := run(newDeadly(memory, n, done), true)
							if err != nil && !errors.Is(err, errDead) {
								t.Fatal(err)
							}
							if over = err == nil; !over {
								killed++
							}
							if state.at.Load() == nil { // it did not live to see the silence
								return
							}
						}
						if err := run(memory, n == 0); err != nil {
							t.Errorf("%s, killed at operation %d (done: %t): %v", ifExists, n, done, err)
						}
						got := objectsOf(memory)
						if want == nil {
							want = got
						}
						if !maps.Equal(got, want) || last != 6 {
							t.Errorf("%s, killed at operation %d (done: %t), last %d:\n%q\nwant\n%q", ifExists, n, done, last, got, want)
						}
						time.Sleep(time.Hour)
					})
				}
			}
			if killed < 10 {
				t.Errorf("killed %d times", killed)
			}
		}
	}
}

// TestWhatIsOpenTakesHalfOfTheRetention has streams whose producer's clock stands still, so that no point of a grid ends anything. Images come each minute.
func TestWhatIsOpenTakesHalfOfTheRetention(t *testing.T) {
	for _, test := range []struct {
		name          string
		groups, parts time.Duration // every
		kept          time.Duration
		want          []string // the first images of the groups, or of the parts
	}{
		{"groups", 5 * time.Minute, 0, time.Hour, []string{"0", "30", "60"}},
		{"groups, of a stream that keeps more", 5 * time.Minute, 0, 10 * time.Hour, []string{"0"}},
		{"groups, of which nobody knows", 5 * time.Minute, 0, 0, []string{"0"}},
		{"parts", 0, 5 * time.Minute, time.Hour, []string{"0", "30", "60"}},
		{"groups, and parts of twice the time", 5 * time.Minute, 10 * time.Minute, time.Hour, []string{"0", "10", "20", "30", "40", "50", "60", "70"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := named("thumbs")
				if test.groups > 0 {
					inGroups(sink.Group{Every: test.groups})(&c)
				}
				inParts(test.parts)(&c)
				store, began := sink.NewMem(), time.Now()
				open := func(ended int) *sink.Writer {
					s, err := sink.New(c, store, sink.Options{RunID: "run-7", Endless: true})
					if err != nil {
						t.Fatal(err)
					}
					w := s.Continue(sink.Continuation{RunID: "run-7", After: &media.Place{Number: fmt.Sprint(ended)}})
					w.Within(test.kept)
					return w
				}
				give := func(w *sink.Writer, i int, reported func()) {
					t.Helper()
					img := sample(i, 0, 0)
					img.ServerTime = began.Add(time.Duration(i) * time.Minute)
					f := &media.Fragment{Stream: img.Stream, Number: img.FragmentNumber, ProducerTime: img.ProducerTime, ServerTime: img.ServerTime}
					if err := errors.Join(w.Write(t.Context(), img), w.EndFragment(t.Context(), f, func(media.Receipt) { reported() })); err != nil {
						t.Fatal(err)
					}
				}
				w, last := open(0), 0
				for i := range 75 {
					give(w, i, func() { last++ })
					if most := test.kept / 2; most > 0 && time.Duration(i-last)*time.Minute > most {
						t.Errorf("at minute %d the first fragment that is not durable is %d", i, last)
					}
					time.Sleep(time.Minute - time.Millisecond)
				}
				if err := w.Abandon(); err != nil {
					t.Fatal(err)
				}
				w = open(last - 1) // which reads what is in the stream, at once
				for i := last; i < 75; i++ {
					give(w, i, func() {})
				}
				if err := w.Finish(t.Context()); err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, key := range store.Keys() {
					if test.groups > 0 && strings.HasSuffix(key, ".txt") || test.groups == 0 && strings.HasPrefix(key, "manifest/") {
						name, _, _ := strings.Cut(path.Base(key), "_")
						got = append(got, name)
					}
				}
				if slices.Sort(got); !slices.Equal(got, test.want) {
					t.Errorf("%q, want %q", got, test.want)
				}
			})
		})
	}
}

// TestTheSilenceBeforeHalfOfTheRetentionIsShorter has a stream fall silent when its group has taken nearly half of the retention.
func TestTheSilenceBeforeHalfOfTheRetentionIsShorter(t *testing.T) {
	for at, want := range map[int]time.Duration{10: 5 * time.Minute, 27: 3 * time.Minute, 29: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			memory := sink.NewMem()
			s := newSilent(t, memory, memory)
			s.Within(time.Hour)
			for i := range at + 1 {
				if i > 0 {
					time.Sleep(time.Minute)
				}
				if err := s.give(t.Context(), i, 0); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			for len(s.groups()) == 0 {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			if got := time.Since(began); got != want {
				t.Errorf("silent after %d minutes: the group is complete after %v, want %v", at, got, want)
			}
			if err := s.Finish(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Hour)
		})
	}
}
