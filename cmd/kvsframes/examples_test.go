package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/internal/duckdbtest"
	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/internal/soaktest"
	"github.com/kvsframes/kvsframes/kvstest"
)

// step is a block of lines in the comment of an example, that a user types or copies.
type step struct {
	in    string // a shell, Python, DuckDB, ...
	isRun bool   // by the tests, as the comment says
	code  string
}

// heading is what stands above such a block.
var heading = regexp.MustCompile(`^# In (a shell|\w+|a page)\b[^(]*\((run by the tests|not run here(?:: [^)]*)?)\).*:?$`)

// stepsOf returns the blocks in the comment of an example. Its heading states whether tests run it.
func stepsOf(text string) (steps []step, err error) {
	open := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		code, isCode := strings.CutPrefix(line, "#   ")
		m := heading.FindStringSubmatch(line)
		switch {
		case !strings.HasPrefix(line, "#"):
			return steps, nil
		case m != nil:
			steps = append(steps, step{in: m[1], isRun: m[2] == "run by the tests"})
			open = true
		case isCode && open:
			steps[len(steps)-1].code += code + "\n"
		case isCode, strings.Contains(line, "run by the tests"), strings.Contains(line, "not run here"):
			return nil, fmt.Errorf("%q is below no heading such as %q", line, "# In Python (not run here: this needs ...):")
		case line != "#":
			open = false
		}
	}
	return steps, nil
}

func TestBlocksOfExamplesHaveHeadings(t *testing.T) {
	for text, want := range map[string]string{
		"# A\n#\n# In a shell (run by the tests):\n#\n#   a\n#   b\nversion: 1\n#   c\n": "[{a shell true a\nb\n}] <nil>",
		"# In Python with X (not run here: this needs X), so:\n#\n#   a\n":               "[{Python false a\n}] <nil>",
		"# A\n#\n#   a\n":                      `[] "#   a" is below no heading such as "# In Python (not run here: this needs ...):"`,
		"# In DuckDB:\n#\n#   a\n":             `[] "#   a" is below no heading such as "# In Python (not run here: this needs ...):"`,
		"# Python (run by the tests)\n#   a\n": `[] "# Python (run by the tests)" is below no heading such as "# In Python (not run here: this needs ...):"`,
	} {
		if steps, err := stepsOf(text); fmt.Sprint(steps, " ", err) != want {
			t.Errorf("%q gives %v %v, want %s", text, steps, err, want)
		}
	}
}

// trial is where an example is run: a folder with examples/ and recordings/ in it, an emulator with a stream, and a bucket. Nothing in the
// files is changed but where KVS and S3 are, where a live stream begins and ends, and the name of the bucket.
type trial struct {
	t       *testing.T
	folder  string
	server  s3test.Server
	bucket  string
	environ []string
}

