package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/decode/decodetest"
	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// recordings is the folder of real GetMedia recordings beside the checkout.
const recordings = "../../../shared/kvs"

// replayed is what the README of the recordings says of one.
type replayed struct {
	fragments, frames int
	gaps, lost        int
	code              int
}

var known = map[string]replayed{
	"output_get_media.mkv":                         {fragments: 5, frames: 300},
	"output-get-media-non-increasing-timecode.mkv": {fragments: 12, frames: 358, gaps: 1, lost: 1, code: exitGaps},
	"test_mixed_tags.mkv":                          {fragments: 10, gaps: 1, code: exitGaps},
	"empty-mkv-with-tags.mkv":                      {fragments: 1, gaps: 2, code: exitGaps},
	"clusters.mkv":                                 {fragments: 8, frames: 444},
	"vogels_480.mkv":                               {fragments: 6, frames: 909},
}

// TestRecordingsFromTheStreamToTheFiles replays each recording through the
// emulator and the AWS SDK into a folder, a second one and a bucket, every frame
// raw, and holds the frames against what libav gives for each fragment alone.
func TestRecordingsFromTheStreamToTheFiles(t *testing.T) {
	for _, name := range soaktest.Some(t, slices.Sorted(maps.Keys(known)), 2) {
		t.Run(name, func(t *testing.T) { replay(t, filepath.Join(recordings, name), known[name]) })
	}
}

// TestDemoRecordingFromTheStreamToTheFiles does the same with the recording that
// is part of the project.
func TestDemoRecordingFromTheStreamToTheFiles(t *testing.T) {
	replay(t, demo, replayed{fragments: 7, frames: 350})
}

func replay(t *testing.T, path string, want replayed) {
	payload, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no recordings beside the checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	server := s3test.Start(t)
	server.Setenv(t)
	url := serve(t, kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey}, "cam", payload)
	runTo := func(destination string) streamSummary { return runRaw(t, url, destination, want) }

	folder := t.TempDir()
	s := runTo(fmt.Sprintf("{directory: %q}", folder))
	lost := 0
	for _, g := range s.GapList {
		lost += g.FramesLost
		if (g.FragmentNumber == "") != (g.Reason == string(media.GapNoVideo)) || g.Reason == "" || g.Detail == "" || g.Stream != "cam" {
			t.Errorf("a gap without number or reason: %+v", g)
		}
	}
	if s.Fragments != want.fragments || s.FramesWritten["raw"] != want.frames || s.Gaps != want.gaps || lost != want.lost {
		t.Errorf("summary %+v, want %+v", s, want)
	}
	first := digests(t, folder)
	checkFrames(t, folder, fragmentsOf(t, url, want.fragments), want.frames)

	again := t.TempDir()
	runTo(fmt.Sprintf("{directory: %q}", again))
	if second := digests(t, again); !maps.Equal(first, second) {
		t.Errorf("a second run gave other files: %d, the first gave %d", len(second), len(first))
	}

	bucket := server.Bucket(t)
	runTo(fmt.Sprintf("{type: s3, bucket: %s, endpoint_url: %q, force_path_style: true}", bucket, server.Endpoint))
	keys, err := server.Keys(t.Context(), bucket)
	if err != nil || len(keys) != len(first) {
		t.Errorf("%d keys in the bucket, %d files, error %v", len(keys), len(first), err)
	}
	for _, key := range keys {
		data, err := server.Get(t.Context(), bucket, key)
		if err != nil || sha256.Sum256(data) != first[key] {
			t.Errorf("object %s is not the file: error %v", key, err)
		}
	}
}

// serve starts an emulator with one stream.
func serve(t *testing.T, o kvstest.Options, name string, payload []byte) (url string) {
	t.Helper()
	e := kvstest.New(t, o)
	if err := e.AddRecording(name, bytes.NewReader(payload)); err != nil {
		t.Fatal(err)
	}
	return e.URL()
}

// runRaw runs the program over the stream cam, every frame as yuv420p.
func runRaw(t *testing.T, url, destination string, want replayed) streamSummary {
	t.Helper()
	summary := filepath.Join(t.TempDir(), "summary.json")
	file := settings(t, `
source: {streams: [cam], start_selector: {type: EARLIEST}, endpoint_url: "`+url+`", end: {fragments: `+strconv.Itoa(want.fragments)+`}}
sinks:
  - {name: raw, type: raw, sample: {type: all}, pixel_format: yuv420p, destination: `+destination+`}
`)
	p, _, stderr := newProgram(nil, os.Environ()...)
	if got := p.execute([]string{"run", file, "--summary", summary}); got != want.code {
		t.Fatalf("code %d, want %d:\n%s", got, want.code, stderr)
	}
	return readSummary(t, summary)["cam"]
}

// fragmentsOf reads the n fragments of the stream once more, as the program's source does.
func fragmentsOf(t *testing.T, url string, n int) []*media.Fragment {
	t.Helper()
	aws, err := kvs.LoadAWS(t.Context(), "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	src, err := kvs.Open(t.Context(), kvs.Config{
		AWS: aws, Stream: "cam", EndpointURL: url,
		Start: source.StartSelector{Type: source.StartEarliest}, End: source.End{Fragments: n},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var out []*media.Fragment
	for {
		f, err := src.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
}

// checkFrames holds the files of a run against libav's frames, through the
// manifest: every record has its file, and every frame of libav its record.
func checkFrames(t *testing.T, folder string, fragments []*media.Fragment, total int) {
	t.Helper()
	seen := 0
	for _, f := range fragments {
		manifest := filepath.Join(folder, "cam/manifest/raw", f.Number+".jsonl")
		text, err := os.ReadFile(manifest)
		if errors.Is(err, fs.ErrNotExist) { // no part for no record
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		want := decodetest.Frames(t, f.MKV)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if len(lines) != len(want) {
			t.Fatalf("fragment %s: %d records, libav gives %d frames", f.Number, len(lines), len(want))
		}
		for i, line := range lines {
			var r struct {
				Index  int    `json:"frame_index"`
				Key    string `json:"key"`
				SHA256 string `json:"sha256"`
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			data := read(t, filepath.Join(folder, r.Key))
			digest := sha256.Sum256(data)
			if r.Index != i || !bytes.Equal(data, want[i]) || hex.EncodeToString(digest[:]) != r.SHA256 {
				t.Fatalf("fragment %s frame %d is not libav's", f.Number, i)
			}
			seen++
		}
	}
	if seen != total {
		t.Errorf("%d frames, want %d", seen, total)
	}
}

// digests returns the digest of every file below a folder, by its path in it.
func digests(t *testing.T, folder string) map[string][sha256.Size]byte {
	t.Helper()
	found := map[string][sha256.Size]byte{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		key, err := filepath.Rel(folder, path)
		found[filepath.ToSlash(key)] = sha256.Sum256(read(t, path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
