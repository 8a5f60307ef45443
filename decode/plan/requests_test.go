package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// rekognition is a record as the Developer Guide of Amazon Rekognition shows it (Reference: Kinesis face recognition record).
const rekognition = `{"InputInformation": {"KinesisVideo": {"StreamArn": "arn:aws:kinesisvideo:us-west-2:nnnnnnnnnnnn:stream/stream-name", ` +
	`"FragmentNumber": "91343852333289682796718532614445757584843717598", "ServerTimestamp": 1510552593.455, "ProducerTimestamp": 1510552593.193, ` +
	`"FrameOffsetInSeconds": 2}}, "StreamProcessorInformation": {"Status": "RUNNING"}, "FaceSearchResponse": [{"DetectedFace": {"Confidence": 99.99947}}]}`

func TestRecordsAskForFrames(t *testing.T) {
	got, err := ReadRequests(strings.NewReader(rekognition+"\n"+
		`{"FragmentNumber": "17", "FrameOffsetInSeconds": 0.0399999991059303, "label": "a door"}`+"\n# none\n"+
		`{"timestamp": "2026-11-01T00:00:00.25Z", "label": "b"}`+"\n1793491200 c\n"), false)
	want := []Request{
		{Fragment: "91343852333289682796718532614445757584843717598", Offset: 2 * time.Second},
		{Fragment: "17", Offset: 39999999 * time.Nanosecond, Label: "a door"},
		{Time: times(1793491200250)[0], Label: "b"},
		{Time: times(1793491200000)[0], Label: "c"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if again, err := ParsePlace(want[0].Place()); err != nil || again != want[0] {
		t.Errorf("%v is not %v (%v)", again, want[0], err)
	}
}

func TestBadRecordsAreNamedAtOnce(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                      "line 1: \"{\" is no record: unexpected end of JSON input",
		`{}`:                     "line 1: asks for nothing: want timestamp, or FragmentNumber with FrameOffsetInSeconds",
		`{"timestamp": "noon"}`:  `line 1: "noon" is not a time`,
		`{"FragmentNumber": 17}`: "is no record: json: cannot unmarshal number",
		`{"FragmentNumber": "x", "FrameOffsetInSeconds": 1}`:                                      `line 1: FragmentNumber "x" is not a fragment number`,
		`{"FrameOffsetInSeconds": 1}`:                                                             `line 1: FragmentNumber "" is not a fragment number`,
		`{"FragmentNumber": "1"}`:                                                                 `line 1: FrameOffsetInSeconds "" is no number of seconds from 0 to 86400`,
		`{"FragmentNumber": "1", "FrameOffsetInSeconds": -1}`:                                     `line 1: FrameOffsetInSeconds "-1" is no number`,
		`{"FragmentNumber": "1", "FrameOffsetInSeconds": 1e9}`:                                    `line 1: FrameOffsetInSeconds "1e9" is no number`,
		`{"timestamp": "2026-11-01T00:00:00Z", "FragmentNumber": "1", "FrameOffsetInSeconds": 1}`: "line 1: has a timestamp and a fragment: want one",
		strings.Replace(rekognition, `{"Input`, `{"FragmentNumber": "1", "Input`, 1):              "line 1: names a fragment twice",
		`{"timestamp": "2026-11-01T00:00:00Z", "label": "` + strings.Repeat("x", 4097) + `"}`:     "line 1: the label is longer than 4096 bytes",
		"\n{}\n\nnoon\n":           "line 2: asks for nothing: want timestamp, or FragmentNumber with FrameOffsetInSeconds; line 4: \"noon\" is not a time",
		strings.Repeat("{}\n", 25): "; 5 more lines are wrong",
	} {
		if got, err := ReadRequests(strings.NewReader(text), false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, %v, want %s", text, got, err, want)
		}
	}
	if _, err := ReadRequests(strings.NewReader(`{"timestamp": "2026-11-01T00:00:00Z"}`), true); err == nil || !strings.Contains(err.Error(), "line 1: names no fragment") {
		t.Errorf("a time where only frames are taken: %v", err)
	}
	for _, text := range []string{"", "1", "1@", "1@1", "1@-1s", "x@1s", "@1s", "1@1s@2s"} {
		if r, err := ParsePlace(text); err == nil {
			t.Errorf("%q is %v", text, r)
		}
	}
}

// numbered returns a fragment of IDR pictures.
func numbered(number string, ms ...int) *media.Fragment {
	f := still(ms...)
	f.Number, f.ProducerTime, f.TimeScale = number, time.UnixMilli(1_000_000).UTC(), time.Millisecond
	return f
}

// TestTheFrameThatIsShownAnswersAPlace: fragment 7 has frames at 10, 50, 90 and 130 ms, each shown for 40 ms. Fragment 9 has one.
func TestTheFrameThatIsShownAnswersAPlace(t *testing.T) {
	for offset, want := range map[string]string{
		"7@0s": "0=1e+06", "7@10ms": "0=1.00001e+06", "7@49ms": "0=1.000049e+06", "7@49.5ms": "1=1.0000495e+06", "7@50ms": "1=1.00005e+06",
		"007@129ms": "2=1.000129e+06", "7@169ms": "3=1.000169e+06", "7@170.9ms": "3=1.0001709e+06", "7@171ms": "", "8@0s": "", "9@400ms": "0=1.0004e+06", "9@1s": "",
	} {
		r, err := ParsePlace(offset)
		if err != nil {
			t.Fatal(err)
		}
		rule := DefaultTimestamps()
		rule.Asked = []Request{r}
		p := NewPlanner(SkipAuto, []Output{{Sink: "s", Sample: Sample{Rule: rule}}})
		var got []string
		for _, f := range []*media.Fragment{numbered("7", 10, 50, 90, 130), numbered("9", 0)} {
			pl := p.Plan(f)
			if pl.Pending() {
				t.Errorf("%s: the plan waits", offset)
			}
			got = append(got, answersOf(pl))
		}
		gaps := p.End()
		if strings.Join(got, "") != want || len(gaps) != map[bool]int{true: 0, false: 1}[want != ""] {
			t.Errorf("%s: %q and %v, want %q", offset, got, gaps, want)
		}
		for _, g := range gaps {
			if !slices.Equal(g.AskedPlaces, []string{r.Place()}) || g.FragmentNumber != r.Fragment || g.Reason != media.GapNoFrame {
				t.Errorf("%s: gap %+v", offset, g)
			}
		}
	}
}

// TestPlacesAndTimesAreAskedForTogether, and a planner that continues knows which are answered.
func TestPlacesAndTimesAreAskedForTogether(t *testing.T) {
	rule := DefaultTimestamps()
	rule.Asked = []Request{{Fragment: "9", Offset: 40 * time.Millisecond}, {Time: time.UnixMilli(1_000_050)}, {Fragment: "7"}, {Fragment: "7", Offset: 90 * time.Millisecond}, {Fragment: "8"}}
	outputs := []Output{{Sink: "s", Sample: Sample{Rule: rule}}}
	first := NewPlanner(SkipAuto, outputs)
	pl := first.Plan(numbered("7", 10, 50, 90))
	if got, want := answersOf(pl), "0=1e+06 1=1.00005e+06 2=1.00009e+06"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	state := first.Mark().State(0)
	first.Interrupt()
	next := NewPlanner(SkipAuto, outputs)
	if err := next.Resume([]State{state}); err != nil {
		t.Fatal(err)
	}
	next.Plan(numbered("7", 10, 50, 90)) // read again
	if got := answersOf(next.Plan(numbered("9", 0, 40))); got != "1=1.00004e+06" {
		t.Errorf("fragment 9 answers %s", got)
	}
	if got := fmt.Sprint(next.End()); strings.Count(got, "no frame") != 1 || !strings.Contains(got, "fragment 8") {
		t.Errorf("misses %s", got)
	}
}
