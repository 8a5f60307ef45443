package config

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/source"
)

// Whatever is wrong with it, a value that came from ${VAR} stands in no message.
func TestValuesOfReferencesAreNeverRepeated(t *testing.T) {
	const sinks = "\nsinks: [{name: a}]\n"
	for _, test := range []struct{ name, file, value, want string }{
		{"a choice", "source: {type: \"${S}\", streams: [cam]}" + sinks, "hush", "1:16: source.type: the value of ${S} is wrong: want one of kvs, file"},
		{"a choice that is nearly one", "source: {type: \"${S}\", streams: [cam]}" + sinks, "kbs", "1:16: source.type: the value of ${S} is wrong: want one of kvs, file"},
		{"a number", "source: {streams: [cam]}\ndecode: {workers: \"${S}\"}" + sinks, "77x", "2:19: decode.workers: the value of ${S} is wrong: want a whole number"},
		{"a number out of range", "source: {streams: [cam]}\ndecode: {workers: \"${S}\"}" + sinks, "0777777", "2:19: decode.workers: ${S} is not within 0..1024"},
		{"a duration", "source: {streams: [cam], end: {duration: \"${S}\"}}" + sinks, "5", "1:42: source.end.duration: the value of ${S} is wrong: want a duration such as 10s"},
		{"a size out of range", "source: {streams: [cam], max_fragment_size: \"${S}\"}" + sinks, "3000000kB", "1:45: source.max_fragment_size: ${S} is not within 1KiB..2GiB"},
		{"a time", "source: {streams: [cam], end: {timestamp: \"${S}\"}}" + sinks, "hush", "1:43: source.end.timestamp: the value of ${S} is wrong: want a time such as 2026-11-01T00:00:00Z, now-24h or yesterday"},
		{"one of a list", "source: {streams: [cam, \"${S}\"]}" + sinks, "hush hush", "1:25: source.streams[1]: \"${S}\" is neither a stream name (letters, digits, _ . -, at most 256; * and ? in a pattern) nor the ARN of a stream"},
		{"a part of a value", "source: {streams: [cam], endpoint_url: \"ftp://${S}/x\"}" + sinks, "hush", "1:40: source.endpoint_url: \"ftp://${S}/x\" is not a URL such as https://host:port"},
		{"what a message quotes escaped", "source: {streams: [cam], endpoint_url: \"${S}\"}" + sinks, "hush\x1b\"hush", "1:40: source.endpoint_url: \"${S}\" is not a URL such as https://host:port"},
		{"what a message cuts", "source: {streams: [\"${S}\"]}" + sinks, strings.Repeat("hush ", 100), "1:20: source.streams[0]: \"${S}\" is neither a stream name (letters, digits, _ . -, at most 256; * and ? in a pattern) nor the ARN of a stream"},
		{"what decides about another key", "source: {type: \"${S}\", streams: [cam], paths: [x]}" + sinks, "kvs", "1:47: source.paths: belongs to type file, and the type is ${S}"},
		{"a name that a message about another sink has", "source: {streams: [cam]}\nsinks: [{name: \"${S}\"}, {name: b}]\n", "hush", "2:25: sinks[1].path: could give the same key as the path of sink \"${S}\"; put {sink} or different folders into the paths"},
		{"a default", "source: {streams: [cam], endpoint_url: \"${NONE:-hush}\"}" + sinks, "", "1:40: source.endpoint_url: \"${NONE:-hush}\" is not a URL such as https://host:port"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := refuse(t, test.file, []string{"S=" + test.value}); got != "pipeline.yaml:"+test.want {
				t.Errorf("got\n%s\nwant\npipeline.yaml:%s", got, test.want)
			}
		})
	}
}

// What flags and tools say of the settings afterwards is held to the same.
func TestValuesOfReferencesAreNotRepeatedAfterwards(t *testing.T) {
	o := Options{
		Path: "pipeline.yaml", Environ: []string{"S=hush-hush"},
		Reader: strings.NewReader("source: {type: file, paths: [\"${S}/x.mkv\"]}\nsinks: [{name: a}]\n"),
	}
	o.Check = func(c *Config) []PartError {
		return []PartError{{"source", &setting.Error{Path: "paths[0]", Problem: "open " + c.Source.Origin.(source.FileConfig).Paths[0] + ": no such file"}}}
	}
	_, err := Load(o)
	const want = "pipeline.yaml:1:30: source.paths[0]: open ${S}/x.mkv: no such file"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	c := load(t, "source: {streams: [\"${S}\"]}\nsinks: [{name: a}]\n", o.Environ)
	if got := c.Redact(errors.New("read stream hush-hush: refused").Error()); got != "read stream ${S}: refused" {
		t.Errorf("got %q", got)
	}
}

func TestPrintShowsReferencesAsTheyAre(t *testing.T) {
	const file = `
source: {streams: [a, "${S}"], region: "${S}"}
decode: {workers: "${N}"}
sinks: [{name: a, destination: {directory: "out/${S}"}, path: "$${sink}{sink}/{stream}_{fragment_number}_{frame_index}"}]
`
	environ := []string{"S=hush", "N=7"}
	c := load(t, file, environ)
	var printed bytes.Buffer
	if err := c.Print(&printed); err != nil {
		t.Fatal(err)
	}
	text := printed.String()
	for _, want := range []string{"streams: [a, \"${S}\"]\n", "region: \"${S}\"\n", "workers: \"${N}\"\n", "directory: \"out/${S}\"\n", "path: \"$${sink}{sink}/"} {
		if !strings.Contains(text, want) {
			t.Errorf("printed\n%s\nwithout %s", text, want)
		}
	}
	if strings.Contains(text, "hush") {
		t.Errorf("printed\n%s", text)
	}
	if again := load(t, text, environ); !equal(c, again) {
		t.Errorf("came back as %+v, was %+v", again, c)
	}
	printed.Reset()
	if err := c.PrintOrigins(&printed); err != nil || strings.Contains(printed.String(), "hush") || !strings.Contains(printed.String(), "# pipeline.yaml:2\n") {
		t.Errorf("printed %v\n%s", err, &printed)
	}
	// A higher layer's value is no reference any more.
	printed.Reset()
	if err := load(t, file, environ, "source.region=eu-west-1").Print(&printed); err != nil || !strings.Contains(printed.String(), "region: eu-west-1\n") {
		t.Errorf("printed\n%s (%v)", printed.String(), err)
	}
}

func TestOneEntryNeedsNoBrackets(t *testing.T) {
	c := load(t, "source: {type: kvs, streams: \"${S}\"}\nsinks: [{name: a, sample: {type: timestamps, at: 2026-11-01T00:00:00Z}}]", []string{"S=cam"})
	kvs, _ := c.Source.KVS()
	if got := kvs.Streams; len(got) != 1 || got[0] != "cam" || len(c.Sinks[0].Sample.Rule.(plan.Timestamps).At) != 1 {
		t.Errorf("streams %q, at %v", got, c.Sinks[0].Sample.Rule)
	}
	c = load(t, "source: {type: file, paths: \"a, b.mkv\"}\nsinks: [{name: a}]", nil)
	files, _ := c.Source.Files()
	if got := files.Paths; len(got) != 1 || got[0] != "a, b.mkv" {
		t.Errorf("paths %q", got)
	}
}
