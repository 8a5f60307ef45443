package pipeline_test

import (
	"context"
	"fmt"
	"io"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
)

// A sink that hands each image to the program itself, over a channel. Images come in stream order,
// since one call of the function is under way at a time.
func ExampleNewFuncSink() {
	images := make(chan media.Image)
	frames := pipeline.NewFuncSink("frames", 1, func(ctx context.Context, img media.Image) error {
		select {
		case images <- img:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	var summary pipeline.Summary
	var err error
	go func() {
		defer close(images)
		// Packages source and decode have the stages for real streams.
		summary, err = pipeline.Run(context.Background(), pipeline.Stream{
			Name:    "front-door",
			Source:  &twoFragments{},
			Planner: oneImageEach{"frames"},
			Sinks:   []pipeline.Sink{frames},
		}, pipeline.Options{})
	}()
	for img := range images {
		fmt.Printf("frame %d of fragment %s: %d bytes\n", img.Index, img.FragmentNumber, len(img.Data))
	}
	fmt.Println(summary.FramesWritten["frames"], "frames, error", err)
	// Output:
	// frame 0 of fragment 1: 6 bytes
	// frame 0 of fragment 2: 6 bytes
	// 2 frames, error <nil>
}

// twoFragments is a source of two fragments.
type twoFragments struct{ read int }

func (s *twoFragments) Next(context.Context) (*media.Fragment, error) {
	if s.read == 2 {
		return nil, io.EOF
	}
	s.read++
	return &media.Fragment{Stream: "front-door", Number: fmt.Sprint(s.read)}, nil
}

func (s *twoFragments) Stats() media.SourceStats { return media.SourceStats{} }
func (s *twoFragments) Close() error             { return nil }

// oneImageEach is a planner that makes one image of each fragment, for one sink.
type oneImageEach struct{ sink string }

func (p oneImageEach) Plan(f *media.Fragment) func(context.Context, func(media.Image) error) (media.Outcome, error) {
	return func(_ context.Context, emit func(media.Image) error) (media.Outcome, error) {
		info := media.FrameInfo{Stream: f.Stream, FragmentNumber: f.Number}
		return media.Outcome{FramesDecoded: 1}, emit(media.Image{FrameInfo: info, Sink: p.sink, Data: []byte("pixels")})
	}
}

func (p oneImageEach) Sinks() []string { return []string{p.sink} }
func (oneImageEach) MaxLookahead() int { return 0 }
func (oneImageEach) Lost()             {}
func (oneImageEach) End() []media.Gap  { return nil }
