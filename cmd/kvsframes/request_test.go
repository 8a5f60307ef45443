package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/kvstest"
)

// TestCurlSendsASignedRequest has a shell and curl run the line that the command prints.
func TestCurlSendsASignedRequest(t *testing.T) {
	saved := read(t, demo)
	chunks := chunksOf(t, saved)
	awsEnvironment(t)
	const token = `it's "one" $HOME \ $(exit 1)` // no word of a shell
	t.Setenv("AWS_SESSION_TOKEN", token)
	e := kvstest.New(t, kvstest.Options{SessionToken: token, Quotas: kvstest.Quotas{GetMediaCalls: -1}})
	if err := e.AddRecording("cam", bytes.NewReader(saved)); err != nil {
		t.Fatal(err)
	}
	request := func(args ...string) string {
		p, stdout, stderr := newProgram(nil)
		if code := p.execute(append([]string{"request", "--endpoint-url", e.URL()}, args...)); code != exitDone || stderr.Len() > 0 {
			t.Fatalf("code %d:\n%s", code, stderr)
		}
		return stdout.String()
	}
	line := request("cam", "--start", "EARLIEST", "--curl")
	if strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "curl ") {
		t.Errorf("not a line: %q", line)
	}
	replace := func(old, replacement string) string {
		if strings.Count(line, old) != 1 {
			t.Errorf("%q is not in %s once", old, line)
		}
		return strings.Replace(line, old, replacement, 1)
	}
	for _, c := range []struct {
		name, line string
		want       []byte
		says       string
	}{
		{"as it is", line, saved, ""},
		{"from the newest fragment", request("cam", "--curl"), chunks[len(chunks)-1], ""},
		{"from a time on, by ARN", request(e.StreamARN("cam"), "--curl", "--start", "2026-01-01T12:00:10Z"), bytes.Join(chunks[5:], nil), ""},
		{"with another body", replace("EARLIEST", "NOW"), nil, "the signature does not match the request"},
		{"with another header", replace("application/json", "text/json"), nil, "the signature does not match the request"},
		{"with another token", replace("$HOME", "$CAM"), nil, "security token"},
	} {
		var out, said bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "sh", "-c", c.line)
		cmd.Stdout, cmd.Stderr = &out, &said
		err := cmd.Run()
		switch {
		case c.says == "" && (err != nil || !bytes.Equal(out.Bytes(), c.want)):
			t.Errorf("%s: %v, %d bytes, want %d: %s", c.name, err, out.Len(), len(c.want), &said)
		case c.says != "" && (cmd.ProcessState.ExitCode() != 22 || !strings.Contains(out.String()+said.String(), c.says)):
			t.Errorf("%s: %v, %q: %s", c.name, err, out.String(), &said)
		}
	}

	var document signedRequest
	if err := json.Unmarshal([]byte(request("cam", "--start", "EARLIEST")), &document); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), document.Method, document.URL, strings.NewReader(document.Body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range document.Headers {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, saved) {
		t.Errorf("the document gives %d bytes, %v", len(got), err)
	}
}

func TestARequestThatCannotBeSigned(t *testing.T) {
	url := faulty(t, read(t, demo))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"a stream"}, exitUsage, "neither the name nor the ARN of a stream"},
		{[]string{"cam", "--start", "noon"}, exitUsage, "--start \"noon\" is not"},
		{[]string{"cam", "--fragments", "1"}, exitUsage, "unknown flag: --fragments"},
		{[]string{"other"}, exitFailed, "kvsframes: request: call GetDataEndpoint of stream other: ResourceNotFoundException"},
	} {
		p, stdout, stderr := newProgram(nil)
		if code := p.execute(append([]string{"request", "--endpoint-url", url}, c.args...)); code != c.code || stdout.Len() > 0 || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: code %d, %q, %q", c.args, code, stdout, stderr)
		}
	}
}
