package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/sink"
)

// manyParts is the size of a body that no store writes in one piece, in bytes: slightly more than two parts
// of S3.
const manyParts = 2*(8<<20) + 12_345

// createTests are the tests of Create.
var createTests = []suiteTest{
	{"a large object is invisible until it is committed", invisibleUntilCommitted},
	{"a large object of no bytes is an object", emptyLargeObject},
	{"pieces of any size make the same object", piecesOfAnySize},
	{"an object may get its head at the end", headAtTheEnd},
	{"an abandoned object leaves nothing", abandonLeavesNothing},
	{"a writer that has ended accepts nothing more", endedWriter},
	{"create refuses the keys that put refuses", badLargeKeys},
	{"if absent refuses to replace by a large object", ifAbsentLarge},
	{"a race of large objects if absent has one winner", ifAbsentLargeRace},
	{"a large object is compared with the one that is there", sameLarge},
	{"a writer neither changes nor keeps its input", piecesAreTheCallers},
	{"a cancelled context ends the calls of a writer", cancelledWriter},
	{"a large object that is cancelled midway leaves nothing", cancelledLargeOnTheWay},
	{"large objects of different keys at once do not mix", func(t *testing.T, h Harness) { differentKeysAtOnce(t, h, writeObject, 4, 9<<20) }},
	{"large objects of one key at once never mix", sameLargeKeyAtOnce},
	{"leftovers of a killed writer are never visible, and removed", killedWriter},
}

func create(t *testing.T, h Harness, key string, opts sink.PutOptions) sink.ObjectWriter {
	t.Helper()
	w, err := h.Store.Create(t.Context(), key, opts)
	if err != nil {
		t.Fatalf("create %q: %v", key, err)
	}
	return w
}

