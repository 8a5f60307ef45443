package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/internal/duckdbtest"
	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/manifest"
)

// TestAFolderAndABucketGiveTheSameManifest merges what runs wrote to both: into the folder with few large parts.
func TestAFolderAndABucketGiveTheSameManifest(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	bucket, out := server.Bucket(t), t.TempDir()
	sinks := ""
	for _, to := range []string{"{directory: " + out + "}, manifest: {every: 10s}", fmt.Sprintf("{type: s3, bucket: %s, prefix: in, endpoint_url: %q, force_path_style: true}", bucket, server.Endpoint)} {
		for _, form := range []string{"name: thumbs, resize: {width: 64}, sample: {type: stride, n: 5}", "name: arrays, type: raw, format: npy, resize: {width: 32}, sample: {type: keyframes}"} {
			sinks += "  - {" + form + ", destination: " + to + "}\n"
		}
		file := settings(t, "source: {type: file, paths: ["+demo+"], stream: cam}\nsinks:\n"+sinks)
		sinks = ""
		p, _, stderr := newProgram(nil)
		if code := p.execute([]string{"run", file}); code != exitDone {
			t.Fatalf("code %d:\n%s", code, stderr)
		}
	}
	if parts, err := filepath.Glob(filepath.Join(out, "cam/manifest/*/*.jsonl")); err != nil || len(parts) < 2 || len(parts) > 6 {
		t.Errorf("%v are not few large parts (%v)", parts, err)
	}
	merge := func(args ...string) string {
		t.Helper()
		p, stdout, stderr := newProgram(nil)
		if code := p.execute(append([]string{"manifest", "--force-path-style", "--endpoint-url", server.Endpoint}, args...)); code != exitDone {
			t.Fatalf("%v: code %d:\n%s", args, code, stderr)
		}
		return stdout.String()
	}
	for _, f := range manifest.JSONL.Values() {
		of := merge("s3://"+bucket+"/in", "--format", f)
		if len(of) == 0 {
			t.Errorf("%s is empty", f)
		}
		if f == string(manifest.SageMaker) {
			key := strings.TrimSuffix(strings.SplitN(of, bucket+"/", 2)[1], "\n")
			if key, _, _ = strings.Cut(key, `"`); !strings.HasPrefix(key, "in/cam/") {
				t.Errorf("no key is in %s", of)
			} else if _, err := server.Get(t.Context(), bucket, key); err != nil {
				t.Errorf("%s: %v", key, err)
			}
			continue
		}
		if folder := merge(out, "--format", f); folder != of {
			t.Errorf("%s of the folder is\n%s\nof the bucket\n%s", f, folder, of)
		}
	}
	// Every file is where the metadata says, and is what it says. A second time the output is no input.
	name := filepath.Join(out, "metadata.jsonl")
	merge(out, "--format", "imagefolder", "-o", name)
	before := read(t, name)
	merge(out, "--format", "imagefolder", "--output", name)
	if !bytes.Equal(before, read(t, name)) || bytes.Count(before, []byte("\n")) < 20 {
		t.Errorf("the metadata is\n%s\nthen\n%s", before, read(t, name))
	}
	same := duckdbtest.Rows(t, `SELECT count(*)::INT AS n FROM read_json('`+name+`') m JOIN read_blob('`+out+`/cam/*.jpg') i
		ON i.filename = '`+out+`/' || m.file_name AND i.size = m.bytes AND sha256(i.content) = m.sha256`)
	if n, ok := same[0]["n"].(float64); !ok || int(n) != bytes.Count(before, []byte("\n")) {
		t.Errorf("%v images are what the metadata says", same)
	}
	if left, err := filepath.Glob(filepath.Join(out, ".kvsframes-tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestManifestRefusesWhatItCannotDo(t *testing.T) {
	empty := t.TempDir()
	file := filepath.Join(empty, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "accepts 1 arg"},
		{[]string{empty, "--format", "parket"}, exitUsage, "did you mean parquet?"},
		{[]string{empty, "--format", "sagemaker"}, exitUsage, "s3://BUCKET/PREFIX"},
		{[]string{empty}, exitFailed, "no manifest part is there"},
		{[]string{file}, exitFailed, "is not a folder"},
		{[]string{filepath.Join(empty, "none")}, exitFailed, "no such file"},
		{[]string{"s3://B_/x"}, exitFailed, "is not a bucket name"},
		{[]string{empty, "-o", filepath.Join(empty, "out.csv"), "--format", "csv"}, exitFailed, "no manifest part is there"},
	} {
		p, _, stderr := newProgram(nil)
		if code := p.execute(append([]string{"manifest"}, test.args...)); code != test.code || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%v: code %d:\n%s", test.args, code, stderr)
		}
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
}
