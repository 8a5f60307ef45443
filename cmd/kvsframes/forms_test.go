package main

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/internal/duckdbtest"
)

// runForms runs the program over clips, and returns the folder of what it stores.
func runForms(t *testing.T, sinks string, clips ...string) string {
	t.Helper()
	folder := t.TempDir()
	for i, clip := range clips {
		clips[i] = strconv.Quote(clip)
	}
	p, _, stderr := newProgram(nil)
	file := settings(t, fmt.Sprintf("source: {type: file, paths: [%s], stream: cam.front}\n", strings.Join(clips, ", "))+fmt.Sprintf(sinks, fmt.Sprintf("{directory: %q}", folder)))
	if code := p.execute([]string{"run", file}); code != exitDone {
		t.Fatalf("code %d: %s", code, stderr)
	}
	return folder
}

// found returns the files of a pattern in a folder, in the order of their names.
func found(t *testing.T, folder, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s (%v)", pattern, err)
	}
	return names
}

// output returns what a program prints.
func output(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%s (make setup-test installs it): %v: %s", name, err, &stderr)
	}
	return out
}

// grouping is the rule by which readers of webdataset make samples of members (webdataset/tariterators.py, base_plus_ext): what follows the
// first dot of the base name is the name of a part, and the rest that of the sample.
var grouping = regexp.MustCompile(`^((?:.*/|)[^.]+)[.]([^/]*)$`)

// TestReadersOpenWebDatasets opens shards with GNU tar and by the rules of loaders: webdataset and Ray (webdataset_datasource.py, _group_by_keys) group
// what follows each other; Hugging Face (datasets, packaged_modules/webdataset/webdataset.py) takes parts and types from the first five samples; DALI has
// its index from tools/wds2idx.py.
func TestReadersOpenWebDatasets(t *testing.T) {
	t.Parallel()
	folder := runForms(t, `sinks:
  - {name: shards, type: webdataset, sample: {type: interval, interval: 500ms}, resize: {width: 64}, group: {every: 5s}, destination: %[1]s}
  - {name: single, sample: {type: interval, interval: 500ms}, resize: {width: 64}, destination: %[1]s}
`, demo)
	shards := found(t, folder, "cam.front/*.tar")
	if len(shards) < 3 {
		t.Errorf("%d shards", len(shards))
	}
	singles := found(t, folder, "cam.front/*.jpg")
	var first map[string]any
	for _, shard := range shards {
		listed := strings.Fields(string(output(t, "tar", "--list", "--file", shard)))
		var index strings.Builder
		fmt.Fprintf(&index, "v1.2 %d\n", len(listed)/2)
		for i := 0; i < len(listed); i += 2 {
			image, about := grouping.FindStringSubmatch(listed[i]), grouping.FindStringSubmatch(listed[i+1])
			if image == nil || about == nil || image[1] != about[1] || image[2] != "jpg" || about[2] != "json" || strings.HasPrefix(filepath.Base(image[1]), "_") {
				t.Fatalf("%q and %q are no sample", listed[i], listed[i+1])
			}
			want := read(t, singles[0])
			singles = singles[1:]
			if got := output(t, "tar", "--extract", "--to-stdout", "--file", shard, listed[i]); !bytes.Equal(got, want) {
				t.Errorf("%s differs from the image of a sink of type image", listed[i])
			}
			var values map[string]any
			if err := json.Unmarshal(output(t, "tar", "--extract", "--to-stdout", "--file", shard, listed[i+1]), &values); err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = values
			}
			for key, value := range values {
				if reflect.TypeOf(value) != reflect.TypeOf(first[key]) {
					t.Errorf("%s is %v, and %v at first", key, value, first[key])
				}
				switch value.(type) {
				case string, float64, bool:
				default: // a null or an empty list has no type that later samples fit (datasets, issue 7549)
					t.Errorf("%s is %v", key, value)
				}
			}
			if len(values) != len(first) || len(values) != 19 || values["tags_json"] == "[]" || values["bytes"] != float64(len(want)) {
				t.Errorf("%s has %v", listed[i+1], values)
			}
		}
		// DALI's index has the place of each member's data: one block after its header, whose number GNU tar prints.
		line := regexp.MustCompile(`block (\d+): \S+ \S+ +(\d+) \S+ \S+ (\S+)`)
		for i, m := range line.FindAllStringSubmatch(string(output(t, "tar", "--list", "--verbose", "--block-number", "--file", shard)), -1) {
			block, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&index, "%s %d %s %s%s", strings.TrimPrefix(filepath.Ext(m[3]), "."), (block+1)*512, m[2], m[3], []string{" ", "\n"}[i%2])
		}
		if got := read(t, strings.TrimSuffix(shard, "tar")+"idx"); string(got) != index.String() {
			t.Errorf("the index is\n%s\nwant\n%s", got, &index)
		}
		// Some readers know no headers but those of USTAR.
		data := read(t, shard)
		for at := 0; data[at] != 0; {
			header, err := tar.NewReader(bytes.NewReader(data[at:])).Next()
			if err != nil {
				t.Fatal(err)
			}
			if magic, kind := string(data[at+257:at+265]), data[at+156]; magic != "ustar\x0000" || kind != '0' {
				t.Errorf("a header of the format %q and the type %q", magic, kind)
			}
			at += 512 + int(header.Size+511)/512*512
		}
		if !bytes.HasSuffix(data, make([]byte, 2*512)) {
			t.Error("the tar does not end with two empty blocks")
		}
	}
	if len(singles) > 0 {
		t.Errorf("the shards lack %d images", len(singles))
	}
}

