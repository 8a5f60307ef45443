// Package checkpointtest is the conformance suite of checkpoint.Store. Every store passes it.
//
// A test of a store provides a function that makes a new place for a checkpoint:
//
//	func TestStoreConforms(t *testing.T) {
//		checkpointtest.Run(t, func(tb testing.TB) checkpointtest.Harness {
//			place := mystore.New(tb.TempDir())
//			return checkpointtest.Harness{Open: place.Open, Get: place.Get, Put: place.Put}
//		})
//	}
package checkpointtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/kvsframes/kvsframes/checkpoint"
)

// Harness is a place for one checkpoint, with access from outside.
type Harness struct {
	// Open returns the store of the place, as each process opens its own.
	Open func() checkpoint.Store
	// Get returns what is stored; nil for nothing. Put replaces it without asking anybody, and removes it if data is nil.
	Get func(tb testing.TB) []byte
	Put func(tb testing.TB, data []byte)
}

// Run runs the suite. Each test opens its own place.
func Run(t *testing.T, open func(tb testing.TB) Harness) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"the state is what was saved last", lastState},
		{"a checkpoint has one owner", oneOwner},
		{"of many that start at once one becomes the owner", oneOfMany},
		{"each owner has the next generation", generations},
		{"what another owner has written is not replaced", fenced},
		{"a checkpoint that was removed is lost", removed},
		{"one that cannot be read is an error and stays", unreadable},
		{"one that is too large is not read", tooLarge},
		{"a state that is too large is not written", tooLargeToSave},
		{"an owner may begin without a state", forgotten},
		{"a context that has ended ends every call", ended},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// acquire becomes the owner, until the test ends.
func acquire(t *testing.T, h Harness, forget bool) checkpoint.Checkpoint {
	t.Helper()
	c, err := h.Open().Acquire(t.Context(), forget)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release(t, c) })
	return c
}

func release(t *testing.T, c checkpoint.Checkpoint) {
	t.Helper()
	if err := c.Release(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("release: %v", err)
	}
}

func save(t *testing.T, c checkpoint.Checkpoint, state string) {
	t.Helper()
	if err := c.Save(t.Context(), []byte(state)); err != nil {
		t.Fatal(err)
	}
}

func wantState(t *testing.T, c checkpoint.Checkpoint, want string) {
	t.Helper()
	if got := string(c.State()); got != want {
		t.Errorf("the state is %q, want %q", got, want)
	}
}

// form is what every stored checkpoint has.
type form struct {
	Owner      string          `json:"owner"`
	ID         string          `json:"id"`
	Generation int             `json:"generation"`
	Serial     int             `json:"serial"`
	State      json.RawMessage `json:"state"`
}

func stored(t *testing.T, h Harness) form {
	t.Helper()
	var f form
	if err := json.Unmarshal(h.Get(t), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func lastState(t *testing.T, h Harness) {
	c := acquire(t, h, false)
	if state := c.State(); state != nil {
		t.Errorf("at first it is %q", state)
	}
	for i := range 3 {
		save(t, c, fmt.Sprintf(`{"n":%d}`, i))
		wantState(t, c, fmt.Sprintf(`{"n":%d}`, i))
		if f := stored(t, h); string(f.State) != string(c.State()) {
			t.Errorf("stored is %s", f.State)
		}
	}
	if err := c.Save(t.Context(), []byte("{")); err == nil {
		t.Error("half a value was saved")
	}
	release(t, c)
	if err := c.Save(t.Context(), []byte("1")); err == nil {
		t.Error("it was saved after its release")
	}
	wantState(t, acquire(t, h, false), `{"n":2}`)
}

func oneOwner(t *testing.T, h Harness) {
	c := acquire(t, h, false)
	save(t, c, "1")
	_, err := h.Open().Acquire(t.Context(), false)
	host, hostErr := os.Hostname()
	if owned, ok := errors.AsType[*checkpoint.OwnedError](err); !ok || hostErr != nil || !strings.HasPrefix(owned.Owner, fmt.Sprintf("%s:%d since 2", host, os.Getpid())) {
		t.Errorf("a second owner: %v", err)
	}
	if err := c.Confirm(t.Context()); err != nil {
		t.Errorf("the first owner: %v", err)
	}
	save(t, c, "2")
	release(t, c)
	wantState(t, acquire(t, h, false), "2")
}

// oneOfMany starts several owners of a checkpoint that was released.
func oneOfMany(t *testing.T, h Harness) {
	release(t, acquire(t, h, false))
	results := make([]checkpoint.Checkpoint, 6)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			c, err := h.Open().Acquire(t.Context(), false)
			if err != nil && !errors.As(err, new(*checkpoint.OwnedError)) {
				t.Errorf("error %v", err)
			}
			results[i] = c
		})
	}
	all.Wait()
	owners := 0
	for _, c := range results {
		if c != nil {
			owners++
			release(t, c)
		}
	}
	if owners != 1 || stored(t, h).Generation != 2 {
		t.Errorf("%d owners, stored is %s", owners, h.Get(t))
	}
}

