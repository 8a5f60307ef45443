// Package storetest is the conformance suite of sink.Store. It tests every sentence of the contract, and
// every destination passes it.
//
// A test of a store provides a function that opens a new one and reads back its objects. [Run] runs the tests
// and [Benchmark] the benchmarks:
//
//	func TestStoreConforms(t *testing.T) {
//		storetest.Run(t, func(tb testing.TB) storetest.Harness {
//			store := mystore.Open(tb.TempDir())
//			return storetest.Harness{Store: store, Get: store.Get, List: store.List}
//		})
//	}
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kvsframes/kvsframes/sink"
)

// Harness is an empty store with access to its objects from outside.
type Harness struct {
	Store sink.Store
	// Get returns the object of a key, or an error that is fs.ErrNotExist.
	Get func(ctx context.Context, key string) ([]byte, error)
	// List returns the keys of all objects, in order. An unfinished object is not listed.
	List func(ctx context.Context) ([]string, error)
	// Unfinished returns the names of temporary files or uploads that are neither committed nor abandoned;
	// nil if the store has none by design.
	Unfinished func(ctx context.Context) ([]string, error)
	// Kill writes body to key with a writer that is killed before it commits, and makes the leftover so old
	// that the store may remove it; nil if a killed writer leaves nothing.
	Kill func(tb testing.TB, key string, body []byte)
}

// Open returns a harness that is valid until the test ends.
type Open func(tb testing.TB) Harness

// LargeBody is the size of the largest body that the suite puts, in bytes.
const largestBody = 8 << 20

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, test := range append(putTests, createTests...) {
		t.Run(test.name, func(t *testing.T) {
			h := open(t)
			test.run(t, h)
			wantNothingUnfinished(t, h)
		})
	}
}

type suiteTest struct {
	name string
	run  func(t *testing.T, h Harness)
}

// putTests are the tests of Put and Holds.
var putTests = []suiteTest{
	{"an object can be read after its put", putThenGet},
	{"a second put replaces the first", overwrite},
	{"an empty body is an object", emptyBody},
	{"a body of 8 MiB comes back whole", largeBody},
	{"odd keys are kept as they are", oddKeys},
	{"keys that could leave the destination are refused", badKeys},
	{"the body is neither changed nor kept", bodyIsTheCallers},
	{"if absent refuses to replace", ifAbsent},
	{"holds compares an object with a body", holds},
	{"a race of if absent has one winner", ifAbsentRace},
	{"puts of different keys at once do not mix", func(t *testing.T, h Harness) { differentKeysAtOnce(t, h, putObject, 32, 30_000) }},
	{"puts of one key at once never mix bodies", sameKeyAtOnce},
	{"a put that may not write leaves nothing", unconfirmed},
	{"a put with a cancelled context leaves nothing", cancelledBefore},
	{"a put that is cancelled midway leaves all or nothing", cancelledOnTheWay},
}

// unconfirmed has a caller that may not write any more, at once or when the object is committed.
func unconfirmed(t *testing.T, h Harness) {
	lost := errors.New("lost")
	var now error
	opts := sink.PutOptions{Confirm: func(ctx context.Context) error { return errors.Join(ctx.Err(), now) }}
	w, err := h.Store.Create(t.Context(), "b", opts)
	must(t, err)
	must(t, w.Write(t.Context(), []byte("body")))
	must(t, h.Store.Put(t.Context(), "c", []byte("body"), opts))
	now = lost
	if err := w.Commit(t.Context()); !errors.Is(err, lost) {
		t.Errorf("commit: %v", err)
	}
	must(t, w.Abandon())
	if err := h.Store.Put(t.Context(), "a", []byte("body"), opts); !errors.Is(err, lost) {
		t.Errorf("put: %v", err)
	}
	wantKeys(t, h, "c")
}

// must ends the test at an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, h Harness, key string, body []byte) {
	t.Helper()
	if err := h.Store.Put(t.Context(), key, body, sink.PutOptions{ContentType: "image/jpeg"}); err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
}

func wantBody(t *testing.T, h Harness, key string, want []byte) {
	t.Helper()
	got, err := h.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("object %q has %d bytes that differ from the %d put", key, len(got), len(want))
	}
}

