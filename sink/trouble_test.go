package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
)

// flaky is a store whose puts fail with err until an instant. With after, they fail when they have done their work.
type flaky struct {
	*sink.Mem
	until time.Time
	err   error
	after bool

	puts, now, most atomic.Int64
}

func (f *flaky) Put(ctx context.Context, key string, body []byte, opts sink.PutOptions) error {
	f.puts.Add(1)
	f.most.Store(max(f.most.Load(), f.now.Add(1)))
	defer f.now.Add(-1)
	if time.Now().Before(f.until) {
		if f.after {
			if err := f.Mem.Put(ctx, key, body, opts); err != nil {
				return err
			}
		}
		return f.err
	}
	return f.Mem.Put(ctx, key, body, opts)
}

// refused is an error that knows whether it may pass.
type refused struct{ passing bool }

func (r refused) Error() string { return "the server is busy" }
func (r refused) Passing() bool { return r.passing }

// images returns pictures that differ in their index.
func images(n int) []media.Image {
	all := make([]media.Image, n)
	for i := range all {
		all[i] = picture()
		all[i].Index, all[i].Data = i, fmt.Appendf(nil, "picture %d", i)
	}
	return all
}

// writeAll writes images at once, and returns what each came to.
func writeAll(ctx context.Context, w *sink.Writer, all []media.Image) []error {
	errs := make([]error, len(all))
	var writes sync.WaitGroup
	for i, img := range all {
		writes.Go(func() { errs[i] = w.Write(ctx, img) })
	}
	writes.Wait()
	return errs
}

func TestTroubleThatMayPassIsWaitedFor(t *testing.T) {
	for _, test := range []struct {
		name     string
		err      error
		away     time.Duration
		endless  bool
		retryFor setting.AutoDuration
		waited   time.Duration // until it is given up, 0 when it is not
	}{
		{"an hour, live", refused{true}, time.Hour, true, setting.AutoDuration{}, 0},
		{"a week, live", refused{true}, 7 * 24 * time.Hour, true, setting.AutoDuration{}, 0},
		{"14 minutes of an archive", refused{true}, 14 * time.Minute, false, setting.AutoDuration{}, 0},
		{"an hour of an archive", refused{true}, time.Hour, false, setting.AutoDuration{}, 15 * time.Minute},
		{"an hour of an archive, with time for it", refused{true}, time.Hour, false, setting.NewAutoDuration(2 * time.Hour), 0},
		{"an hour, live, without time for it", refused{true}, time.Hour, true, setting.NewAutoDuration(time.Minute), time.Minute},
		{"a second, live, with none at all", refused{true}, time.Second, true, setting.NewAutoDuration(0), time.Nanosecond},
		{"what stays", refused{false}, time.Hour, true, setting.AutoDuration{}, time.Nanosecond},
		{"what nobody knows", errors.New("broken"), time.Hour, true, setting.AutoDuration{}, time.Nanosecond},
		{"a full disk", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, time.Hour, true, setting.AutoDuration{}, 0},
		{"no more files", errors.Join(fmt.Errorf("put: %w", syscall.EMFILE), syscall.EMFILE), time.Hour, true, setting.AutoDuration{}, 0},
		{"a disk that is read only", syscall.EROFS, time.Hour, true, setting.AutoDuration{}, time.Nanosecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				store := &flaky{Mem: sink.NewMem(), until: begin.Add(test.away), err: test.err}
				var log bytes.Buffer
				s, err := sink.New(func() sink.Config {
					c := named("a")
					c.Destination.RetryFor, c.Destination.MaxInFlight = test.retryFor, 5
					return c
				}(), store, sink.Options{Endless: test.endless, Log: slog.New(slog.NewTextHandler(&log, nil))})
				if err != nil {
					t.Fatal(err)
				}
				n := 20
				if test.waited > 0 {
					n = 5 // at once
				}
				errs := writeAll(t.Context(), s.NewWriter(), images(n))
				took := time.Since(begin)
				if store.most.Load() > 5 {
					t.Errorf("%d writes were under way at once", store.most.Load())
				}
				if test.waited > 0 {
					for _, err := range errs {
						if !errors.Is(err, test.err) || (test.waited > time.Second) != strings.Contains(err.Error(), "retry_for") {
							t.Errorf("error %v", err)
						}
					}
					if took < test.waited-1 || took > test.waited+20*time.Second {
						t.Errorf("it was given up after %v", took)
					}
					if len(store.Keys()) > 0 {
						t.Errorf("objects %q", store.Keys())
					}
					return
				}
				if err := errors.Join(errs...); err != nil {
					t.Fatal(err)
				}
				// No pause is longer than 20 s, and when one write succeeds the others follow.
				if len(store.Keys()) != n || took > test.away+20*time.Second {
					t.Errorf("%d objects after %v", len(store.Keys()), took)
				}
				if puts := store.puts.Load(); puts > 5*(12+int64(test.away/(10*time.Second)))+int64(n) {
					t.Errorf("%d tries", puts)
				}
				text := log.String()
				minutes := int(test.away / time.Minute)
				if lines := strings.Count(text, "still waiting for the destination"); lines > minutes || lines < minutes*2/3 {
					t.Errorf("%d lines of the log in %d minutes", lines, minutes)
				}
				if strings.Count(text, "waiting for it") != 1 || strings.Count(text, "works again") != 1 {
					t.Errorf("the log is %.3000s", text)
				}
				if err := s.Reach().Err; err != nil {
					t.Errorf("there is still trouble: %v", err)
				}
			})
		})
	}
}