// TestNumPyMapsBatches maps arrays into memory, and compares rows with single frames.
func TestNumPyMapsBatches(t *testing.T) {
	t.Parallel()
	folder := runForms(t, `sinks:
  - {name: rows, type: batch, resize: {width: 64, height: 64, fit: stretch}, group: {count: 60}, sample: {type: all}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: floats, type: batch, layout: chw, normalize: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}, resize: {width: 64, height: 64, fit: stretch}, group: {count: 60}, sample: {type: all}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: single, type: raw, resize: {width: 64, height: 64, fit: stretch}, sample: {type: all}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: native, type: batch, pixel_format: gray, sample: {type: all}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
`, demo)
	got := output(t, "/usr/bin/python3", "-c", `import glob, json, sys, numpy as np
def batches(name):
    for f in sorted(glob.glob(sys.argv[1] + "/" + name + "/*.npy")):
        yield np.load(f, mmap_mode="r", allow_pickle=False), [json.loads(l) for l in open(f[:-3] + "jsonl")]
frames = [np.fromfile(f, dtype=np.uint8).reshape(64, 64, 3) for f in sorted(glob.glob(sys.argv[1] + "/single/*"))]
n, all = 0, []
for (a, lines), (b, _) in zip(batches("rows"), batches("floats")):
    assert a.dtype == np.uint8 and b.dtype == np.float32 and len(a) == len(lines) and a.flags.aligned and b.flags.aligned
    for row, floats, line in zip(a, b, lines):
        assert (row == frames[n]).all(), n
        want = ((frames[n].astype(np.float32) / np.float32(255) - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])).transpose(2, 0, 1)
        assert (floats == want).all(), n
        assert line["shape"] == [64, 64, 3] and line["bytes"] == row.nbytes, line
        n += 1
    all.append([a.shape, b.shape])
print(json.dumps([n, all, [a.shape for a, _ in batches("native")]]))`, folder)
	// The demo's camera changes the size of its pictures: that begins another array.
	want := `[350, [[[60, 64, 64, 3], [60, 3, 64, 64]], [[60, 64, 64, 3], [60, 3, 64, 64]], [[60, 64, 64, 3], [60, 3, 64, 64]], [[60, 64, 64, 3], [60, 3, 64, 64]], [[60, 64, 64, 3], [60, 3, 64, 64]], [[50, 64, 64, 3], [50, 3, 64, 64]]], [[200, 360, 640], [150, 720, 1280]]]`
	if string(bytes.TrimSpace(got)) != want {
		t.Errorf("NumPy sees %s, want %s", got, want)
	}
}

