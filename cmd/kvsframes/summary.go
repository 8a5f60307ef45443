package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
)

// summaryJSON returns a summary as the content of a file.
func summaryJSON(s kvsframes.Summary) ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}

// maxShownGaps is the number of gaps of one stream that are printed; the JSON lists more.
const maxShownGaps = 20

// printSummary writes the summary for a person. It ignores write errors: they must not fail the run.
func printSummary(w io.Writer, s kvsframes.Summary) {
	for _, name := range slices.Sorted(maps.Keys(s.Streams)) {
		printStream(w, name, s.Streams[name])
	}
	fmt.Fprintf(w, "done in %.1f s\n", s.Elapsed)
}

func printStream(w io.Writer, name string, st pipeline.Summary) {
	fmt.Fprintf(w, "%s: %d fragments, %d frames decoded, %s read\n", inLine(name), st.Fragments, st.FramesDecoded, byteCount(st.BytesRead))
	for _, sink := range slices.Sorted(maps.Keys(st.FramesWritten)) {
		skipped := ""
		if n := st.FramesSkipped[sink]; n > 0 {
			skipped = fmt.Sprintf(", %d more existed already", n)
		}
		fmt.Fprintf(w, "  %s: %d images%s\n", sink, st.FramesWritten[sink], skipped)
	}
	if st.FramesConcealed > 0 {
		fmt.Fprintf(w, "  %d of the frames are partly concealed, as their records show\n", st.FramesConcealed)
	}
	if st.Pauses > 0 {
		fmt.Fprintf(w, "  the producer paused %d times\n", st.Pauses)
	}
	for _, g := range st.GapList[:min(len(st.GapList), maxShownGaps)] {
		fmt.Fprintf(w, "  gap: %s%s (frames lost: %d)\n", place(g), inLine(oneLine(g.Detail)), g.FramesLost)
	}
	if more := st.Gaps - maxShownGaps; more > 0 {
		fmt.Fprintf(w, "  %d more gaps: --summary FILE lists the first %d\n", more, pipeline.MaxListedGaps)
	}
	if u := st.Undelivered; u.Fragments > 0 {
		fmt.Fprintf(w, "  %d fragments were read and not delivered, from %s to %s\n", u.Fragments, inLine(u.From), inLine(u.To))
	}
	if st.Error != "" {
		fmt.Fprintf(w, "  %s: %s\n", st.Status, inLine(oneLine(st.Error)))
	}
}

// place returns the place of a gap, as the start of a sentence.
func place(g media.Gap) string {
	text := ""
	if g.FragmentNumber != "" { // a gap in time is between fragments
		text = "fragment " + inLine(g.FragmentNumber) + ": "
	}
	switch {
	case g.FrameIndex == media.WholeFragment:
	case g.FramesLost > 1:
		text += fmt.Sprintf("frames %d to %d: ", g.FrameIndex, g.FrameIndex+g.FramesLost-1)
	default:
		text += fmt.Sprintf("frame %d: ", g.FrameIndex)
	}
	return text
}

// byteCount formats a number of bytes for a person.
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