// TestAWaitForADestinationEndsWithItsContext cancels the writes during an outage.
func TestAWaitForADestinationEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		store := &flaky{Mem: sink.NewMem(), until: begin.Add(time.Hour), err: refused{true}}
		s, err := sink.New(named("a"), store, sink.Options{Endless: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		go func() {
			time.Sleep(5 * time.Minute)
			if r := s.Reach(); r.Err == nil || r.Since.Sub(begin) > time.Second {
				t.Errorf("trouble since %v: %v", r.Since, r.Err)
			}
		}()
		for _, err := range writeAll(ctx, s.NewWriter(), images(3)) {
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the server is busy") {
				t.Errorf("error %v", err)
			}
		}
		if took := time.Since(begin); took != 10*time.Minute {
			t.Errorf("the wait took %v", took)
		}
	})
}

// TestAWriteThatWasDoneAllTheSameIsNoFailure has a store that puts an object and then fails.
func TestAWriteThatWasDoneAllTheSameIsNoFailure(t *testing.T) {
	for _, ifExists := range []sink.IfExists{sink.IfExistsOverwrite, sink.IfExistsSkip, sink.IfExistsFail} {
		t.Run(string(ifExists), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &flaky{Mem: sink.NewMem(), until: time.Now().Add(time.Minute), err: refused{true}, after: true}
				s := newSink(t, store, func(c *sink.Config) { c.Destination.IfExists = ifExists })
				w := s.NewWriter()
				if err := errors.Join(writeAll(t.Context(), w, images(3))...); err != nil {
					t.Fatal(err)
				}
				var got media.Receipt
				if err := w.EndFragment(t.Context(), fragment(), func(r media.Receipt) { got = r }); err != nil || got != (media.Receipt{Written: 3}) {
					t.Errorf("the receipt is %+v, %v", got, err)
				}
				if objects, _ := s.Written(); objects != 4 || len(store.Keys()) != 4 {
					t.Errorf("%d objects were counted, keys %q", objects, store.Keys())
				}
			})
		})
	}
	t.Run("another was first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &flaky{Mem: sink.NewMem(), until: time.Now().Add(time.Minute), err: refused{true}}
			s := newSink(t, store, func(c *sink.Config) { c.Destination.IfExists = sink.IfExistsFail })
			all := images(1)
			go func() {
				time.Sleep(30 * time.Second)
				other := newSink(t, store.Mem, nil)
				img := all[0]
				img.Data = []byte("another picture")
				write(t, other, img)
			}()
			if err := s.NewWriter().Write(t.Context(), all[0]); !errors.Is(err, sink.ErrExist) {
				t.Errorf("error %v", err)
			}
		})
	})
}
