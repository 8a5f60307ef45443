package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kvsframes/kvsframes/internal/chromiumtest"
	"github.com/kvsframes/kvsframes/internal/s3test"
)

// TestViewOfARun shows in Chromium what a run has written: of a recording that is cut, into a folder and a bucket.
func TestViewOfARun(t *testing.T) {
	server := s3test.Start(t)
	server.Setenv(t)
	bucket, work := server.Bucket(t), t.TempDir()
	recording := read(t, demo)
	cut := filepath.Join(work, "cut.mkv")
	if err := os.WriteFile(cut, recording[:len(recording)*3/4], 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(work, "a #1", "out")
	file := settings(t, "source: {type: file, paths: ["+cut+"], stream: cam}\nsinks:\n"+
		"  - {name: thumbs, resize: {width: 64}, sample: {type: stride, n: 5}, destination: {directory: \""+out+"\"}}\n"+
		fmt.Sprintf("  - {name: same, resize: {width: 64}, sample: {type: stride, n: 5}, manifest: {every: 3s}, destination: {type: s3, bucket: %s, prefix: in, endpoint_url: %q, force_path_style: true}}\n", bucket, server.Endpoint))
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"run", file}); code != exitGaps {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	view := func(args ...string) string {
		t.Helper()
		p, stdout, stderr := newProgram(nil)
		if code := p.execute(append([]string{"view"}, args...)); code != exitDone {
			t.Fatalf("%v: code %d:\n%s", args, code, stderr)
		}
		return strings.TrimSuffix(stdout.String(), "\n")
	}
	b := chromiumtest.Start(t)
	shows := func(url, title string) {
		t.Helper()
		page := b.Open(t, url, 1024, 700)
		page.Wait(`document.querySelector(".picture img")?.naturalWidth === 64`)
		if got := page.Text("#count"); !strings.Contains(got, " frames, 1 gap ") {
			t.Errorf("%s counts %q", url, got)
		}
		if got := page.Text("h1"); got != title {
			t.Errorf("%s is called %q, want %q", url, got, title)
		}
		page.Press("g")
		if got := page.Text("tr[data-field=reason] td"); got != "cut" {
			t.Errorf("%s shows a gap %q", url, got)
		}
	}
	want := filepath.Join(out, "view.html")
	if got := view(out); got != want {
		t.Errorf("it wrote %s, want %s", got, want)
	}
	fileURL := func(name string) string { return "file://" + strings.ReplaceAll(name, "#", "%23") }
	shows(fileURL(want), "out")
	// Elsewhere, and a second time beside what is no part.
	other := filepath.Join(work, "pages", "one.html")
	view(out, "-o", other)
	shows(fileURL(other), "out")
	before := read(t, want)
	if view(out); string(before) != string(read(t, want)) {
		t.Error("the page of a folder that has its page is another one")
	}
	where := "s3://" + bucket + "/in"
	for _, served := range []struct {
		args   []string
		title  string
		signal syscall.Signal
	}{
		{[]string{where, "--force-path-style", "--endpoint-url", server.Endpoint}, where, syscall.SIGINT},
		{[]string{out, "--serve"}, "out", syscall.SIGTERM},
	} {
		cmd, url, stderr := serving(t, server.Environ(), append([]string{"view"}, served.args...)...)
		shows(url, served.title)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "rebound.example"
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusMisdirectedRequest || strings.Contains(string(body), "cam") {
			t.Errorf("under another name it answers %s: %s", answer.Status, body)
		}
		if err := cmd.Process.Signal(served.signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %s it ended with %v: %s", served.signal, err, stderr)
		}
	}
}

func TestViewRefusesWhatItCannotDo(t *testing.T) {
	empty := t.TempDir()
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "accepts 1 arg"},
		{[]string{empty}, exitFailed, "no manifest part is there"},
		{[]string{filepath.Join(empty, "none")}, exitFailed, "no such file"},
		{[]string{"s3://B_/x"}, exitFailed, "is not a bucket name"},
		{[]string{"s3://bucket/x", "-o", "a.html"}, exitUsage, "-o is for the page of a folder"},
		{[]string{empty, "--serve", "-o", "a.html"}, exitUsage, "-o is for the page of a folder"},
	} {
		p, _, stderr := newProgram(nil)
		if code := p.execute(append([]string{"view"}, test.args...)); code != test.code || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%v: code %d:\n%s", test.args, code, stderr)
		}
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}