// newTrial prepares the run of an example.
func newTrial(t *testing.T, server s3test.Server, url, text string) *trial {
	t.Helper()
	x := &trial{t: t, folder: t.TempDir(), server: server, bucket: server.Bucket(t)}
	examples, err := filepath.Abs("../../examples")
	self, selfErr := os.Executable()
	if err != nil || selfErr != nil {
		t.Fatal(err, selfErr)
	}
	// A program of the name kvsframes, which is told on the command line what cannot be in its environment.
	program := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in 'manifest s3://'*) set -- \"$@\" --force-path-style --endpoint-url '%s' ;; esac\n%s=1 exec '%s' \"$@\"\n", server.Endpoint, asProgram, self)
	bin, recordings := filepath.Join(x.folder, "bin"), filepath.Join(x.folder, "recordings")
	for _, err := range []error{
		os.Symlink(examples, filepath.Join(x.folder, "examples")),
		os.Mkdir(bin, 0o700), os.WriteFile(filepath.Join(bin, "kvsframes"), []byte(program), 0o700),
		os.Mkdir(recordings, 0o700), os.WriteFile(filepath.Join(recordings, "front-door.mkv"), read(t, demo), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	x.environ = append(server.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	if strings.Contains(text, "type: kvs") {
		start := "EARLIEST" // for NOW: the recording is there
		if strings.Contains(text, "PRODUCER_TIMESTAMP") {
			start = "PRODUCER_TIMESTAMP"
		}
		x.environ = append(x.environ, "KVSFRAMES_SOURCE_ENDPOINT_URL="+url, "KVSFRAMES_SOURCE_START_SELECTOR_TYPE="+start,
			"KVSFRAMES_SOURCE_END_TIMESTAMP=2026-01-01T12:00:12Z")
	}
	if strings.Contains(text, "destination: {type: s3") {
		x.environ = append(x.environ, "KVSFRAMES_SINKS_0_DESTINATION_ENDPOINT_URL="+server.Endpoint, "KVSFRAMES_SINKS_0_DESTINATION_FORCE_PATH_STYLE=true")
	}
	return x
}

// run runs a block, and returns what it prints: of DuckDB, the rows as JSON, a line each.
func (x *trial) run(s step) string {
	x.t.Helper()
	code := strings.ReplaceAll(s.code, "my-frames", x.bucket)
	ctx, cancel := context.WithTimeout(x.t.Context(), 2*time.Minute)
	defer cancel()
	var cmd *exec.Cmd
	switch s.in {
	case "a shell":
		cmd = exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", code)
	case "Python":
		cmd = exec.CommandContext(ctx, "/usr/bin/python3", "-W", "ignore::ResourceWarning", "-c", code)
	case "DuckDB":
		if strings.Contains(code, "s3://") { // of which DuckDB knows by an extension that it loads from the network
			code = strings.ReplaceAll(code, "s3://"+x.bucket, x.fetched())
		}
		var lines strings.Builder
		for _, row := range duckdbtest.Rows(x.t, "SET timezone='UTC'; SET file_search_path='"+x.folder+"'; "+code) {
			line, err := json.Marshal(row)
			if err != nil {
				x.t.Fatal(err)
			}
			fmt.Fprintf(&lines, "%s\n", line)
		}
		return lines.String()
	default:
		x.t.Fatalf("no test can run what is in %s:\n%s", s.in, code)
	}
	cmd.Dir, cmd.Env = x.folder, x.environ
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		x.t.Fatalf("%v in %s:\n%s\n%s", err, s.in, code, &stderr)
	}
	return stdout.String()
}

// try runs the blocks that tests run, and compares what they print and leave.
func (x *trial) try(steps []step, want told) {
	x.t.Helper()
	steps = slices.DeleteFunc(steps, func(s step) bool { return !s.isRun })
	if len(steps) != len(want.prints) {
		x.t.Fatalf("tests run %d blocks, and know what %d print", len(steps), len(want.prints))
	}
	for i, s := range steps {
		if got := x.run(s); !regexp.MustCompile(`^(?:` + want.prints[i] + `)$`).MatchString(strings.ReplaceAll(got, x.bucket, "my-frames")) {
			x.t.Errorf("in %s\n%s\nprints\n%s\nwant %s", s.in, s.code, got, want.prints[i])
		}
	}
	if want.then != nil {
		want.then(x)
	}
}

// fetched returns a folder with the objects of the bucket.
func (x *trial) fetched() string {
	x.t.Helper()
	folder := x.t.TempDir()
	keys, err := x.server.Keys(x.t.Context(), x.bucket)
	if err != nil {
		x.t.Fatal(err)
	}
	for _, key := range keys {
		data, err := x.server.Get(x.t.Context(), x.bucket, key)
		if err != nil {
			x.t.Fatal(err)
		}
		name := filepath.Join(folder, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			x.t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			x.t.Fatal(err)
		}
	}
	return folder
}

// told is what is known of an example.
type told struct {
	prints []string
	then   func(x *trial)
}

// knownExamples are the files of examples/: for each block that tests run, a pattern of all that it prints, and what else is to be seen.
var knownExamples = map[string]told{
	"thumbnails.yaml": {[]string{`out/view\.html\n`}, nil},
	"s3.yaml": {[]string{``}, func(x *trial) {
		x.t.Helper()
		images := x.fetched()
		for _, line := range x.lines("train.manifest", 5) {
			key, ok := strings.CutPrefix(line["source-ref"].(string), "s3://"+x.bucket+"/")
			x.decodes(filepath.Join(images, key))
			if !ok || len(line) != 1 {
				x.t.Errorf("a line is %v", line)
			}
		}
	}},
	"huggingface.yaml": {[]string{``, `(\(512, 288\) 2026-01-01T12:00:\d\d\.\d{3}Z\n){28}`}, nil}, // TestTheRulesOfHuggingFacesImageFolder has the rest
	"webdataset.yaml": {[]string{ // TestReadersOpenWebDatasets has the rest
		`(front-door/20260101T1200\d\d_\d{3}Z_\d+_\d+\.(jpg|json)\n){48}`,
		`(front-door/20260101T1200\d\d_\d{3}Z_\d+_\d+ \d{5} 2026-01-01T12:00:\d\d\.\d{3}Z\n){24}`,
	}, nil},
	"pytorch.yaml": {[]string{``, `\(70, 3, 224, 224\) float32 70 2026-01-01T12:00:00\.000Z\n`}, func(x *trial) {
		x.t.Helper()
		looks := found(x.t, x.folder, "dataset/front-door/look/*.jpg")
		if len(looks) != 7 {
			x.t.Errorf("%d pictures to look at", len(looks))
		}
		x.decodes(looks...)
	}},
	"live.yaml": {[]string{``}, func(x *trial) {
		x.t.Helper()
		keys := found(x.t, x.folder, "live/keys/front-door/*.jpg")
		if len(keys) != 6 {
			x.t.Errorf("%d key frames", len(keys))
		}
		x.decodes(append(keys, filepath.Join(x.folder, "live/latest.jpg"))...)
	}},
	"pytorch-pipe.yaml": {[]string{`(front-door/\S+\.jpg\nfront-door/\S+\.json\n){24}`}, nil},
	"duckdb.yaml": {[]string{
		``, `{"producer_timestamp":"2026-01-01 12:00:00\+00","size":"\d{5}","width":640}\n{"producer_timestamp":"2026-01-01 12:00:10\+00","size":"\d{5}","width":1280}\n`,
	}, nil},
	"cvat.yaml": {[]string{``}, func(x *trial) { // TestTheRulesOfCVAT has the rest
		x.t.Helper()
		images := x.fetched()
		for _, line := range x.lines("manifest.jsonl", 2+12)[2:] {
			x.decodes(filepath.Join(images, line["name"].(string)+line["extension"].(string)))
		}
	}},
	"fiftyone.yaml": {[]string{``, `({"filepath":"front-door/\S+\.jpg","scores_json":"\S*best\S*","stream":"front-door"}\n){7}`}, func(x *trial) {
		x.t.Helper()
		x.decodes(found(x.t, x.folder, "frames/data/front-door/*.jpg")...)
	}},
	"scenes.yaml": {[]string{``, `({"key":"front-door/\S+\.jpg","scene":[\d.]+}\n){5}`}, nil},
	"timelapse.yaml": {[]string{``}, func(x *trial) {
		x.t.Helper()
		got := output(x.t, "ffprobe", "-v", "warning", "-count_frames", "-show_entries", "stream=codec_type,width,height,r_frame_rate,nb_read_frames", "-of", "csv=p=0", found(x.t, x.folder, "frames/*.mp4")[0])
		if want := "video,1280,720,25/1,7\n"; string(got) != want {
			x.t.Errorf("ffprobe says %q of the time lapse, want %q", got, want)
		}
	}},
	"archive.yaml": {[]string{``}, func(x *trial) {
		x.t.Helper()
		if lines := bytes.Count(read(x.t, filepath.Join(x.folder, "frames.csv")), []byte("\n")); lines != 1+5 {
			x.t.Errorf("the table has %d lines", lines)
		}
		x.decodes(found(x.t, x.fetched(), "dt=2026-01-01/front-door/*.jpg")...)
	}},
	"events.yaml": {[]string{``}, func(x *trial) {
		x.t.Helper()
		got := string(read(x.t, filepath.Join(x.folder, "events.csv")))
		for _, want := range []string{"2026-01-01T12:00:03.5", "2026-01-01T12:00:07.2"} {
			if !strings.Contains(got, want) {
				x.t.Errorf("no frame of %s in\n%s", want, got)
			}
		}
		images := found(x.t, x.folder, "events/front-door/*.jpg")
		if len(images) != 2 {
			x.t.Errorf("%d pictures", len(images))
		}
		x.decodes(images...)
	}},
	"model.yaml": {[]string{`([1-9]\d{0,2}\n){24}`}, nil},
	"storyboard.yaml": {[]string{``, `2026-01-01T12:00:00\.000Z \(160, 90\)\n2026-01-01T12:00:10\.000Z \(160, 90\)\n`}, func(x *trial) {
		x.t.Helper()
		cues := output(x.t, "node", "../../tools/node/cues.mjs", found(x.t, x.folder, "storyboard/front-door/*.vtt")[0])
		if !strings.Contains(string(cues), `"start":10,"end":20`) || !strings.Contains(string(cues), `"errors":[]`) {
			x.t.Errorf("cues %s", cues)
		}
	}},
}

// lines returns the objects of a file of JSON lines, of which there must be so many.
func (x *trial) lines(name string, want int) (lines []map[string]any) {
	x.t.Helper()
	for text := range bytes.Lines(read(x.t, filepath.Join(x.folder, name))) {
		var line map[string]any
		if err := json.Unmarshal(text, &line); err != nil {
			x.t.Fatalf("%s: %v: %s", name, err, text)
		}
		lines = append(lines, line)
	}
	if len(lines) != want {
		x.t.Fatalf("%s has %d lines, want %d", name, len(lines), want)
	}
	return lines
}

// decodes fails if Go's decoders do not open the images.
func (x *trial) decodes(names ...string) {
	x.t.Helper()
	for _, name := range names {
		if _, _, err := image.Decode(bytes.NewReader(read(x.t, name))); err != nil {
			x.t.Errorf("%s: %v", name, err)
		}
	}
}

// cuts returns a recording of scenes of two seconds: clips, each a fragment.
func cuts(t *testing.T) (saved []byte) {
	t.Helper()
	for i, clip := range []string{"card-bt709", "bframes", "corners", "no-b", "card-gray", "bframes", "no-b"} {
		c := packetsOf(t, read(t, filepath.Join("../../decode/testdata", clip+".mkv")))
		c.FragmentNumber = fmt.Sprintf("%047d", i)
		c.ProducerTime = time.Date(2026, 1, 1, 12, 0, 2*i, 0, time.UTC)
		c.ServerTime = c.ProducerTime.Add(time.Second)
		c.Blocks = slices.DeleteFunc(c.Blocks, func(b kvstest.Block) bool { return b.Time >= 2*time.Second })
		saved = kvstest.AppendChunk(saved, c)
	}
	return saved
}

// TestExamplesRun runs what stands in the comment of each file of examples/, against the emulator and an S3 server: the run, to its end, and the
// readers of what it stored.
func TestExamplesRun(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	o := kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey}
	url, ofCuts := serve(t, o, "front-door", read(t, demo)), serve(t, o, "front-door", cuts(t))
	readme := string(read(t, "../../README.md"))
	all := found(t, "../../examples", "*.yaml")
	for _, file := range soaktest.Some(t, all, len(all)) {
		name := filepath.Base(file)
		if !strings.Contains(readme, "](examples/"+name+")") {
			t.Errorf("the README does not name %s", name)
		}
		t.Run(name, func(t *testing.T) {
			want, ok := knownExamples[name]
			text := string(read(t, file))
			steps, err := stepsOf(text)
			if err != nil || !ok {
				t.Fatalf("is what it prints known: %v; %v", ok, err)
			}
			x := newTrial(t, server, map[bool]string{false: url, true: ofCuts}[name == "scenes.yaml"], text)
			x.try(steps, want)
		})
	}
}
