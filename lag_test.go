package kvsframes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/checkpoint"
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/logtest"
	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// late is a live stream with 12 s of media that a run begins with, in seven fragments of two seconds, each with a key frame and 49 others.
type late struct {
	url, out, state string
	// patience is how long a run may be behind.
	patience time.Duration
}

func newLate(t *testing.T) late {
	t.Helper()
	server := kvstest.New(t, kvstest.Options{Quotas: kvstest.Quotas{GetMediaCalls: -1}})
	if err := server.AddFile("cam", "testdata/demo.mkv"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_REGION", "us-east-1")
	return late{server.URL(), t.TempDir(), t.TempDir(), time.Nanosecond}
}

// run reads a number of fragments of the stream, and returns the summary, the number of images of each fragment, and
// the records of the ledger.
func (l late) run(t *testing.T, lag, checkpoint string, fragments int) (Summary, map[string]int, []string) {
	t.Helper()
	text := fmt.Sprintf("source: {streams: [cam], start_selector: {type: EARLIEST}, end: {fragments: %d}, endpoint_url: %s}\n", fragments, l.url) +
		"lag: " + lag + "\ncheckpoint: {" + checkpoint + "}\n" +
		"sinks: [{name: a, sample: {type: stride, n: 10}, path: '{fragment_number}/{frame_index}.jpg', ledger: {path: 'ledger/{fragment_number}'}, destination: {directory: " + l.out + "}}]\n"
	p := loadText(t, text)
	p.lagPatience = l.patience
	var log logtest.Buffer
	s, err := p.Run(t.Context(), RunOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	images, err := filepath.Glob(filepath.Join(l.out, "*", "*.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	frames := map[string]int{}
	for _, path := range images {
		frames[filepath.Base(filepath.Dir(path))]++
	}
	return s, frames, l.ledger(t)
}

func (l late) ledger(t *testing.T) (records []string) {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(l.out, "ledger", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		data, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var r struct {
				FragmentNumber string          `json:"fragment_number"`
				FromFrame      int             `json:"from_frame"`
				FramesLost     int             `json:"frames_lost"`
				Until          string          `json:"until_fragment"`
				Reason         media.GapReason `json:"reason"`
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			records = append(records, fmt.Sprint(filepath.Base(part), ": ", r.FragmentNumber, " ", r.FromFrame, "+", r.FramesLost, " ", r.Until, " ", r.Reason))
		}
	}
	slices.Sort(records)
	return records
}

// number returns that of a fragment of the stream.
func (late) number(i int) string {
	return fmt.Sprint("91343852333181432392682062607743920146264094", 487+i)
}

func TestAStreamThatIsTooFarBehindCatchesUp(t *testing.T) {
	for action, test := range map[string]struct {
		images []int // of each fragment that is read
		left   func(l late) []string
	}{
		"none": {[]int{5, 5, 5, 5, 5, 5, 5}, func(late) []string { return nil }},
		// The fragments are 12, 10, 8, 6, 4, 2 and 0 s behind.
		"keyframes": {[]int{5, 1, 1, 1, 1, 5, 5}, func(l late) (records []string) {
			for i := 1; i <= 4; i++ {
				for frame := 10; frame < 50; frame += 10 {
					records = append(records, fmt.Sprintf("%s: %[1]s %d+1  left_out", l.number(i), frame))
				}
			}
			return records
		}},
		"skip_to_now": {[]int{5, 5, 0, 0, 0, 0, 5}, func(l late) []string {
			return []string{fmt.Sprintf("%s-after: %[1]s -1+0 %s left_out", l.number(1), l.number(6))}
		}},
	} {
		l := newLate(t)
		lag := fmt.Sprintf("{max: 5s, action: %s}", action)
		if action == "none" {
			lag = "{}"
		}
		want := map[string]int{}
		for i, n := range test.images {
			if n > 0 {
				want[l.number(i)] = n
			}
		}
		s, frames, records := l.run(t, lag, "type: none", len(want))
		if !maps.Equal(frames, want) {
			t.Errorf("%s: the images are %v, want %v", action, frames, want)
		}
		if left := test.left(l); !slices.Equal(records, left) || s.Streams["cam"].Gaps != len(left) || s.ExitCode == 3 != (len(left) > 0) {
			t.Errorf("%s: exit code %d, %d gaps, ledger\n%s\nwant\n%s", action, s.ExitCode, s.Streams["cam"].Gaps, strings.Join(records, "\n"), strings.Join(left, "\n"))
		}
	}
}

// TestARunThatContinuesGoesOnToCatchUp ends a run among the fragments that are left out, and after the last one. The next one leaves out the same, although it has not been
// behind for a minute.
func TestARunThatContinuesGoesOnToCatchUp(t *testing.T) {
	const lag = "{max: 5s, action: keyframes}"
	whole := newLate(t)
	_, want, left := whole.run(t, lag, "type: none", 7)
	for _, end := range []int{2, 5} {
		l := late{whole.url, t.TempDir(), t.TempDir(), time.Nanosecond}
		state := "type: file, path: '" + l.state + "/{stream}.json'"
		l.run(t, lag, state, end)
		l.patience = time.Hour
		if _, frames, records := l.run(t, lag, state, 7); !maps.Equal(frames, want) || !slices.Equal(records, left) {
			t.Errorf("ended after %d fragments: the images are %v, want %v; ledger\n%s\nwant\n%s", end, frames, want, strings.Join(records, "\n"), strings.Join(left, "\n"))
		}
	}
}

// TestACheckpointKnowsWhatIsLeftOutBeforeItsImages plans fragments as a run does, and reads the checkpoint before they are decoded.
func TestACheckpointKnowsWhatIsLeftOutBeforeItsImages(t *testing.T) {
	at, planner, src := planned(t)
	planner.CatchUp(5*time.Second, time.Nanosecond)
	planned := at.track(t.Context(), &reader{sinks: []int{0}}, planner)
	number := late{}.number
	var last []byte
	for i, want := range []*plan.CaughtUp{
		1: {Decided: number(1), KeysOnly: []plan.Span{{After: number(0), Last: number(1)}}, On: true},
		5: {Decided: number(5), KeysOnly: []plan.Span{{After: number(0), Last: number(4)}}},
		6: nil,
	} {
		f, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		work := planner.Plan(f)
		planned()
		var now saved
		switch data := at.held.State(); {
		case want == nil && !bytes.Equal(data, last):
			t.Errorf("with fragment %d the checkpoint was written: %s", i, data)
		case want == nil:
		default:
			last = data
			if err := json.Unmarshal(data, &now); err != nil || !reflect.DeepEqual(now.Sinks["a"].State.CaughtUp, *want) {
				t.Errorf("with fragment %d the checkpoint has %s, want %+v: %v", i, data, *want, err)
			}
		}
		if _, err := work(t.Context(), func(media.Image) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	planner.End()
}

// TestACheckpointLiesWhereARunCanContinue writes the checkpoint between the receipts of fragments that became durable together.
func TestACheckpointLiesWhereARunCanContinue(t *testing.T) {
	at, planner, src := planned(t)
	track := at.track(t.Context(), &reader{sinks: []int{0}}, planner)
	for i, test := range []struct {
		more bool
		want int // the place
	}{{false, 1}, {true, 1}, {true, 1}, {false, 4}, {true, 4}} {
		f, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := planner.Plan(f)(t.Context(), func(media.Image) error { return nil }); err != nil {
			t.Fatal(err)
		}
		track().Durable("a", media.Receipt{More: test.more})
		at.tryWrite(t.Context())
		var now saved
		if err := json.Unmarshal(at.held.State(), &now); err != nil || now.Sinks["a"].State.Place.Number != (late{}).number(test.want-1) {
			t.Errorf("after receipt %d the place is %+v, want fragment %d: %v", i+1, now.Sinks["a"].State.Place, test.want, err)
		}
	}
	planner.End()
}

// planned returns the position of a stream whose sink a has all of its images, the planner of that, and its source.
func planned(t *testing.T) (*position, *decode.Stream, source.Source) {
	t.Helper()
	held, err := checkpoint.NewFile(filepath.Join(t.TempDir(), "cam.json")).Acquire(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := held.Release(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	at := &position{held: held, log: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1), unsaved: make([]int, 1), written: make(chan struct{}), names: []string{"a"}, settings: []string{"x"}, steps: make([]reached, 1), planned: make([]*step, 1)}
	at.now.Sinks = map[string]savedSink{"a": {Settings: "x"}}
	pool, err := decode.NewPool(decode.Config{Workers: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	planner, err := pool.Stream([]decode.Output{{Sink: "a", Sample: plan.DefaultSample(), Format: decode.FormatJPEG}})
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := source.OpenFiles(source.Config{Origin: source.FileConfig{Paths: []string{"testdata/demo.mkv"}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	src, err := inputs[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return at, planner, src
}