func wantKeys(t *testing.T, h Harness, want ...string) {
	t.Helper()
	got, err := h.List(t.Context())
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("the store has %q, want %q", got, want)
	}
}

// wantNothingUnfinished fails the test if an object was begun and neither committed nor abandoned.
func wantNothingUnfinished(t *testing.T, h Harness) {
	t.Helper()
	if h.Unfinished == nil {
		return
	}
	if left, err := h.Unfinished(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("unfinished are %q (%v), want nothing", left, err)
	}
}

// pattern returns a body that identifies its seed and the position of each byte.
func pattern(seed, size int) []byte {
	b := make([]byte, size)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func putThenGet(t *testing.T, h Harness) {
	wantKeys(t, h)
	put(t, h, "cam/1.jpg", pattern(1, 1000))
	put(t, h, "cam/2.jpg", pattern(2, 2000))
	put(t, h, "top.jpg", pattern(3, 3000))
	wantBody(t, h, "cam/1.jpg", pattern(1, 1000))
	wantBody(t, h, "cam/2.jpg", pattern(2, 2000))
	wantBody(t, h, "top.jpg", pattern(3, 3000))
	wantKeys(t, h, "cam/1.jpg", "cam/2.jpg", "top.jpg")
	if _, err := h.Get(t.Context(), "cam/3.jpg"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("get of a key never put gave %v, want fs.ErrNotExist", err)
	}
}

func overwrite(t *testing.T, h Harness) {
	put(t, h, "latest.jpg", pattern(1, 5000))
	put(t, h, "latest.jpg", pattern(2, 50))
	wantBody(t, h, "latest.jpg", pattern(2, 50))
	wantKeys(t, h, "latest.jpg")
}

func emptyBody(t *testing.T, h Harness) {
	put(t, h, "empty", nil)
	wantBody(t, h, "empty", nil)
	wantKeys(t, h, "empty")
}

func largeBody(t *testing.T, h Harness) {
	body := pattern(7, largestBody)
	put(t, h, "large.raw", body)
	wantBody(t, h, "large.raw", body)
}

func oddKeys(t *testing.T, h Harness) {
	keys := []string{
		"a b/c d.jpg", " lead and trail ", "plus+and=equal&and.jpg", "percent%20 100%.jpg", "question?hash#.jpg",
		"ümläut/日本語/🎥.jpg", "e\u0301.jpg", "\u00e9.jpg", "dots...and..more/.hidden", "tilde~quote'star*(1)!.jpg", "colon:at@comma,semi;.jpg",
		"back\\slash.jpg", "<tag attr=\"1\">.jpg", "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p.jpg",
		"long/" + strings.Repeat("x", sink.MaxSegmentBytes), strings.Repeat("deep-folder/", 60) + "x.jpg",
	}
	for i, key := range keys {
		put(t, h, key, pattern(i, 100+i))
	}
	for i, key := range keys {
		wantBody(t, h, key, pattern(i, 100+i))
	}
	wantKeys(t, h, keys...)
}

// invalidKeys are keys that every store rejects.
var invalidKeys = []string{
	"", "/", "/etc/passwd", "a//b", "a/", ".", "..", "../a", "a/../b", "a/..", "./a", "a/./b", "nul\x00", "bad\xffutf8",
}

func badKeys(t *testing.T, h Harness) {
	for _, key := range invalidKeys {
		if err := h.Store.Put(t.Context(), key, []byte("x"), sink.PutOptions{}); !errors.Is(err, sink.ErrKey) {
			t.Errorf("put of key %q gave %v, want sink.ErrKey", key, err)
		}
	}
	wantKeys(t, h)
}

func bodyIsTheCallers(t *testing.T, h Harness) {
	body := pattern(1, 100_000)
	put(t, h, "a", body)
	if !bytes.Equal(body, pattern(1, 100_000)) {
		t.Fatal("the put changed the body")
	}
	clear(body)
	wantBody(t, h, "a", pattern(1, 100_000))
}

func ifAbsent(t *testing.T, h Harness) {
	opts := sink.PutOptions{IfAbsent: true}
	if err := h.Store.Put(t.Context(), "d/a", pattern(1, 100), opts); err != nil {
		t.Fatalf("first put: %v", err)
	}
	for _, body := range [][]byte{pattern(2, 300), pattern(1, 100)} {
		if err := h.Store.Put(t.Context(), "d/a", body, opts); !errors.Is(err, sink.ErrExist) {
			t.Fatalf("second put gave %v, want sink.ErrExist", err)
		}
	}
	wantBody(t, h, "d/a", pattern(1, 100))
	wantKeys(t, h, "d/a")
}

func ifAbsentRace(t *testing.T, h Harness) {
	const rounds, racers = 10, 8
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		errs := atOnce(racers, func(i int) error {
			return h.Store.Put(t.Context(), key, pattern(i, 10_000+i), sink.PutOptions{IfAbsent: true})
		})
		winner := onlyWinner(t, key, errs)
		for i, err := range errs {
			if err != nil && !errors.Is(err, sink.ErrExist) {
				t.Fatalf("%s: racer %d: %v, want sink.ErrExist", key, i, err)
			}
		}
		wantBody(t, h, key, pattern(winner, 10_000+winner))
	}
}

