package kvsframes

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/internal/disk/disktest"
)

// TestAGroupOfASilentStreamIsContinuedBehindItsBorder has a live stream fall silent before each of its fragments, for longer than a group may be. Then it
// goes on with what was taken meanwhile, or the run fails and the next one reads that. The groups end where the silence was, and hold each sample once.
func TestAGroupOfASilentStreamIsContinuedBehindItsBorder(t *testing.T) {
	d := newDelivery(t, "")
	d.live = true
	text, err := os.ReadFile(d.settings)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(text), "sinks:\n")
	head += "sinks:\n  - {name: shards, type: webdataset, sample: {type: stride, n: 2}, resize: {width: 8}, group: {every: 1h}, path: \"{fragment_number}.{frame_index}.{ext}\", destination: {directory: '" + d.mount + "/out'}}\n"
	if err := os.WriteFile(d.settings, []byte(head), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []string // the samples of an undisturbed run
	for n := 0; n <= len(d.tape.fragments); n++ {
		for _, fails := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				on := disktest.New(t, d.mount)
				calls := 0
				_, err := d.run(t, func() error {
					if calls++; calls-2 != n || n == 0 { // the first opens the stream
						return nil
					}
					time.Sleep(2 * time.Hour)
					if fails {
						return errors.New("a fault")
					}
					return nil
				})
				if (err != nil) != (fails && n > 0) {
					t.Fatalf("silent before fragment %d: %v", n+1, err)
				}
				if fails {
					if _, err := d.run(t, nil); err != nil {
						t.Fatal(err)
					}
				}
				objects, unfinished := d.objects(on)
				var samples, groups []string
				for key, data := range objects {
					if path.Ext(key) == ".tar" {
						groups = append(groups, strings.Split(path.Base(key), ".")[0])
						samples = append(samples, members(t, data)...)
					}
				}
				slices.Sort(samples)
				slices.Sort(groups)
				if all == nil {
					all = samples
				}
				want := []string{d.tape.fragments[0].Number}
				next := n
				if next == d.tape.lost {
					next++
				}
				if 0 < n && next < len(d.tape.fragments) {
					want = append(want, d.tape.fragments[next].Number)
				}
				if !slices.Equal(groups, want) || !slices.Equal(samples, all) || len(all) < 2*len(d.tape.fragments) || len(unfinished) > 0 {
					t.Errorf("silent before fragment %d, fails %v: groups %q, want %q; %d samples of %d; unfinished %q", n+1, fails, groups, want, len(samples), len(all), unfinished)
				}
			})
		}
	}
}

// members returns the names of the images in a tar.
func members(t *testing.T, data string) (names []string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader([]byte(data))); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if path.Ext(header.Name) != ".json" {
			names = append(names, fmt.Sprintf("%s, %d bytes", header.Name, header.Size))
		}
	}
}
