package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/pipeline"
)

// summary is what a run came to; as JSON it is the file that --summary writes.
type summary struct {
	Streams map[string]pipeline.Summary `json:"streams"`
	Elapsed float64                     `json:"elapsed_s"`

	failed map[string]error
}

func newSummary(results []result, elapsed time.Duration) summary {
	s := summary{Streams: map[string]pipeline.Summary{}, Elapsed: elapsed.Seconds(), failed: map[string]error{}}
	for _, r := range results {
		s.Streams[r.stream] = r.summary
		if r.err != nil {
			s.failed[r.stream] = r.err
		}
	}
	return s
}

// maxShownGaps is the number of gaps of one stream that a person is shown; the
// JSON names all.
const maxShownGaps = 20

// print writes the summary for a person. What cannot be written to the screen is
// not worth an error of the run.
func (s summary) print(w io.Writer) {
	for _, name := range slices.Sorted(maps.Keys(s.Streams)) {
		st := s.Streams[name]
		fmt.Fprintf(w, "%s: %d fragments, %d frames decoded, %s read\n", name, st.Fragments, st.FramesDecoded, byteCount(st.BytesRead))
		for _, sink := range slices.Sorted(maps.Keys(st.FramesWritten)) {
			fmt.Fprintf(w, "  %s: %d images\n", sink, st.FramesWritten[sink])
		}
		if st.FramesConcealed > 0 {
			fmt.Fprintf(w, "  %d of the frames are concealed in part: their records say so\n", st.FramesConcealed)
		}
		if st.Pauses > 0 {
			fmt.Fprintf(w, "  the producer paused %d times\n", st.Pauses)
		}
		for i, g := range st.Gaps {
			if i == maxShownGaps {
				fmt.Fprintf(w, "  %d more gaps: --summary FILE names them all\n", len(st.Gaps)-i)
				break
			}
			where := ""
			if g.FragmentNumber != "" { // a gap in time lies between fragments
				where = "fragment " + clean(g.FragmentNumber) + ": "
			}
			fmt.Fprintf(w, "  gap: %s%s (frames lost: %d)\n", where, clean(g.Reason), g.FramesLost)
		}
		if err := s.failed[name]; err != nil {
			fmt.Fprintf(w, "  failed: %s\n", clean(err.Error()))
		}
	}
	fmt.Fprintf(w, "done in %.1f s\n", s.Elapsed)
}

// write writes the summary as JSON: to a file beside, which then takes the name.
func (s summary) write(file string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	_, err = temp.Write(append(data, '\n'))
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write summary: %w", errors.Join(err, os.Remove(temp.Name())))
	}
	return nil
}

// byteCount shows a number of bytes for a person.
func byteCount(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