// writePieces writes a body in pieces of the given size.
func writePieces(ctx context.Context, w sink.ObjectWriter, body []byte, size int) error {
	for piece := range slices.Chunk(body, size) {
		if err := w.Write(ctx, piece); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// writeObject creates, writes and commits an object, or abandons it.
func writeObject(ctx context.Context, h Harness, key string, body []byte, opts sink.PutOptions) error {
	w, err := h.Store.Create(ctx, key, opts)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err = writePieces(ctx, w, body, 1<<20); err == nil {
		if err = w.Commit(ctx); err != nil {
			err = fmt.Errorf("commit: %w", err)
		}
	}
	return errors.Join(err, w.Abandon())
}

func mustAbandon(t *testing.T, w sink.ObjectWriter) {
	t.Helper()
	if err := w.Abandon(); err != nil {
		t.Fatalf("abandon: %v", err)
	}
}

func invisibleUntilCommitted(t *testing.T, h Harness) {
	older := pattern(1, 1000)
	put(t, h, "old.tar", older)
	for _, size := range []int{5000, manyParts} {
		body := pattern(size, size)
		for _, key := range []string{fmt.Sprintf("groups/%d.tar", size), "old.tar"} {
			w := create(t, h, key, sink.PutOptions{ContentType: "application/x-tar"})
			must(t, writePieces(t.Context(), w, body, 700_001))
			if key == "old.tar" {
				wantBody(t, h, key, older)
				older = body
			} else if _, err := h.Get(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("before the commit, get gave %v, want fs.ErrNotExist", err)
			}
			if err := w.Commit(t.Context()); err != nil {
				t.Fatalf("commit: %v", err)
			}
			wantBody(t, h, key, body)
			mustAbandon(t, w)
			wantBody(t, h, key, body)
			if same, err := h.Store.Holds(t.Context(), key, body); err != nil || !same {
				t.Errorf("holds gave %t, %v", same, err)
			}
		}
	}
	wantKeys(t, h, "old.tar", "groups/5000.tar", fmt.Sprintf("groups/%d.tar", manyParts))
}

func emptyLargeObject(t *testing.T, h Harness) {
	for key, pieces := range map[string]int{"no piece": 0, "an empty piece": 1} {
		w := create(t, h, key, sink.PutOptions{})
		for range pieces {
			must(t, w.Write(t.Context(), nil))
		}
		must(t, w.Commit(t.Context()))
		wantBody(t, h, key, nil)
	}
	wantKeys(t, h, "no piece", "an empty piece")
}

func piecesOfAnySize(t *testing.T, h Harness) {
	const part = 8 << 20
	for _, sizes := range []struct{ object, piece int }{
		{1, 1}, {part - 1, part - 1}, {part, part}, {part, 1000}, {part + 1, part}, {part + 1, part + 1}, {2 * part, part - 1}, {2 * part, 2 * part}, {manyParts, manyParts},
	} {
		key := fmt.Sprintf("%d in pieces of %d", sizes.object, sizes.piece)
		body := pattern(sizes.object, sizes.object)
		w := create(t, h, key, sink.PutOptions{})
		if err := writePieces(t.Context(), w, body, sizes.piece); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if err := w.Commit(t.Context()); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		wantBody(t, h, key, body)
	}
}

func headAtTheEnd(t *testing.T, h Harness) {
	const size = 128
	for _, length := range []int{size, 8 << 20, 8<<20 + 1, manyParts} {
		key, body, head := fmt.Sprintf("%d.npy", length), pattern(length, length), []byte(nil)
		w := create(t, h, key, sink.PutOptions{Head: func() []byte { return head }})
		must(t, writePieces(t.Context(), w, body, 3<<20))
		head = pattern(7, size)
		must(t, w.Commit(t.Context()))
		copy(body, head)
		wantBody(t, h, key, body)
		if same, err := h.Store.Holds(t.Context(), key, body); err != nil || !same {
			t.Errorf("%s: holds gave %t, %v", key, same, err)
		}
	}
}

func abandonLeavesNothing(t *testing.T, h Harness) {
	put(t, h, "old", pattern(1, 100))
	for _, size := range []int{0, 100, manyParts} {
		for _, key := range []string{"old", "new", "folder/new"} {
			w := create(t, h, key, sink.PutOptions{})
			must(t, writePieces(t.Context(), w, pattern(2, size), 1<<20))
			mustAbandon(t, w)
			mustAbandon(t, w)
			wantNothingUnfinished(t, h)
		}
	}
	wantBody(t, h, "old", pattern(1, 100))
	wantKeys(t, h, "old")
}

func endedWriter(t *testing.T, h Harness) {
	for _, commit := range []bool{true, false} {
		w := create(t, h, "a", sink.PutOptions{})
		must(t, w.Write(t.Context(), pattern(1, 100)))
		if commit {
			must(t, w.Commit(t.Context()))
		} else {
			mustAbandon(t, w)
		}
		if err := w.Write(t.Context(), pattern(2, 100)); err == nil {
			t.Errorf("committed %t: a write was accepted", commit)
		}
		if err := w.Commit(t.Context()); err == nil {
			t.Errorf("committed %t: a commit was accepted", commit)
		}
		mustAbandon(t, w)
		wantBody(t, h, "a", pattern(1, 100))
	}
	wantKeys(t, h, "a")
}

func badLargeKeys(t *testing.T, h Harness) {
	for _, key := range invalidKeys {
		if w, err := h.Store.Create(t.Context(), key, sink.PutOptions{}); !errors.Is(err, sink.ErrKey) || w != nil {
			t.Errorf("create of key %q gave %v, %v, want sink.ErrKey", key, w, err)
		}
	}
	wantKeys(t, h)
}

func ifAbsentLarge(t *testing.T, h Harness) {
	opts := sink.PutOptions{IfAbsent: true}
	for _, size := range []int{100, manyParts} {
		key := fmt.Sprintf("d/%d", size)
		must(t, writeObject(t.Context(), h, key, pattern(1, size), opts))
		for _, other := range []int{100, manyParts} {
			if err := writeObject(t.Context(), h, key, pattern(2, other), opts); !errors.Is(err, sink.ErrExist) {
				t.Fatalf("the second object gave %v, want sink.ErrExist", err)
			}
			wantNothingUnfinished(t, h)
		}
		wantBody(t, h, key, pattern(1, size))
	}
	// An object that appears during the write is not replaced either.
	w := create(t, h, "late", opts)
	must(t, w.Write(t.Context(), pattern(1, 100)))
	put(t, h, "late", pattern(3, 50))
	if err := w.Commit(t.Context()); !errors.Is(err, sink.ErrExist) {
		t.Errorf("commit gave %v, want sink.ErrExist", err)
	}
	mustAbandon(t, w)
	wantBody(t, h, "late", pattern(3, 50))
}

func piecesAreTheCallers(t *testing.T, h Harness) {
	w := create(t, h, "a", sink.PutOptions{})
	for seed := range 3 {
		piece := pattern(seed, 5<<20)
		must(t, w.Write(t.Context(), piece))
		if !bytes.Equal(piece, pattern(seed, 5<<20)) {
			t.Fatal("the writer changed a piece")
		}
		clear(piece)
	}
	must(t, w.Commit(t.Context()))
	wantBody(t, h, "a", slices.Concat(pattern(0, 5<<20), pattern(1, 5<<20), pattern(2, 5<<20)))
}

func cancelledWriter(t *testing.T, h Harness) {
	put(t, h, "old", pattern(1, 100))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Store.Create(ended, "old", sink.PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("create gave %v, want context.Canceled", err)
	}
	for _, size := range []int{100, manyParts} {
		w := create(t, h, "old", sink.PutOptions{})
		must(t, writePieces(t.Context(), w, pattern(2, size), 1<<20))
		if err := w.Write(ended, pattern(2, 100)); !errors.Is(err, context.Canceled) {
			t.Errorf("write gave %v, want context.Canceled", err)
		}
		if err := w.Commit(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("commit gave %v, want context.Canceled", err)
		}
		mustAbandon(t, w)
	}
	wantBody(t, h, "old", pattern(1, 100))
	wantKeys(t, h, "old")
}

// cancelledLargeOnTheWay cancels after one of several objects was committed. Committed objects exist; the
// others exist whole or not at all.
func cancelledLargeOnTheWay(t *testing.T, h Harness) {
	const n = 4
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := atOnce(n, func(i int) error {
		defer cancel()
		return writeObject(ctx, h, fmt.Sprintf("new/%d", i), pattern(i, manyParts/(i+1)), sink.PutOptions{})
	})
	for i, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("object %d gave %v, want nil or context.Canceled", i, err)
		}
		got, getErr := h.Get(t.Context(), fmt.Sprintf("new/%d", i))
		whole := getErr == nil && bytes.Equal(got, pattern(i, manyParts/(i+1)))
		if err == nil && !whole || !whole && !errors.Is(getErr, fs.ErrNotExist) {
			t.Errorf("object %d (%v) exists with %d bytes (%v)", i, err, len(got), getErr)
		}
	}
}

