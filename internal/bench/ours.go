package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// fileSource returns the settings of a source that is one file.
func fileSource(path string) string { return fmt.Sprintf("type: file, paths: [%q]", path) }

// settings writes the settings of a run with one sink, and returns their path. All other keys have their
// defaults.
func (b *bench) settings(source, out, sampling, sink string) string {
	text := fmt.Sprintf(`
version: 1
source: {%s}
sinks:
  - {name: bench, sample: {%s}, %s, path: "{stream}_{producer_time}_{fragment_number}_{frame_index}.{ext}", destination: {directory: %q}}
checkpoint: {type: none}
service: {log: {level: warn}, progress: "off"}
`, source, sampling, sink, out)
	path := filepath.Join(b.scratch, "pipeline.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err) // unlikely: this program created the scratch folder
	}
	return path
}

// launch returns the arguments of a GStreamer pipeline that reads a clip.
func launch(clip, out, pipeline string) []string {
	parser := "h264parse"
	if strings.Contains(filepath.Base(clip), "hevc") {
		parser, pipeline = "h265parse", strings.ReplaceAll(pipeline, "avdec_h264", "avdec_h265")
	}
	if strings.Contains(pipeline, "%s") {
		pipeline = fmt.Sprintf(pipeline, out)
	}
	words := []string{"filesrc", "location=" + clip, "!", "matroskademux", "!", parser, "!"}
	return append(words, strings.Fields(pipeline)...)
}
