package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestARemuxedRecordingPlays(t *testing.T) {
	url := faulty(t, read(t, demo))
	out := filepath.Join(t.TempDir(), "cam.mkv")
	record := func(args ...string) (code int, stderr *bytes.Buffer) {
		p, _, stderr := newProgram(nil)
		return p.execute(append([]string{"record", "cam", "-o", out, "--start", "EARLIEST", "--remux", "--endpoint-url", url}, args...)), stderr
	}
	if code, stderr := record("--fragments", "4"); code != exitDone || !strings.Contains(stderr.String(), "cam: 4 fragments") {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	whole := read(t, out)
	if n := bytes.Count(whole, []byte("\x1A\x45\xDF\xA3")); n != 1 {
		t.Errorf("%d EBML headers", n)
	}

	// libav, here behind run, decodes all of it; the command line tool, where there is one, as well.
	images := t.TempDir()
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"run", settings(t, `
source: {type: file, paths: [`+out+`]}
sinks: [{name: a, sample: {type: all}, resize: {width: 16}, manifest: {format: none}, destination: {directory: `+images+`}}]
`)}); code != exitDone || !strings.Contains(stderr.String(), "200 frames decoded") {
		t.Errorf("code %d:\n%s", code, stderr)
	}
	if ffprobe, err := exec.LookPath("ffprobe"); err == nil {
		got, err := exec.Command(ffprobe, "-v", "warning", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", out).CombinedOutput()
		if text := strings.Trim(string(got), ",\n"); err != nil || text != "200" {
			t.Errorf("ffprobe: %v: %q", err, text)
		}
	}

	// From the fifth fragment on the picture has another size.
	code, stderr := record("--force", "--fragments", "7")
	if code != exitFailed || !strings.Contains(stderr.String(), "codec data or picture size change here") || !bytes.Equal(read(t, out), whole) {
		t.Errorf("code %d, %d bytes:\n%s", code, len(read(t, out)), stderr)
	}
}
