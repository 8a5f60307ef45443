package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// growing is a layout of objects that are made anew with each image: all images, and beside them their number.
type growing struct{ text }

func (growing) NewPack(media.Image) sink.Pack { return &growingPack{} }

type growingPack struct {
	n    int
	body []byte
}

func (p *growingPack) Joins(media.Image) bool { return true }

func (p *growingPack) Add(img media.Image, _ sink.ManifestRecord) ([][]byte, error) {
	p.n++
	p.body = append(p.body, img.Data...)
	return nil, nil
}

func (p *growingPack) SoFar() ([]byte, []sink.Companion, error) {
	return bytes.Clone(p.body), []sink.Companion{{Body: fmt.Append(nil, p.n)}}, nil
}

func (p *growingPack) End() ([]byte, []sink.Companion, error) { return p.SoFar() }

// shown is a store that notes each object that becomes visible, and fails at the nth operation if that is not 0.
type shown struct {
	*sink.Mem
	t        *testing.T
	begin    time.Time
	mu       sync.Mutex
	fail, op int
	log      []string
}

var errKilled = errors.New("killed")

// next counts an operation, notes what became visible, and checks that no companion tells of images that are not in its object.
func (s *shown) next(key string, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.op++; s.op == s.fail {
		return errKilled
	}
	if err := do(); err != nil || key == "" || strings.Contains(key, "/") {
		return err
	}
	if key, ok := strings.CutSuffix(key, ".idx"); ok {
		beside, _ := s.Get(key + ".idx")
		object, err := s.Get(key + ".txt")
		if n := bytes.Count(object.Body, []byte("\n")); err != nil || fmt.Sprint(n) < string(beside.Body) {
			s.t.Errorf("beside %d images are the companions of %s", n, beside.Body)
		}
		return nil
	}
	object, _ := s.Get(key)
	s.log = append(s.log, fmt.Sprintf("%v: %d", time.Since(s.begin), bytes.Count(object.Body, []byte("\n"))))
	return nil
}

func (s *shown) Put(ctx context.Context, key string, body []byte, opts sink.PutOptions) error {
	return s.next(key, func() error { return s.Mem.Put(ctx, key, body, opts) })
}

func (s *shown) Create(ctx context.Context, key string, opts sink.PutOptions) (w sink.ObjectWriter, err error) {
	err = s.next("", func() (err error) { w, err = s.Mem.Create(ctx, key, opts); return err })
	return &shownWriter{w, s, key}, err
}

type shownWriter struct {
	sink.ObjectWriter
	store *shown
	key   string
}

func (w *shownWriter) Commit(ctx context.Context) error {
	return w.store.next(w.key, func() error { return w.ObjectWriter.Commit(ctx) })
}

// sheets is a sink whose objects grow.
func sheets(t *testing.T, store sink.Store, endless bool) *sink.Sink {
	t.Helper()
	c := named("sheets")
	inGroups(sink.Group{Every: 40 * time.Second})(&c)
	c.Groups.Layout = growing{}
	s, err := sink.New(c, store, sink.Options{RunID: "run-7", Endless: endless})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// live gives a writer a fragment every 3.3 s, with an image in every other one, from fragment first on.
func live(ctx context.Context, w *sink.Writer, first int, reported func(f string, r media.Receipt)) error {
	for i := first; i < 20; i++ {
		if i%2 == 0 {
			if err := w.Write(ctx, sample(i, 0, 3000*i)); err != nil {
				return err
			}
		}
		f := &media.Fragment{Stream: "front-door", Number: fmt.Sprint(i)}
		if err := w.EndFragment(ctx, f, func(r media.Receipt) { reported(f.Number, r) }); err != nil {
			return err
		}
		time.Sleep(3300 * time.Millisecond)
	}
	return w.Finish(ctx)
}

func contents(store *sink.Mem) map[string]string {
	all := map[string]string{}
	for _, key := range store.Keys() {
		o, _ := store.Get(key)
		all[key] = string(o.Body)
	}
	return all
}

func TestALiveObjectIsStoredAsItGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for endless, want := range map[bool]string{
			// Images come every 6.6 s, and the first group has 7 of them.
			true:  "0s: 1 10s: 2 20s: 4 30s: 5 40s: 7 46.2s: 7 46.2s: 1 56.2s: 2 1m6s: 3",
			false: "46.2s: 7 1m6s: 3",
		} {
			store := &shown{Mem: sink.NewMem(), t: t, begin: time.Now()}
			if err := live(t.Context(), sheets(t, store, endless).NewWriter(), 0, nobody); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(store.log, " "); got != want {
				t.Errorf("endless %v: stored with so many images: %s, want %s", endless, got, want)
			}
		}
	})
}

// TestAnObjectThatGrowsIsMadeAgain kills runs at each operation of the store, and continues them.
func TestAnObjectThatGrowsIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var want map[string]string
		for n := 0; ; n++ {
			store := &shown{Mem: sink.NewMem(), t: t, begin: time.Now(), fail: n}
			next, split := 0, media.Split{}
			reported := func(f string, r media.Receipt) {
				_, _ = fmt.Sscan(f, &next)
				next, split = next+1, r.Next
			}
			killed := sheets(t, store, true).NewWriter()
			err := live(t.Context(), killed, 0, reported)
			if n == 0 {
				want = contents(store.Mem)
			}
			if err == nil && n > 0 {
				break
			}
			if err != nil {
				if !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				if err := killed.Abandon(); err != nil { // and does nothing later
					t.Fatal(err)
				}
				w := sheets(t, store, true).Continue(sink.Continuation{RunID: "run-7", Split: split})
				if err := live(t.Context(), w, next, reported); err != nil {
					t.Fatal(err)
				}
			}
			if got := contents(store.Mem); !maps.Equal(got, want) {
				t.Errorf("killed at operation %d: %.2000q, want %.2000q", n, fmt.Sprint(got), fmt.Sprint(want))
			}
		}
	})
}

// TestAnObjectThatMayNotBeReplacedIsNotStoredAsItGrows has a live stream whose sheets appear once, when they are complete, with what is beside them.
func TestAnObjectThatMayNotBeReplacedIsNotStoredAsItGrows(t *testing.T) {
	for _, ifExists := range []sink.IfExists{sink.IfExistsSkip, sink.IfExistsFail} {
		synctest.Test(t, func(t *testing.T) {
			store := sink.NewMem()
			c := named("sheets")
			inGroups(sink.Group{Every: 40 * time.Second})(&c)
			c.Groups.Layout, c.Destination.IfExists = growing{}, ifExists
			s, err := sink.New(c, store, sink.Options{RunID: "run-7", Endless: true})
			if err != nil {
				t.Fatal(err)
			}
			early := 0
			w := s.NewWriter()
			go func() {
				time.Sleep(30 * time.Second)
				early = len(store.Keys())
			}()
			if err := live(t.Context(), w, 0, func(string, media.Receipt) {}); err != nil || early > 0 {
				t.Errorf("%s: %d objects before the first sheet is complete, %v", ifExists, early, err)
			}
			want := sink.NewMem()
			if err := live(t.Context(), sheets(t, want, false).NewWriter(), 0, func(string, media.Receipt) {}); err != nil {
				t.Fatal(err)
			}
			if got := contents(store); !maps.Equal(got, contents(want)) {
				t.Errorf("%s: %q, want %q", ifExists, got, contents(want))
			}
			time.Sleep(time.Hour)
		})
	}
}