// TestFFmpegReadsBatchesAsVideo compares the frames that ffmpeg decodes with single raw frames, and what ffprobe says of the video.
func TestFFmpegReadsBatchesAsVideo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, clip, keys string
		want             []string // of each file
	}{
		{"a camera that changes its size", demo, "", []string{"640,360,yuv420p,tv,25/1,200", "1280,720,yuv420p,tv,25/1,150"}},
		{"a grid", demo, "group: {every: 10s}, ", []string{"640,360,yuv420p,tv,25/1,200", "1280,720,yuv420p,tv,25/1,50", "1280,720,yuv420p,tv,25/1,100"}},
		{"full range", "../../decode/testdata/card-bt709-full.mkv", "", []string{"256,64,yuv420p,pc,5/1,5"}},
		{"gray", "../../decode/testdata/bframes.mkv", "pixel_format: gray, ", []string{"160,90,gray,pc,25/1,75"}},
		{"an odd size", "../../decode/testdata/odd.mkv", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			clip, err := filepath.Abs(test.clip)
			if err != nil {
				t.Fatal(err)
			}
			raw := "pixel_format: yuv420p, "
			if strings.Contains(test.keys, "gray") {
				raw = ""
			}
			single := strings.ReplaceAll(test.keys, "group: {every: 10s}, ", "")
			folder := runForms(t, `sinks:
  - {name: video, type: batch, format: yuv4mpeg, `+test.keys+`sample: {type: all}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: single, type: raw, `+raw+single+`sample: {type: all}, path: "{sink}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
`, clip)
			var frames, want []byte
			var about []string
			for _, file := range found(t, folder, "video/*.y4m") {
				frames = append(frames, output(t, "ffmpeg", "-v", "warning", "-i", file, "-f", "rawvideo", "-")...)
				about = append(about, strings.TrimSpace(string(output(t, "ffprobe", "-v", "warning", "-count_frames", "-show_entries",
					"stream=width,height,pix_fmt,color_range,r_frame_rate,nb_read_frames", "-of", "csv=p=0", file))))
			}
			for _, file := range found(t, folder, "single/*") {
				want = append(want, read(t, file)...)
			}
			if !bytes.Equal(frames, want) {
				t.Errorf("ffmpeg decodes %d bytes, want the %d of single frames", len(frames), len(want))
			}
			if test.want != nil && !slices.Equal(about, test.want) {
				t.Errorf("ffprobe says %q, want %q", about, test.want)
			}
		})
	}
}

