package manifest_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/duckdbtest"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/manifest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// held are Objects in memory.
type held map[string][]byte

func (h held) List(_ context.Context, visit func(string) error) error {
	for key := range h { // in any order
		if err := visit(key); err != nil {
			return err
		}
	}
	return nil
}

func (h held) Open(_ context.Context, key string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(h[key])), nil
}

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// record returns the record of a frame of a stream.
func record(stream string, fragment, frame int) sink.ManifestRecord {
	at := start.Add(time.Duration(fragment)*2*time.Second + time.Duration(frame)*40*time.Millisecond)
	r := sink.ManifestRecord{
		FrameRecord: sink.FrameRecord{
			Stream: stream, FragmentNumber: fmt.Sprint(91343852333181432 + fragment), FrameIndex: frame,
			ProducerTimestamp: media.Timestamp(at), PTSMillis: int64(frame) * 40, Keyframe: frame == 0, Width: 640, Height: 360, Sink: "thumbs",
		},
		Format: "jpeg", Shape: []int{}, Bytes: int64(1000 + frame), SHA256: fmt.Sprintf("%064x", fragment*100+frame),
		Answers: []string{}, Tags: []media.Tag{}, Scores: []media.Score{}, Config: "0a1b2c3d",
	}
	if fragment%2 == 1 {
		r.ServerTimestamp = media.Timestamp(at.Add(time.Second))
		r.Tags = []media.Tag{{Name: "site", Value: `north, "<b>"`}, {Name: "site", Value: "é"}}
		r.Answers, r.Label = []string{r.ProducerTimestamp, "2026-03-04T05:06:07.0015Z"}, "goal, 1"
		r.Scores = []media.Score{{Name: "blur", Value: 0.125}}
	}
	r.Key = fmt.Sprintf("%s/%s_%06d.jpg", stream, r.FragmentNumber, frame)
	if fragment%3 == 2 {
		r.Format, r.Shape, r.Key = "npy", []int{360, 640, 3}, strings.TrimSuffix(r.Key, "jpg")+"npy"
	}
	return r
}

// part returns the lines of records.
func part(t testing.TB, records ...sink.ManifestRecord) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, r := range records {
		if err := e.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// parts returns parts with any names, files that are none beside them, and the records in order.
func parts(t testing.TB, fragments, frames int) (held, []sink.ManifestRecord) {
	t.Helper()
	rng := soaktest.Rand(t)
	h := held{
		"cam/gaps/thumbs/1.jsonl": []byte(`{"stream":"cam","sink":"thumbs","fragment_number":"1","from_frame":-1,"frames_lost":3,"reason":"cut","detail":"","asked_for":[]}` + "\n"),
		"other.jsonl":             []byte("no JSON\n"),
		"empty.jsonl":             {},
		"long.jsonl":              bytes.Repeat([]byte("x"), 2<<20),
		"metadata.jsonl":          []byte(`{"file_name":"x.jpg",` + string(part(t, record("cam", 0, 0))[1:])),
		"cam/1.jpg":               []byte("picture"),
	}
	var all []sink.ManifestRecord
	for _, stream := range []string{"a", "cam", "cam-2"} {
		for f := range fragments {
			var records []sink.ManifestRecord
			for k := range frames {
				records = append(records, record(stream, f, k))
			}
			all = append(all, records...)
			h[fmt.Sprintf("%x/%s.jsonl", rng.Uint32()%16, fmt.Sprint(rng.Uint64()))] = part(t, records...)
		}
	}
	return h, all
}

func write(t testing.TB, from manifest.Objects, o manifest.Options) ([]byte, manifest.Counts) {
	t.Helper()
	var out bytes.Buffer
	o.Temp = t.TempDir()
	counts, err := manifest.Write(t.Context(), from, &out, o)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(o.Temp); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v (%v)", left, err)
	}
	return out.Bytes(), counts
}

