package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink"
)

// runSummary is the file that --summary writes, as the contract has it. Pointers are keys that
// must be there.
type runSummary struct {
	Status   string                   `json:"status"`
	ExitCode *int                     `json:"exit_code"`
	Error    *string                  `json:"error"`
	Started  string                   `json:"started"`
	Ended    *string                  `json:"ended"`
	Elapsed  *float64                 `json:"elapsed_s"`
	Version  string                   `json:"version"`
	Config   string                   `json:"config"`
	Streams  map[string]streamSummary `json:"streams"`
	Sinks    map[string]struct {
		Status  string `json:"status"`
		Error   string `json:"error"`
		Objects int64  `json:"objects"`
		Bytes   int64  `json:"bytes"`
	} `json:"sinks"`
	Latency kvsframes.LatencySummary `json:"latency"`
}

type streamSummary struct {
	Status        string         `json:"status"`
	Error         *string        `json:"error"`
	Fragments     int            `json:"fragments"`
	FramesDecoded int            `json:"frames_decoded"`
	Concealed     int            `json:"frames_concealed"`
	FramesWritten map[string]int `json:"frames_written"`
	FramesSkipped map[string]int `json:"frames_skipped"`
	BytesRead     int64          `json:"bytes_read"`
	Reconnects    int            `json:"reconnects"`
	Pauses        int            `json:"pauses"`
	First         string         `json:"first_fragment_number"`
	Last          string         `json:"last_fragment_number"`
	FirstTime     string         `json:"first_producer_timestamp"`
	LastTime      string         `json:"last_producer_timestamp"`
	Gaps          int            `json:"gaps"`
	GapList       []struct {
		Stream            string   `json:"stream"`
		Sink              string   `json:"sink"`
		FragmentNumber    string   `json:"fragment_number"`
		FromFrame         int      `json:"from_frame"`
		FramesLost        int      `json:"frames_lost"`
		ProducerTimestamp string   `json:"producer_timestamp"`
		UntilFragment     string   `json:"until_fragment"`
		Until             string   `json:"until"`
		AskedFor          []string `json:"asked_for"`
		Reason            string   `json:"reason"`
		Detail            string   `json:"detail"`
	} `json:"gap_list"`
	Undelivered *struct {
		From      string `json:"from"`
		To        string `json:"to"`
		Fragments int    `json:"fragments"`
	} `json:"undelivered"`
}

// parseSummary reads a summary, and takes no key that the contract does not have.
func parseSummary(t *testing.T, data []byte) runSummary {
	t.Helper()
	var s runSummary
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		t.Fatalf("summary: %v\n%s", err, data)
	}
	if s.Status == "" || s.ExitCode == nil || s.Error == nil || s.Started == "" || s.Ended == nil || s.Elapsed == nil || s.Version == "" || len(s.Config) != 8 ||
		s.Streams == nil || s.Sinks == nil || bytes.Contains(data, []byte("null")) {
		t.Fatalf("summary lacks a key:\n%s", data)
	}
	for name, stream := range s.Streams {
		if stream.Status == "" || stream.Error == nil || stream.GapList == nil || stream.Undelivered == nil {
			t.Fatalf("summary of %s lacks a key:\n%s", name, data)
		}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("something follows the summary:\n%s", data)
	}
	return s
}

// readSummary returns the streams of the file that --summary wrote.
func readSummary(t *testing.T, path string) map[string]streamSummary {
	t.Helper()
	return parseSummary(t, read(t, path)).Streams
}

