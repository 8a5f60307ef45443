package plan

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// TestFramesAreWantedAsSoonAsThatIsCertain shows a planner a fragment block by block, and holds the number of blocks at which parts come against what
// the sampler and the stream's reordering allow.
func TestFramesAreWantedAsSoonAsThatIsCertain(t *testing.T) {
	const everything = 10 // blocks that are shown
	all := func(from int) (at []int) {
		for n := from; n <= everything; n++ {
			at = append(at, n)
		}
		return at
	}
	for name, test := range map[string]struct {
		clip string
		rule func(f *media.Fragment) Rule
		want []int
	}{
		"every frame":                   {"no-b", func(*media.Fragment) Rule { return All{} }, all(1)},
		"every frame, with B-frames":    {"bframes", func(*media.Fragment) Rule { return All{} }, all(1)}, // which are decoded before their names are known
		"key frames":                    {"no-b", func(*media.Fragment) Rule { return Keyframes{} }, []int{1}},
		"every fourth":                  {"no-b", func(*media.Fragment) Rule { return Stride{N: 4} }, []int{1, 5, 9}},
		"by number":                     {"no-b", func(*media.Fragment) Rule { return Indices{At: []string{"3", "6"}} }, []int{4, 7}},
		"a grid, whose first is unsure": {"no-b", func(*media.Fragment) Rule { return Interval{Every: time.Millisecond} }, nil},
		"a time, nearest": {"no-b", func(f *media.Fragment) Rule {
			return Timestamps{At: []string{near(f, 5)}, Tolerance: time.Second}
		}, []int{7}}, // when the next frame is known to be farther
		"a time, shown": {"no-b", func(f *media.Fragment) Rule {
			return Timestamps{At: []string{near(f, 5)}, Tolerance: time.Second, Pick: PickShown}
		}, []int{7}},
		"a place in the fragment": {"no-b", func(f *media.Fragment) Rule {
			return Timestamps{Asked: []Request{{Fragment: f.Number, Offset: 100 * time.Millisecond}}, Tolerance: time.Second}
		}, nil},
		"a chain": {"refresh", func(*media.Fragment) Rule { return All{} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("../testdata/" + test.clip + ".mkv")
			if err != nil {
				t.Fatal(err)
			}
			f, err := payload.NewSplitter(bytes.NewReader(data), payload.Config{}).Next()
			if err != nil {
				t.Fatal(err)
			}
			if test.clip == "refresh" { // without the picture at which it can begin
				f.Blocks = f.Blocks[1:]
			}
			p := NewPlanner(SkipAuto, []Output{{Sink: "a", Sample: Sample{Rule: test.rule(f), Clock: media.ClockProducer}}})
			a := p.Ahead(func(int) bool { return false })
			var at []int
			for n := 1; n <= everything; n++ {
				prefix := *f
				prefix.Blocks = f.Blocks[:n]
				if part, _ := a.More(&prefix, false); part != nil {
					at = append(at, n)
				}
			}
			a.Close()
			if fmt.Sprint(at) != fmt.Sprint(test.want) {
				t.Errorf("parts come with blocks %v, want %v", at, test.want)
			}
		})
	}
}

// TestWhatAWantedFrameNeedsIsDecodedBeforeItArrives has a second fragment that is as long as the first, and one wanted frame in the middle of it.
func TestWhatAWantedFrameNeedsIsDecodedBeforeItArrives(t *testing.T) {
	data, err := os.ReadFile("../testdata/no-b.mkv")
	if err != nil {
		t.Fatal(err)
	}
	f, err := payload.NewSplitter(bytes.NewReader(data), payload.Config{}).Next()
	if err != nil {
		t.Fatal(err)
	}
	frames := len(f.Blocks)
	middle, lasts := frames/2, f.Blocks[frames-1].Time+f.Blocks[1].Time
	for name, test := range map[string]struct {
		rule Rule
		want int // the blocks with which the wanted frame is there
	}{
		"a stride":                  {Stride{N: frames - 3}, frames - 5}, // frames 0, frames-3, and 2 (frames-3) of two fragments
		"a grid":                    {Interval{Every: lasts}, middle + 1},
		"a grid with no point left": {Interval{Every: 100 * lasts}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := *f, *f
			first.ProducerTime = time.UnixMilli(0).Add(1000*lasts - f.Blocks[middle].Time - lasts).UTC() // the grid has multiples of a fragment's length
			second.ProducerTime, second.Number = first.ProducerTime.Add(lasts), f.Number+"1"
			if name == "a grid with no point left" {
				first.ProducerTime, second.ProducerTime = first.ProducerTime.Add(2*lasts), second.ProducerTime.Add(2*lasts)
			}
			p := NewPlanner(SkipAuto, []Output{{Sink: "a", Sample: Sample{Rule: test.rule, Clock: media.ClockProducer}}})
			p.Plan(&first).GiveUp()
			a := p.Ahead(func(int) bool { return false })
			var at, want []int
			for n := 1; n <= frames; n++ {
				prefix := second
				prefix.Blocks = second.Blocks[:n]
				if part, _ := a.More(&prefix, false); part != nil {
					at = append(at, n)
				}
				if n == test.want || n < test.want && n%together == 0 {
					want = append(want, n)
				}
			}
			a.Close()
			if !slices.Equal(at, want) {
				t.Errorf("parts come with blocks %v, want %v", at, want)
			}
		})
	}
}

// near returns a time right after frame n, as a request.
func near(f *media.Fragment, n int) string {
	return f.ProducerTime.Add(f.Blocks[n].Time + 5*time.Millisecond).Format(time.RFC3339Nano)
}
