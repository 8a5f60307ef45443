package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/config"
)

// TestSinksOfTheCommandLineAreThoseOfAFile holds sinks of the command line against the same ones in a file.
func TestSinksOfTheCommandLineAreThoseOfAFile(t *testing.T) {
	for _, test := range []struct {
		sinks []string
		file  string
	}{
		{[]string{"interval=1s,width=320"}, "sinks: [{name: image, sample: {type: interval, interval: 1s}, resize: {width: 320}}]"},
		{[]string{"sample=keyframes, format=png,directory=a b"}, "sinks: [{name: image, sample: {type: keyframes}, format: png, destination: {directory: a b}}]"},
		{[]string{"type=raw,sample.type=stride,n=30,pixel_format=gray"}, "sinks: [{name: raw, type: raw, sample: {type: stride, n: 30}, pixel_format: gray}]"},
		{[]string{"bucket=frames,prefix=x,name=s"}, "sinks: [{name: s, destination: {type: s3, bucket: frames, prefix: x}}]"},
		{[]string{`sample=timestamps,at=[1.5,"2026-11-01T00:00:00Z"],path={sink}/{stream}/{fragment_number}_{frame_index}.{ext}`}, `sinks: [{name: image, sample: {type: timestamps, at: ["1.5", "2026-11-01T00:00:00Z"]}, path: '{sink}/{stream}/{fragment_number}_{frame_index}.{ext}'}]`},
		{
			[]string{"path={sink}/{stream}/{fragment_number}_{frame_index}.{ext}", "type=raw,path={sink}/{stream}/{fragment_number}_{frame_index}.{ext}"},
			"sinks: [{name: image, path: '{sink}/{stream}/{fragment_number}_{frame_index}.{ext}'}, {name: raw-2, type: raw, path: '{sink}/{stream}/{fragment_number}_{frame_index}.{ext}'}]",
		},
	} {
		for kind, source := range map[string]string{"file": "{type: file, paths: [a.mkv, 'b c.mkv']}", "kvs": "{streams: [a, b]}"} {
			text := "source: " + source + "\ncheckpoint: {type: none}\n" + test.file + "\n"
			want, err := config.Load(config.Options{Path: "p.yaml", Reader: strings.NewReader(text)})
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			sources := []string{"a", "b"}
			if kind == "file" {
				sources = []string{"a.mkv", "b c.mkv"}
			}
			got, err := config.Load(config.Options{Sinks: test.sinks, Sources: sources, Files: kind == "file"})
			if err != nil || shown(t, got) != shown(t, want) {
				t.Errorf("%q: %v\n%s\nwant\n%s", test.sinks, err, shown(t, got), shown(t, want))
			}
		}
	}
}

func TestWrongSinksOfTheCommandLineAreNamed(t *testing.T) {
	for sink, want := range map[string]string{
		"foo":            "--sink foo: write KEY=VALUE, such as interval=1s",
		"":               "--sink : write KEY=VALUE, such as interval=1s",
		"stride=3":       "--sink stride: no key of a sink has this name",
		"qualty=3":       "--sink qualty: no key of a sink has this name (did you mean quality?)",
		"quality=x":      `--sink quality: sinks[0].quality: "x" is not a whole number`,
		"n=3":            "--sink n: sinks[0].sample.n: belongs to type stride or uniform, and the type is interval",
		"type=image,n=3": "--sink n: sinks[0].sample.n: belongs to type stride or uniform, and the type is interval",
	} {
		_, err := config.Load(config.Options{Sinks: []string{sink}, Sources: []string{"a"}})
		if lines := strings.Split(err.Error(), "\n"); !slices.Contains(lines, want) {
			t.Errorf("%q: %v, want %s", sink, err, want)
		}
	}
}

// shown returns all settings as text, without the places that they come from.
func shown(t *testing.T, c *config.Config) string {
	t.Helper()
	var printed strings.Builder
	if c == nil {
		return ""
	}
	if err := c.Print(&printed); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(printed.String()) {
		value, _, _ := strings.Cut(line, " #")
		lines = append(lines, strings.TrimRight(value, " \n"))
	}
	return strings.Join(lines, "\n")
}
