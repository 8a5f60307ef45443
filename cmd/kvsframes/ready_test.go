package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// validate finds what run finds before it starts, in the same words.
func TestValidateFindsWhatRunFinds(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cam, other := write("cam.mkv", "x"), write("other.mkv", "x")
	write("wrong.txt", "2026-11-01T00:00:00Z\nnoon\n")
	write("empty.txt", "# nothing\n")
	if err := os.Symlink(filepath.Join(dir, "none"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", write("aws.ini", ""))
	const sinks = "sinks: [{name: a}]"
	files := fmt.Sprintf("source: {type: file, paths: [%q]}\n", cam)
	times := func(file string) string {
		return files + fmt.Sprintf("sinks: [{name: a, sample: {type: timestamps, file: %q}}]", file)
	}
	for _, test := range []struct {
		name, settings string
		environ        []string
		want           []string
	}{
		{"times that are not there", times("none.txt"), nil, []string{"2:52: sinks[0].sample.file: open DIR/none.txt: no such file or directory"}},
		{"times with a wrong line, beside the settings", times("wrong.txt"), nil, []string{"2:52: sinks[0].sample.file: DIR/wrong.txt: line 2: \"noon\" is not a time"}},
		{"times without any", times("empty.txt"), nil, []string{"2:52: sinks[0].sample.file: DIR/empty.txt: holds no request"}},
		{"a folder of times", times("."), nil, []string{"sinks[0].sample.file: DIR: "}},
		{"a file that is not there", "source: {type: file, paths: [none.mkv]}\n" + sinks, nil, []string{"1:30: source.paths[0]: stat none.mkv: no such file or directory"}},
		{"a pattern of nothing", "source: {type: file, paths: [\"none-*.mkv\"]}\n" + sinks, nil, []string{"1:30: source.paths[0]: "}},
		{"a folder in place of a file", fmt.Sprintf("source: {type: file, paths: [%q]}\n", dir) + sinks, nil, []string{"source.paths[0]: DIR is a directory"}},
		{"two files with one key", fmt.Sprintf("source: {type: file, paths: [%q, %q]}\nsinks: [{name: a, path: \"{fragment_number}_{frame_index}\"}]", cam, other), nil, []string{"2:25: sinks[0].path: needs {stream}"}},
		{"names that are the same", files + "sinks: [{name: a}, {name: a, path: \"{sink}/{fragment_number}_{frame_index}\", manifest: {format: none}}]", nil, []string{"2:27: sinks[1].name: another sink is also called \"a\""}},
		{"no region for a stream", "source: {streams: [cam]}\n" + sinks, []string{"AWS_REGION="}, []string{"1:1: source.region: no AWS region is set"}},
		{"no region for a bucket", files + "sinks: [{name: a, destination: {type: s3, bucket: my-bucket}}]", []string{"AWS_REGION="}, []string{"2:19: sinks[0].destination.region: no AWS region is set"}},
		{"a profile that is not there", "source: {streams: [cam]}\n" + sinks, []string{"AWS_PROFILE=none"}, []string{"1:1: source.region: load AWS configuration: ", "none"}},
		{"a bucket that cannot be", files + "sinks: [{name: a, destination: {type: s3, bucket: My_Bucket}}]", nil, []string{"sinks[0].destination.bucket: \"My_Bucket\" is not a bucket name"}},
		{"a file in place of a folder", files + fmt.Sprintf("sinks: [{name: a, destination: {directory: %q}}]", cam+"/out"), nil, []string{"sinks[0].destination.directory: stat DIR/cam.mkv/out: not a directory"}},
		{"a link to nothing in place of a folder", files + fmt.Sprintf("sinks: [{name: a, destination: {directory: %q}}]", dir+"/link"), nil, []string{"sinks[0].destination.directory: DIR/link is a link whose target does not exist"}},
		{"what is wrong within and without, at once", "source: {type: file, paths: [none.mkv]}\nsinks: [{name: a, quality: 0, sample: {type: timestamps, file: none.txt}}]", nil, []string{"source.paths[0]: ", "sinks[0].quality: ", "sinks[0].sample.file: "}},
		{"a file from a reference", "source: {type: file, paths: [\"${WHERE}/none.mkv\"]}\n" + sinks, []string{"WHERE=/hush"}, []string{"source.paths[0]: stat ${WHERE}/none.mkv: no such"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, v := range test.environ {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv(name, value)
			}
			file := filepath.Join(dir, "pipeline.yaml")
			if err := os.WriteFile(file, []byte(test.settings), 0o600); err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, command := range []string{"validate", "run", "plan"} {
				p, stdout, stderr := newProgram(strings.NewReader(""), test.environ...)
				if code := p.execute([]string{command, file}); code != exitConfig || stdout.Len() > 0 {
					t.Errorf("%s: code %d, stdout %q, stderr %q", command, code, stdout, stderr)
				}
				said = append(said, strings.ReplaceAll(stderr.String(), dir, "DIR"))
			}
			if said[0] != said[1] || said[0] != said[2] {
				t.Errorf("validate says\n%srun says\n%splan says\n%s", said[0], said[1], said[2])
			}
			for _, want := range test.want {
				if !strings.Contains(said[0], want) {
					t.Errorf("said\n%swithout %s", said[0], want)
				}
			}
			if lines := strings.Count(said[0], "\n"); lines > max(1, len(test.want)) {
				t.Errorf("%d lines:\n%s", lines, said[0])
			}
		})
	}
}

func TestValidateMakesNothing(t *testing.T) {
	dir := t.TempDir()
	file := settings(t, fmt.Sprintf("source: {streams: [cam]}\nsinks: [{name: a, destination: {directory: %q}}]", dir+"/x/y"))
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"validate", file}); code != exitDone {
		t.Fatalf("code %d: %s", code, stderr)
	}
	if _, err := os.Stat(dir + "/x"); !os.IsNotExist(err) {
		t.Errorf("the directory is there: %v", err)
	}
}

