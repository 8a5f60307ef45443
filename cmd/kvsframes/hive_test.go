package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/duckdbtest"
)

// TestDuckDBReadsPartitionsFromFolders has DuckDB take date, hour and a tag from the folders of manifests and of images.
func TestDuckDBReadsPartitionsFromFolders(t *testing.T) {
	recording := filepath.Join(t.TempDir(), "tagged.mkv")
	if err := os.WriteFile(recording, taggedPayload(t, 25*time.Minute), 0o600); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	const folders = "dt={producer_date}/hour={producer_hour}/motion={tag:motion}/place={tag:place}/"
	file := settings(t, `
source: {type: file, paths: [`+recording+`], stream: cam}
sinks:
  - name: a
    sample: {type: keyframes}
    path: "images/`+folders+`{stream}_{fragment_number}_{frame_index}.{ext}"
    manifest: {path: "records/`+folders+`{stream}_{fragment_number}.jsonl"}
    destination: {directory: `+out+`}
  - name: b
    sample: {type: all}
    resize: {width: 16}
    path: "{sink}/{stream}_{fragment_number}_{frame_index}.{ext}"
    manifest: {every: 1h, path: "parts/dt={producer_date}/hour={producer_hour}/{stream}_{fragment_number}.jsonl"}
    destination: {directory: `+out+`}
`)
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"run", file}); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	records := fmt.Sprintf("read_json('%s/records/**/*.jsonl', hive_partitioning=true, hive_types={dt: DATE, hour: VARCHAR})", out)
	const columns = "dt::VARCHAR AS dt, hour, motion::INT AS motion, place, count(*)::INT AS n"
	got := duckdbtest.Rows(t, `SELECT `+columns+` FROM `+records+` GROUP BY ALL ORDER BY ALL`)
	// What the folders say must be what the records say.
	want := duckdbtest.Rows(t, `SELECT strftime(producer_timestamp::TIMESTAMP, '%Y-%m-%d') AS dt, strftime(producer_timestamp::TIMESTAMP, '%H') AS hour,
		tags[1].value::INT AS motion, 'none' AS place, count(*)::INT AS n
		FROM read_json('`+out+`/records/**/*.jsonl', hive_partitioning=false) GROUP BY ALL ORDER BY ALL`)
	if !reflect.DeepEqual(got, want) || len(got) < 5 {
		t.Errorf("folders say %v\nrecords say %v", got, want)
	}
	// So it must be where a part has the fragments of an hour, of which there is one part.
	parts := `read_json('` + out + `/parts/**/*.jsonl', hive_partitioning=true, hive_types={dt: DATE, hour: VARCHAR}, filename=true)`
	hours := duckdbtest.Rows(t, `SELECT dt::VARCHAR AS dt, hour, count(DISTINCT filename)::INT AS parts, count(DISTINCT fragment_number)::INT AS fragments,
		count(*) FILTER (strftime(producer_timestamp::TIMESTAMP, '%Y-%m-%d %H') = dt || ' ' || hour)::INT AS right, count(*)::INT AS n FROM `+parts+` GROUP BY ALL ORDER BY ALL`)
	fragments := 0.0
	for _, h := range hours {
		of, _ := h["fragments"].(float64)
		if fragments += of; h["parts"] != 1.0 || h["right"] != h["n"] {
			t.Errorf("an hour is %v", h)
		}
	}
	if int(fragments) <= len(hours) {
		t.Errorf("%d hours have %v fragments", len(hours), fragments)
	}
	// And what the folders of the images say, where each image is what its record says.
	images := duckdbtest.Rows(t, `SELECT strftime(i.dt, '%Y-%m-%d') AS dt, lpad(i.hour::VARCHAR, 2, '0') AS hour, i.motion::INT AS motion, i.place AS place, count(*)::INT AS n
		FROM read_blob('`+out+`/images/**/*.jpg') i JOIN `+records+` r
		ON i.filename = '`+out+`/' || r.key AND sha256(i.content) = r.sha256 AND i.size = r.bytes GROUP BY ALL ORDER BY ALL`)
	if !reflect.DeepEqual(images, want) {
		t.Errorf("folders of images say %v\nrecords say %v", images, want)
	}
}