func generations(t *testing.T, h Harness) {
	ids := map[string]bool{}
	for i := range 3 {
		c := acquire(t, h, false)
		first := stored(t, h)
		save(t, c, "1")
		second := stored(t, h)
		if first.Generation != i+1 || second.Generation != i+1 || second.Serial <= first.Serial || ids[first.ID] {
			t.Errorf("owner %d wrote %+v, %+v", i, first, second)
		}
		ids[first.ID] = true
		release(t, c)
	}
}

// fenced has another owner, of a higher and of a lower generation, who took no notice of the first one.
func fenced(t *testing.T, h Harness) {
	for _, generation := range []string{"7", "1"} {
		c := acquire(t, h, true)
		save(t, c, "1")
		select {
		case <-c.Lost():
			t.Fatal("it is lost")
		default:
		}
		other := `{"owner":"there:1","since":"then","id":"x","generation":` + generation + `,"serial":1,"released":true,"state":2}`
		h.Put(t, []byte(other))
		err := c.Save(t.Context(), []byte("3"))
		if lost, ok := errors.AsType[*checkpoint.LostError](err); !ok || lost.Owner != "there:1 since then" {
			t.Errorf("save: %v", err)
		}
		if err := c.Confirm(t.Context()); !errors.As(err, new(*checkpoint.LostError)) {
			t.Errorf("confirm: %v", err)
		}
		<-c.Lost()
		release(t, c)
		if got := string(h.Get(t)); got != other {
			t.Errorf("the other owner's was replaced by %s", got)
		}
	}
}

func removed(t *testing.T, h Harness) {
	c := acquire(t, h, false)
	h.Put(t, nil)
	if err := c.Save(t.Context(), []byte("3")); !errors.As(err, new(*checkpoint.LostError)) {
		t.Errorf("save: %v", err)
	}
	if got := h.Get(t); got != nil {
		t.Errorf("it is there again: %s", got)
	}
}

func unreadable(t *testing.T, h Harness) {
	for _, text := range []string{"{", "{}", "x", `{"generation":-1}`, `[1]`} {
		h.Put(t, []byte(text))
		if _, err := h.Open().Acquire(t.Context(), false); err == nil || !strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("%q: error %v", text, err)
		}
		if got := string(h.Get(t)); got != text {
			t.Errorf("%q was replaced by %q", text, got)
		}
	}
	c := acquire(t, h, true)
	if state := c.State(); state != nil {
		t.Errorf("the state is %q", state)
	}
	save(t, c, "1")
}

func tooLarge(t *testing.T, h Harness) {
	h.Put(t, bytes.Repeat([]byte(" "), checkpoint.MaxSize+1))
	if _, err := h.Open().Acquire(t.Context(), false); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error %v", err)
	}
}

func tooLargeToSave(t *testing.T, h Harness) {
	c := acquire(t, h, false)
	save(t, c, "1")
	if err := c.Save(t.Context(), bytes.Repeat([]byte("1"), checkpoint.MaxSize)); err == nil {
		t.Error("it was saved")
	}
	if f := stored(t, h); string(f.State) != "1" {
		t.Errorf("stored is %s", f.State)
	}
	save(t, c, "2")
}

func forgotten(t *testing.T, h Harness) {
	c := acquire(t, h, false)
	save(t, c, "1")
	release(t, c)
	c = acquire(t, h, true)
	if state := c.State(); state != nil || stored(t, h).Generation != 2 {
		t.Errorf("the state is %q, stored is %s", state, h.Get(t))
	}
}

func ended(t *testing.T, h Harness) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Open().Acquire(over, false); !errors.Is(err, context.Canceled) {
		t.Errorf("acquire: %v", err)
	}
	c := acquire(t, h, false)
	save(t, c, "1")
	if err := c.Save(over, []byte("2")); !errors.Is(err, context.Canceled) {
		t.Errorf("save: %v", err)
	}
	save(t, c, "3")
}