// sample.file lies beside the settings when they name it, and where the user stands
// when a flag does.
func TestTimesLieBesideTheSettings(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pipeline.yaml")
	for name, text := range map[string]string{
		file: "source: {streams: [cam]}\nsinks: [{name: a, sample: {type: timestamps, file: t/times.txt}}]", dir + "/t/times.txt": "2026-11-01T00:00:00Z\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		set  []string
		code int
	}{
		{nil, exitDone},
		{[]string{"--set", "sinks.a.sample.file=t/times.txt"}, exitConfig},
		{[]string{"--set", "sinks.a.sample.file=" + dir + "/t/times.txt"}, exitDone},
	} {
		p, _, stderr := newProgram(nil)
		if code := p.execute(append([]string{"validate", file}, test.set...)); code != test.code {
			t.Errorf("%q: code %d, want %d: %s", test.set, code, test.code, stderr)
		}
	}
}

func TestMissingCredentialsAreToldAtOnce(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	stream := settings(t, "source: {streams: [cam], endpoint_url: \"http://127.0.0.1:1\"}\nsinks: [{name: a, destination: {directory: "+t.TempDir()+"}}]")
	bucket := settings(t, "source: {type: file, paths: "+demo+"}\nsinks: [{name: a, destination: {type: s3, bucket: my-bucket, endpoint_url: \"http://127.0.0.1:1\"}}]")
	for _, args := range [][]string{
		{"run", stream},
		{"run", bucket},
		{"plan", stream, "--set", "source.mode=archive", "--set", "source.start_selector.type=EARLIEST"},
		{"inspect", "cam"},
		{"record", "cam", "-o", filepath.Join(t.TempDir(), "x")},
	} {
		p, _, stderr := newProgram(nil)
		code := p.execute(args)
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		last := lines[len(lines)-1]
		if code != exitFailed || !strings.HasPrefix(last, "kvsframes: ") || !strings.Contains(last, "no AWS credentials: set AWS_ACCESS_KEY_ID") || strings.Contains(stderr.String(), "operation error") {
			t.Errorf("%q: code %d, said %s", args, code, stderr)
		}
	}
}