func TestRecordsAreInOrderAndAsTheyWere(t *testing.T) {
	from, all := parts(t, 40, 3)
	want := part(t, all...)
	got, counts := write(t, from, manifest.Options{Format: manifest.JSONL})
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%.2000s\nwant\n%.2000s", got, want)
	}
	if counts != (manifest.Counts{Parts: 120, Records: 360}) {
		t.Errorf("counts are %+v", counts)
	}
	// A manifest beside the parts, of before, changes nothing.
	from["all.jsonl"] = got
	if again, counts := write(t, from, manifest.Options{Format: manifest.JSONL}); !bytes.Equal(again, want) || counts.Records != 360 {
		t.Errorf("with its own output, %+v", counts)
	}
	if _, counts := write(t, from, manifest.Options{Format: manifest.JSONL, Except: "all.jsonl"}); counts.Parts != 120 {
		t.Errorf("the output is read: %+v", counts)
	}
}

// TestClocksThatRepeatKeepFragmentsApart has numbers of several widths at the same time.
func TestClocksThatRepeatKeepFragmentsApart(t *testing.T) {
	var want []sink.ManifestRecord
	for _, number := range []string{"9", "10", "011", "9134"} {
		for _, name := range []string{"a", "b"} {
			r := record("cam", 0, 0)
			r.FragmentNumber, r.Sink, r.Key = number, name, number+name
			want = append(want, r)
		}
	}
	from := held{}
	for i, r := range want {
		from[fmt.Sprint(i, ".jsonl")] = part(t, r)
	}
	if got, _ := write(t, from, manifest.Options{Format: manifest.JSONL}); !bytes.Equal(got, part(t, want...)) {
		t.Errorf("got\n%s", got)
	}
}