// onlyWinner returns which of the writers of a key had no error: exactly one must have none.
func onlyWinner(t *testing.T, key string, errs []error) int {
	t.Helper()
	winner := slices.Index(errs, nil)
	if winner < 0 {
		t.Fatalf("%s: nobody won: %v", key, errs)
	}
	if i := slices.Index(errs[winner+1:], nil); i >= 0 {
		t.Fatalf("%s: writers %d and %d both won", key, winner, winner+1+i)
	}
	return winner
}

func holds(t *testing.T, h Harness) {
	put(t, h, "a/1.jpg", pattern(1, 100_000))
	put(t, h, "empty", nil)
	almost := pattern(1, 100_000)
	almost[99_999]++
	for _, test := range []struct {
		key  string
		body []byte
		want bool
	}{
		{"a/1.jpg", pattern(1, 100_000), true},
		{"a/1.jpg", almost, false},
		{"a/1.jpg", pattern(1, 99_999), false},
		{"a/1.jpg", append(pattern(1, 100_000), 0), false},
		{"a/1.jpg", nil, false},
		{"empty", nil, true},
		{"empty", []byte{0}, false},
	} {
		if got, err := h.Store.Holds(t.Context(), test.key, test.body); err != nil || got != test.want {
			t.Errorf("%q holds %d bytes: %t, %v, want %t", test.key, len(test.body), got, err, test.want)
		}
	}
	if got, err := h.Store.Holds(t.Context(), "a/2.jpg", nil); got || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing object gave %t, %v, want fs.ErrNotExist", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := h.Store.Holds(ctx, "empty", nil); got || !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gave %t, %v", got, err)
	}
}

