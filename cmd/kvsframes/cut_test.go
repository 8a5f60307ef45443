package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/decodetest"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// TestCutStreamsComeOutExactLiveArchivedAndAsFiles cuts streams in two at a packet, and into fragments of few packets,
// and runs the program over each from the stream, from its archive and from what record saved of it. Every frame must be
// what libav gives for the clip in one piece. A sample of the packets is played unless soaking.
func TestCutStreamsComeOutExactLiveArchivedAndAsFiles(t *testing.T) {
	rng := soaktest.Rand(t)
	for _, clip := range soaktest.Some(t, []string{"no-b", "flat-b", "bframes", "opengop", "hevc", "hevc-open"}, 4) {
		whole := packetsOf(t, read(t, filepath.Join("../../decode/testdata", clip+".mkv")))
		n := len(whole.Blocks)
		saved, _ := cutBefore(whole, func(int) bool { return false })
		want := decodetest.Continuous(t, saved)
		if len(want) != n {
			t.Fatalf("%s: libav gives %d frames of %d", clip, len(want), n)
		}
		payloads, fragments := map[string][]byte{}, map[string]int{}
		add := func(name string, before func(i int) bool) {
			payloads[name], fragments[name] = cutBefore(whole, before)
		}
		for _, each := range []int{1, 3, 7, 11} {
			add(fmt.Sprintf("by-%d", each), func(i int) bool { return i%each == 0 })
		}
		const sampled = 3
		for at := 1; at < n; at++ {
			if soaktest.Soaking() || rng.IntN(n) < sampled {
				add(fmt.Sprintf("at-%d", at), func(i int) bool { return i == at })
			}
		}
		url := emulator(t, kvstest.PaceMax, payloads)
		for stream, count := range fragments {
			t.Run(clip+"/"+stream, func(t *testing.T) { runCut(t, url, stream, count, want) })
		}
	}
}

// packetsOf returns a recording as one chunk.
func packetsOf(t *testing.T, recording []byte) kvstest.Chunk {
	t.Helper()
	var whole kvstest.Chunk
	for s := payload.NewSplitter(bytes.NewReader(recording), payload.Config{}); ; {
		f, err := s.Next()
		if errors.Is(err, io.EOF) {
			return whole
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(whole.Blocks) == 0 {
			whole.ProducerTime, whole.Tracks = f.ProducerTime, f.Tracks
		}
		whole.Blocks = append(whole.Blocks, blocksOf(f, whole.ProducerTime)...)
	}
}

// blocksOf returns the packets of a fragment, their times counted from start.
func blocksOf(f *media.Fragment, start time.Time) (blocks []kvstest.Block) {
	for _, b := range f.Blocks {
		at := f.ProducerTime.Add(b.Time)
		blocks = append(blocks, kvstest.Block{Track: b.Track, Time: at.Sub(start), Key: b.Key, Data: f.MKV[b.Offset : b.Offset+b.Size]})
	}
	return blocks
}

// cutBefore returns a payload with a new fragment before each of these packets, and the number of fragments.
func cutBefore(whole kvstest.Chunk, before func(i int) bool) (saved []byte, fragments int) {
	var chunk kvstest.Chunk
	for i, b := range whole.Blocks {
		if i == 0 || before(i) {
			if i > 0 {
				saved = kvstest.AppendChunk(saved, chunk)
			}
			fragments++
			number, at := fmt.Sprintf("%047d", fragments), whole.ProducerTime.Add(b.Time)
			chunk = kvstest.Chunk{FragmentNumber: number, ContinuationToken: number, ProducerTime: at, ServerTime: at.Add(time.Second), Tracks: whole.Tracks}
		}
		b.Time = whole.ProducerTime.Add(b.Time).Sub(chunk.ProducerTime)
		chunk.Blocks = append(chunk.Blocks, b)
	}
	return kvstest.AppendChunk(saved, chunk), fragments
}

// runCut runs the program over a stream in each of the ways there are to read it, and holds its frames against libav's.
func runCut(t *testing.T, url, stream string, fragments int, want [][]byte) {
	saved := filepath.Join(t.TempDir(), stream+".mkv")
	p, _, stderr := newProgram(nil)
	count := strconv.Itoa(fragments)
	if code := p.execute([]string{"record", stream, "-o", saved, "--start", "EARLIEST", "--endpoint-url", url, "--fragments", count}); code != exitDone {
		t.Fatalf("record: code %d:\n%s", code, stderr)
	}
	stored := fmt.Sprintf("streams: [%s], endpoint_url: %q, start_selector: {type: EARLIEST}, end: {fragments: %s}", stream, url, count)
	for mode, from := range map[string]string{
		"live": "mode: live, " + stored, "archive": "mode: archive, " + stored, "file": fmt.Sprintf("type: file, paths: [%q]", saved),
	} {
		out, summary := t.TempDir(), filepath.Join(t.TempDir(), "summary.json")
		file := settings(t, "source: {"+from+"}\n"+fmt.Sprintf(`
sinks: [{name: raw, type: raw, sample: {type: all}, pixel_format: yuv420p, path: "{producer_time}_{fragment_number}_{frame_index}.raw", manifest: {format: none}, destination: {directory: %q}}]
`, out))
		p, _, stderr := newProgram(nil)
		if code := p.execute([]string{"run", file, "--summary", summary}); code != exitDone {
			t.Errorf("%s: code %d:\n%s", mode, code, stderr)
			continue
		}
		s := readSummary(t, summary)[stream]
		if s.Fragments != fragments || s.Gaps != 0 || s.Concealed != 0 || s.FramesWritten["raw"] != len(want) {
			t.Errorf("%s: %+v, want %d fragments and %d frames", mode, s, fragments, len(want))
		}
		got, err := filepath.Glob(filepath.Join(out, "*.raw")) // in order of time
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %d frames, want %d, error %v", mode, len(got), len(want), err)
			continue
		}
		for i, name := range got {
			if !bytes.Equal(read(t, name), want[i]) {
				t.Errorf("%s: frame %d, %s, is not libav's", mode, i, filepath.Base(name))
				break
			}
		}
	}
}
