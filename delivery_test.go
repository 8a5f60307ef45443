package kvsframes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/internal/disk/disktest"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/payload"
)

// tape is a recorded stream of few small fragments, one of which is lost, as an archive that takes its time.
type tape struct {
	fragments []*media.Fragment
	lost      int // the index of the lost one
}

// record returns a clip whose groups of pictures are cut into fragments of 8 packets, seconds apart on the producer's clock. The
// lost one is the end of a group, so that nothing refers to it.
func record(t *testing.T) *tape {
	t.Helper()
	clip, err := os.ReadFile("decode/testdata/no-b.mkv")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	var saved []byte
	n := 0
	for _, f := range split(t, clip) {
		for blocks := range slices.Chunk(f.Blocks, 8) {
			number, at := fmt.Sprintf("%047d", n+1), start.Add(time.Duration(n)*2*time.Second)
			n++
			chunk := kvstest.Chunk{FragmentNumber: number, ContinuationToken: number, ProducerTime: at, ServerTime: at, Tracks: f.Tracks}
			for _, b := range blocks {
				chunk.Blocks = append(chunk.Blocks, kvstest.Block{Track: b.Track, Time: b.Time - blocks[0].Time, Key: b.Key, Data: f.MKV[b.Offset : b.Offset+b.Size]})
			}
			saved = kvstest.AppendChunk(saved, chunk)
		}
	}
	return &tape{split(t, saved), 3}
}

// split returns the fragments of a recording.
func split(t *testing.T, recording []byte) (all []*media.Fragment) {
	t.Helper()
	for s := payload.NewSplitter(bytes.NewReader(recording), payload.Config{}); ; {
		f, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Stream = "cam"
		all = append(all, f)
	}
}

// input returns the tape as a stream of a run. fault is asked before each call; nil is none.
func (p *tape) input(fault func() error) source.Input {
	open := func(_ context.Context, from media.Progress, _ bool) (source.Source, error) {
		r := &tapeReader{tape: p, fault: fault}
		for after := from.After.Number; r.next < len(p.fragments); r.next++ {
			number := p.fragments[r.next].Number
			if after != "" && media.CompareNumbers(number, after) > 0 || after == "" && media.CompareNumbers(number, from.First.Number) >= 0 {
				break
			}
		}
		return r, r.call()
	}
	return source.Input{
		Stream: "cam", Continue: open,
		Open: func(ctx context.Context) (source.Source, error) { return open(ctx, media.Progress{}, false) },
	}
}

type tapeReader struct {
	tape  *tape
	next  int
	fault func() error
}

func (r *tapeReader) call() error {
	if r.fault == nil {
		return nil
	}
	return r.fault()
}

func (r *tapeReader) Next(ctx context.Context) (*media.Fragment, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(300 * time.Millisecond):
	}
	if err := r.call(); err != nil {
		return nil, err
	}
	if r.next == len(r.tape.fragments) {
		return nil, io.EOF
	}
	f := *r.tape.fragments[r.next]
	f.MKV = bytes.Clone(f.MKV) // a reader gives it away
	r.next++
	if r.next-1 == r.tape.lost {
		return nil, payload.NewGap("cam", f.Number, &payload.Cause{Reason: media.GapMissing, Text: "lost"}, 0)
	}
	return &f, nil
}

func (r *tapeReader) Stats() source.Stats { return source.Stats{BytesRead: int64(r.next)} }
func (r *tapeReader) Close() error        { return r.call() }

// delivery is a run whose folders and checkpoint are on a disk of its own.
type delivery struct {
	tape     *tape
	mount    string
	settings string // the path of the YAML file
	// live reports whether the stream counts as a live one.
	live bool
	// store, if it is not nil, is where the images go in place of folders.
	store sink.Store
}

// endless is an origin of live streams.
type endless struct{ source.Origin }

func (endless) Endless() bool { return true }

// held is the location of a store.
type held struct {
	sink.Directory
	store sink.Store
}

// Open implements sink.Location.
func (h held) Open(context.Context) (sink.Store, error) { return h.store, nil }

