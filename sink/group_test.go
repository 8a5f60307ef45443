package sink_test

import (
	"bytes"
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

// text is a layout: the images one after the other, behind their number.
type text struct{}

func (text) Ext() string                         { return "txt" }
func (text) ContentType() string                 { return "text/plain" }
func (text) Beside() []string                    { return []string{"idx"} }
func (text) Inside(img media.Image) media.Image  { return img }
func (text) NewPack(first media.Image) sink.Pack { return &textPack{width: first.Width} }

type textPack struct{ n, width int }

func (p *textPack) Joins(img media.Image) bool { return img.Width == p.width }

func (p *textPack) Head() []byte { return fmt.Appendf(nil, "%04d\n", p.n) }

func (p *textPack) Add(img media.Image, r sink.ManifestRecord) ([][]byte, error) {
	if r.Bytes != int64(len(img.Data)) || r.Key == "" {
		return nil, errors.New("the record is that of another image")
	}
	if p.n++; p.n == 1 {
		return [][]byte{p.Head(), img.Data}, nil
	}
	return [][]byte{img.Data[:1], img.Data[1:]}, nil
}

func (p *textPack) End() ([]byte, []sink.Companion, error) {
	return []byte("end\n"), []sink.Companion{{Body: p.Head(), ContentType: "text/plain"}}, nil
}

// inGroups makes a sink one of groups.
func inGroups(g sink.Group) func(c *sink.Config) {
	return func(c *sink.Config) {
		c.Path, c.Manifest.Path, c.Ledger.Path = "{fragment_number}_{frame_index}.{ext}", "manifest/{fragment_number}", "gaps/{fragment_number}"
		c.Groups = &sink.Groups{Group: g, Layout: text{}}
	}
}

// sample returns an image of fragment f at a time, given in ms.
func sample(f, index, at int) media.Image {
	img := picture()
	img.FragmentNumber, img.Index, img.PTS = fmt.Sprint(f), index, time.Duration(index)*100*time.Millisecond
	img.ProducerTime = time.UnixMilli(int64(at)).UTC()
	img.Data = fmt.Appendf(nil, "%d/%d\n", f, index)
	return img
}

// deliver gives images to a writer, as a run does, and ends each fragment. reported is called for each that is durable.
func deliver(ctx context.Context, w *sink.Writer, all []media.Image, reported func(f string, r media.Receipt)) error {
	for i, img := range all {
		if err := w.Write(ctx, img); err != nil {
			return err
		}
		if i+1 < len(all) && all[i+1].FragmentNumber == img.FragmentNumber {
			continue
		}
		f := &media.Fragment{Stream: img.Stream, Number: img.FragmentNumber}
		if err := w.EndFragment(ctx, f, func(r media.Receipt) { reported(f.Number, r) }); err != nil {
			return err
		}
	}
	return nil
}

func nobody(string, media.Receipt) {}

func TestGroupsBeginWhereTheStreamSaysSo(t *testing.T) {
	minute := sink.Group{Every: time.Minute}
	wide := func(img media.Image) media.Image { img.Width++; return img }
	for _, test := range []struct {
		name   string
		group  sink.Group
		images []media.Image
		want   []string // the first image of each group
	}{
		{"a grid from the Unix epoch", minute, []media.Image{sample(1, 0, 59_000), sample(1, 1, 59_999), sample(1, 2, 60_000), sample(2, 0, 119_999), sample(3, 0, 120_000)}, []string{"1_000000", "1_000002", "3_000000"}},
		{"before the epoch", minute, []media.Image{sample(1, 0, -60_001), sample(1, 1, -60_000), sample(1, 2, -1), sample(1, 3, 0)}, []string{"1_000000", "1_000001", "1_000003"}},
		{"cells without a sample", minute, []media.Image{sample(1, 0, 0), sample(2, 0, 600_000), sample(2, 1, 600_100)}, []string{"1_000000", "2_000000"}},
		{"a number", sink.Group{Every: time.Hour, Count: 2}, []media.Image{sample(1, 0, 0), sample(1, 1, 1), sample(2, 0, 2), sample(3, 0, 3), sample(3, 1, 4)}, []string{"1_000000", "2_000000", "3_000001"}},
		{"a number inside a cell", sink.Group{Every: time.Minute, Count: 2}, []media.Image{sample(1, 0, 59_999), sample(1, 1, 60_000), sample(1, 2, 60_001), sample(1, 3, 60_002)}, []string{"1_000000", "1_000001", "1_000003"}},
		{"a size, of which one image has more", sink.Group{Every: time.Hour, Size: 8}, []media.Image{sample(1, 0, 0), sample(1, 1, 1), sample(1, 2, 2), sample(100_000_000, 0, 3), sample(100_000_002, 0, 4)}, []string{"1_000000", "1_000002", "100000000_000000", "100000002_000000"}},
		{"a clock that is set back", minute, []media.Image{sample(1, 0, 100_000), sample(2, 0, 98_999), sample(2, 1, 99_099)}, []string{"1_000000", "2_000000"}},
		{"rounding", minute, []media.Image{sample(1, 0, 100_000), sample(2, 0, 99_000)}, []string{"1_000000"}},
		{"two frames of rounding", minute, []media.Image{sample(1, 9, 100_000), sample(2, 0, 98_800)}, []string{"1_000009"}},
		{"more than two frames", minute, []media.Image{sample(1, 9, 100_000), sample(2, 0, 98_799)}, []string{"1_000009", "2_000000"}},
		{"rounding into the cell before", minute, []media.Image{sample(1, 0, 120_000), sample(2, 0, 119_900), sample(2, 1, 120_100)}, []string{"1_000000"}},
		{"what the layout does not join", minute, []media.Image{sample(1, 0, 0), wide(sample(1, 1, 1)), wide(sample(2, 0, 2)), sample(3, 0, 3)}, []string{"1_000000", "1_000001", "3_000000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := sink.NewMem()
			w := newSink(t, store, inGroups(test.group)).NewWriter()
			if err := errors.Join(deliver(t.Context(), w, test.images, nobody), w.Finish(t.Context())); err != nil {
				t.Fatal(err)
			}
			var got []string
			var content bytes.Buffer
			for _, key := range store.Keys() {
				if name, ok := strings.CutSuffix(key, ".txt"); ok {
					got = append(got, name)
					object, _ := store.Get(key)
					beside, err := store.Get(name + ".idx")
					if !bytes.HasPrefix(object.Body, beside.Body) || err != nil || object.ContentType != "text/plain" || object.Metadata != nil {
						t.Errorf("%s is %+v, beside it is %q, %v", key, object, beside.Body, err)
					}
					content.Write(bytes.TrimSuffix(object.Body[len("0000\n"):], []byte("end\n")))
				}
			}
			slices.SortFunc(got, func(a, b string) int { return len(a) - len(b) })
			if !slices.Equal(got, test.want) {
				t.Errorf("groups begin with %q, want %q", got, test.want)
			}
			for _, img := range test.images {
				if bytes.Count(content.Bytes(), img.Data) != 1 {
					t.Errorf("%q is not there once", img.Data)
				}
			}
		})
	}
}

// TestARunThatContinuesMakesTheSameGroups stops after each image, as a process that is killed does, and continues where the reports say.
func TestARunThatContinuesMakesTheSameGroups(t *testing.T) {
	var all []media.Image
	for f := range 12 {
		for i := range f % 5 {
			all = append(all, sample(f, i, f*1000+i*100))
		}
	}
	for _, g := range []sink.Group{{Every: time.Hour, Count: 1}, {Every: time.Hour, Count: 2}, {Every: time.Hour, Count: 7}, {Every: 3 * time.Second}, {Every: time.Second, Size: 10}, {Every: time.Hour}} {
		run := func(stops ...int) map[string]string {
			store := sink.NewMem()
			s := newSink(t, store, inGroups(g))
			last, split := "", media.Split{}
			counted := 0
			for _, stop := range append(stops, len(all)) {
				from := slices.IndexFunc(all, func(img media.Image) bool { return media.CompareNumbers(img.FragmentNumber, last) > 0 })
				w := s.Continue(sink.Continuation{RunID: "run-7", Split: split})
				err := deliver(t.Context(), w, all[from:max(from, stop)], func(f string, r media.Receipt) {
					// What was cut off from a fragment is not known to have ended.
					if stop == len(all) || media.CompareNumbers(f, all[stop].FragmentNumber) < 0 {
						last, split, counted = f, r.Next, counted+r.Written
					}
				})
				if end := w.Finish; stop == len(all) {
					err = errors.Join(err, end(t.Context()))
				} else {
					err = errors.Join(err, w.Abandon())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if counted != len(all) {
				t.Errorf("%+v, stopped at %v: %d images were reported, want %d", g, stops, counted, len(all))
			}
			return objectsOf(store)
		}
		want := run()
		for first := range all {
			for _, second := range []int{first, min(first+1, len(all)-1), len(all) - 1} {
				if got := run(first, second); !maps.Equal(got, want) {
					t.Errorf("%+v, stopped at %d and %d:\n%q\nwant\n%q", g, first, second, got, want)
				}
			}
		}
	}
}

// objectsOf returns what is in a store, by key.
func objectsOf(store *sink.Mem) map[string]string {
	objects := map[string]string{}
	for _, key := range store.Keys() {
		o, _ := store.Get(key)
		objects[key] = string(o.Body)
	}
	return objects
}

// failing is a store each of whose operations fails while pass returns an error.
type failing struct {
	*sink.Mem
	pass func() error
}

// nth returns a store whose nth operation fails, from 1, and the two after it, with an error that passes. count is the number of operations so far.
func nth(n int) (store *failing, count *int) {
	count = new(int)
	return &failing{sink.NewMem(), func() error {
		if *count++; n > 0 && *count >= n && *count < n+3 {
			return refused{true}
		}
		return nil
	}}, count
}

func (s *failing) Put(ctx context.Context, key string, body []byte, opts sink.PutOptions) error {
	return cmpOr(s.pass(), func() error { return s.Mem.Put(ctx, key, body, opts) })
}

func (s *failing) Create(ctx context.Context, key string, opts sink.PutOptions) (sink.ObjectWriter, error) {
	if err := s.pass(); err != nil {
		return nil, err
	}
	w, err := s.Mem.Create(ctx, key, opts)
	return &failingWriter{w, s}, err
}

type failingWriter struct {
	sink.ObjectWriter
	store *failing
}

func (w *failingWriter) Write(ctx context.Context, p []byte) error {
	return cmpOr(w.store.pass(), func() error { return w.ObjectWriter.Write(ctx, p) })
}

func (w *failingWriter) Commit(ctx context.Context) error {
	return cmpOr(w.store.pass(), func() error { return w.ObjectWriter.Commit(ctx) })
}

func cmpOr(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

// TestAGroupWaitsForTroubleThatPasses has each operation of the store fail three times in a row.
func TestAGroupWaitsForTroubleThatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := []media.Image{sample(1, 0, 0), sample(1, 1, 1), sample(2, 0, 2), sample(3, 0, 3)}
		var want map[string]string
		for n := 0; ; n++ {
			store, count := nth(n)
			w := newSink(t, store, func(c *sink.Config) {
				inGroups(sink.Group{Every: time.Hour, Count: 3})(c)
				c.Destination.MaxInFlight = 1 // the operations are one after the other
			}).NewWriter()
			if err := errors.Join(deliver(t.Context(), w, all, nobody), w.Finish(t.Context())); err != nil {
				t.Fatalf("operation %d: %v", n, err)
			}
			got := objectsOf(store.Mem)
			if n == 0 {
				want = got
			}
			if !maps.Equal(got, want) || len(want) != 2*2+3 {
				t.Errorf("operation %d: %q, want %q", n, got, want)
			}
			if n > 0 && *count < n {
				break
			}
		}
	})
}

func TestSettingsOfGroups(t *testing.T) {
	c := named("a")
	inGroups(sink.DefaultGroup())(&c)
	c.Groups.Every, c.Groups.Count = time.Millisecond, -1
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "group.every: 1ms is below 1s") || !strings.Contains(err.Error(), "group.count: -1 is below 0") {
		t.Errorf("error %v", err)
	}
	other := named("b")
	other.Path, other.Ext = "{fragment_number}_{frame_index}.idx", "idx"
	inGroups(sink.DefaultGroup())(&c)
	c.Ext = "txt"
	if found := errors.Join(sink.Conflicts([]sink.Config{c, other})...); found == nil || !strings.Contains(found.Error(), `the idx files of sink "a"`) {
		t.Errorf("conflicts %v", found)
	}
}