func TestWhatIsNoPartIsAnError(t *testing.T) {
	good := part(t, record("cam", 0, 0))
	for name, test := range map[string]struct {
		from held
		want string
	}{
		"nothing":                {held{"a.jpg": nil}, manifest.ErrNoParts.Error()},
		"a part that is damaged": {held{"a.jsonl": append(slices.Clone(good), `{"stream":`...)}, "read a.jsonl: line 2: the line is no record"},
		"a line of something":    {held{"a.jsonl": append(slices.Clone(good), "{}\n"...)}, "read a.jsonl: line 2"},
		"a line that is long":    {held{"a.jsonl": append(slices.Clone(good), bytes.Repeat([]byte(" "), 1<<20+1)...)}, "line 2: the line has more than"},
	} {
		_, err := manifest.Write(t.Context(), test.from, io.Discard, manifest.Options{Format: manifest.JSONL})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, o := range []manifest.Options{{Format: "coco"}, {Format: manifest.SageMaker, Base: "out"}} {
		if _, err := manifest.Write(t.Context(), held{"a.jsonl": good}, io.Discard, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

var errFull = errors.New("no space left")

func TestErrorsOfTheOutputAreReported(t *testing.T) {
	from, _ := parts(t, 3, 2)
	for _, f := range manifest.JSONL.Values() {
		if _, err := manifest.Write(t.Context(), from, full{}, manifest.Options{Format: manifest.Format(f), Base: "s3://b"}); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", f, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := manifest.Write(ctx, from, io.Discard, manifest.Options{Format: manifest.JSONL}); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancellation: %v", err)
	}
}

// TestDuckDBReadsTheTables has DuckDB read JSON Lines, CSV and Parquet, and compares what it reads.
func TestDuckDBReadsTheTables(t *testing.T) {
	from, all := parts(t, 12, 3)
	dir := t.TempDir()
	file := func(f manifest.Format) string {
		data, counts := write(t, from, manifest.Options{Format: f})
		if counts.Records != int64(len(all)) {
			t.Errorf("%s: %+v", f, counts)
		}
		name := filepath.Join(dir, "manifest."+string(f))
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	// One row for each record, in order, with values of one type in all three.
	const common = `SELECT stream, fragment_number, frame_index::INT AS frame_index,
		strftime(producer_timestamp::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%gZ') AS producer_timestamp, SERVER AS server_timestamp,
		pts_ms::INT AS pts_ms, keyframe, concealed, width::INT AS width, height::INT AS height, sink, key, format, bytes::INT AS bytes, sha256, coalesce(label, '') AS label, config, LISTS `
	query := func(server, lists, table string) []map[string]any {
		return duckdbtest.Rows(t, "SET timezone='UTC';"+strings.NewReplacer("SERVER", server, "LISTS", lists).Replace(common)+"FROM "+table)
	}
	const inUTC = `coalesce(strftime(server_timestamp::TIMESTAMP, '%Y-%m-%dT%H:%M:%S.%gZ'), '')`
	const parsed = `shape_json::JSON::INT[] AS shape, list_transform(answers_json::JSON::VARCHAR[], a -> epoch_us(a::TIMESTAMPTZ)::VARCHAR) AS answers, tags_json::JSON::STRUCT(name VARCHAR, value VARCHAR)[] AS tags,
		scores_json::JSON::STRUCT(name VARCHAR, value DOUBLE)[] AS scores`
	got := map[manifest.Format][]map[string]any{
		manifest.JSONL: query("server_timestamp::VARCHAR", "shape::INT[] AS shape, list_transform(answers, a -> epoch_us(a::TIMESTAMPTZ)::VARCHAR) AS answers, tags, scores",
			"read_json('"+file(manifest.JSONL)+"', columns={stream: 'VARCHAR', fragment_number: 'VARCHAR', frame_index: 'INT', producer_timestamp: 'VARCHAR', server_timestamp: 'VARCHAR', "+
				"pts_ms: 'INT', keyframe: 'BOOL', concealed: 'BOOL', width: 'INT', height: 'INT', sink: 'VARCHAR', key: 'VARCHAR', format: 'VARCHAR', shape: 'INT[]', bytes: 'INT', sha256: 'VARCHAR', "+
				"answers: 'VARCHAR[]', tags: 'STRUCT(name VARCHAR, value VARCHAR)[]', label: 'VARCHAR', scores: 'STRUCT(name VARCHAR, value DOUBLE)[]', config: 'VARCHAR'})"),
		manifest.CSV: query(inUTC, parsed, "read_csv('"+file(manifest.CSV)+"', types={fragment_number: 'VARCHAR', sha256: 'VARCHAR', config: 'VARCHAR'}) WHERE filepath = key"),
		manifest.Parquet: query(inUTC, "shape, list_transform(answers, a -> epoch_us(a)::VARCHAR) AS answers, tags, scores",
			"'"+file(manifest.Parquet)+"' WHERE file_name = key"),
	}
	for f, rows := range got {
		if len(rows) != len(all) {
			t.Errorf("%s: %d rows of %d", f, len(rows), len(all))
			continue
		}
		for i, r := range all {
			want := map[string]any{
				"stream": r.Stream, "fragment_number": r.FragmentNumber, "frame_index": float64(r.FrameIndex), "producer_timestamp": r.ProducerTimestamp,
				"server_timestamp": r.ServerTimestamp, "pts_ms": float64(r.PTSMillis), "keyframe": r.Keyframe, "concealed": r.Concealed,
				"width": float64(r.Width), "height": float64(r.Height), "sink": r.Sink, "key": r.Key, "format": r.Format, "bytes": float64(r.Bytes),
				"sha256": r.SHA256, "label": r.Label, "config": r.Config, "answers": plain(t, micros(t, r.Answers)),
				"shape": plain(t, r.Shape), "tags": plain(t, r.Tags), "scores": plain(t, r.Scores),
			}
			if !reflect.DeepEqual(rows[i], want) {
				t.Fatalf("%s, row %d:\n%v\nwant\n%v", f, i, rows[i], want)
			}
		}
	}
	// The types that others rely on.
	types := duckdbtest.Rows(t, "SELECT name, type, repetition_type AS repetition, logical_type AS logical FROM parquet_schema('"+filepath.Join(dir, "manifest.parquet")+"') WHERE name LIKE '%_timestamp'")
	for _, column := range types {
		if column["repetition"] != "OPTIONAL" || !strings.Contains(fmt.Sprint(column["logical"]), "isAdjustedToUTC=1") || !strings.Contains(fmt.Sprint(column["logical"]), "MICROS=MicroSeconds()") {
			t.Errorf("column %v", column)
		}
	}
	if len(types) != 2 {
		t.Errorf("%d columns of times", len(types))
	}
}

// micros returns times in microseconds since 1970, as text.
func micros(t *testing.T, times []string) []string {
	t.Helper()
	out := []string{}
	for _, text := range times {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(at.UnixMicro()))
	}
	return out
}

// plain returns a value as JSON reads it.
func plain(t *testing.T, v any) (out any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// lines returns the JSON objects of a file.
func lines(t *testing.T, data []byte) (out []map[string]any) {
	t.Helper()
	for line := range bytes.Lines(data) {
		var v map[string]any
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out = append(out, v)
	}
	return out
}

// images returns the records that are images.
func images(all []sink.ManifestRecord) []sink.ManifestRecord {
	return slices.DeleteFunc(slices.Clone(all), func(r sink.ManifestRecord) bool { return r.Format != "jpeg" })
}

// TestTheRulesOfHuggingFacesImageFolder are those of datasets/packaged_modules/folder_based_builder/folder_based_builder.py: file_name is a text, a
// path below the folder of the metadata; and each ten megabytes get the same types, which lists that may be empty and nulls do not.
func TestTheRulesOfHuggingFacesImageFolder(t *testing.T) {
	from, all := parts(t, 9, 2)
	data, counts := write(t, from, manifest.Options{Format: manifest.ImageFolder})
	got, want := lines(t, data), images(all)
	if len(got) != len(want) || counts.LeftOut != int64(len(all)-len(want)) || counts.LeftOut == 0 {
		t.Fatalf("%d lines of %d, %+v", len(got), len(want), counts)
	}
	for i, line := range got {
		// The loader takes a name with :// for a URL.
		if line["file_name"] != want[i].Key || !filepath.IsLocal(want[i].Key) || strings.Contains(want[i].Key, "://") {
			t.Errorf("line %d has the file %v, want %s", i, line["file_name"], want[i].Key)
		}
		if !slices.Equal(slices.Sorted(maps.Keys(line)), slices.Sorted(maps.Keys(got[0]))) {
			t.Errorf("line %d has other keys: %v", i, line)
		}
		for key, value := range line {
			if reflect.TypeOf(value) != reflect.TypeOf(got[0][key]) {
				t.Errorf("line %d: %s is %v, and was of another type", i, key, value)
			}
			switch value.(type) {
			case string, float64, bool:
			default:
				t.Errorf("line %d: %s is %v", i, key, value)
			}
		}
		var tags []media.Tag
		if err := json.Unmarshal([]byte(line["tags_json"].(string)), &tags); err != nil || !slices.Equal(tags, want[i].Tags) {
			t.Errorf("line %d: tags %v, %v", i, tags, err)
		}
	}
}

// TestTheRulesOfFiftyOne are those of fiftyone/utils/csv.py, CSVDatasetImporter: the column filepath has a path below data/, where each row must
// find its file; and each other column becomes a field of text, of which those that every sample has are of other types.
func TestTheRulesOfFiftyOne(t *testing.T) {
	from, all := parts(t, 9, 2)
	data, _ := write(t, from, manifest.Options{Format: manifest.CSV})
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || len(rows) != len(all)+1 {
		t.Fatalf("%d rows of %d: %v", len(rows), len(all), err)
	}
	at := slices.Index(rows[0], "filepath")
	if at < 0 {
		t.Fatalf("the columns are %q", rows[0])
	}
	for i, r := range all {
		if name := rows[i+1][at]; name != r.Key || !filepath.IsLocal(name) {
			t.Errorf("row %d has the file %s, want %s", i, name, r.Key)
		}
	}
	for _, name := range rows[0] {
		if slices.Contains([]string{"id", "tags", "metadata", "media_type", "created_at", "last_modified_at"}, name) || strings.HasPrefix(name, "_") {
			t.Errorf("the column %s is a field that every sample has", name)
		}
	}
}

// TestTheRulesOfSageMaker are those of the Amazon SageMaker Developer Guide, Augmented Manifest Files for Training Jobs.
func TestTheRulesOfSageMaker(t *testing.T) {
	from, all := parts(t, 9, 2)
	for _, base := range []string{"s3://bucket", "s3://bucket/", "s3://bucket/p/q"} {
		data, _ := write(t, from, manifest.Options{Format: manifest.SageMaker, Base: base})
		got, want := lines(t, data), images(all)
		for i, line := range got {
			if !reflect.DeepEqual(line, map[string]any{"source-ref": strings.TrimSuffix(base, "/") + "/" + want[i].Key}) {
				t.Errorf("line %d is %v", i, line)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d lines of %d", len(got), len(want))
		}
	}
}

// TestTheRulesOfCVAT are those of cvat, utils/dataset_manifest/core.py: _DatasetManifestStructureValidator, and ImageManifestManager for
// what makes the name of a file.
func TestTheRulesOfCVAT(t *testing.T) {
	from, all := parts(t, 9, 2)
	data, _ := write(t, from, manifest.Options{Format: manifest.CVAT})
	got, want := lines(t, data), images(all)
	if len(got) != len(want)+2 || !reflect.DeepEqual(got[0], map[string]any{"version": "1.1"}) || !reflect.DeepEqual(got[1], map[string]any{"type": "images"}) {
		t.Fatalf("%d lines of %d: %s", len(got), len(want), data)
	}
	for i, line := range got[2:] {
		name, _ := line["name"].(string)
		ext, _ := line["extension"].(string)
		if name+ext != want[i].Key || ext != ".jpg" || line["width"] != 640.0 || line["height"] != 360.0 {
			t.Errorf("line %d is %v", i, line)
		}
	}
}

// many are Objects of any number of parts of 50 records, which are made when they are opened.
type many struct {
	t     testing.TB
	parts int
}

const perPart = 50

func (m many) List(_ context.Context, visit func(string) error) error {
	for _, i := range soaktest.Rand(m.t).Perm(m.parts) {
		if err := visit(fmt.Sprintf("%d.jsonl", i)); err != nil {
			return err
		}
	}
	return nil
}

func (m many) Open(_ context.Context, key string) (io.ReadCloser, error) {
	var i int
	if _, err := fmt.Sscanf(key, "%d.jsonl", &i); err != nil {
		return nil, err
	}
	var records []sink.ManifestRecord
	for k := range perPart {
		records = append(records, record(fmt.Sprint("cam-", i%3), i/3, k))
	}
	return io.NopCloser(bytes.NewReader(part(m.t, records...))), nil
}

// watcher counts bytes, and looks at the memory in use.
type watcher struct {
	bytes      int64
	mostMemory uint64
}

func (w *watcher) Write(b []byte) (int, error) {
	w.bytes += int64(len(b))
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.mostMemory = max(w.mostMemory, m.HeapAlloc)
	return len(b), nil
}

// TestMemoryDoesNotGrowWithTheRecords writes far more than it may keep: a million records when soaking.
func TestMemoryDoesNotGrowWithTheRecords(t *testing.T) {
	total, bound := 60_000, uint64(24<<20)
	if soaktest.Soaking() {
		total, bound = 1_000_000, 160<<20
	} else {
		manifest.SortInRunsOf(t, 256<<10) // so many files that they are merged twice
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	from := many{t, total / perPart}
	w := &watcher{}
	counts, err := manifest.Write(t.Context(), from, w, manifest.Options{Format: manifest.JSONL, Temp: t.TempDir()})
	if err != nil || counts.Records != int64(from.parts*perPart) {
		t.Fatalf("%+v, %v", counts, err)
	}
	t.Logf("%d records of %d MB in at most %d MB of heap", counts.Records, w.bytes>>20, (w.mostMemory-before.HeapAlloc)>>20)
	if w.mostMemory-before.HeapAlloc > bound || w.bytes < int64(bound) {
		t.Errorf("%d bytes of memory for %d bytes of records, the bound is %d", w.mostMemory-before.HeapAlloc, w.bytes, bound)
	}
}

// TestAnySizeOfRunsGivesTheSameBytes sorts by files of one record and of many.
func TestAnySizeOfRunsGivesTheSameBytes(t *testing.T) {
	from, all := parts(t, 40, 2)
	want := part(t, all...)
	for _, size := range []int{1, 3000, 50_000} {
		manifest.SortInRunsOf(t, size)
		if got, _ := write(t, from, manifest.Options{Format: manifest.JSONL}); !bytes.Equal(got, want) {
			t.Errorf("runs of %d bytes give other records", size)
		}
	}
}
