package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/source/payload"
)

// faulty serves the payload as stream cam, with faults as --fault takes them.
func faulty(t *testing.T, saved []byte, faults ...string) (url string) {
	t.Helper()
	awsEnvironment(t)
	e := kvstest.New(t, kvstest.Options{Quotas: kvstest.Quotas{GetMediaCalls: -1}})
	if err := e.AddRecording("cam", bytes.NewReader(saved)); err != nil {
		t.Fatal(err)
	}
	var all []kvstest.Fault
	for _, text := range faults {
		f, err := kvstest.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	if err := e.SetFaults(all); err != nil {
		t.Fatal(err)
	}
	return e.URL()
}

// chunksOf returns the chunks of a payload.
func chunksOf(t *testing.T, saved []byte) (chunks [][]byte) {
	t.Helper()
	for s := payload.NewSplitter(bytes.NewReader(saved), payload.Config{}); ; {
		f, err := s.Next()
		if err != nil {
			return chunks
		}
		chunks = append(chunks, f.MKV)
	}
}

func TestRecordSavesWhatTheStreamSent(t *testing.T) {
	saved := read(t, demo)
	chunks := chunksOf(t, saved)
	for _, test := range []struct {
		name   string
		faults []string
		args   []string
		want   []byte
		code   int
		stderr string
	}{
		{"a whole stream", nil, []string{"--fragments", "7"}, saved, exitDone, "cam: 7 fragments, %d bytes, 0 gaps\n"},
		{"until nothing more comes", nil, []string{"--idle-timeout", "1s"}, saved, exitDone, "cam: 7 fragments, %d bytes, 0 gaps\n"},
		{"some of its media", nil, []string{"--duration", "3s"}, bytes.Join(chunks[:2], nil), exitDone, "cam: 2 fragments, %d bytes, 0 gaps\n"},
		{"from a time on", nil, []string{"--start", "2026-01-01T12:00:10Z", "--idle-timeout", "1s"}, bytes.Join(chunks[5:], nil), exitDone, "cam: 2 fragments, %d bytes, 0 gaps\n"},
		{"over sessions that break", []string{"cut:op=GetMedia,bytes=200000,count=3"}, []string{"--fragments", "7"}, saved, exitDone, "cam: 7 fragments, %d bytes, 0 gaps\n"},
		{"with a fragment that KVS does not give", []string{"tag:id=4000,fragments=3,skip"}, []string{"--fragments", "6", "--idle-timeout", "5s"}, nil, exitGaps, ", 1 gaps\n"},
		{"a stream that KVS refuses to go on with", []string{"tag:id=4500,fragments=3"}, []string{"--fragments", "6", "--idle-timeout", "5s"}, bytes.Join(chunks[:3], nil), exitFailed, "cam: 3 fragments, %d bytes, 0 gaps\nkvsframes: record: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := faulty(t, saved, test.faults...)
			out := filepath.Join(t.TempDir(), "cam.mkv")
			p, stdout, stderr := newProgram(nil)
			args := append([]string{"record", "cam", "-o", out, "--start", "EARLIEST", "--endpoint-url", url}, test.args...)
			if code := p.execute(args); code != test.code || stdout.Len() > 0 {
				t.Fatalf("code %d, stdout %q:\n%s", code, stdout, stderr)
			}
			want := test.stderr
			if test.want != nil {
				want = fmt.Sprintf(want, len(test.want))
				if sha256.Sum256(read(t, out)) != sha256.Sum256(test.want) {
					t.Errorf("%d bytes, want other ones, %d", len(read(t, out)), len(test.want))
				}
			}
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("stderr lacks %q:\n%s", want, stderr)
			}
		})
	}
}

// hook calls act once something has been written that contains the text.
type hook struct {
	bytes.Buffer
	text string
	act  func()
}

func (h *hook) Write(p []byte) (int, error) {
	n, err := h.Buffer.Write(p)
	if h.act != nil && strings.Contains(h.String(), h.text) {
		h.act()
		h.act = nil
	}
	return n, err
}

