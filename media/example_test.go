package media_test

import (
	"encoding/json"
	"fmt"
	"log"

	"github.com/kvsframes/kvsframes/media"
)

// A source returns a GapError in place of a fragment that is lost. Its Gap is a line of a ledger.
func ExampleGap() {
	var err error = &media.GapError{Gap: media.Gap{
		Stream: "front-door", FragmentNumber: "42", FrameIndex: media.WholeFragment, Reason: media.GapMissing, Detail: "the fragment has expired",
	}}
	if gap, ok := err.(*media.GapError); ok {
		line, err := json.Marshal(gap.Gap)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(line))
	}
	// Output: {"stream":"front-door","sink":"","fragment_number":"42","from_frame":-1,"frames_lost":0,"producer_timestamp":"","until_fragment":"","until":"","asked_for":[],"reason":"missing","detail":"the fragment has expired"}
}
