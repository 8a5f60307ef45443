package checkpoint_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/checkpoint"
	"github.com/kvsframes/kvsframes/checkpoint/checkpointtest"
)

// inMemory returns a place in memory.
func inMemory(testing.TB) (checkpointtest.Harness, *checkpointtest.Register) {
	r := &checkpointtest.Register{}
	return checkpointtest.Harness{
		Open: func() checkpoint.Store { return checkpoint.NewLease(r, 0, nil) },
		Get:  func(testing.TB) []byte { return r.Get() },
		Put:  func(_ testing.TB, data []byte) { r.Put(data) },
	}, r
}

func TestALeaseConforms(t *testing.T) {
	checkpointtest.Run(t, func(tb testing.TB) checkpointtest.Harness {
		h, r := inMemory(tb)
		h.Open = func() checkpoint.Store { return checkpoint.NewLease(r, 3*time.Second, nil) }
		return h
	})
}

// onClock runs a test of a lease on a virtual clock.
func onClock(t *testing.T, test func(t *testing.T, h checkpointtest.Harness, r *checkpointtest.Register)) {
	synctest.Test(t, func(t *testing.T) {
		h, r := inMemory(t)
		test(t, h, r)
	})
}

func take(t *testing.T, h checkpointtest.Harness) checkpoint.Checkpoint {
	t.Helper()
	c, err := h.Open().Acquire(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Release(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("release: %v", err)
		}
	})
	return c
}

func TestALeaseIsRenewedWhileThereIsNothingToSave(t *testing.T) {
	onClock(t, func(t *testing.T, h checkpointtest.Harness, _ *checkpointtest.Register) {
		c := take(t, h)
		for range 20 {
			began := time.Now()
			if _, err := h.Open().Acquire(t.Context(), false); !errors.As(err, new(*checkpoint.OwnedError)) {
				t.Fatalf("error %v", err)
			}
			if waited := time.Since(began); waited > checkpoint.DefaultTerm/2 {
				t.Errorf("it was found out after %v", waited)
			}
			if err := c.Confirm(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(7 * time.Second)
		}
	})
}

// silent is the checkpoint of an owner that was killed.
const silent = `{"owner":"there:1","since":"then","id":"x","generation":4,"serial":9,"released":false,"state":"kept"}`

func TestAnOwnerThatIsSilentForATermIsFollowed(t *testing.T) {
	onClock(t, func(t *testing.T, h checkpointtest.Harness, r *checkpointtest.Register) {
		r.Put([]byte(silent))
		began := time.Now()
		c := take(t, h)
		if waited := time.Since(began); waited < checkpoint.DefaultTerm || waited > checkpoint.DefaultTerm*5/4 {
			t.Errorf("after %v", waited)
		}
		if string(c.State()) != `"kept"` || !strings.Contains(string(r.Get()), `"generation":5,`) {
			t.Errorf("state %s, stored %s", c.State(), r.Get())
		}
	})
}

// TestAnOwnerThatWakesUpIsNotFollowed has an owner that writes just before the term is over.
func TestAnOwnerThatWakesUpIsNotFollowed(t *testing.T) {
	onClock(t, func(t *testing.T, h checkpointtest.Harness, r *checkpointtest.Register) {
		r.Put([]byte(silent))
		time.AfterFunc(checkpoint.DefaultTerm-time.Millisecond, func() { r.Put([]byte(strings.Replace(silent, "9", "10", 1))) })
		_, err := h.Open().Acquire(t.Context(), false)
		if owned, ok := errors.AsType[*checkpoint.OwnedError](err); !ok || err.Error() != "checkpoint memory is owned by there:1 since then" {
			t.Errorf("error %v, %v", err, owned)
		}
	})
}

func TestAnOwnerThatReleasesMeanwhileIsFollowedAtOnce(t *testing.T) {
	onClock(t, func(t *testing.T, h checkpointtest.Harness, r *checkpointtest.Register) {
		r.Put([]byte(silent))
		began := time.Now()
		time.AfterFunc(time.Second, func() { r.Put([]byte(strings.Replace(silent, "false", "true", 1))) })
		take(t, h)
		if waited := time.Since(began); waited > 5*time.Second {
			t.Errorf("after %v", waited)
		}
	})
}

func TestAWaitForALeaseEndsWithItsContext(t *testing.T) {
	onClock(t, func(t *testing.T, h checkpointtest.Harness, r *checkpointtest.Register) {
		r.Put([]byte(silent))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.Open().Acquire(ctx, false); !errors.Is(err, context.DeadlineExceeded) || string(r.Get()) != silent {
			t.Errorf("error %v", err)
		}
	})
}

// TestALostAnswerIsFoundAgain loses the answers of writes that were made, and those of others that were not.
func TestALostAnswerIsFoundAgain(t *testing.T) {
	onClock(t, func(t *testing.T, h checkpointtest.Harness, r *checkpointtest.Register) {
		c := take(t, h)
		for i, lost := range []bool{true, true, false, true} {
			r.Fail(func(bytes int) (bool, error) {
				if bytes == 0 {
					return false, nil
				}
				return lost, io.ErrUnexpectedEOF
			})
			if err := c.Save(t.Context(), []byte{'"', byte('a' + i), '"'}); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error %v", err)
			}
		}
		r.Fail(nil)
		if err := c.Save(t.Context(), []byte(`"last"`)); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(r.Get()), `"last"`) {
			t.Errorf("stored %s", r.Get())
		}
	})
}

// TestAWriteWhoseAnswerWasLostIsNotRefused repeats a write that was made, as a client does: the second one is refused.
func TestAWriteWhoseAnswerWasLostIsNotRefused(t *testing.T) {
	onClock(t, func(t *testing.T, _ checkpointtest.Harness, r *checkpointtest.Register) {
		c, err := checkpoint.NewLease(repeating{r}, 0, nil).Acquire(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := c.Save(t.Context(), []byte("1")); err != nil {
				t.Error(err)
			}
		}
		if err := c.Release(t.Context()); err != nil || !strings.Contains(string(r.Get()), `"serial":5,"released":true`) {
			t.Errorf("%v, stored %s", err, r.Get())
		}
	})
}

// repeating is a register whose swaps are made twice, and answer for the second time.
type repeating struct{ *checkpointtest.Register }

func (r repeating) Swap(ctx context.Context, content []byte, tag string) (string, bool, error) {
	if _, _, err := r.Register.Swap(ctx, content, tag); err != nil {
		return "", false, err
	}
	return r.Register.Swap(ctx, content, tag)
}

// TestAnOwnerThatCannotWriteForATermWaits has a register out of reach, and later another owner.
func TestAnOwnerThatCannotWriteForATermWaits(t *testing.T) {
	onClock(t, func(t *testing.T, h checkpointtest.Harness, r *checkpointtest.Register) {
		c := take(t, h)
		r.Fail(func(int) (bool, error) { return false, io.ErrUnexpectedEOF })
		time.Sleep(checkpoint.DefaultTerm - time.Second)
		if err := c.Confirm(t.Context()); err != nil {
			t.Errorf("within the term: %v", err)
		}
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Confirm(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after the term: %v", err)
		}
		r.Fail(nil)
		if err := c.Confirm(t.Context()); err != nil {
			t.Errorf("when it is back: %v", err)
		}
		r.Put([]byte(silent))
		<-c.Lost() // found by the next renewal
		if err := c.Confirm(t.Context()); !errors.As(err, new(*checkpoint.LostError)) || string(r.Get()) != silent {
			t.Errorf("confirm: %v, stored %s", err, r.Get())
		}
	})
}
