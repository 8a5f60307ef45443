// Command channel decodes every frame of a recording into a Go channel, as grey pixels, and prints when each was captured and its
// mean brightness.
//
//	channel FILE
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/source"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: channel FILE")
	}
	if err := brightness(context.Background(), os.Args[1], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// brightness writes a line for each frame of a recording.
func brightness(ctx context.Context, path string, out io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	frames, wait, err := decodeAll(ctx, path)
	if err != nil {
		return err
	}
	for img := range frames {
		sum := 0
		for _, pixel := range img.Data {
			sum += int(pixel)
		}
		if _, err := fmt.Fprintf(out, "%s %.1f\n", media.Timestamp(img.ProducerTime), float64(sum)/float64(len(img.Data))); err != nil {
			stop(err) // this ends the run, which closes the channel
		}
	}
	err = wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// decodeAll starts to decode a recording, and returns the channel that gets its frames: 160x90 bytes of grey each. The channel is
// closed at the end. wait then returns the error that ended the run early, if any.
func decodeAll(ctx context.Context, path string) (frames <-chan media.Image, wait func() error, err error) {
	inputs, err := source.OpenFiles(source.Config{Origin: source.FileConfig{Paths: []string{path}}}, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	pool, err := decode.NewPool(decode.Config{}, nil)
	if err != nil {
		return nil, nil, err
	}
	planner, err := pool.Stream([]decode.Output{{
		Sink: "frames", Resize: decode.Resize{Width: 160, Height: 90, Fit: decode.FitStretch}, PixelFormat: decode.PixelGray,
	}})
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	src, err := inputs[0].Open(ctx)
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	images, failed := make(chan media.Image), make(chan error, 1)
	sink := pipeline.NewFuncSink("frames", 1, func(ctx context.Context, img media.Image) error {
		select {
		case images <- img: // it belongs to the receiver from here on
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	go func() {
		defer close(images)
		defer pool.Close()
		_, err := pipeline.Run(ctx, pipeline.Stream{Name: inputs[0].Stream, Source: src, Planner: planner, Sinks: []pipeline.Sink{sink}}, pipeline.Options{})
		failed <- err
	}()
	return images, func() error { return <-failed }, nil
}
