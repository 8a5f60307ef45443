package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/kvsframes/kvsframes/internal/soaktest"
)

// spoil returns a copy with a few bytes changed, zeroed or left out.
func spoil(rng *rand.Rand, data []byte) []byte {
	data = bytes.Clone(data)
	for range 1 + rng.IntN(4) {
		if len(data) == 0 {
			break
		}
		at := rng.IntN(len(data))
		n := min(1+rng.IntN(200), len(data)-at)
		switch rng.IntN(3) {
		case 0:
			data[at] ^= 1 << rng.IntN(8)
		case 1:
			clear(data[at : at+n])
		case 2:
			data = append(data[:at], data[at+n:]...)
		}
	}
	return data
}

// contents are the files below a folder that are of one kind, by their paths there.
func contents(t *testing.T, folder, ext string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ext {
			files[path[len(folder):]] = string(read(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRunsOverDamageAgreeAndTellOfIt runs damaged files of several cameras with one worker and with four: the same
// images come out, and a run that lost any does not end with 0.
func TestRunsOverDamageAgreeAndTellOfIt(t *testing.T) {
	rng := soaktest.Rand(t)
	clips := []string{"avc-cam-a", "avc-cam-b", "hevc-cam-a", "hevc-cam-b"}
	const whole = 24 // frames of each
	rounds := 6
	if soaktest.Soaking() {
		rounds = 250
	}
	for n := range rounds {
		in := t.TempDir()
		for _, name := range clips {
			data := spoil(rng, read(t, filepath.Join("../../decode/testdata", name+".mkv")))
			if err := os.WriteFile(filepath.Join(in, name+".mkv"), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var first map[string]string
		var firstCode int
		for _, workers := range []int{1, 4} {
			out := t.TempDir()
			file := settings(t, fmt.Sprintf("source: {type: file, paths: [%q]}\ndecode: {workers: %d}\ncheckpoint: {type: none}\n", filepath.Join(in, "*.mkv"), workers)+
				fmt.Sprintf("sinks: [{name: all, sample: {type: all}, destination: {directory: %q}}]\n", out))
			p, _, stderr := newProgram(nil)
			code := p.execute([]string{"run", file})
			got := contents(t, out, ".jpg")
			if len(got) < whole*len(clips) && code == exitDone {
				t.Errorf("round %d: %d of %d images and exit 0:\n%s", n, len(got), whole*len(clips), stderr)
			}
			if first == nil {
				first, firstCode = got, code
				continue
			}
			if code != firstCode || len(got) != len(first) {
				t.Errorf("round %d: %d images and code %d with %d workers, %d and %d with one", n, len(got), code, workers, len(first), firstCode)
			}
			for name, data := range first {
				if got[name] != data {
					t.Errorf("round %d: %s has other bytes with %d workers", n, name, workers)
				}
			}
		}
	}
}
