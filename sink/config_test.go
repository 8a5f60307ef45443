package sink_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/s3"
)

func named(name string) sink.Config {
	c := sink.DefaultConfig()
	c.Name = name
	return c
}

func inBucket(name, bucket string) sink.Config {
	c := named(name)
	to := s3.DefaultConfig()
	to.Bucket = bucket
	c.Destination.Location = to
	return c
}

// problems returns the joined errors of err, each as it prints, and fails if one
// of them is no *setting.Error.
func problems(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%v is not joined", err)
	}
	var out []string
	for _, e := range joined.Unwrap() {
		var field *setting.Error
		if !errors.As(e, &field) {
			t.Fatalf("%v is no setting.Error", e)
		}
		out = append(out, e.Error())
	}
	return out
}

func TestDefaultsAreValidOnceTheyHaveAName(t *testing.T) {
	if err := named("thumbs").Validate(); err != nil {
		t.Error(err)
	}
	if err := inBucket("thumbs", "my-bucket").Validate(); err != nil {
		t.Error(err)
	}
}

func TestBadConfigs(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *sink.Config)
		want   []string
	}{
		{"no name", func(c *sink.Config) { c.Name = "" }, []string{`name: "" is not a name of 1 to 64 letters, digits, _, - and single dots inside`}},
		{"a name with a slash", func(c *sink.Config) { c.Name = "a/b" }, []string{`name: "a/b" is not a name of 1 to 64 letters, digits, _, - and single dots inside`}},
		{"a name of dots", func(c *sink.Config) { c.Name = "a..b" }, []string{`name: "a..b" is not a name of 1 to 64 letters, digits, _, - and single dots inside`}},
		{"unknown token", func(c *sink.Config) { c.Path = "{strem}" }, []string{"path: unknown token {strem} (did you mean {stream}?)"}},
		{"frames that are not told apart", func(c *sink.Config) { c.Path = "{stream}/latest.jpg" }, []string{
			"path: does not distinguish frames: use {fragment_number} and {frame_index}; if each image shall replace the previous one, write `if_exists: overwrite` under destination",
		}},
		{"frames that are not told apart and skipped", func(c *sink.Config) {
			c.Path, c.Destination.IfExists, c.OverwriteExplicit = "{stream}/latest.jpg", sink.IfExistsSkip, true
		}, []string{"path: does not distinguish frames: use {fragment_number} and {frame_index}"}},
		{"presentation times repeat", func(c *sink.Config) { c.Path, c.Destination.IfExists = "{fragment_number}_{pts_ms}", sink.IfExistsFail }, []string{
			"path: does not distinguish frames: use {fragment_number} and {frame_index}",
		}},
		{"fragments that are not told apart", func(c *sink.Config) { c.Manifest.Path = "{stream}.jsonl" }, []string{
			"manifest.path: does not distinguish fragments: use {fragment_number}",
		}},
		{"a tag of a gap", func(c *sink.Config) { c.Ledger.Path = "{tag:site}/{fragment_number}.jsonl" }, []string{
			"ledger.path: names a tag, and many gaps lie outside of any fragment: they have none",
		}},
		{"a date is no frame", func(c *sink.Config) { c.Path = "{producer_date}/{producer_hour}/{tag:n}/{frame_index}.jpg" }, []string{
			"path: does not distinguish frames: use {fragment_number} and {frame_index}; if each image shall replace the previous one, write `if_exists: overwrite` under destination",
		}},
		{"a manifest for each frame", func(c *sink.Config) { c.Manifest.Path = "{frame_index}.jsonl" }, []string{
			"manifest.path: {frame_index} names a frame, and a manifest has one part for each fragment",
		}},
		{"things to come", func(c *sink.Config) { c.Manifest.Format = "parquet" }, []string{
			`manifest.format: "parquet" is not available in this version: want none, jsonl`,
		}},
		{"spelling", func(c *sink.Config) { c.Manifest.Format, c.Destination.IfExists = "json", "replace" }, []string{
			`destination.if_exists: "replace" is not one of overwrite, skip, fail`,
			`manifest.format: "json" is not one of none, jsonl (did you mean jsonl?)`,
		}},
		{"no puts at all", func(c *sink.Config) { c.Destination.MaxInFlight = 0 }, []string{"destination.max_in_flight: 0 is not within 1..1024"}},
		{"too many puts", func(c *sink.Config) { c.Destination.MaxInFlight = 1025 }, []string{"destination.max_in_flight: 1025 is not within 1..1024"}},
		{"no directory", func(c *sink.Config) { c.Destination.Location = sink.Directory{} }, []string{"destination.directory: is empty"}},
		{"no location", func(c *sink.Config) { c.Destination.Location = nil }, []string{"destination.type: is missing"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := named("thumbs")
			test.change(&c)
			if got := problems(t, c.Validate()); !slices.Equal(got, test.want) {
				t.Errorf("problems are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestConfigsThatAreFine(t *testing.T) {
	for name, change := range map[string]func(c *sink.Config){
		"one file that is replaced on purpose":  func(c *sink.Config) { c.Path, c.OverwriteExplicit = "latest.jpg", true },
		"a bad manifest path that is not used":  func(c *sink.Config) { c.Manifest = sink.Manifest{Format: sink.ManifestNone, Path: "/"} },
		"a directory above the working one":     func(c *sink.Config) { c.Destination.Location = sink.Directory{Path: "../out"} },
		"a path whose frames have other places": func(c *sink.Config) { c.Path = "{hash2}/{fragment_number}/{frame_index}.{ext}" },
	} {
		c := named("thumbs")
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSeveralStreamsTakeKeysThatNameThem(t *testing.T) {
	c := named("thumbs")
	if err := c.CheckStreams(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	c.Path, c.Manifest.Path = "{fragment_number}_{frame_index}.jpg", "m/{fragment_number}.jsonl"
	want := []string{
		"path: needs {stream}: the run reads several streams, whose keys would be the same",
		"manifest.path: needs {stream}: the run reads several streams, whose keys would be the same",
	}
	if got := problems(t, c.CheckStreams()); !slices.Equal(got, want) {
		t.Errorf("two streams: %q, want %q", got, want)
	}
	c.OverwriteExplicit = true
	if got := problems(t, c.CheckStreams()); !slices.Equal(got, want[1:]) {
		t.Errorf("two streams that may overwrite each other: %q, want %q", got, want[1:])
	}
}

func TestConflicts(t *testing.T) {
	with := func(c sink.Config, path string) sink.Config {
		c.Path = path
		return c
	}
	ext := func(c sink.Config, ext string) sink.Config {
		c.Ext = ext
		return c
	}
	in := func(c sink.Config, directory string) sink.Config {
		c.Destination.Location = sink.Directory{Path: directory}
		return c
	}
	prefix := func(c sink.Config, endpoint, prefix string) sink.Config {
		to := c.Destination.Location.(s3.Config)
		to.EndpointURL, to.Prefix = endpoint, prefix
		c.Destination.Location = to
		return c
	}
	a, b := named("a"), named("b")
	const settled = "; put {sink} or different folders into the paths"
	same := []string{`[1].path: could give the same key as the path of sink "a"` + settled}
	for _, test := range []struct {
		name  string
		sinks []sink.Config
		want  []string
	}{
		{"a sink alone", []sink.Config{a}, nil},
		{"two sinks at their defaults", []sink.Config{a, b}, same},
		{"the same with other extensions", []sink.Config{ext(a, "jpg"), ext(b, "rgb24")}, nil},
		{"the same with the same extension", []sink.Config{ext(a, "jpg"), ext(b, "jpg")}, same},
		{"names that are the same", []sink.Config{ext(a, "x"), ext(with(a, "{sink}/{fragment_number}/{frame_index}"), "y")}, []string{
			`[1].name: another sink is also called "a"`,
		}},
		{"the sink's name in both", []sink.Config{with(a, "{sink}/{fragment_number}_{frame_index}.jpg"), with(b, "{sink}/{fragment_number}_{frame_index}.jpg")}, nil},
		{"a literal that numbers cannot make", []sink.Config{with(a, "{fragment_number}_{frame_index}"), with(b, "raw_{fragment_number}_{frame_index}")}, nil},
		{"a stream may be called anything", []sink.Config{with(a, "{stream}/{frame_index}{fragment_number}"), with(b, "raw/{frame_index}{fragment_number}")}, same},
		{"a tag may be anything", []sink.Config{with(a, "{tag:site}/{frame_index}_{fragment_number}"), with(b, "raw/{frame_index}_{fragment_number}")}, same},
		{"a date is no word", []sink.Config{with(a, "{producer_date}/{frame_index}_{fragment_number}"), with(b, "raw/{frame_index}_{fragment_number}")}, nil},
		{"an hour is no word", []sink.Config{with(a, "{producer_hour}/{frame_index}_{fragment_number}"), with(b, "raw/{frame_index}_{fragment_number}")}, nil},
		{"an hour is a number", []sink.Config{with(a, "{producer_hour}/{frame_index}_{fragment_number}"), with(b, "{pts_ms}/{frame_index}_{fragment_number}")}, same},
		{"other directories", []sink.Config{in(a, "out/a"), in(b, "out/b")}, nil},
		{"one directory by two names", []sink.Config{in(a, "out/x/../b"), in(b, "./out/b/")}, same},
		{"a directory inside the other's, with its keys", []sink.Config{
			with(in(a, "out"), "b/{fragment_number}_{frame_index}"), with(in(b, "out/b"), "{fragment_number}_{frame_index}"),
		}, same},
		{"a directory inside the other's, with other keys", []sink.Config{
			with(in(a, "out"), "x/{fragment_number}_{frame_index}"), with(in(b, "out/b"), "{fragment_number}_{frame_index}"),
		}, nil},
		{"a key that is a folder", []sink.Config{with(a, "{fragment_number}_{frame_index}"), with(b, "{fragment_number}_{frame_index}/b.jpg")}, []string{
			`[1].path: could give a key that is a folder of the path of sink "a", or the other way round` + settled,
		}},
		{"an image in the place of a manifest", []sink.Config{with(a, "{stream}/manifest/a/{fragment_number}{frame_index}.{ext}")}, []string{
			`[0].manifest.path: could give the same key as the sink's own path` + settled,
		}},
		{"a directory and a bucket", []sink.Config{a, inBucket("b", "b")}, nil},
		{"two buckets", []sink.Config{inBucket("a", "a"), inBucket("b", "b")}, nil},
		{"one bucket", []sink.Config{inBucket("a", "x"), inBucket("b", "x")}, same},
		{"one bucket with other prefixes", []sink.Config{prefix(inBucket("a", "x"), "", "a"), prefix(inBucket("b", "x"), "", "b/")}, nil},
		{"one prefix written in two ways", []sink.Config{prefix(inBucket("a", "x"), "", "p"), prefix(inBucket("b", "x"), "", "p/")}, same},
		{"one bucket name at two endpoints", []sink.Config{prefix(inBucket("a", "x"), "http://h:1", ""), prefix(inBucket("b", "x"), "http://h:2", "")}, nil},
		{"one endpoint written in two ways", []sink.Config{prefix(inBucket("a", "x"), "http://h:1/", ""), prefix(inBucket("b", "x"), "HTTP://H:1", "")}, same},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := problems(t, errors.Join(sink.Conflicts(test.sinks)...)); !slices.Equal(got, test.want) {
				t.Errorf("conflicts are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}