func TestTheSummaryTellsHowARunEnded(t *testing.T) {
	whole := read(t, demo)
	url := emulator(t, kvstest.PaceMax, map[string][]byte{"cam": whole, "cut": whole[:len(whole)-1000]})
	for _, test := range []struct {
		name, streams string
		flags         []string
		code          int
		status        string
		err           string
		perStream     map[string]string
	}{
		{"all is well", "cam", nil, exitDone, "complete", "", map[string]string{"cam": "complete"}},
		{"a gap", "cam, cut", nil, exitGaps, "gaps", "", map[string]string{"cam": "complete", "cut": "gaps"}},
		{"a gap with a code of its own", "cut", []string{"--gaps-exit-code", "0"}, 0, "gaps", "", map[string]string{"cut": "gaps"}},
		{"a gap with another code", "cut", []string{"--gaps-exit-code=42"}, 42, "gaps", "", map[string]string{"cut": "gaps"}},
		{"a failure", "cut, none", []string{"--gaps-exit-code=0"}, exitFailed, "failed", "1 of 2 streams failed", map[string]string{"cut": "gaps", "none": "failed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := t.TempDir()
			summaryFile := filepath.Join(out, "summary.json")
			file := settings(t, "source: {streams: ["+test.streams+"], start_selector: {type: EARLIEST}, endpoint_url: '"+url+"', end: {idle_timeout: 1s}}\n"+sinkOf(out))
			p, _, stderr := newProgram(nil)
			if code := p.execute(append([]string{"run", file, "--summary", summaryFile}, test.flags...)); code != test.code {
				t.Fatalf("code %d, want %d:\n%s", code, test.code, stderr)
			}
			s := parseSummary(t, read(t, summaryFile))
			if s.Status != test.status || *s.ExitCode != test.code || *s.Error != test.err || *s.Ended < s.Started || s.Sinks["thumbs"].Status != test.status {
				t.Errorf("summary %+v: exit code %d, error %q", s, *s.ExitCode, *s.Error)
			}
			written := 0
			for name, want := range test.perStream {
				stream := s.Streams[name]
				written += stream.FramesWritten["thumbs"] + stream.Fragments + stream.Gaps // each fragment has a part, each gap one of the ledger
				if stream.Status != want || (*stream.Error != "") != (want == "failed") || stream.Undelivered.Fragments != 0 {
					t.Errorf("%s: %+v, error %q", name, stream, *stream.Error)
				}
			}
			if n := s.Sinks["thumbs"]; int(n.Objects) != written || n.Bytes < 1000*n.Objects/2 {
				t.Errorf("%d objects of %d bytes, want %d", n.Objects, n.Bytes, written)
			}
		})
	}
}

