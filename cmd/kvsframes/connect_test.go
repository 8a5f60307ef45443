package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/internal/s3test"
	"github.com/kvsframes/kvsframes/kvstest"
)

// denying passes requests on, but for those that deny names by method and query: "POST uploads".
type denying struct {
	to   http.Handler
	deny string
}

// ServeHTTP implements http.Handler.
func (d *denying) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, _, _ := strings.Cut(r.URL.RawQuery, "=")
	if d.deny != "" && strings.HasPrefix(r.Method+" "+query, d.deny) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message>not for you</Message></Error>")
		return
	}
	d.to.ServeHTTP(w, r)
}

func TestValidateAsksStreamsAndBuckets(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	e := kvstest.New(t, kvstest.Options{AccessKey: server.AccessKey, SecretKey: server.SecretKey})
	if err := e.AddFile("cam-1", demo); err != nil {
		t.Fatal(err)
	}
	if err := e.CreateStream("short", 0); err != nil {
		t.Fatal(err)
	}
	if err := e.CreateStream("day", 24*60*60*1e9); err != nil {
		t.Fatal(err)
	}
	guard := &denying{to: server.Forward(t)}
	front := httptest.NewServer(guard)
	t.Cleanup(front.Close)
	bucket := server.Bucket(t)
	text := fmt.Sprintf(`
source: {streams: [STREAM], endpoint_url: %q, start_selector: {type: EARLIEST}}
sinks:
  - {name: thumbs, destination: {type: s3, bucket: BUCKET, prefix: a/b, tags: {project: x}, force_path_style: true, endpoint_url: %q, if_exists: skip}}
  - {name: tars, type: webdataset, group: {every: EVERY}, path: "{stream}/{producer_time}_{fragment_number}_{frame_index}.{ext}", destination: {directory: %q}}
checkpoint: {type: s3, bucket: %s, force_path_style: true, endpoint_url: %q}
`, e.URL(), front.URL, t.TempDir(), bucket, front.URL)
	denied := func(op string) kvstest.Fault {
		return kvstest.Fault{Kind: kvstest.FaultHTTP, Op: op, Status: http.StatusForbidden, Code: "AccessDeniedException"}
	}
	for _, test := range []struct {
		name           string
		stream, bucket string
		every          string
		faults         []kvstest.Fault
		deny           string
		stdout         []string
		stderr         []string
	}{
		{
			name: "all is well", stream: "cam-1", every: "10m",
			stdout: []string{"stream cam-1: ok\n", "sink thumbs: ok\n", "sink tars: ok\n", "checkpoint: ok\n"},
		},
		{name: "a pattern", stream: "cam-*", every: "10m", stdout: []string{"stream cam-*: ok; 1 match; the first is cam-1\n"}},
		{name: "a pattern of nothing", stream: "none-*", every: "10m", stdout: []string{"stream none-*: ok; no stream matches now\n"}},
		{name: "no such stream", stream: "none", every: "10m", stderr: []string{"kvsframes: stream none: call DescribeStream of stream none: ResourceNotFoundException: "}},
		{
			name: "a stream that may not be described", stream: "cam-1", every: "10m", faults: []kvstest.Fault{denied("DescribeStream")},
			stdout: []string{"stream cam-1: ok; without kinesisvideo:DescribeStream, nobody knows how long the stream keeps its fragments\n"},
		},
		{
			name: "a stream that may not be read", stream: "cam-1", every: "10m", faults: []kvstest.Fault{denied("GetDataEndpoint")},
			stderr: []string{"kvsframes: stream cam-1: call GetDataEndpoint of stream cam-1: AccessDeniedException: ", ": the credentials need kinesisvideo:GetDataEndpoint\n"},
		},
		{
			name: "streams that may not be listed", stream: "cam-*", every: "10m", faults: []kvstest.Fault{denied("ListStreams")},
			stderr: []string{"kvsframes: stream cam-*: ", "AccessDeniedException", ": the credentials need kinesisvideo:ListStreams\n"},
		},
		{name: "a group of more than half of the retention", stream: "day", every: "13h", stderr: []string{"kvsframes: stream day: sink tars has up to 13h0m0s in what is not complete", "more than half of the 24h0m0s"}},
		{name: "a stream without retention", stream: "short", every: "13h", stdout: []string{"stream short: ok\n"}},
		{name: "no such bucket", stream: "cam-1", bucket: "no-such-bucket", every: "10m", stdout: []string{"stream cam-1: ok\n", "checkpoint: ok\n"}, stderr: []string{"kvsframes: sink thumbs: open s3://no-such-bucket: ", "there is no such bucket\n"}},
		{
			name: "a bucket that may not be written", stream: "cam-1", every: "10m", deny: "POST uploads",
			stderr: []string{"kvsframes: sink thumbs: put s3://" + bucket + "/a/b/kvsframes-probe-", ": the credentials need s3:PutObject and s3:PutObjectTagging\n", "kvsframes: checkpoint: put s3://" + bucket + "/kvsframes-probe-", ": the credentials need s3:PutObject\n"},
		},
		{name: "a bucket that may not be looked at", stream: "cam-1", every: "10m", deny: "HEAD", stderr: []string{"kvsframes: sink thumbs: ", ": the credentials need s3:GetObject and s3:ListBucket\n", "kvsframes: checkpoint: "}},
		{name: "uploads that may not be abandoned", stream: "cam-1", every: "10m", deny: "DELETE", stdout: []string{"sink thumbs: ok; without s3:AbortMultipartUpload, large objects that are abandoned leave their parts, and this left an empty upload of kvsframes-probe-"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := e.SetFaults(test.faults); err != nil {
				t.Fatal(err)
			}
			guard.deny = test.deny
			to := test.bucket
			if to == "" {
				to = bucket
			}
			file := settings(t, strings.NewReplacer("STREAM", test.stream, "BUCKET", to, "EVERY", test.every).Replace(text))
			p, stdout, stderr := newProgram(nil, os.Environ()...)
			code := p.execute([]string{"validate", "--connect", file})
			want := exitDone
			if len(test.stderr) > 0 {
				want = exitConfig
			}
			if code != want || strings.Contains(stdout.String(), file+": ok\n") != (want == exitDone) || strings.Contains(stderr.String(), "operation error") {
				t.Errorf("code %d", code)
			}
			for _, line := range test.stdout {
				if !strings.Contains(stdout.String(), line) {
					t.Errorf("standard output lacks %q", line)
				}
			}
			for _, part := range test.stderr {
				if !strings.Contains(stderr.String(), part) {
					t.Errorf("standard error lacks %q", part)
				}
			}
			if t.Failed() {
				t.Logf("%s%s", stdout, stderr)
			}
			keys, err := server.Keys(t.Context(), bucket)
			uploads, uploadsErr := server.Uploads(t.Context(), bucket)
			if err != nil || uploadsErr != nil || len(keys) > 0 || len(uploads) > 0 && test.deny != "DELETE" {
				t.Errorf("it leaves %v, %v; %v, %v", keys, uploads, err, uploadsErr)
			}
		})
	}
}

// TestValidateConnectsBesidePrintedSettings keeps what --connect says out of the YAML.
func TestValidateConnectsBesidePrintedSettings(t *testing.T) {
	k := newKept(t)
	p, stdout, stderr := newProgram(nil, os.Environ()...)
	if code := p.execute([]string{"validate", "--connect", "--print", k.settings(t)}); code != exitDone || stderr.String() != "stream cam: ok\nsink a: ok\n" {
		t.Errorf("code %d, said %s", code, stderr)
	}
	if strings.Contains(stdout.String(), "ok\n") || !strings.HasPrefix(stdout.String(), "version: 1 ") {
		t.Errorf("printed\n%s", stdout)
	}
}
