//go:build cgo

package decode

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// recording is a file, and what comes of it.
type recording struct {
	data   []byte
	sample plan.Sample
	// starts are where the fragments start in data, and the end.
	starts []int
	frames [][]picked
}

// picked is one image, as far as a fragment elsewhere in the file cannot change it.
type picked struct {
	at  time.Time
	sum [sha256.Size]byte
}

// payloadOf returns fragments as the payload of a GetMedia call.
func payloadOf(frags []*media.Fragment) (payload []byte) {
	for _, f := range frags {
		c := kvstest.Chunk{
			FragmentNumber: f.Number, ContinuationToken: f.Number,
			ProducerTime: f.ProducerTime, ServerTime: f.ProducerTime.Add(time.Second), Tracks: f.Tracks,
		}
		for _, b := range f.Blocks {
			c.Blocks = append(c.Blocks, kvstest.Block{Track: b.Track, Time: b.Time, Key: b.Key, Data: f.MKV[b.Offset : b.Offset+b.Size]})
		}
		payload = kvstest.AppendChunk(payload, c)
	}
	return payload
}

// readFile reads a file as `run` does, and decodes what comes. Gaps are those of the source, which
// have no frames, and of the decoder.
func readFile(t testing.TB, pool *Pool, path string, sample plan.Sample) (images []media.Image, gaps []media.Gap, err error) {
	t.Helper()
	cfg := source.DefaultConfig()
	cfg.Origin = source.FileConfig{Paths: []string{path}}
	inputs, err := source.OpenFiles(cfg, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := inputs[0].Open(t.Context())
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	o := everyFrame()
	o.Sample = sample
	s := stream(t, pool, o)
	defer func() { gaps = append(gaps, s.End()...) }()
	for {
		f, err := in.Next(t.Context())
		var gap *media.GapError
		switch {
		case errors.Is(err, io.EOF):
			return images, gaps, nil
		case errors.As(err, &gap):
			gaps = append(gaps, gap.Gap)
			s.Lost()
			continue
		case err != nil:
			return images, gaps, err
		}
		if f.Cut { // package pipeline makes a gap of it
			gaps = append(gaps, media.Gap{FragmentNumber: f.Number, Reason: media.GapCut})
		}
		decode := s.Plan(f)
		out, err := decode(context.Background(), func(img media.Image) error {
			images = append(images, img)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		gaps = append(gaps, out.Gaps...)
	}
}

// newRecording reads a whole file, whose fragments each start with mark.
func newRecording(t *testing.T, data []byte, frags []*media.Fragment, sample plan.Sample, mark []byte) *recording {
	t.Helper()
	path := filepath.Join(t.TempDir(), "whole.mkv")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	images, gaps, err := readFile(t, newTestPool(t, nil), path, sample)
	if err != nil || len(gaps) > 0 {
		t.Fatalf("the recording itself: %v, gaps %+v", err, gaps)
	}
	r := &recording{data: data, sample: sample}
	at := 0
	for _, f := range frags {
		first := f.MKV[f.Blocks[0].Offset : f.Blocks[0].Offset+f.Blocks[0].Size]
		n := bytes.Index(data[at:], first)
		if n < 0 {
			t.Fatalf("fragment %s is not found", f.Number)
		}
		at += n
		r.starts = append(r.starts, bytes.LastIndex(data[:at], mark))
		var frames []picked
		for _, img := range images {
			if img.FragmentNumber == f.Number {
				frames = append(frames, picked{img.ProducerTime, sha256.Sum256(img.Data)})
			}
		}
		r.frames = append(r.frames, frames)
	}
	r.starts = append(r.starts, len(data))
	return r
}

// damage returns a damaged copy of the file, and which of the bytes of the original it touches.
func (r *recording) damage(rng *rand.Rand) (data []byte, from, to int, did string) {
	from = rng.IntN(len(r.data))
	n := min(1+rng.IntN(1<<rng.IntN(14)), len(r.data)-from)
	part := r.data[from : from+n]
	switch rng.IntN(6) {
	case 0:
		did, part, n = "flip a bit", []byte{part[0] ^ 1<<rng.IntN(8)}, 1
	case 1:
		did, part = "zero", make([]byte, n)
	case 2:
		did, part = "drop", nil
	case 3:
		did, part = "double", slices.Concat(part, part)
	case 4:
		did, part, n = "insert text", slices.Concat(part[:1], bytes.Repeat([]byte("HTTP/1.1 500 oops\r\n"), 1+rng.IntN(9))), 1
	default:
		noise := make([]byte, n)
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		did, part = "noise", noise
	}
	return slices.Concat(r.data[:from], part, r.data[from+n:]), from, from + n, fmt.Sprintf("%s at %d, %d bytes", did, from, n)
}

// check decodes a damaged copy and returns what is wrong with what comes out.
func (r *recording) check(t testing.TB, pool *Pool, path string, from, to int) string {
	images, gaps, err := readFile(t, pool, path, r.sample)
	got := map[picked]int{}
	for _, img := range images {
		if !img.Concealed {
			got[picked{img.ProducerTime, sha256.Sum256(img.Data)}]++
		}
	}
	lost := 0
	for i, frames := range r.frames {
		// What stands before the first fragment of a plain file is the header of all of it.
		touched := from < r.starts[i+1] && to > r.starts[i] || from < r.starts[0]
		missing := 0
		for _, p := range frames {
			if got[p] == 0 {
				missing++
			}
		}
		if missing > 0 && !touched {
			return fmt.Sprintf("fragment %d of %d is untouched, and %d of its %d images are missing or marked (gaps %+v, error %v)", i, len(r.frames), missing, len(frames), gaps, err)
		}
		lost += missing
	}
	total := 0
	for _, frames := range r.frames {
		total += len(frames)
	}
	if len(images) < total && len(gaps) == 0 && err == nil {
		return fmt.Sprintf("%d of %d images, and no gap", len(images), total)
	}
	return ""
}

// TestWhatDamageDoesNotTouchComesOutWhole damages recordings anywhere: every fragment that is not touched
// comes out whole, and none is lost without a gap.
func TestWhatDamageDoesNotTouchComesOutWhole(t *testing.T) {
	rng := soaktest.Rand(t)
	all, keys := everyFrame().Sample, plan.Sample{Rule: plan.Keyframes{}, Clock: media.ClockProducer}
	for _, c := range []struct {
		name    string
		payload bool
		sample  plan.Sample
	}{
		{"testdata/bframes.mkv", false, all},
		{"testdata/avc-cam-b.mkv", true, all},
		{"testdata/hevc-cam-a.mkv", false, all},
		{"testdata/hevc.mkv", true, all},
		{"../testdata/demo.mkv", false, keys},
		{recordings + "/output_get_media.mkv", false, keys},
		{recordings + "/clusters.mkv", false, keys},
		{recordings + "/vogels_480.mkv", false, keys},
	} {
		t.Run(filepath.Base(c.name), func(t *testing.T) {
			frags := fragments(t, c.name)
			data, err := os.ReadFile(c.name)
			if err != nil {
				t.Fatal(err)
			}
			mark := []byte{0x1f, 0x43, 0xb6, 0x75} // a Cluster
			if c.payload {
				data = payloadOf(frags)
			}
			if c.payload || bytes.Count(data, []byte{0x1a, 0x45, 0xdf, 0xa3}) >= len(frags) {
				mark = []byte{0x1a, 0x45, 0xdf, 0xa3} // an EBML header
			}
			r := newRecording(t, data, frags, c.sample, mark)
			pool, path := newTestPool(t, nil), filepath.Join(t.TempDir(), "damaged.mkv")
			for n := range cases(20, 1000) {
				damaged, from, to, did := r.damage(rng)
				if err := os.WriteFile(path, damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				if wrong := r.check(t, pool, path, from, to); wrong != "" {
					t.Errorf("mutant %d, %s: %s", n, did, wrong)
				}
			}
		})
	}
}
