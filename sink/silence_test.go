package sink_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	kept  atomic.Pointer[chan<- struct{}]
}

func newSilent(t *testing.T, store sink.Store, memory *sink.Mem) *silent {
	t.Helper()
	c := named("groups")
	inGroups(sink.Group{Every: 5 * time.Minute})(&c)
	s, err := sink.New(c, store, sink.Options{RunID: "run-7", Endless: true})
	if err != nil {
		t.Fatal(err)
	}
	return &silent{Writer: s.NewWriter(), store: memory}
}

// give writes a fragment with an image, which was taken at a time in s.
func (s *silent) give(ctx context.Context, n, at int) error {
	return errors.Join(s.Write(ctx, sample(n, 0, 1000*at)), s.end(ctx, n))
}

func (s *silent) end(ctx context.Context, n int) error {
	return s.EndFragment(ctx, &media.Fragment{Stream: "front-door", Number: fmt.Sprint(n)}, func(r media.Receipt) {
		s.mu.Lock()
		s.ended = append(s.ended, fmt.Sprint(n))
		s.mu.Unlock()
		if r.Kept != nil {
			s.kept.Store(&r.Kept)
		}
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
		ctx := t.Context()
		if err := errors.Join(s.give(ctx, 1, 0), s.give(ctx, 2, 10)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5*time.Minute - time.Second)
		if err := s.end(ctx, 3); err != nil { // has no image
			t.Fatal(err)
		}
		if len(s.groups()) > 0 || len(s.reported()) > 0 {
			t.Errorf("before the time: %q, reported %q", s.groups(), s.reported())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := s.groups(); !slices.Equal(got, []string{"1_000000"}) || !slices.Equal(s.reported(), []string{"1", "2", "3"}) || s.kept.Load() == nil {
			t.Fatalf("after the time: %q, reported %q", got, s.reported())
		}
		// What was taken before the border of the grid, and comes now, is in another group, as soon as the checkpoint has the border.
		written := make(chan error, 1)
		go func() { written <- s.give(ctx, 4, 20) }()
		synctest.Wait()
		select {
		case err := <-written:
			t.Errorf("the next group did not wait: %v", err)
		default:
		}
		close(*s.kept.Load())
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
		if err := s.end(ctx, 2); err != nil || len(s.groups()) != 1 || s.kept.Load() == nil {
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
					time.AfterFunc(30*time.Minute, func() {
						if kept := s.kept.Swap(nil); kept != nil {
							close(*kept)
						}
					})
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
		if err := s.give(t.Context(), 2, 10); err != nil || len(s.groups()) > 0 || s.kept.Load() != nil {
			t.Errorf("%q, %v", s.groups(), err)
		}
		if err := s.Finish(t.Context()); err != nil || len(maps.Collect(slices.All(s.groups()))) != 1 {
			t.Errorf("%q, %v", s.groups(), err)
		}
	})
}
