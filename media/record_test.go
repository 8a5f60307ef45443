package media_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

func TestAGapIsARecordOfTheLedger(t *testing.T) {
	at := time.Date(2026, 3, 4, 7, 6, 7, 89_500_000, time.FixedZone("", 7200))
	for _, test := range []struct {
		gap  media.Gap
		want string
	}{
		{
			media.Gap{FrameIndex: media.WholeFragment},
			`{"stream":"","sink":"","fragment_number":"","from_frame":-1,"frames_lost":0,"producer_timestamp":"","until_fragment":"","until":"","asked_for":[],"reason":"","detail":""}`,
		},
		{
			media.Gap{
				Stream: "cam", Sink: "thumbs", FragmentNumber: "913", FrameIndex: 0, FramesLost: 2, ProducerTime: at,
				AskedFor: []time.Time{at, at.Truncate(time.Second)}, Reason: media.GapNoFrame, Detail: "no frame is near",
			},
			`{"stream":"cam","sink":"thumbs","fragment_number":"913","from_frame":0,"frames_lost":2,"producer_timestamp":"2026-03-04T05:06:07.089Z",` +
				`"until_fragment":"","until":"","asked_for":["2026-03-04T05:06:07.0895Z","2026-03-04T05:06:07.000Z"],"reason":"no_frame","detail":"no frame is near"}`,
		},
		{
			media.Gap{Stream: "cam", FragmentNumber: "7", FrameIndex: media.WholeFragment, Until: media.Place{Number: "12", ProducerTime: at}, Reason: media.GapLeftOut},
			`{"stream":"cam","sink":"","fragment_number":"7","from_frame":-1,"frames_lost":0,"producer_timestamp":"",` +
				`"until_fragment":"12","until":"2026-03-04T05:06:07.089Z","asked_for":[],"reason":"left_out","detail":""}`,
		},
	} {
		if got, err := json.Marshal(test.gap); err != nil || string(got) != test.want {
			t.Errorf("the record is %s (%v)\nwant          %s", got, err, test.want)
		}
	}
}
