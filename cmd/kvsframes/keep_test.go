package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestARunKeepsAsMuchAsItMay: what is left has its records, and what records name is there, with what stands beside it.
func TestARunKeepsAsMuchAsItMay(t *testing.T) {
	t.Parallel()
	for name, sinkSettings := range map[string]string{
		"images": "sample: {type: all}, resize: {width: 64}",
		"groups": "type: webdataset, sample: {type: all}, resize: {width: 64}, group: {count: 30}",
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			file := settings(t, fmt.Sprintf("source: {type: file, paths: [%q], stream: cam}\nsinks: [{name: s, %s, destination: {directory: %q, keep: {size: 200kB}}}]\n", demo, sinkSettings, folder))
			p, _, stderr := newProgram(nil)
			if code := p.execute([]string{"run", file}); code != exitDone || !strings.Contains(stderr.String(), "removed what destination.keep does not keep") {
				t.Fatalf("code %d: %s", code, stderr)
			}
			var named, there []string
			var size int
			for _, part := range found(t, folder, "cam/manifest/s/*.jsonl") {
				size += len(read(t, part))
				for line := range strings.Lines(string(read(t, part))) {
					var r struct {
						Key   string `json:"key"`
						Bytes int    `json:"bytes"`
					}
					if err := json.Unmarshal([]byte(line), &r); err != nil {
						t.Fatal(err)
					}
					size += r.Bytes
					named = append(named, r.Key)
					if beside, is := strings.CutSuffix(r.Key, ".tar"); is {
						named = append(named, beside+".idx")
					}
				}
			}
			for _, file := range found(t, folder, "cam/*.*") {
				there = append(there, "cam/"+filepath.Base(file))
			}
			slices.Sort(named)
			slices.Sort(there)
			if !slices.Equal(slices.Compact(named), there) || size > 200_000 || size < 100_000 {
				t.Errorf("%d bytes, %d objects, %d of records", size, len(there), len(named))
			}
		})
	}
}