func sameLargeKeyAtOnce(t *testing.T, h Harness) {
	const n = 4
	errs := atOnce(n, func(i int) error {
		return writeObject(t.Context(), h, "hot.tar", pattern(i, 9<<20+i), sink.PutOptions{})
	})
	got, err := h.Get(t.Context(), "hot.tar")
	if err != nil {
		t.Fatalf("no writer committed: %v, %v", err, errs)
	}
	found := false
	for i, err := range errs { // a writer that was replaced may return any error
		found = found || err == nil && bytes.Equal(got, pattern(i, 9<<20+i))
	}
	if !found {
		t.Errorf("the object of %d bytes is not one of the committed ones: %v", len(got), errs)
	}
	wantKeys(t, h, "hot.tar")
}

// sameLarge writes objects whose names are taken, with a head that is known at the end or without.
func sameLarge(t *testing.T, h Harness) {
	for _, size := range []int{100, manyParts} {
		there := pattern(1, size)
		almost := pattern(1, size)
		almost[size-1]++
		first := pattern(1, size)
		first[0]++
		for i, test := range []struct {
			body []byte
			want bool
		}{{there, true}, {almost, false}, {first, false}, {there[:size-1], false}} {
			for _, head := range []bool{false, true} {
				key := fmt.Sprintf("%d/%d/%t", size, i, head)
				opts, body := sink.PutOptions{IfAbsent: true}, test.body
				if head {
					opts.Head = func() []byte { return test.body[:10] }
					body = slices.Concat(make([]byte, 10), test.body[10:])
				}
				w := create(t, h, key, opts)
				must(t, writePieces(t.Context(), w, body, 3<<20))
				if same, err := w.Same(t.Context()); same || !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: nothing is there, and same gave %t, %v", key, same, err)
				}
				put(t, h, key, there) // another large object would end the first writer's
				wantSame(t, w, key, test.want)
				if err := w.Commit(t.Context()); !errors.Is(err, sink.ErrExist) {
					t.Errorf("%s: commit gave %v, want sink.ErrExist", key, err)
				}
				wantSame(t, w, key, test.want)
				mustAbandon(t, w)
				wantNothingUnfinished(t, h)
				wantBody(t, h, key, there)
				if _, err := w.Same(t.Context()); err == nil {
					t.Errorf("%s: an abandoned writer compares", key)
				}
			}
		}
	}
}

func wantSame(t *testing.T, w sink.ObjectWriter, key string, want bool) {
	t.Helper()
	if same, err := w.Same(t.Context()); err != nil || same != want {
		t.Errorf("%s: same gave %t, %v, want %t", key, same, err, want)
	}
}

func ifAbsentLargeRace(t *testing.T, h Harness) {
	const n = 4
	for round, size := range []int{10_000, 9 << 20} {
		key := fmt.Sprintf("race/%d", round)
		errs := atOnce(n, func(i int) error {
			return writeObject(t.Context(), h, key, pattern(i, size+i), sink.PutOptions{IfAbsent: true})
		})
		winner := onlyWinner(t, key, errs)
		wantBody(t, h, key, pattern(winner, size+winner))
	}
}

func killedWriter(t *testing.T, h Harness) {
	if h.Kill == nil {
		t.Skip("a killed writer of this store leaves nothing")
	}
	h.Kill(t, "groups/a.tar", pattern(1, manyParts))
	wantKeys(t, h)
	if left, err := h.Unfinished(t.Context()); err != nil || len(left) != 1 {
		t.Fatalf("the killed writer left %q (%v), want one thing", left, err)
	}
	must(t, writeObject(t.Context(), h, "groups/a.tar", pattern(2, manyParts), sink.PutOptions{IfAbsent: true}))
	wantBody(t, h, "groups/a.tar", pattern(2, manyParts))
	wantKeys(t, h, "groups/a.tar")
}
