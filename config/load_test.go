package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/setting"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// minimal is the shortest file that is valid.
const minimal = "source: {streams: [cam]}\nsinks: [{name: thumbs}]\n"

func load(t *testing.T, file string, environ []string, set ...string) *Config {
	t.Helper()
	c, err := Load(Options{Path: "pipeline.yaml", Reader: strings.NewReader(file), Environ: environ, Set: set})
	if err != nil {
		t.Fatalf("load:\n%v", err)
	}
	return c
}

// refuse loads what must be wrong and returns the message.
func refuse(t *testing.T, file string, environ []string, set ...string) string {
	t.Helper()
	c, err := Load(Options{Path: "pipeline.yaml", Reader: strings.NewReader(file), Environ: environ, Set: set})
	var problems Problems
	if !errors.As(err, &problems) || c != nil {
		t.Fatalf("want problems alone, got %+v and error %v", c, err)
	}
	return err.Error()
}

// Every testdata/*.bad.yaml ends with the exact messages that it must give, each
// after "# want ".
func TestBadFilesGiveExactlyTheirMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d bad files, want 20 or more (%v)", len(files), err)
	}
	environ := []string{"CAM=cam", "EMPTY=", "MULTILINE=a\nb", "WORD=two", "LIST=a,b"}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(data)) {
				if message, ok := strings.CutPrefix(line, "# want "); ok {
					want = append(want, strings.TrimSuffix(message, "\n"))
				}
			}
			if len(want) == 0 {
				t.Fatal("the file has no \"# want\" line")
			}
			if got := refuse(t, string(data), environ); got != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
		})
	}
}

func TestLaterLayersWin(t *testing.T) {
	const file = "source: {streams: [cam], region: file}\nsinks: [{name: thumbs}]\n"
	env, flag := []string{"KVSFRAMES_SOURCE_REGION=env"}, "source.region=flag"
	for _, test := range []struct {
		name, file string
		environ    []string
		set        []string
		want       string
	}{
		{"the default alone", minimal, nil, nil, ""},
		{"the file over the default", file, nil, nil, "file"},
		{"the environment over the default", minimal, env, nil, "env"},
		{"the environment over the file", file, env, nil, "env"},
		{"a flag over the default", minimal, nil, []string{flag}, "flag"},
		{"a flag over the file and the environment", file, env, []string{flag}, "flag"},
		{"the last of two flags", file, env, []string{flag, "source.region=last"}, "last"},
		{"an empty value over a value", file, []string{"KVSFRAMES_SOURCE_REGION="}, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := load(t, test.file, test.environ, test.set...).Source.Origin.(source.KVSConfig).Region; got != test.want {
				t.Errorf("region %q, want %q", got, test.want)
			}
		})
	}
}

// The environment must reach every key, also the ones that have no default.
func TestEveryKeyHasAVariableAndAFlag(t *testing.T) {
	values := map[string]string{
		"int": "7", "int64": "7", "bool": "true", "time.Duration": "7s", "media.Size": "7MiB", "time.Time": "2026-11-01T00:00:00Z",
		"plan.Rate": "7", "decode.RGB": "#070707", "[]string": "a,b", "string": "seven",
		"source.Track": "7", "source.StartTime": "2026-11-01T00:00:00Z", "setting.AutoDuration": "7s", "setting.Level": "7",
	}
	value := func(k *key) string {
		if k.Reserved() {
			return "seven"
		}
		if len(k.Values) > 0 {
			return k.Values[len(k.Values)-1]
		}
		return values[k.Type.String()]
	}
	seen := map[string]string{}
	check := func(p *part, envRoot, flagRoot string) {
		for _, k := range p.keys {
			name := envPrefix + envRoot + envName(k.Path)
			if other, ok := seen[name]; ok {
				t.Errorf("%s stands for both %s and %s", name, other, k.Path)
			}
			seen[name] = k.Path
			for layer, o := range map[int]Options{
				layerEnvironment: {Environ: []string{name + "=" + value(k)}},
				layerFlags:       {Set: []string{flagRoot + k.Path + "=" + value(k)}},
			} {
				l := newLoader(o)
				l.sinks = []sinkLayers{{layers: newLayers()}}
				l.readEnvironment(o.Environ)
				l.readFlags(o.Set)
				ls := l.file
				if p == builtIn().sink {
					ls = l.sinks[0].layers
				}
				if k.Reserved() {
					if len(l.problems) != 1 || !strings.HasPrefix(l.problems[0].Message, "is not available in this version") {
						t.Errorf("%v: problems %v", o, l.problems)
					}
				} else if _, ok := ls[layer][k.Path]; !ok || len(l.problems) > 0 {
					t.Errorf("%v did not arrive: %v", o, l.problems)
				}
			}
		}
	}
	check(builtIn().file, "", "")
	check(builtIn().sink, "SINKS_0_", "sinks.0.")
}

