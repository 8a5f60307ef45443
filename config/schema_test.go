package config

import (
	"bytes"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestConditionsNameKeysOfTheSamePart(t *testing.T) {
	for _, p := range []*part{builtIn().file, builtIn().sink} {
		for _, k := range p.keys {
			for _, c := range k.Conditions {
				for _, v := range c.Needs {
					if other := p.byPath[c.Path]; other == nil || !slices.Contains(other.Values, v) {
						t.Errorf("%s needs %s %s, which is not there", k.Path, c.Path, v)
					}
				}
			}
			if k.Unless != "" && p.byPath[k.Unless] == nil {
				t.Errorf("%s excludes %s, which is not there", k.Path, k.Unless)
			}
		}
	}
}

// demo are the keys whose value in pipeline.yaml is the demo's and not the default.
var demo = []string{
	"source.streams",
	"source.start_selector.type",
	"checkpoint.type",
	"sinks[0].name",
	"sinks[0].sample.interval",
	"sinks[0].resize.width",
}

// shippedFile is the pipeline.yaml at the top of the project.
const shippedFile = "../pipeline.yaml"

func TestShippedFileEqualsTheDefaults(t *testing.T) {
	c, err := Load(Options{Path: shippedFile})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sinks) != 1 {
		t.Fatalf("%d sinks, want 1", len(c.Sinks))
	}
	var different []string
	compare := func(p *part, prefix string, got, want any) {
		values, defaults := p.flatten(got), p.flatten(want)
		for _, k := range p.keys {
			if !reflect.DeepEqual(values[k.Path], defaults[k.Path]) {
				different = append(different, join(prefix, k.Path))
			}
		}
	}
	compare(builtIn().file, "", *c, Default())
	compare(builtIn().sink, sinkPath(0), c.Sinks[0], defaultSink())
	if !slices.Equal(different, demo) {
		t.Errorf("differs from the defaults in %v, the demo needs %v", different, demo)
	}
}

// Every key that this version knows stands in the shipped file, the ones without
// a default in comments. Taking the comment signs away must give a file without
// an unknown key.
func TestShippedFileShowsEveryKey(t *testing.T) {
	data, err := os.ReadFile(shippedFile)
	if err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`(?m)^( +)# ( *[a-z_]+:)`)
	full := comment.ReplaceAll(data, []byte("$1$2"))
	root, problems := parseYAML("pipeline.yaml", full)
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, full)
	}
	l := newLoader(Options{})
	l.readFile(root)
	if len(l.problems) > 0 {
		t.Fatalf("%v", l.problems)
	}
	for _, k := range builtIn().file.keys {
		if _, ok := l.file[layerFile][k.Path]; !ok && !k.Reserved() {
			t.Errorf("%s is not shown", k.Path)
		}
	}
	for _, k := range builtIn().sink.keys {
		if _, ok := l.sinks[0].layers[layerFile][k.Path]; !ok && !k.Reserved() {
			t.Errorf("sinks[0].%s is not shown", k.Path)
		}
	}
}

func TestPrintLoadsAgainAsTheSame(t *testing.T) {
	shipped, err := os.ReadFile(shippedFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"the shipped file":   string(shipped),
		"the shortest file":  minimal,
		"a file source":      "source: {type: file, paths: [\"a b/*.mkv\", \"-\", x], stream: \"no\", end: {fragments: 3, duration: 90m}}\nsinks: [{name: a}]",
		"every kind of sink": everySink,
	} {
		t.Run(name, func(t *testing.T) {
			first := load(t, file, nil)
			var printed bytes.Buffer
			if err := first.Print(&printed); err != nil {
				t.Fatal(err)
			}
			second := load(t, printed.String(), nil)
			if !equal(first, second) {
				t.Errorf("first %+v\nthen %+v\nprinted\n%s", first, second, printed.String())
			}
		})
	}
}

