//go:build cgo

package decode_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// Decode the key frames of a recording, one fragment after the other. pipeline.Run does the same for many fragments at once.
func ExamplePool_Stream() {
	recording, err := os.Open("../testdata/demo.mkv")
	if err != nil {
		log.Fatal(err)
	}
	defer recording.Close()
	pool, err := decode.NewPool(decode.Config{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	stream, err := pool.Stream([]decode.Output{{
		Sink: "thumbs", Sample: plan.Sample{Rule: plan.Keyframes{}}, Resize: decode.Resize{Width: 320},
	}})
	if err != nil {
		log.Fatal(err)
	}

	fragments := payload.NewSplitter(recording, payload.Config{Stream: "front-door"})
	for {
		fragment, err := fragments.Next()
		var gap *media.GapError
		switch {
		case errors.Is(err, io.EOF):
			fmt.Println(len(stream.End()), "times without a frame")
			return
		case errors.As(err, &gap):
			stream.Lost()
			continue
		case err != nil:
			log.Fatal(err)
		}
		work := stream.Plan(fragment)
		outcome, err := work(context.Background(), func(img media.Image) error {
			fmt.Println(media.Timestamp(img.ProducerTime), img.ContentType, img.Width, "x", img.Height)
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
		for _, gap := range outcome.Gaps {
			fmt.Println("missing:", gap)
		}
	}
	// Output:
	// 2026-01-01T12:00:00.000Z image/jpeg 320 x 180
	// 2026-01-01T12:00:02.000Z image/jpeg 320 x 180
	// 2026-01-01T12:00:04.000Z image/jpeg 320 x 180
	// 2026-01-01T12:00:06.000Z image/jpeg 320 x 180
	// 2026-01-01T12:00:08.000Z image/jpeg 320 x 180
	// 2026-01-01T12:00:10.000Z image/jpeg 320 x 180
	// 2026-01-01T12:00:12.000Z image/jpeg 320 x 180
	// 0 times without a frame
}