func TestOverridesOfEveryKindOfValue(t *testing.T) {
	const file = `
source: {streams: [cam], end: {fragments: 3, duration: 1h}}
sinks:
  - {name: thumbs, sample: {type: interval, interval: 1s}}
  - {name: b.raw, type: raw, path: "{sink}/{stream}_{fragment_number}_{frame_index}"}
  - {name: stamps, sample: {type: timestamps, file: x}, path: "{sink}/{stream}_{fragment_number}_{frame_index}"}
  - {name: array, type: raw, format: npy, path: "{sink}/{stream}_{fragment_number}_{frame_index}"}
`
	c := load(t, file, []string{
		"KVSFRAMES_SOURCE_STREAMS=a, b",
		"KVSFRAMES_SOURCE_END={duration: 2h}",
		"KVSFRAMES_SOURCE_MAX_FRAGMENT_SIZE=1MiB",
		"KVSFRAMES_SINKS_1_PIXEL_FORMAT=nv12",
		"KVSFRAMES_SINKS_0_RESIZE_UPSCALE=true",
		"KVSFRAMES_CACHE=/tmp", "KVSFRAMES_LIBAV=/tmp", "KVSFRAMES_VERSITYGW=/bin/true",
		"KVSFRAMES_SERVICE_HOST=10.0.0.1", "KVSFRAMES_SERVICE_PORT=9090", "KVSFRAMES_SERVICE_PORT_METRICS=9090",
		"KVSFRAMES_PORT=tcp://10.0.0.1:9090", "KVSFRAMES_PORT_9090_TCP_ADDR=10.0.0.1",
		"HOME=/root", "PATH",
	},
		"sinks.0.quality=90", "sinks.thumbs.resize.width=64", "sinks[0].resize.height=48",
		"sinks.thumbs.sample={type: stride, n: 5}",
		"sinks.b.raw.destination.directory=raw",
		"sinks.array.normalize={mean: [0.5, 0, -1], std: [2, 0.25, 1]}", "sinks.array.normalize.std=1, 1e-3, 0.1",
		"sinks.b.raw.resize.background=#102030", "sinks.b.raw.resize.fit=pad",
		"source.start_selector.type=PRODUCER_TIMESTAMP", "source.start_selector.timestamp=2026-11-01T01:00:00+01:00",
		"service.shutdown_timeout=1m30s",
		"sinks.stamps.sample={type: timestamps, at: [2026-11-01T00:00:00Z, 2026-11-01T00:00:00.5+01:00]}",
	)
	thumbs, raw, stamps := c.Sinks[0], c.Sinks[1], c.Sinks[2]
	kvs, _ := c.Source.KVS()
	for _, test := range []struct {
		name      string
		got, want any
	}{
		{"a list", kvs.Streams, []string{"a", "b"}},
		{"a mapping replaces the one below", c.Source.End, source.End{Duration: 2 * time.Hour}},
		{"a size", c.Source.MaxFragmentSize, source.Size(1 << 20)},
		{"a time, in UTC", kvs.StartSelector.Timestamp, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)},
		{"a duration", c.Service.ShutdownTimeout, 90 * time.Second},
		{"a number of a sink by index", thumbs.Output().Quality, 90},
		{"keys of one mapping one by one", [2]int{thumbs.Resize.Width, thumbs.Resize.Height}, [2]int{64, 48}},
		{"true or false", thumbs.Resize.Upscale, true},
		{"a mapping of a sink by name", thumbs.Sample, plan.Sample{Rule: plan.Stride{N: 5}, Clock: media.ClockProducer}},
		{"a choice by index", raw.Output().PixelFormat, decode.PixelNV12},
		{"a name with a dot", raw.Destination.Location, sink.Directory{Path: "raw"}},
		{"times", stamps.Sample.Rule.(plan.Timestamps).At, []string{"2026-11-01T00:00:00Z", "2026-11-01T00:00:00.5+01:00"}},
		{"numbers", c.Sinks[3].Output().Normalize, decode.Normalize{Mean: []decode.Number{0.5, 0, -1}, Std: []decode.Number{1, 1e-3, 0.1}}},
		{"a colour", raw.Resize.Background, decode.RGB{0x10, 0x20, 0x30}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !reflect.DeepEqual(test.got, test.want) {
				t.Errorf("got %v, want %v", test.got, test.want)
			}
		})
	}
}

