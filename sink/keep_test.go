package sink_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// begun is when the fragments of these tests begin.
var begun = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// filesIn returns the names of all files of a folder.
func filesIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(folder, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// keeping is a sink that keeps some of its objects, of two images of 10 bytes a fragment.
type keeping struct {
	folder string
	*sink.Sink
	w *sink.Writer
}

func newKeeping(t *testing.T, folder string, change func(*sink.Config)) keeping {
	t.Helper()
	c := sink.DefaultConfig()
	c.Name, c.Path = "thumbs", "{stream}/{fragment_number}_{frame_index}.{ext}"
	change(&c)
	store, err := c.Destination.Location.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := sink.New(c, store, sink.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return keeping{folder, s, s.NewWriter()}
}

func in(folder string, keep sink.Keep) func(*sink.Config) {
	return func(c *sink.Config) { c.Destination.Location = sink.Directory{Path: folder, Keep: keep} }
}

// write writes fragments, each a minute older than the one after it.
func (k keeping) write(t *testing.T, now time.Time, numbers ...int) {
	t.Helper()
	for n, i := range numbers {
		f := &media.Fragment{Stream: "cam", Number: fmt.Sprint(i), ProducerTime: begun.Add(time.Duration(i) * time.Second)}
		for index := range 2 {
			pts := time.Duration(index) * 40 * time.Millisecond
			img := media.Image{Sink: "thumbs", Ext: "jpg", Format: "jpeg", Data: bytes.Repeat([]byte{byte(i)}, 10), FrameInfo: media.FrameInfo{
				Stream: "cam", FragmentNumber: f.Number, Index: index, PTS: pts, ProducerTime: f.ProducerTime.Add(pts),
			}}
			if err := k.w.Write(t.Context(), img); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.w.EndFragment(t.Context(), f, func(media.Receipt) {}); err != nil {
			t.Fatal(err)
		}
		part := filepath.Join(k.folder, "cam/manifest/thumbs", f.Number+".jsonl")
		at := now.Add(-time.Duration(len(numbers)-n) * time.Minute)
		if err := os.Chtimes(part, at, at); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// of returns the files of some fragments.
func of(numbers ...int) (names []string) {
	for _, i := range numbers {
		names = append(names, fmt.Sprintf("cam/%d_000000.jpg", i), fmt.Sprintf("cam/%d_000001.jpg", i), fmt.Sprintf("cam/manifest/thumbs/%d.jsonl", i))
	}
	slices.Sort(names)
	return names
}

func TestSweepRemovesTheOldestObjects(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		keep sink.Keep
		left []int
	}{
		"by age":              {sink.Keep{Age: 150 * time.Second}, []int{4, 5}},
		"by size":             {sink.Keep{Size: 2500}, []int{3, 4, 5}},
		"by both":             {sink.Keep{Age: 150 * time.Second, Size: 1000}, []int{5}},
		"nothing is too much": {sink.Keep{Age: time.Hour, Size: 1 << 20}, []int{1, 2, 3, 4, 5}},
	} {
		folder := t.TempDir()
		k := newKeeping(t, folder, in(folder, c.keep))
		k.write(t, now, 1, 2, 3, 4, 5)
		for range 2 {
			if err := k.Sweep(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			if got := filesIn(t, folder); !slices.Equal(got, of(c.left...)) {
				t.Errorf("%s: %q, want those of %v", name, got, c.left)
			}
		}
	}
}

// TestSweepRemovesPartsOfSeveralFragments whole, when none of their fragments is being written.
func TestSweepRemovesPartsOfSeveralFragments(t *testing.T) {
	folder, now := t.TempDir(), time.Now()
	k := newKeeping(t, folder, func(c *sink.Config) {
		in(folder, sink.Keep{Age: time.Minute})(c)
		c.Manifest.Every = 2 * time.Second
	})
	k.write(t, now, 2, 3, 4, 5, 6)
	sweep := func(at time.Time, parts []int, numbers ...int) {
		t.Helper()
		if err := k.Sweep(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		want := slices.DeleteFunc(of(numbers...), func(name string) bool { return strings.HasSuffix(name, ".jsonl") })
		for _, n := range parts {
			want = append(want, fmt.Sprintf("cam/manifest/thumbs/%d.jsonl", n))
		}
		if got := filesIn(t, folder); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	sweep(now, []int{2, 3}, 2, 3, 4, 5, 6) // 5 and 6 are in the open part
	again := media.Image{Sink: "thumbs", Ext: "jpg", Data: bytes.Repeat([]byte{4}, 10), FrameInfo: media.FrameInfo{Stream: "cam", FragmentNumber: "4"}}
	if err := k.w.Write(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	sweep(now.Add(time.Hour), []int{3}, 3, 4, 5, 6)
}

// TestSweepTouchesNothingElse: files that others put there, whatever they are called and say.
func TestSweepTouchesNothingElse(t *testing.T) {
	folder, outside := t.TempDir(), t.TempDir()
	now := time.Now()
	k := newKeeping(t, folder, in(folder, sink.Keep{Age: time.Second}))
	k.write(t, now, 1, 2)
	part, err := os.ReadFile(filepath.Join(folder, "cam/manifest/thumbs/1.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	record := func(key, stream, number, of string) string {
		line, _, _ := strings.Cut(string(part), "\n")
		return strings.NewReplacer(`"cam/1_000000.jpg"`, fmt.Sprintf("%q", key), `"stream":"cam"`, fmt.Sprintf("%q:%q", "stream", stream),
			`"fragment_number":"1"`, fmt.Sprintf("%q:%q", "fragment_number", number), `"sink":"thumbs"`, fmt.Sprintf("%q:%q", "sink", of)).Replace(line) + "\n"
	}
	const precious = "precious/a.jpg"
	others := map[string]string{
		precious:                         "a",
		"cam/3_000000.jpg":               "no record",
		"metadata.jsonl":                 string(part),                                  // as kvsframes manifest writes it
		"cam/manifest/thumbs/7.jsonl":    record(precious, "cam", "8", "thumbs"),        // the name of another fragment
		"cam/manifest/thumbs/9.jsonl":    record(precious, "cam", "9", "raw"),           // another sink
		"cam/manifest/thumbs/10.jsonl":   record("../a.jpg", "cam", "10", "thumbs"),     // outside
		"cam/manifest/thumbs/11.jsonl":   record(precious, "cam", "11", "thumbs") + "x", // something else
		"barn/manifest/thumbs/12.jsonl":  record(precious, "cam", "12", "thumbs"),
		"cam/gaps/thumbs/1.jsonl":        `{"stream":"cam","sink":"thumbs","fragment_number":"1","reason":"cut"}` + "\n",
		"cam/manifest/thumbs/notes.txt":  string(part),
		"cam/manifest/thumbs/empty.json": "",
	}
	for name, text := range others {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, begun, begun); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(outside, "secret.jpg")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(folder, "link.jpg")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "cam/manifest/thumbs/13.jsonl"), []byte(record("link.jpg", "cam", "13", "thumbs")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Sweep(t.Context(), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	want := append(slices.Collect(maps.Keys(others)), "link.jpg")
	if slices.Sort(want); !slices.Equal(filesIn(t, folder), want) {
		t.Errorf("%q, want %q", filesIn(t, folder), want)
	}
	if _, err := os.Stat(secret); err != nil {
		t.Error(err)
	}
}

// TestSweepLeavesWhatIsBeingWritten: a run that continues writes old fragments again.
func TestSweepLeavesWhatIsBeingWritten(t *testing.T) {
	folder, now := t.TempDir(), time.Now()
	k := newKeeping(t, folder, in(folder, sink.Keep{Age: time.Second}))
	k.write(t, now, 1, 2)
	again := media.Image{Sink: "thumbs", Ext: "jpg", Data: make([]byte, 10), FrameInfo: media.FrameInfo{Stream: "cam", FragmentNumber: "1"}}
	if err := k.w.Write(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if err := k.Sweep(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if got := filesIn(t, folder); !slices.Equal(got, of(1)) {
		t.Errorf("%q, want those of 1", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Sweep(ctx, now); err == nil {
		t.Error("a context that has ended ends no sweep")
	}
}

// TestSweepKeepsWhatAnotherRecordNames: each image replaces the one before it.
func TestSweepKeepsWhatAnotherRecordNames(t *testing.T) {
	folder, now := t.TempDir(), time.Now()
	k := newKeeping(t, folder, func(c *sink.Config) {
		in(folder, sink.Keep{Age: 90 * time.Second})(c)
		c.Path, c.OverwriteExplicit = "{stream}/latest.{ext}", true
	})
	k.write(t, now, 1, 2, 3)
	if err := k.Sweep(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if got, want := filesIn(t, folder), []string{"cam/latest.jpg", "cam/manifest/thumbs/3.jsonl"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := k.Sweep(t.Context(), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := filesIn(t, folder); len(got) > 0 {
		t.Errorf("%q stay", got)
	}
}

func TestKeepNeedsRecords(t *testing.T) {
	for want, change := range map[string]func(*sink.Config){
		"manifest.format": func(c *sink.Config) { c.Manifest.Format = sink.ManifestNone },
		"{run_id}":        func(c *sink.Config) { c.Manifest.Path = "{run_id}/{stream}/{fragment_number}.jsonl" },
		"if_exists: skip": func(c *sink.Config) { c.Destination.IfExists = sink.IfExistsSkip },
		"keep.age: -1s":   func(c *sink.Config) { in("out", sink.Keep{Age: -time.Second})(c) },
	} {
		c := sink.DefaultConfig()
		c.Name = "thumbs"
		in("out", sink.Keep{Size: 1})(&c)
		change(&c)
		err := c.Validate()
		if d, ok := c.Destination.Location.(sink.Directory); ok && err == nil {
			err = d.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