// atOnce calls f n times at once, waits for all of them, and returns their errors.
func atOnce(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// putObject puts an object as writeObject writes one.
func putObject(ctx context.Context, h Harness, key string, body []byte, opts sink.PutOptions) error {
	return h.Store.Put(ctx, key, body, opts)
}

// differentKeysAtOnce has write write n objects of slightly more than size bytes.
func differentKeysAtOnce(t *testing.T, h Harness, write func(context.Context, Harness, string, []byte, sink.PutOptions) error, n, size int) {
	keys := make([]string, n)
	must(t, errors.Join(atOnce(n, func(i int) error {
		keys[i] = fmt.Sprintf("s%d/f/%d.jpg", i%3, i)
		return write(t.Context(), h, keys[i], pattern(i, size+i), sink.PutOptions{})
	})...))
	for i, key := range keys {
		wantBody(t, h, key, pattern(i, size+i))
	}
	wantKeys(t, h, keys...)
}

func sameKeyAtOnce(t *testing.T, h Harness) {
	const writers, rounds, readers = 6, 8, 2
	size := func(seed int) int { return 100_000 + 1000*seed }
	put(t, h, "hot", pattern(0, size(0)))
	must(t, errors.Join(atOnce(writers+readers, func(i int) (err error) {
		for range rounds {
			if i < writers {
				err = h.Store.Put(t.Context(), "hot", pattern(i, size(i)), sink.PutOptions{})
			} else {
				err = checkOneOf(t.Context(), h, "hot", writers, size)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})...))
	must(t, checkOneOf(t.Context(), h, "hot", writers, size))
	wantKeys(t, h, "hot")
}

// checkOneOf returns an error unless the object is one of the first n patterns.
func checkOneOf(ctx context.Context, h Harness, key string, n int, size func(int) int) error {
	got, err := h.Get(ctx, key)
	if err != nil {
		return err
	}
	for i := range n {
		if bytes.Equal(got, pattern(i, size(i))) {
			return nil
		}
	}
	return fmt.Errorf("object %q of %d bytes is not one of the bodies put", key, len(got))
}

func cancelledBefore(t *testing.T, h Harness) {
	put(t, h, "old", pattern(1, 100))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, key := range []string{"old", "new", "folder/new"} {
		for _, ifAbsent := range []bool{false, true} {
			err := h.Store.Put(ctx, key, pattern(2, 100), sink.PutOptions{IfAbsent: ifAbsent})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("put of %q gave %v, want context.Canceled", key, err)
			}
		}
	}
	wantBody(t, h, "old", pattern(1, 100))
	wantKeys(t, h, "old")
}

// cancelledOnTheWay cancels while bodies are being written. An object whose put returned nil must exist; the
// others may exist. Every object is whole.
func cancelledOnTheWay(t *testing.T, h Harness) {
	const n, size = 8, 1 << 20
	put(t, h, "old", pattern(100, size))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	keys := make([]string, n+1)
	for i := range keys {
		keys[i] = fmt.Sprintf("new/%d", i)
	}
	keys[n/2+1] = "old"
	errs := atOnce(n+1, func(i int) error {
		err := h.Store.Put(ctx, keys[i], pattern(i, size), sink.PutOptions{})
		if keys[i] == "old" {
			cancel()
		}
		return err
	})
	for i, err := range errs {
		key := keys[i]
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("put %d gave %v, want nil or context.Canceled", i, err)
		}
		got, getErr := h.Get(t.Context(), key)
		switch {
		case bytes.Equal(got, pattern(i, size)) && getErr == nil:
		case err == nil:
			t.Errorf("%q was put and does not exist whole (%v)", key, getErr)
		case key == "old" && bytes.Equal(got, pattern(100, size)):
		case key != "old" && errors.Is(getErr, fs.ErrNotExist):
		default:
			t.Errorf("%q was cancelled and exists in part: %d bytes (%v)", key, len(got), getErr)
		}
	}
}

// Benchmark puts objects of typical sizes, one after the other and 16 at once, and reads the last one back.
func Benchmark(b *testing.B, open Open) {
	for _, size := range []int{4 << 10, 40 << 10, 1 << 20} {
		for _, ifAbsent := range []bool{false, true} {
			for _, atOnce := range []int{1, 16} {
				name := fmt.Sprintf("%dKiB/ifabsent=%t/inflight=%d", size>>10, ifAbsent, atOnce)
				b.Run(name, func(b *testing.B) { benchmarkPut(b, open(b), size, ifAbsent, atOnce) })
			}
		}
	}
}

func benchmarkPut(b *testing.B, h Harness, size int, ifAbsent bool, atOnce int) {
	body := pattern(1, size)
	numbers := make(chan int)
	errs := make([]error, atOnce)
	var wg sync.WaitGroup
	for w := range atOnce {
		wg.Go(func() {
			for i := range numbers {
				err := h.Store.Put(b.Context(), fmt.Sprintf("bench/%03d/%08d.jpg", i%100, i), body, sink.PutOptions{IfAbsent: ifAbsent})
				errs[w] = errors.Join(errs[w], err)
			}
		})
	}
	b.SetBytes(int64(size))
	b.ResetTimer()
	for i := range b.N { // not b.Loop: the last puts must be timed too
		numbers <- i
	}
	close(numbers)
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	last := fmt.Sprintf("bench/%03d/%08d.jpg", (b.N-1)%100, b.N-1)
	if got, err := h.Get(b.Context(), last); err != nil || !bytes.Equal(got, body) {
		b.Fatalf("the last object differs from what was put (%v)", err)
	}
}