func TestProblemsOfOverridesNameTheirSource(t *testing.T) {
	for _, test := range []struct {
		name, environ, set, want string
	}{
		{"an unknown variable", "KVSFRAMES_SOURCE_REGOIN=x", "", "environment KVSFRAMES_SOURCE_REGOIN: no key has this variable (did you mean KVSFRAMES_SOURCE_REGION?)"},
		{"an unknown variable of a sink", "KVSFRAMES_SINKS_0_QUALTY=x", "", "environment KVSFRAMES_SINKS_0_QUALTY: no key has this variable (did you mean KVSFRAMES_SINKS_0_QUALITY?)"},
		{"a variable near to nothing", "KVSFRAMES_BANANA=x", "", "environment KVSFRAMES_BANANA: no key has this variable"},
		{"a variable of a sink that is not there", "KVSFRAMES_SINKS_1_QUALITY=3", "", "environment KVSFRAMES_SINKS_1_QUALITY: there is no sinks[1]: the file has 1"},
		{"a variable of a sink by name", "KVSFRAMES_SINKS_THUMBS_QUALITY=3", "", "environment KVSFRAMES_SINKS_THUMBS_QUALITY: a sink is addressed by its index, such as KVSFRAMES_SINKS_0_QUALITY"},
		{"a bad value of a variable", "KVSFRAMES_SERVICE_SHUTDOWN_TIMEOUT=20", "", "environment KVSFRAMES_SERVICE_SHUTDOWN_TIMEOUT: service.shutdown_timeout: 20 has no unit: write a duration such as 10s or 500ms"},
		{"a value of a variable out of range", "KVSFRAMES_SINKS_0_QUALITY=0", "", "environment KVSFRAMES_SINKS_0_QUALITY: sinks[0].quality: 0 is not within 1..100"},
		{"an unknown key in a mapping of a variable", "KVSFRAMES_SOURCE_END={fragment: 3}", "", "environment KVSFRAMES_SOURCE_END: source.end.fragment: unknown key (did you mean fragments?)"},
		{"a mapping that is none", "KVSFRAMES_SOURCE_END=3", "", "environment KVSFRAMES_SOURCE_END: source.end: want a mapping such as {key: value}, not a number"},
		{"a list that is not closed", "KVSFRAMES_SOURCE_STREAMS=[a", "", "environment KVSFRAMES_SOURCE_STREAMS: source.streams: not valid YAML: sequence end token ']' not found"},
		{"a flag without a value", "", "source.region", "--set source.region: write KEY=VALUE, such as source.region=eu-west-1"},
		{"an unknown flag", "", "source.regoin=x", "--set source.regoin: unknown key (did you mean source.region?)"},
		{"a flag of the wrong part", "", "source.shutdown_timeout=3s", "--set source.shutdown_timeout: unknown key (did you mean service.shutdown_timeout?)"},
		{"a flag at the wrong place", "", "bucket=b", "--set bucket: does not belong here (did you mean checkpoint.bucket or sinks[].destination.bucket?)"},
		{"an unknown key of a sink", "", "sinks.thumbs.qualty=3", "--set sinks.thumbs.qualty: unknown key (did you mean sinks[0].quality?)"},
		{"an unknown sink", "", "sinks.thumb.quality=3", "--set sinks.thumb.quality: there is no sink \"thumb\" (did you mean thumbs?)"},
		{"a flag of a sink that is not there", "", "sinks.3.quality=3", "--set sinks.3.quality: there is no sinks[3]: the file has 1"},
		{"a flag for all sinks", "", "sinks=[]", "--set sinks: name a sink and its key, such as sinks.0.quality or sinks.thumbs.quality"},
		{"a flag value of the wrong type", "", "decode.workers=many", "--set decode.workers: decode.workers: \"many\" is not a whole number"},
		{"one of the times of a variable", "KVSFRAMES_SINKS_0_SAMPLE={type: timestamps, at: [1793491200, noon]}", "", "environment KVSFRAMES_SINKS_0_SAMPLE: sinks[0].sample.at[1]: \"noon\" is not a time: write RFC 3339, such as 2026-11-01T00:00:00Z, or seconds or milliseconds since the Unix epoch"},
		{"one of the times of a flag", "", "sinks.0.sample={type: timestamps, at: [2026-11-01T00:00:00Z, noon]}", "--set sinks.0.sample: sinks[0].sample.at[1]: \"noon\" is not a time: write RFC 3339, such as 2026-11-01T00:00:00Z, or seconds or milliseconds since the Unix epoch"},
		{"a flag for what is no role", "", "source.role_arn=x", "--set source.role_arn: source.role_arn: \"x\" is not the ARN of a role, such as arn:aws:iam::123456789012:role/NAME"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var environ, set []string
			if test.environ != "" {
				environ = []string{test.environ}
			}
			if test.set != "" {
				set = []string{test.set}
			}
			if got := refuse(t, minimal, environ, set...); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestReferences(t *testing.T) {
	env := map[string]string{"A": "x", "EMPTY": "", "TRICKY": "${A}: [b, {c: d}] # e", "NEWLINE": "a\nb"}
	look := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for _, test := range []struct {
		text, want string
		fails      bool
	}{
		{text: "plain", want: "plain"},
		{text: "${A}", want: "x"},
		{text: "a${A}b${A}c", want: "axbxc"},
		{text: "${NONE:-y}", want: "y"},
		{text: "${EMPTY:-y}", want: "y"},
		{text: "${A:-y}", want: "x"},
		{text: "${NONE:-}", want: ""},
		{text: "${EMPTY}", want: ""},
		{text: "${A:?say}", want: "x"},
		{text: "$${A}", want: "${A}"},
		{text: "$$${A}", want: "$${A}"},
		{text: "$A $ $$ 5$", want: "$A $ $$ 5$"},
		{text: "${TRICKY}", want: "${A}: [b, {c: d}] # e"}, // a value is not read again
		{text: "${NONE}", fails: true},
		{text: "${NONE:?say}", fails: true},
		{text: "${EMPTY:?say}", fails: true},
		{text: "${NEWLINE}", fails: true},
		{text: "${A", fails: true},
		{text: "${}", fails: true},
		{text: "${A-b}", fails: true},
	} {
		t.Run(test.text, func(t *testing.T) {
			got, _, err := interpolate(test.text, look)
			if (err != nil) != test.fails || got != test.want {
				t.Errorf("got %q and error %v, want %q", got, err, test.want)
			}
		})
	}
}

// A value from the environment is a value, whatever YAML would make of it.
func TestReferencesNeverBecomeStructure(t *testing.T) {
	const file = `
source: {streams: ["${S}"], region: "${R}"}
decode: {workers: "${N}"}
sinks:
  - name: thumbs
    resize: {upscale: "${B}"}
`
	c := load(t, file, []string{"S=a-b", "R=x, streams: [evil] # {", "N=3", "B=true"})
	kvs, _ := c.Source.KVS()
	if !reflect.DeepEqual(kvs.Streams, []string{"a-b"}) || kvs.Region != "x, streams: [evil] # {" || c.Decode.Workers != 3 || !c.Sinks[0].Resize.Upscale {
		t.Errorf("got %+v", c)
	}
}

// Viper splits keys at dots and lower-cases them, so nothing that a user names may
// be a key on its way through.
func TestNamesWithDotsAndCapitalsStayAsTheyAre(t *testing.T) {
	c := load(t, `
source: {streams: [Cam.Front-01, 007]}
sinks: [{name: Wall.A, path: "{stream}/Dir.X/{fragment_number}_{frame_index}.{ext}", destination: {directory: Out.Dir}}]
`, nil, "sinks.Wall.A.manifest.path={stream}/M.x/{fragment_number}.jsonl")
	s := c.Sinks[0]
	kvs, _ := c.Source.KVS()
	if kvs.Streams[0] != "Cam.Front-01" || kvs.Streams[1] != "007" || s.Name != "Wall.A" || s.Destination.Location != (sink.Directory{Path: "Out.Dir"}) ||
		!strings.Contains(s.Path, "Dir.X") || !strings.Contains(s.Manifest.Path, "M.x") {
		t.Errorf("got %+v", c)
	}
}

// A fragment number has more digits than any number type holds.
func TestLongNumbersAreTextWhereTextIsWanted(t *testing.T) {
	const number = "91343852333181432392682062607743920547571924121"
	c := load(t, "source: {streams: [cam], start_selector: {type: FRAGMENT_NUMBER, after_fragment_number: "+number+"}}\nsinks: [{name: a}]", nil)
	kvs, _ := c.Source.KVS()
	if got := kvs.StartSelector.AfterFragmentNumber; got != number {
		t.Errorf("got %s", got)
	}
}

// What a decoder may do to a bare number must stay impossible behind the
// checks of the file.
func TestBareNumbersNeverDecodeAsDurations(t *testing.T) {
	c := Default()
	ls := newLayers()
	ls[layerFile]["service.shutdown_timeout"] = written{value: int64(5)}
	if err := builtIn().file.fill(ls, &c); err == nil {
		t.Errorf("5 became %s", c.Service.ShutdownTimeout)
	}
	ls[layerFile]["service.shutdown_timeout"] = written{value: "5s"}
	ls[layerFile]["service.nonsense"] = written{value: "5s"}
	if err := builtIn().file.fill(ls, &c); err == nil {
		t.Error("a key that no struct has was passed over")
	}
}

func TestDefaultsFollowTheTypes(t *testing.T) {
	c := load(t, `
source: {streams: [cam]}
sinks:
  - {name: image, path: "{sink}/{fragment_number}_{frame_index}"}
  - {name: raw, type: raw, path: "{sink}/{fragment_number}_{frame_index}"}
  - {name: fps, sample: {fps: 2}, path: "{sink}/{fragment_number}_{frame_index}"}
  - {name: all, sample: {type: all}, path: "{sink}/{fragment_number}_{frame_index}"}
  - {name: png, format: png, fast: true, path: "{sink}/{fragment_number}_{frame_index}"}
  - {name: at, sample: {type: timestamps, at: ["2026-11-01T00:00:00Z"], clock: server}, path: "{sink}/{fragment_number}_{frame_index}"}
`, nil)
	image, raw, fps, all := c.Sinks[0], c.Sinks[1], c.Sinks[2], c.Sinks[3]
	if png := c.Sinks[4]; png.Output().Format != decode.FormatPNG || png.SinkConfig().Ext != "png" || png.Output().Quality != 0 || !png.Output().EXIF || !png.Output().Fast {
		t.Errorf("png: %+v", png)
	}
	at := plan.Sample{Rule: plan.Timestamps{At: []string{"2026-11-01T00:00:00Z"}, Tolerance: 500 * time.Millisecond, Pick: plan.PickNearest}, Clock: media.ClockServer}
	if got := c.Sinks[5].Sample; !reflect.DeepEqual(got, at) {
		t.Errorf("timestamps: %+v", got)
	}
	if image.Output().Format != decode.FormatJPEG || image.Output().PixelFormat != "" || image.Output().Quality != 80 || image.SinkConfig().Ext != "jpg" {
		t.Errorf("image: %+v", image)
	}
	if raw.Output().Format != decode.FormatNone || raw.Output().PixelFormat != decode.PixelRGB24 || raw.Output().Quality != 0 || raw.SinkConfig().Ext != "rgb24" {
		t.Errorf("raw: %+v", raw)
	}
	if image.Sample.Rule != (plan.Interval{Every: 10 * time.Second}) || fps.Sample.Rule != (plan.Interval{Rate: plan.Rate{Num: 2, Den: 1}}) || all.Sample.Rule != (plan.All{}) {
		t.Errorf("samples: %+v, %+v, %+v", image.Sample, fps.Sample, all.Sample)
	}
}

func TestOverwriteCountsOnlyWhenItIsWritten(t *testing.T) {
	const latest = "source: {streams: [cam]}\nsinks: [{name: a, path: \"{stream}/latest.jpg\"}]\n"
	refuse(t, latest, nil)
	if c := load(t, latest, nil, "sinks.a.destination.if_exists=overwrite"); !c.Sinks[0].SinkConfig().OverwriteExplicit {
		t.Error("the flag did not count")
	}
}

func TestAnchorsAliasesAndMergeKeys(t *testing.T) {
	c := load(t, `
source: {streams: [cam]}
sinks:
  - &base
    name: a
    quality: 70
    path: "{sink}/{fragment_number}_{frame_index}"
    resize: &box {width: 64}
  - <<: *base
    name: b
  - {name: c, path: "{sink}/{fragment_number}_{frame_index}", resize: *box}
`, nil)
	if c.Sinks[1].Name != "b" || c.Sinks[1].Output().Quality != 70 || c.Sinks[2].Resize.Width != 64 {
		t.Errorf("got %+v", c.Sinks)
	}
}

func TestLimitsOfTheFile(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x]\n"
	for _, names := range []string{"ab", "bc", "cd", "de", "ef"} {
		bomb += names[1:] + ": &" + names[1:] + " [" + strings.Repeat("*"+names[:1]+", ", 8) + "x]\n"
	}
	for _, test := range []struct{ name, file, want string }{
		{"a file above the largest size", strings.Repeat("#", maxFileSize+1), "pipeline.yaml: the file is larger than 1048576 bytes"},
		{"more tokens than the parser is given", strings.Repeat("- ", 30000), "pipeline.yaml: the file has 30000 YAML tokens, maximum is 20000"},
		{"deep nesting", strings.Repeat("[", 60) + strings.Repeat("]", 60), "the values are nested deeper than 32"},
		{"aliases that stand for too many values", bomb, "the aliases expand to more than 20000 values"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := refuse(t, test.file, nil); !strings.Contains(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", setting.Short(got), test.want)
			}
		})
	}
}

func TestAFileThatIsNotThereIsNoProblemOfTheSettings(t *testing.T) {
	_, err := Load(Options{Path: filepath.Join(t.TempDir(), "none.yaml")})
	var problems Problems
	if !errors.Is(err, os.ErrNotExist) || errors.As(err, &problems) {
		t.Errorf("got %v", err)
	}
}