// TestDuckDBReadsParquet compares tables with the images of sinks of type image, and with the manifest.
func TestDuckDBReadsParquet(t *testing.T) {
	t.Parallel()
	folder := runForms(t, `sinks:
  - {name: table, type: parquet, sample: {type: interval, interval: 500ms}, resize: {width: 64}, group: {every: 5s}, path: "{sink}/{stream}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
  - {name: single, sample: {type: interval, interval: 500ms}, resize: {width: 64}, destination: %[1]s}
  - {name: pngs, type: parquet, format: png, sample: {type: keyframes}, group: {every: 5s}, path: "{sink}/{stream}/{fragment_number}_{frame_index}.{ext}", destination: %[1]s}
`, demo)
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"manifest", folder, "--format", "parquet", "--output", filepath.Join(folder, "all.parquet")}); code != exitDone {
		t.Fatalf("code %d: %s", code, stderr)
	}
	if tables := found(t, folder, "table/cam.front/*.parquet"); len(tables) < 3 {
		t.Errorf("%d tables", len(tables))
	}
	query := func(sql string) []map[string]any {
		return duckdbtest.Rows(t, "SET timezone='UTC'; "+strings.NewReplacer("TABLE", "'"+folder+"/table/cam.front/*.parquet'", "PNGS", "'"+folder+"/pngs/cam.front/*.parquet'", "MANIFEST", "'"+folder+"/all.parquet'",
			"SINGLE", "read_blob('"+folder+"/cam.front/*.jpg')").Replace(sql))
	}
	images := len(found(t, folder, "cam.front/*.jpg"))
	for what, test := range map[string]struct {
		sql  string
		want any
	}{
		"rows":                          {"SELECT count(*) AS n FROM TABLE", images},
		"images, byte for byte":         {"SELECT count(*) AS n FROM TABLE AS t JOIN SINGLE AS s ON s.content = t.image.bytes AND ends_with(s.filename, '/' || t.image.path)", images},
		"digests and sizes":             {"SELECT count(*) AS n FROM TABLE WHERE sha256(image.bytes) = sha256 AND octet_length(image.bytes) = bytes", images},
		"order":                         {"SELECT count(*) AS n FROM (SELECT image.path AS p, lag(image.path) OVER (ORDER BY key, file_row_number) AS q FROM read_parquet(TABLE, file_row_number=true)) WHERE p <= q", 0},
		"rows that the manifest lacks":  {"SELECT count(*) AS n FROM (SELECT * EXCLUDE image FROM TABLE EXCEPT SELECT * EXCLUDE file_name FROM MANIFEST)", 0},
		"rows that are not in a table":  {"SELECT count(*) AS n FROM (SELECT * EXCLUDE file_name FROM MANIFEST WHERE sink = 'table' EXCEPT SELECT * EXCLUDE image FROM TABLE)", 0},
		"unknown times that are NULL":   {"SELECT count(*) AS n FROM TABLE WHERE server_timestamp IS NULL", 0},
		"columns unlike the manifest's": {"SELECT count(*) AS n FROM (SELECT column_name, column_type FROM (DESCRIBE FROM TABLE) WHERE column_name <> 'image' EXCEPT SELECT column_name, column_type FROM (DESCRIBE FROM MANIFEST))", 0},
		"columns that are missing":      {"SELECT count(*) AS n FROM (SELECT column_name FROM (DESCRIBE FROM MANIFEST) EXCEPT SELECT column_name FROM (DESCRIBE FROM TABLE))", 1},
		"the type of images":            {"SELECT column_type AS n FROM (DESCRIBE FROM TABLE) WHERE column_name = 'image'", "STRUCT(bytes BLOB, path VARCHAR)"},
		"the type of times":             {"SELECT string_agg(DISTINCT column_type) AS n FROM (DESCRIBE FROM TABLE) WHERE ends_with(column_name, '_timestamp')", "TIMESTAMP WITH TIME ZONE"},
		// datasets, features.py, Features.from_arrow_schema: the metadata counts if the column is the very type that datasets writes, a nullable
		// struct of a nullable binary and a nullable string (image.py, Image.pa_type).
		"the key of Hugging Face":             {"SELECT string_agg(DISTINCT decode(value)) AS n FROM parquet_kv_metadata(TABLE) WHERE decode(key) = 'huggingface'", `{"info":{"features":{"image":{"_type":"Image"}}}}`},
		"nullable, as Hugging Face wants it":  {"SELECT count(DISTINCT name) AS n FROM parquet_schema(TABLE) WHERE name IN ('image', 'bytes', 'path') AND repetition_type = 'OPTIONAL'", 3},
		"the physical type of the first leaf": {"SELECT string_agg(DISTINCT type || coalesce(converted_type, '')) AS n FROM parquet_schema(TABLE) WHERE name = 'bytes' AND column_id = 2", "BYTE_ARRAY"},
		"images without statistics":           {"SELECT count(*) AS n FROM parquet_metadata(TABLE) WHERE path_in_schema = 'image, bytes' AND compression = 'UNCOMPRESSED' AND stats_min_value IS NULL AND stats_max_value IS NULL AND dictionary_page_offset IS NULL", len(found(t, folder, "table/cam.front/*.parquet"))},
		"other columns, compressed":           {"SELECT string_agg(DISTINCT compression) AS n FROM parquet_metadata(TABLE) WHERE path_in_schema <> 'image, bytes'", "ZSTD"},
		"PNGs":                                {"SELECT count(*) AS n FROM PNGS WHERE hex(image.bytes[1:8]) = '89504E470D0A1A0A' AND format = 'png' AND ends_with(image.path, '.png')", 7},
	} {
		if rows := query(test.sql); len(rows) != 1 || fmt.Sprint(rows[0]["n"]) != fmt.Sprint(test.want) {
			t.Errorf("%s: DuckDB says %v, want %v", what, rows, test.want)
		}
	}
	for _, r := range query("SELECT base64(image.bytes) AS image, width, height, format FROM TABLE UNION ALL SELECT base64(image.bytes), width, height, format FROM PNGS") {
		data, err := base64.StdEncoding.DecodeString(fmt.Sprint(r["image"]))
		if err != nil {
			t.Fatal(err)
		}
		config, format, err := image.DecodeConfig(bytes.NewReader(data))
		if err != nil || format != r["format"] || float64(config.Width) != r["width"] || float64(config.Height) != r["height"] {
			t.Errorf("%v x %v, %v: Go's decoder says %+v, %s, %v", r["width"], r["height"], r["format"], config, format, err)
		}
	}
}

