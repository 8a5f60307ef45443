// Command customsink reads a live stream and hands a thumbnail of each second to a function.
//
//	customsink STREAM
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source/kvs"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: customsink STREAM")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := thumbnails(ctx, kvs.Config{Stream: os.Args[1]}, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// thumbnails writes a line for each thumbnail of a stream, until the stream or ctx ends.
func thumbnails(ctx context.Context, stream kvs.Config, out io.Writer) error {
	src, err := kvs.Open(ctx, stream)
	if err != nil {
		return err
	}
	pool, err := decode.NewPool(decode.Config{}, nil)
	if err != nil {
		src.Close()
		return err
	}
	defer pool.Close()
	planner, err := pool.Stream([]decode.Output{{
		Sink: "mine", Sample: plan.Sample{Rule: plan.Interval{Every: time.Second}}, Resize: decode.Resize{Width: 320},
	}})
	if err != nil {
		src.Close()
		return err
	}
	mine := pipeline.NewFuncSink("mine", 1, func(_ context.Context, img media.Image) error {
		_, err := fmt.Fprintf(out, "%s %s %dx%d, %d bytes\n", media.Timestamp(img.ProducerTime), img.ContentType, img.Width, img.Height, len(img.Data))
		return err // of a write that failed: it ends the run
	})
	_, err = pipeline.Run(ctx, pipeline.Stream{Name: stream.Stream, Source: src, Planner: planner, Sinks: []pipeline.Sink{mine}}, pipeline.Options{})
	return err
}