func TestTheSummaryNamesTheSinkThatFailedAndWhatItDidNotGet(t *testing.T) {
	out, summaryFile := t.TempDir(), filepath.Join(t.TempDir(), "s.json")
	// A file stands where a folder of images goes.
	file := settings(t, "source: {type: file, paths: ["+demo+"], stream: cam}\n"+
		"sinks: [{name: good, sample: {type: keyframes}, destination: {directory: "+filepath.Join(out, "a")+"}}, "+
		"{name: bad, sample: {type: keyframes}, destination: {directory: "+filepath.Join(out, "b")+"}}]")
	if err := errors.Join(os.Mkdir(filepath.Join(out, "b"), 0o700), os.WriteFile(filepath.Join(out, "b/cam"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	p, _, stderr := newProgram(nil)
	if code := p.execute([]string{"run", file, "--summary", summaryFile}); code != exitFailed {
		t.Fatalf("code %d:\n%s", code, stderr)
	}
	s := parseSummary(t, read(t, summaryFile))
	// The other sink gets all the same what it asked for.
	cam := s.Streams["cam"]
	jpegs, _ := filepath.Glob(filepath.Join(out, "a/cam/*.jpg"))
	if n := cam.FramesWritten["good"]; n != 7 || n != len(jpegs) || cam.FramesWritten["bad"] != 0 {
		t.Errorf("written are %v", cam.FramesWritten)
	}
	if u := cam.Undelivered; u.From == "" || u.Fragments != cam.Fragments || cam.Fragments != 7 {
		t.Errorf("undelivered are %+v of %d fragments", u, cam.Fragments)
	}
	bad := s.Sinks["bad"]
	if bad.Status != "failed" || !strings.Contains(bad.Error, "write to sink bad: ") || s.Sinks["good"].Error != "" || !strings.Contains(stderr.String(), "fragments were read and not delivered, from "+s.Streams["cam"].Undelivered.From+" to ") {
		t.Errorf("sinks %+v:\n%s", s.Sinks, stderr)
	}
}

func TestARunThatDoesNotStartLeavesNoOldSummary(t *testing.T) {
	for name, c := range map[string]struct {
		settings, err string
		sinks         int
	}{
		"a file that is not there": {"source: {type: file, paths: [none.mkv]}\nsinks: [{name: a}]", "none.mkv", 1},
		"a wrong value":            {"source: {streams: [cam]}\nsinks: [{name: a, quality: 0}]", "quality", 1},
		"no YAML":                  {"source: [", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			summaryFile := filepath.Join(t.TempDir(), "s.json")
			if err := os.WriteFile(summaryFile, []byte(`{"status": "complete"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			p, _, _ := newProgram(nil)
			if code := p.execute([]string{"run", settings(t, c.settings), "--summary", summaryFile}); code != exitConfig {
				t.Errorf("code %d", code)
			}
			var s runSummary
			if err := json.Unmarshal(read(t, summaryFile), &s); err != nil {
				t.Fatal(err)
			}
			if s.Status != "failed" || *s.ExitCode != exitConfig || *s.Error == "" || !strings.Contains(*s.Error, c.err) || *s.Ended == "" || len(s.Streams) > 0 || len(s.Sinks) != c.sinks || s.Sinks["a"].Status != "failed" && c.sinks > 0 {
				t.Errorf("summary %s", read(t, summaryFile))
			}
		})
	}
}

// What is wrong with the settings and with the place of the summary is told at once.
func TestWrongSettingsAndNoPlaceForTheSummaryAreToldTogether(t *testing.T) {
	place := filepath.Join(t.TempDir(), "none", "s.json")
	p, _, stderr := newProgram(nil)
	code := p.execute([]string{"run", settings(t, "source: {streams: [cam]}\nsinks: [{name: a, quality: 0}]"), "--summary", place})
	if said := stderr.String(); code != exitConfig || !strings.Contains(said, "sinks[0].quality: ") || !strings.Contains(said, "\nkvsframes: write summary: ") {
		t.Errorf("code %d:\n%s", code, said)
	}
}

// A summary goes into what is no plain file, and never in its place.
func TestTheSummaryGoesIntoWhatIsNoPlainFile(t *testing.T) {
	folder := t.TempDir()
	file := settings(t, "source: {type: file, paths: ["+demo+"], stream: cam, end: {fragments: 1}}\n"+sinkOf(folder))
	t.Run("standard output", func(t *testing.T) {
		p, stdout, stderr := newProgram(nil)
		if code := p.execute([]string{"run", file, "--summary", "-"}); code != exitDone || parseSummary(t, stdout.Bytes()).Status != "complete" {
			t.Errorf("code %d:\n%s", code, stderr)
		}
	})
	t.Run("a named pipe", func(t *testing.T) {
		pipe := filepath.Join(folder, "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		got := make(chan []byte)
		go func() {
			data, err := os.ReadFile(pipe)
			if err != nil {
				t.Error(err)
			}
			got <- data
		}()
		p, _, stderr := newProgram(nil)
		if code := p.execute([]string{"run", file, "--summary", pipe}); code != exitDone || parseSummary(t, <-got).Status != "complete" {
			t.Errorf("code %d:\n%s", code, stderr)
		}
		if info, err := os.Stat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
			t.Errorf("the pipe is %v, %v", info, err)
		}
	})
	t.Run("a device that is full", func(t *testing.T) {
		device := filepath.Join(folder, "full")
		if err := os.Symlink("/dev/full", device); err != nil {
			t.Fatal(err)
		}
		p, _, stderr := newProgram(nil)
		if code := p.execute([]string{"run", file, "--summary", device}); code != exitFailed || !strings.HasSuffix(stderr.String(), "kvsframes: write summary: write "+device+": no space left on device\n") {
			t.Errorf("code %d:\n%s", code, stderr)
		}
		if to, err := os.Readlink(device); err != nil || to != "/dev/full" {
			t.Errorf("the link leads to %q, %v", to, err)
		}
	})
	t.Run("a link to a plain file", func(t *testing.T) {
		link, target := filepath.Join(folder, "link"), filepath.Join(folder, "target.json")
		if err := errors.Join(os.WriteFile(target, nil, 0o600), os.Symlink(target, link)); err != nil {
			t.Fatal(err)
		}
		p, _, stderr := newProgram(nil)
		if code := p.execute([]string{"run", file, "--summary", link}); code != exitDone || parseSummary(t, read(t, target)).Status != "complete" {
			t.Errorf("code %d:\n%s", code, stderr)
		}
		if to, err := os.Readlink(link); err != nil || to != target {
			t.Errorf("the link leads to %q, %v", to, err)
		}
	})
	if left, err := filepath.Glob(filepath.Join(folder, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAPlaceWithoutASummaryIsFoundBeforeTheStart(t *testing.T) {
	out := t.TempDir()
	file := settings(t, "source: {type: file, paths: ["+demo+"]}\n"+sinkOf(filepath.Join(out, "images")))
	for _, place := range []string{filepath.Join(out, "none", "s.json"), out, filepath.Join(file, "s.json")} {
		p, _, stderr := newProgram(nil)
		if code := p.execute([]string{"run", file, "--summary", place}); code != exitUsage || !strings.HasPrefix(stderr.String(), "kvsframes: write summary: ") {
			t.Errorf("%s: code %d:\n%s", place, code, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(out, "images")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run has started: %v", err)
	}
}

func TestAWaitForTheReaderOfThePipeEndsWithAnInterrupt(t *testing.T) {
	// If the signal comes before the command handles any, the command goes on, since here no process ends. It may write a summary where the pipe was.
	folder, err := os.MkdirTemp("", "pipe")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	p, _, stderr := newProgram(nil)
	p.signals = signals
	if code := p.execute([]string{"run", settings(t, "source: {streams: [cam]}\nsinks: [{name: a}]"), "--summary", pipe}); code != exitInterrupted {
		t.Errorf("code %d:\n%s", code, stderr)
	}
	// Whoever still opens the pipe is let go.
	if reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil || reader.Close() != nil {
		t.Error(err)
	}
}

func TestTheSummaryIsKeptUpToDate(t *testing.T) {
	c := config.Default()
	c.Sinks = []config.Sink{{Name: "thumbs"}}
	run, err := (&kvsframes.Pipeline{Config: &c}).NewRun(kvsframes.RunOptions{Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "s.json")
	out, err := openSummary(t.Context(), file, nil)
	if err == nil {
		err = out.begin(run.Summary())
	}
	if err != nil {
		t.Fatal(err)
	}
	if s := parseSummary(t, read(t, file)); s.Status != "running" || *s.ExitCode != -1 || *s.Ended != "" || len(s.Streams) != 0 || s.Sinks["thumbs"].Status != "running" {
		t.Errorf("at its start the summary is %+v", s)
	}
	later := run.Summary()
	later.Streams = map[string]pipeline.Summary{"cam": pipeline.NewAccount("thumbs").Summary()}
	finished, ticks, gone := make(chan struct{}), make(chan time.Time), make(chan struct{})
	go func() {
		defer close(gone)
		out.keep(finished, ticks, func() kvsframes.Summary { return later }, slog.New(slog.DiscardHandler))
	}()
	ticks <- time.Time{}
	ticks <- time.Time{} // taken when the first one is done
	close(finished)
	<-gone
	if s := parseSummary(t, read(t, file)); s.Status != "running" || s.Streams["cam"].Status != "running" {
		t.Errorf("later the summary is %+v", s)
	}
}

// docs/reference.md describes every key of the records and of the summary.
func TestTheDocumentationNamesEveryKey(t *testing.T) {
	text := string(read(t, "../../docs/reference.md"))
	var named func(from string, value any)
	named = func(from string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for key, v := range value {
				if !strings.Contains(text, "| `"+key+"`") && !strings.Contains(text, "."+key+"` |") {
					t.Errorf("docs/reference.md lacks %s of %s", key, from)
				}
				named(from, v)
			}
		case []any:
			for _, v := range value {
				named(from, v)
			}
		}
	}
	stream := pipeline.NewAccount().Summary()
	stream.GapList = append(stream.GapList, media.Gap{})
	for from, record := range map[string]any{
		"the manifest": sink.ManifestRecord{Tags: []media.Tag{{}}, Scores: []media.Score{{}}},
		"the summary":  kvsframes.Summary{}, "a stream": stream, "a sink": kvsframes.SinkSummary{},
	} {
		data, err := json.Marshal(record)
		var value any
		if err == nil {
			err = json.Unmarshal(data, &value)
		}
		if err != nil {
			t.Fatal(err)
		}
		named(from, value)
	}
}