const everySink = `
source:
  streams: ["arn:aws:kinesisvideo:us-east-1:123456789012:stream/cam/1523322313093", "true", "42"]
  start_selector: {type: SERVER_TIMESTAMP, timestamp: 2026-11-01T00:00:00.25Z}
  end: {timestamp: 2026-11-02T00:00:00+02:00}
  max_fragment_size: 1500kB
service: {shutdown_timeout: 0s, progress: off, log: {level: debug}}
sinks:
  - {name: a, path: "$${sink}/{sink}/{stream}_{fragment_number}_{frame_index}", sample: {fps: 29.97}, exif: false, resize: {fit: pad, background: "#0a0B0c"}}
  - {name: b, path: "{sink}/\"é: [#{stream}_{fragment_number}_{frame_index}", type: raw, pixel_format: gray, sample: {type: stride, n: 2, clock: server}}
  - {name: arrays, path: "{sink}/{stream}_{fragment_number}_{frame_index}.npy", type: raw, format: npy, layout: chw, normalize: {mean: [0.485, -1, 1e-9], std: [1, 2, 3.5e8]}}
  - {name: scenes, path: "{sink}/{stream}_{fragment_number}_{frame_index}", sample: {type: scene, threshold: 7.25, min_gap: 3s}, filters: {black: {}, blur: {max: 0}}}
  - {name: best, path: "{sink}/{stream}_{fragment_number}_{frame_index}", sample: {type: best}, filters: {black: {amount: 50, threshold: 40}, duplicate: {max_gap: 5m}}}
  - {name: shards, path: "{sink}/{stream}_{fragment_number}_{frame_index}.{ext}", type: webdataset, format: png, group: {every: 90s, count: 1000, size: 1GB}}
  - {name: tables, path: "{sink}/{stream}_{fragment_number}_{frame_index}.{ext}", type: parquet, quality: 90, exif: false, group: {count: 1000}}
  - {name: sheets, path: "{sink}/{stream}_{fragment_number}_{frame_index}.{ext}", type: sprite, quality: 60, columns: 7, resize: {height: 90}}
  - {name: batches, path: "{sink}/{stream}_{fragment_number}_{frame_index}.{ext}", type: batch, layout: chw, pixel_format: gray}
  - {name: videos, path: "{sink}/{stream}_{fragment_number}_{frame_index}.{ext}", type: batch, format: yuv4mpeg, group: {every: 24h}}
  - name: c
    path: "{stream}/latest.jpg"
    destination: {type: s3, bucket: bb, prefix: p, region: eu-west-1, endpoint_url: "http://127.0.0.1:9000", force_path_style: true,
      storage_class: STANDARD_IA, server_side_encryption: {type: "aws:kms", kms_key_id: k}, metadata: full, if_exists: overwrite, max_in_flight: 3}
    manifest: {format: none}
  - {name: e, path: "{sink}/{stream}_{fragment_number}_{frame_index}", format: png, sample: {type: timestamps, at: [2026-11-01T00:00:00Z, "2026-11-01T00:00:00.123456789+01:00"], tolerance: 0s}}
  - {name: f, path: "{sink}/{stream}_{fragment_number}_{frame_index}", sample: {type: timestamps, file: "a b/times.txt"}}
  - {name: d, path: "{sink}/{stream}_{fragment_number}_{frame_index}", destination: {if_exists: skip, fsync: true}, manifest: {path: "{sink}/m/{stream}_{fragment_number}"}}
`

func FuzzLoad(f *testing.F) {
	shipped, err := os.ReadFile(shippedFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(shipped), "", "")
	f.Add(minimal, "KVSFRAMES_SINKS_0_QUALITY=3", "sinks.thumbs.resize={width: 3}")
	f.Add(everySink, "KVSFRAMES_SOURCE_END={fragments: 3}", "source.streams=[a, b]")
	bad, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, entry := range bad {
		if data, err := os.ReadFile("testdata/" + entry.Name()); err == nil {
			f.Add(string(data), "A=b", "version=1")
		}
	}
	f.Fuzz(func(t *testing.T, file, environ, set string) {
		c, err := Load(Options{Path: "p", Reader: strings.NewReader(file), Environ: []string{environ}, Set: []string{set}})
		if (c == nil) == (err == nil) {
			t.Fatalf("settings %v and error %v", c, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without a word")
			}
			return
		}
		var printed bytes.Buffer
		if err := c.Print(&printed); err != nil {
			t.Fatal(err)
		}
		again, err := Load(Options{Path: "p", Reader: &printed, Environ: []string{environ}})
		if err != nil || !equal(c, again) {
			t.Fatalf("settings %+v came back as %+v, error %v", c, again, err)
		}
	})
}

// equal reports whether settings are the same, wherever they come from.
func equal(a, b *Config) bool {
	x, y := *a, *b
	x.origins, y.origins = nil, nil
	return reflect.DeepEqual(x, y)
}
