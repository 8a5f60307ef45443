package payload_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

func ExampleSplitter() {
	// In place of a recording, or of the payload of a GetMedia response.
	var recording []byte
	for i := range 2 {
		recording = kvstest.AppendChunk(recording, kvstest.Chunk{
			FragmentNumber: fmt.Sprint(i + 1),
			ProducerTime:   time.Unix(1_700_000_000+int64(i), 0),
			Tracks:         []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_MPEG4/ISO/AVC"}},
			Blocks:         []kvstest.Block{{Track: 1, Key: true, Data: []byte("a picture")}},
		})
	}
	s := payload.NewSplitter(bytes.NewReader(recording), payload.Config{Stream: "cam"})
	for {
		f, err := s.Next()
		var gap *media.GapError
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &gap):
			fmt.Println("lost:", gap.Gap)
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println(f.Number, f.ProducerTime.Format(time.TimeOnly), len(f.Blocks))
		}
	}
	// Output:
	// 1 22:13:20 1
	// 2 22:13:21 1
}