func TestAnInterruptedRecordingHasWholeFragmentsAlone(t *testing.T) {
	saved := read(t, demo)
	chunks := chunksOf(t, saved)
	// The stream stops within its second fragment, and sends no more.
	url := faulty(t, saved, fmt.Sprintf("stall:op=GetMedia,bytes=%d", len(chunks[0])+len(chunks[1])/2))
	out := filepath.Join(t.TempDir(), "cam.mkv")
	signals := make(chan os.Signal, 1)
	p, _, _ := newProgram(nil)
	stderr := &hook{text: "first fragment saved", act: func() { signals <- os.Interrupt }}
	p.signals, p.stderr = signals, stderr
	if code := p.execute([]string{"record", "cam", "-o", out, "--start", "EARLIEST", "--idle-timeout", "20s", "--endpoint-url", url}); code != exitInterrupted {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	if !bytes.Equal(read(t, out), chunks[0]) {
		t.Errorf("%d bytes, want the first fragment's %d", len(read(t, out)), len(chunks[0]))
	}
	if want := fmt.Sprintf("cam: 1 fragments, %d bytes, 0 gaps\n", len(chunks[0])); !strings.HasSuffix(stderr.String(), want) {
		t.Errorf("stderr lacks %q:\n%s", want, stderr)
	}
}

func TestRecordAndTheFilesThatAreThere(t *testing.T) {
	saved := read(t, demo)
	url := faulty(t, saved)
	folder := t.TempDir()
	old := []byte("the one before")
	for _, test := range []struct {
		name, stream string
		there        []byte
		args         []string
		code         int
		want         []byte // nil: no file
	}{
		{"a file is not replaced", "cam", old, nil, exitFailed, old},
		{"a file is replaced by force", "cam", bytes.Repeat(saved, 2), []string{"--force"}, exitDone, saved},
		{"a file stays when nothing comes in its place", "none", old, []string{"--force"}, exitFailed, old},
		{"a new file goes when nothing comes into it", "none", nil, nil, exitFailed, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := filepath.Join(folder, strings.ReplaceAll(test.name, " ", "-"))
			if test.there != nil {
				if err := os.WriteFile(out, test.there, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p, _, stderr := newProgram(nil)
			args := append([]string{"record", test.stream, "-o", out, "--start", "EARLIEST", "--fragments", "7", "--endpoint-url", url}, test.args...)
			if code := p.execute(args); code != test.code {
				t.Fatalf("code %d:\n%s", code, stderr)
			}
			got, err := os.ReadFile(out)
			if test.want == nil && !os.IsNotExist(err) || test.want != nil && !bytes.Equal(got, test.want) {
				t.Errorf("%d bytes, %v; want %d", len(got), err, len(test.want))
			}
		})
	}
}

func TestRecordToStandardOutput(t *testing.T) {
	saved := read(t, demo)
	url := faulty(t, saved)
	p, stdout, stderr := newProgram(nil)
	if code := p.execute([]string{"record", "cam", "-o", "-", "--start", "earliest", "--fragments", "7", "--endpoint-url", url}); code != exitDone {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	if !bytes.Equal(stdout.Bytes(), saved) {
		t.Errorf("%d bytes, want %d", stdout.Len(), len(saved))
	}
}

func TestARecordingThatCannotBeWrittenFails(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("the system has no /dev/full")
	}
	url := faulty(t, read(t, demo))
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"record", "cam", "-o", "/dev/full", "--force", "--start", "EARLIEST", "--fragments", "7", "--endpoint-url", url}); code != exitFailed || !strings.Contains(stderr.String(), "no space left on device") {
		t.Errorf("code %d:\n%s", code, stderr)
	}
}

func TestInspectOfAStream(t *testing.T) {
	url := faulty(t, read(t, demo))
	inspect := func(t *testing.T, args ...string) string {
		t.Helper()
		p, stdout, stderr := newProgram(nil)
		if code := p.execute(append([]string{"inspect", "cam", "--endpoint-url", url, "--start", "EARLIEST"}, args...)); code != exitDone {
			t.Fatalf("code %d:\n%s", code, stderr)
		}
		return stdout.String()
	}
	t.Run("ends with its limit", func(t *testing.T) {
		got := inspect(t, "--fragments", "3")
		for _, want := range []string{"cam\nFRAGMENT", "640x360", "\nlag: ", "\ntotal: 3 fragments, 150 video frames, 3 key frames, 6s of video, "} {
			if !strings.Contains(got, want) {
				t.Errorf("lacks %q:\n%s", want, got)
			}
		}
	})
	t.Run("ends when nothing comes, and tells the lag as JSON", func(t *testing.T) {
		var got struct{ Files, Streams []kvsframes.Report }
		if err := json.Unmarshal([]byte(inspect(t, "--json", "--idle-timeout", "1s")), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Files) != 0 || len(got.Streams) != 1 || got.Streams[0].Stream != "cam" || len(got.Streams[0].Fragments) != 7 {
			t.Fatalf("%+v", got)
		}
		for _, f := range got.Streams[0].Fragments {
			if f.LagMS == nil || *f.LagMS < 0 {
				t.Errorf("fragment %s: no lag", f.FragmentNumber)
			}
		}
	})
}

func TestInspectOfAStreamThatIsNotThere(t *testing.T) {
	url := faulty(t, read(t, demo))
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"inspect", "cam2", "--endpoint-url", url}); code != exitFailed || !strings.Contains(stderr.String(), "kvsframes: inspect stream cam2 (there is no file of that name): ") {
		t.Errorf("code %d:\n%s", code, stderr)
	}
}
