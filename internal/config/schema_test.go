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

// The schema and the structs must name the same keys.
func TestSchemaAndStructsHaveTheSameKeys(t *testing.T) {
	for _, test := range []struct {
		name string
		part *part
		of   any
	}{
		{"file", fileKeys, Config{}},
		{"sink", sinkKeys, Sink{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var paths []string
			for _, k := range test.part.keys {
				if !k.unavailable { // no struct has what is not there yet
					paths = append(paths, k.path)
				}
			}
			fields := structKeys(test.part, reflect.TypeOf(test.of), "")
			slices.Sort(paths)
			slices.Sort(fields)
			if !slices.Equal(paths, fields) {
				t.Errorf("schema %v\nstructs %v", paths, fields)
			}
		})
	}
}

func structKeys(p *part, t reflect.Type, path string) []string {
	var out []string
	for f := range t.Fields() {
		name := f.Tag.Get("mapstructure")
		switch at := join(path, name); {
		case name == "-":
		case p.mappings[at]:
			out = append(out, structKeys(p, f.Type, at)...)
		default:
			out = append(out, at)
		}
	}
	return out
}

func TestSelectorsNameKeysOfTheSamePart(t *testing.T) {
	for _, p := range []*part{fileKeys, sinkKeys} {
		for _, k := range p.keys {
			if k.selector == "" {
				continue
			}
			s := p.byPath[k.selector]
			for _, v := range k.needs {
				if s == nil || !slices.Contains(s.values, v) {
					t.Errorf("%s needs %s %s, which is not there", k.path, k.selector, v)
				}
			}
		}
	}
}

// demo are the keys whose value in pipeline.yaml is the demo's and not the default.
var demo = []string{
	"source.streams",
	"source.start_selector.type",
	"sinks[0].name",
	"sinks[0].sample.interval",
	"sinks[0].resize.width",
}

// shippedFile is the pipeline.yaml at the top of the project.
const shippedFile = "../../pipeline.yaml"

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
		values, defaults := flatten(p, got), flatten(p, want)
		for _, k := range p.keys {
			if !reflect.DeepEqual(values[k.path], defaults[k.path]) {
				different = append(different, join(prefix, k.path))
			}
		}
	}
	compare(fileKeys, "", *c, Default())
	compare(sinkKeys, sinkPath(0), c.Sinks[0], DefaultSink(SinkImage))
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
	for _, k := range fileKeys.keys {
		if _, ok := l.file[layerFile][k.path]; !ok && !k.unavailable {
			t.Errorf("%s is not shown", k.path)
		}
	}
	for _, k := range sinkKeys.keys {
		if _, ok := l.sinks[0].layers[layerFile][k.path]; !ok && !k.unavailable {
			t.Errorf("sinks[0].%s is not shown", k.path)
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
			if !reflect.DeepEqual(first, second) {
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
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("settings %+v came back as %+v, error %v", c, again, err)
		}
	})
}
