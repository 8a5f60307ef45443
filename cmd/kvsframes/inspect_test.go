package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes"
	"github.com/kvsframes/kvsframes/source/payload"
)

func TestInspectShowsEveryFragmentAndTheTotals(t *testing.T) {
	p, stdout, stderr := newProgram(nil)
	if code := p.execute([]string{"inspect", demo}); code != exitDone {
		t.Fatalf("code %d: %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if len(lines) != 10 {
		t.Fatalf("%d lines, want name, header, 7 fragments, total:\n%s", len(lines), stdout)
	}
	for line, wants := range map[int][]string{
		2: {"2026-01-01T12:00:00.000Z", "H.264 High 3.1", "640x360", " 50 ", "25.00", " 2s "},
		6: {"1280x720"},
		9: {fmt.Sprintf("total: 7 fragments, 350 video frames, 7 key frames, 14s of video, %d bytes, 0 gaps, 0 cut", len(read(t, demo)))},
	} {
		for _, want := range wants {
			if !strings.Contains(lines[line], want) {
				t.Errorf("line %d %q lacks %q", line, lines[line], want)
			}
		}
	}
}

// In a terminal no line of the table runs over into the next, and nothing of it is missing.
func TestInspectFitsTheTerminal(t *testing.T) {
	for _, width := range []int{80, 300} {
		p, stdout, stderr := newProgram(bytes.NewReader(read(t, demo)[:400_000]))
		p.outWidth = func() int { return width }
		if code := p.execute([]string{"inspect", "-"}); code != exitDone {
			t.Fatalf("code %d: %s", code, stderr)
		}
		lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
		for _, line := range lines {
			if len(line) > width {
				t.Errorf("%d columns of %d: %s", len(line), width, line)
			}
		}
		for _, want := range []string{demoFragment(5), "2026-01-01T12:00:10.000Z", "H.264 High 5.0", "1280x720", "SERVER", "TAGS", "cut"} {
			if table := strings.Join(lines, "\n"); !strings.Contains(table, want) {
				t.Errorf("no %s in\n%s", want, table)
			}
		}
	}
}

// No line is too long, whatever the names of codecs, the damage, and the numbers.
func TestAReportFitsTheTerminal(t *testing.T) {
	at, server := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 12, 1, 2, 350e6, time.UTC)
	f := kvsframes.FragmentReport{
		FragmentNumber: demoFragment(1), ProducerTime: &at, ServerTime: &server, Codec: "H.264 Constrained Baseline 3.1", Width: 1920, Height: 1080, VideoFrames: 1000, KeyFrames: 100,
		GOPFrames: 1000, FrameRate: 29.97, DurationMS: 12345, Bytes: 12345678, Notes: []string{strings.Repeat("bytes were passed over, ", 8), "cut"},
	}
	r := &kvsframes.Report{Stream: "cam", Fragments: []kvsframes.FragmentReport{f, f}, Gaps: []kvsframes.GapReport{{FragmentNumber: demoFragment(2), Reason: strings.Repeat("refused ", 20)}}}
	r.Totals = kvsframes.ReportTotals{Fragments: 1_000_000, VideoFrames: 1_000_000_000, KeyFrames: 1_000_000, DurationMS: 1e10, Bytes: 1e12}
	var out strings.Builder
	if err := printReport(&out, r, 80); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if columns := columnsOf(strings.TrimSuffix(line, "\n")); columns > 80 {
			t.Errorf("%d columns: %s", columns, line)
		}
	}
	for _, want := range []string{"\n  H.264 Constrained Baseline 3.1  1920x1080\n", "29.97  12.345s  12345678  1m2.35s  0\n", "\n   refused refused", "unknown, no", "2777h46m40s of video"} {
		if found := strings.Contains(out.String(), want); found == (want == "unknown, no") {
			t.Errorf("%q: %v in\n%s", want, found, out.String())
		}
	}
}

// Chunks are documents of their own, so a recording may lack some, or hold them in
// another order.
func TestInspectNotesWhereTheProducerClockJumps(t *testing.T) {
	var chunks [][]byte
	for s := payload.NewSplitter(bytes.NewReader(read(t, demo)), payload.Config{}); ; {
		f, err := s.Next()
		if err != nil {
			break
		}
		chunks = append(chunks, f.MKV)
	}
	recording := slices.Concat(chunks[0], chunks[1], chunks[3], chunks[2])
	p, stdout, stderr := newProgram(bytes.NewReader(recording))
	if code := p.execute([]string{"inspect", "--json", "-"}); code != exitDone {
		t.Fatalf("code %d: %s", code, stderr)
	}
	var got struct{ Files []kvsframes.Report }
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	var notes [][]string
	for _, f := range got.Files[0].Fragments {
		notes = append(notes, f.Notes)
	}
	if want := [][]string{{}, {}, {"2s missing before it"}, {"starts 4s before the end of the last one"}}; !reflect.DeepEqual(notes, want) {
		t.Errorf("got %q, want %q", notes, want)
	}
}

func TestInspectAsJSON(t *testing.T) {
	whole, err := os.ReadFile(demo)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name           string
		input          string
		code           int
		fragments, cut int
	}{
		{"a whole recording", string(whole), exitDone, 7, 0},
		{"a recording that was cut", string(whole[:len(whole)-1000]), exitDone, 7, 1},
		{"an empty recording", "", exitDone, 0, 0},
		{"no recording at all", "this is not Matroska, whatever its name says", exitFailed, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, stdout, stderr := newProgram(strings.NewReader(test.input))
			if code := p.execute([]string{"inspect", "--json", "-"}); code != test.code {
				t.Fatalf("code %d, want %d: %s", code, test.code, stderr)
			}
			var got struct{ Files []kvsframes.Report }
			if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || len(got.Files) != 1 {
				t.Fatalf("%v in\n%s", err, stdout)
			}
			r := got.Files[0]
			if len(r.Fragments) != test.fragments || r.Totals.Fragments != test.fragments || r.Totals.Cut != test.cut {
				t.Errorf("got %+v", r.Totals)
			}
			if test.cut > 0 && !r.Fragments[len(r.Fragments)-1].Cut {
				t.Error("the last fragment does not say that it was cut")
			}
		})
	}
}