// TestReadersOpenSheets opens sheets with PIL, and what is beside them with the W3C's parser of WebVTT, and compares tiles with raw frames. The times
// are those of the frames.
func TestReadersOpenSheets(t *testing.T) {
	t.Parallel()
	const most = `resize: {width: 160, height: 90, fit: stretch}, sample: {type: interval, interval: 500ms}, path: "{sink}/{producer_time}_{fragment_number}_{frame_index}.{ext}", destination: %[1]s}`
	folder := runForms(t, `sinks:
  - {name: jpegs, type: sprite, quality: 95, group: {every: 5s}, columns: 4, `+most+`
  - {name: pngs, type: sprite, format: png, group: {every: 5s}, columns: 4, `+most+`
  - {name: single, type: raw, `+most+"\n", demo)
	got := output(t, "/usr/bin/python3", "-c", `import datetime, glob, json, os, sys
import numpy as np
from PIL import Image
frames = [(f, np.fromfile(f, dtype=np.uint8).reshape(90, 160, 3)) for f in sorted(glob.glob(sys.argv[1] + "/single/*"))]
def when(text): return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
sizes, cues = {}, []
for name, ext in ("jpegs", "jpg"), ("pngs", "png"):
    n, sizes[name] = 0, []
    for f in sorted(glob.glob(sys.argv[1] + "/" + name + "/*." + ext)):
        with Image.open(f) as im:
            sheet = np.asarray(im.convert("RGB")).astype(int)
            assert im.mode == "RGB", im.mode
        about = json.load(open(os.path.splitext(f)[0] + ".json"))
        assert about["sheet"] == os.path.basename(f) and sheet.shape == (about["height"], about["width"], 3), about
        sizes[name].append([about["width"], about["height"], about["columns"], about["rows"], len(about["tiles"])])
        for i, tile in enumerate(about["tiles"]):
            stem, frame = frames[n]
            difference = np.abs(sheet[tile["y"]:][:90, tile["x"]:][:, :160] - frame)
            assert difference.max() == 0 if ext == "png" else difference.mean() < 6, (f, i, difference.mean())
            assert "_%s_%06d." % (tile["fragment_number"], tile["frame_index"]) in stem, (stem, tile)
            assert datetime.datetime.fromtimestamp(when(tile["producer_timestamp"]), datetime.timezone.utc).strftime("%Y%m%dT%H%M%S_") in stem
            n += 1
        start = [when(tile["producer_timestamp"]) - when(about["tiles"][0]["producer_timestamp"]) for tile in about["tiles"]]
        start.append(2 * start[-1] - start[-2])
        cues.append([os.path.splitext(f)[0] + ".vtt", [{"start": round(a, 3), "end": round(b, 3), "text": "%s#xywh=%d,%d,160,90" % (about["sheet"], tile["x"], tile["y"])} for a, b, tile in zip(start, start[1:], about["tiles"])]])
    assert n == len(frames), (n, len(frames))
print(json.dumps({"sizes": sizes, "cues": cues}))`, folder)
	var about struct {
		Sizes map[string][][5]int
		Cues  [][2]json.RawMessage
	}
	if err := json.Unmarshal(got, &about); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"jpegs", "pngs"} {
		if want := "[[640 270 4 3 10] [640 270 4 3 10] [640 180 4 2 8]]"; fmt.Sprint(about.Sizes[name]) != want {
			t.Errorf("%s: width, height, columns, rows and tiles are %v, want %s", name, about.Sizes[name], want)
		}
	}
	for _, c := range about.Cues {
		var file string
		var want, read any
		if err := errors.Join(json.Unmarshal(c[0], &file), json.Unmarshal(fmt.Appendf(nil, `{"cues":%s,"errors":[]}`, c[1]), &want)); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(output(t, "node", "../../tools/node/cues.mjs", file), &read); err != nil || !reflect.DeepEqual(read, want) {
			t.Errorf("%s: the parser reads\n%v, want\n%v", file, read, want)
		}
	}
}
