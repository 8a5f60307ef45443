package kvs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// begin is when the stream of the examples begins.
var begin = time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)

// emulate starts an emulator with a stream of three fragments of a second.
func emulate(ctx context.Context) *kvstest.Server {
	var recording []byte
	for i := range 3 {
		number := fmt.Sprintf("%047d", i+1)
		at := begin.Add(time.Duration(i) * time.Second)
		recording = kvstest.AppendChunk(recording, kvstest.Chunk{
			FragmentNumber: number, ContinuationToken: number,
			ProducerTime: at, ServerTime: at.Add(time.Second),
			Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_MPEG4/ISO/AVC"}},
			Blocks: []kvstest.Block{{Track: 1, Key: true, Data: []byte("a picture")}},
		})
	}
	server := kvstest.NewServer(kvstest.Options{})
	if err := server.AddRecording("front-door", bytes.NewReader(recording)); err != nil {
		log.Fatal(err)
	}
	if _, _, err := server.Start(ctx, ""); err != nil {
		log.Fatal(err)
	}
	return server
}

// Open reads a stream live. Without AWS in its Config it would take credentials and region
// from the environment, as the AWS command line does.
func ExampleOpen() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server := emulate(ctx)

	src, err := kvs.Open(ctx, kvs.Config{
		AWS:    server.Config(),
		Stream: "front-door",
		Start:  source.StartSelector{Type: source.StartEarliest},
		End:    source.End{Fragments: 2},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	for {
		f, err := src.Next(ctx)
		var gap *media.GapError
		switch {
		case errors.Is(err, io.EOF):
			fmt.Println(src.Stats().Reconnects, "reconnects")
			return
		case errors.As(err, &gap):
			fmt.Println("lost:", gap.Gap.Reason)
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println(f.ProducerTime.Format(time.TimeOnly), len(f.Blocks), "frame")
		}
	}
	// Output:
	// 05:06:07 1 frame
	// 05:06:08 1 frame
	// 0 reconnects
}

// List tells what an archive holds of a range, without reading media.
func ExampleList() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server := emulate(ctx)

	fragments := kvs.List(ctx, kvs.Config{
		AWS:    server.Config(),
		Stream: "front-door",
		Mode:   source.ModeArchive,
		Start:  source.StartSelector{Type: source.StartProducerTimestamp, Timestamp: begin.Add(time.Second)},
	})
	for f, err := range fragments {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f.Number[40:], f.ProducerTime.Format(time.TimeOnly))
	}
	// Output:
	// 0000002 05:06:08
	// 0000003 05:06:09
}
