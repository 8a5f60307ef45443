package plan_test

import (
	"fmt"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// Find out which frames of a fragment of one second a grid of 250 ms takes.
func ExamplePlanner() {
	sample := plan.Sample{Type: plan.SampleInterval, Interval: 250 * time.Millisecond, Clock: media.ClockProducer}
	planner := plan.NewPlanner(plan.SkipAuto, []plan.Output{{Sink: "thumbs", Sample: sample}})

	fragment := &media.Fragment{
		Stream: "cam", Number: "1", ProducerTime: time.Unix(1_800_000_000, 0),
		Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_MPEG4/ISO/AVC"}},
		MKV:    make([]byte, 25),
	}
	for k := range 25 {
		at := time.Duration(k) * 40 * time.Millisecond
		fragment.Blocks = append(fragment.Blocks, media.Block{Track: 1, Offset: k, Size: 1, Time: at, Key: k == 0})
	}

	p := planner.Plan(fragment)
	for _, k := range p.InOrder {
		fmt.Println(p.Frames[k].Info.Index, p.Frames[k].Info.PTS)
	}
	p.GiveUp() // nothing is decoded here
	fmt.Println(len(planner.End()), "gaps")
	// Output:
	// 0 0s
	// 7 280ms
	// 13 520ms
	// 19 760ms
	// 0 gaps
}
