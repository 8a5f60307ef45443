package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

func TestAStreamGoesByTheNameThatItIsGiven(t *testing.T) {
	saved := read(t, demo)
	url := faulty(t, saved)
	for _, mode := range []string{"live", "archive"} {
		t.Run(mode, func(t *testing.T) {
			out := t.TempDir()
			file := settings(t, `
source:
  streams: [cam, {stream: cam, as: other}]
  endpoint_url: `+url+`
  mode: `+mode+`
  start_selector: {type: EARLIEST}
  end: {fragments: 1}
sinks: [{name: a, sample: {type: keyframes}, path: "{stream}/{fragment_number}_{frame_index}.{ext}", destination: {directory: `+out+`}}]
`)
			p, _, stderr := newProgram(nil)
			if code := p.execute([]string{"run", file}); code != exitDone {
				t.Fatalf("code %d:\n%s", code, stderr)
			}
			for _, name := range []string{"cam", "other"} {
				images, err := filepath.Glob(filepath.Join(out, name, "*_000000.jpg"))
				if err != nil || len(images) != 1 || !strings.Contains(stderr.String(), name+": 1 fragments") {
					t.Errorf("%s: images %v, %v:\n%s", name, images, err, stderr)
				}
			}
		})
	}
}

// taggedPayload is the demo's payload of which every other fragment has another tag, and each is later by apart than the one before it.
func taggedPayload(t *testing.T, apart time.Duration) []byte {
	t.Helper()
	var all []byte
	s := payload.NewSplitter(bytes.NewReader(read(t, demo)), payload.Config{})
	for i := 0; ; i++ {
		f, err := s.Next()
		if err != nil {
			return all
		}
		c := kvstest.Chunk{FragmentNumber: f.Number, ProducerTime: f.ProducerTime.Add(time.Duration(i) * apart), ServerTime: f.ServerTime, Tracks: f.Tracks, ContinuationToken: f.Number}
		c.Tags = []media.Tag{{Name: "motion", Value: fmt.Sprint(i % 2)}}
		for _, b := range f.Blocks {
			c.Blocks = append(c.Blocks, kvstest.Block{Track: b.Track, Key: b.Key, Time: b.Time, Data: f.MKV[b.Offset : b.Offset+b.Size]})
		}
		all = kvstest.AppendChunk(all, c)
	}
}

func TestOnlyFragmentsWithTheTagsGiveImages(t *testing.T) {
	recording := filepath.Join(t.TempDir(), "tagged.mkv")
	if err := os.WriteFile(recording, taggedPayload(t, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	file := settings(t, `
source: {type: file, paths: [`+recording+`], stream: cam, fragment_tags: {motion: 1}}
sinks: [{name: a, sample: {type: keyframes}, manifest: {format: none}, destination: {directory: `+out+`}}]
`)
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"run", file}); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	images, err := filepath.Glob(filepath.Join(out, "cam", "*.jpg"))
	if err != nil || len(images) != 3 || !strings.Contains(stderr.String(), "fragments=4") {
		t.Errorf("images %v, %v:\n%s", images, err, stderr)
	}
}

func TestAPatternThatMatchesNothingFailsAnArchive(t *testing.T) {
	url := faulty(t, read(t, demo))
	for _, command := range []string{"run", "plan"} {
		file := settings(t, `
source: {streams: ["door-*"], endpoint_url: `+url+`, mode: archive, start_selector: {type: EARLIEST}}
sinks: [{name: a, destination: {directory: `+t.TempDir()+`}}]
`)
		p, _, stderr := newProgram(nil)
		if code := p.execute([]string{command, file}); code != exitFailed || !strings.Contains(stderr.String(), "door-*") || !strings.Contains(stderr.String(), "no stream matches the pattern") {
			t.Errorf("%s: code %d:\n%s", command, code, stderr)
		}
	}
}