// newDelivery prepares runs; to are more keys of the destinations.
func newDelivery(t *testing.T, to string) *delivery {
	t.Helper()
	d := &delivery{tape: record(t), mount: t.TempDir(), settings: filepath.Join(t.TempDir(), "pipeline.yaml")}
	destination := fmt.Sprintf("destination: {directory: '%s/out'%s}", d.mount, to)
	text := "version: 1\n" +
		"source: {type: file, paths: [testdata/demo.mkv], stream: cam}\n" +
		"decode: {workers: 2, isolation: none}\n" + // processes have no virtual clock
		"sinks:\n" +
		"  - {name: all, type: raw, sample: {type: stride, n: 2}, resize: {width: 8}, path: \"{sink}/{fragment_number}/{frame_index}.{ext}\", " + destination + "}\n" +
		"  - {name: asked, sample: {type: timestamps, at: ['2026-01-01T12:00:00Z', '2026-01-01T12:00:08Z', '2026-01-01T13:00:00Z']}, resize: {width: 8}, path: \"{sink}/{fragment_number}_{frame_index}.{ext}\", " + destination + "}\n" +
		// Each window has several fragments, so that what is chosen is known only later.
		"  - {name: best, sample: {type: best, window: 5s}, filters: {duplicate: {max_gap: 15s}}, resize: {width: 8}, path: \"{sink}/{fragment_number}_{frame_index}.{ext}\", manifest: {every: 7s}, " + destination + "}\n"
	text += "  - {name: rows, type: batch, sample: {type: stride, n: 3}, resize: {width: 8}, group: {count: 4}, path: \"{sink}/{fragment_number}_{frame_index}.{ext}\", manifest: {every: 9s}, " + destination + "}\n" +
		"  - {name: shards, type: webdataset, sample: {type: stride, n: 5}, resize: {width: 8}, path: \"{sink}/{fragment_number}_{frame_index}.{ext}\", " + destination + "}\n" +
		"  - {name: table, type: parquet, sample: {type: stride, n: 6}, resize: {width: 8}, group: {count: 9}, path: \"{sink}/{fragment_number}_{frame_index}.{ext}\", " + destination + "}\n" +
		"  - {name: sheets, type: sprite, columns: 3, sample: {type: stride, n: 8}, resize: {width: 8}, group: {count: 8}, path: \"{sink}/{fragment_number}_{frame_index}.{ext}\", " + destination + "}\n"
	if err := os.WriteFile(d.settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// run runs the pipeline once, over a source whose calls may fail, and returns how that ended.
func (d *delivery) run(t *testing.T, fault func() error) (s Summary, err error) {
	t.Helper()
	p, err := Load(t.Context(), LoadOptions{Path: d.settings})
	if err != nil {
		t.Fatal(err)
	}
	p.inputs = []source.Input{d.tape.input(fault)}
	if d.live {
		p.Config.Source.Origin = endless{p.Config.Source.Origin}
	}
	if d.store != nil {
		for i := range p.Config.Sinks {
			p.Config.Sinks[i].Destination.Location = held{sink.Directory{Path: d.mount}, d.store}
		}
	}
	p.Config.Checkpoint.Type, p.Config.Checkpoint.Path = config.CheckpointFile, d.mount+"/state/{stream}.json"
	if err := p.Config.Checkpoint.Every.UnmarshalText([]byte("250ms")); err != nil {
		t.Fatal(err)
	}
	return p.Run(t.Context(), RunOptions{})
}

// objects returns what is in the folders of a disk, and the unfinished files there.
func (d *delivery) objects(on *disktest.Disk) (objects map[string]string, unfinished []string) {
	objects = on.Files()
	for name := range objects {
		if strings.Contains(name, ".kvsframes-tmp-") {
			unfinished = append(unfinished, name)
		}
		if !strings.HasPrefix(name, "out/") {
			delete(objects, name)
		}
	}
	return objects, unfinished
}

// undisturbed returns the objects of a run that nothing disturbs, and the number of operations of its disk.
func (d *delivery) undisturbed(t *testing.T) (objects map[string]string, ops int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		on := disktest.New(t, d.mount)
		s, err := d.run(t, nil)
		var unfinished []string
		objects, unfinished = d.objects(on)
		if ops = on.Ops(); err != nil || s.Status != pipeline.StatusGaps || len(unfinished) > 0 || len(objects) < 20 {
			t.Fatalf("an undisturbed run gives %v, %v, %q: %q", s, err, unfinished, slices.Sorted(maps.Keys(objects)))
		}
	})
	return objects, ops
}

// differences describes how objects differ from what they should be.
func differences(got, want map[string]string) (all []string) {
	for name, content := range want {
		if other, there := got[name]; !there {
			all = append(all, name+" is not there")
		} else if other != content {
			all = append(all, fmt.Sprintf("%s has %d bytes, and should have %d, or others", name, len(other), len(content)))
		}
	}
	for name := range got {
		if _, there := want[name]; !there {
			all = append(all, name+" should not be there")
		}
	}
	slices.Sort(all)
	return all
}

// TestAPowerCutLosesNothing cuts the power before each operation of the disk, or some of them, and in half of the cases once more in the
// next run. What the last run leaves equals what a run that nothing disturbs leaves.
func TestAPowerCutLosesNothing(t *testing.T) {
	rng := soaktest.Rand(t)
	for _, to := range []string{"", ", fsync: true"} {
		d := newDelivery(t, to)
		want, ops := d.undisturbed(t)
		step, tries := 3, 1
		switch {
		case soaktest.Soaking():
			step, tries = 1, 10
		case soaktest.UnderRace:
			step = 12
		}
		for i := rng.IntN(step); i < ops*tries; i += step {
			n := i/tries + 1
			synctest.Test(t, func(t *testing.T) {
				on := disktest.New(t, d.mount)
				on.CutAt(n)
				if s, err := d.run(t, nil); on.Ops() >= n && (err == nil || s.ExitCode != 1) {
					t.Errorf("cut at operation %d of %d: %s, %v", n, ops, s.Status, err)
				}
				on = on.Cut(t, rng)
				if rng.IntN(2) == 0 {
					on.CutAt(1 + rng.IntN(ops))
					_, _ = d.run(t, nil)
					on = on.Cut(t, rng)
				}
				s, err := d.run(t, nil)
				got, unfinished := d.objects(on)
				if wrong := differences(got, want); err != nil || len(wrong) > 0 || len(unfinished) > 0 {
					t.Errorf("cut at operation %d of %d (destination with %q): %s, %v, unfinished %q:\n%s", n, ops, to, s.Status, err, unfinished, strings.Join(wrong, "\n"))
				}
			})
		}
		t.Logf("%d operations, %d objects (destination with %q)", ops, len(want), to)
	}
}
