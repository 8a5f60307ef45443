package sinktest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// stream is a source of some fragments, and a planner that returns some images for each.
type stream struct {
	name      string
	fragments int
	images    int // of each fragment
	// before, if not nil, is called before a fragment is read. Its error is the source's error.
	before func(ctx context.Context, i int) error

	prepare func(img *media.Image) // see Harness
	sink    string
	read    int
}

func (s *stream) Next(ctx context.Context) (*media.Fragment, error) {
	if s.before != nil {
		if err := s.before(ctx, s.read); err != nil {
			return nil, err
		}
	}
	if s.read == s.fragments {
		return nil, io.EOF
	}
	f := &media.Fragment{Stream: s.name, Number: number(s.read), ProducerTime: at(s.read), ServerTime: at(s.read).Add(time.Second), MillisBehindNow: -1}
	s.read++
	return f, nil
}

// number returns the number of the ith fragment.
func number(i int) string { return fmt.Sprintf("%06d", i) }

// at returns the start of the ith fragment.
func at(i int) time.Time {
	return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).Add(time.Duration(i) * 2 * time.Second)
}

func (s *stream) Stats() media.SourceStats { return media.SourceStats{} }
func (s *stream) Close() error             { return nil }
func (s *stream) Sinks() []string          { return []string{s.sink} }
func (s *stream) MaxLookahead() int        { return 0 }
func (s *stream) Lost()                    {}
func (s *stream) End() []media.Gap         { return nil }

func (s *stream) Plan(f *media.Fragment) func(context.Context, func(media.Image) error) (media.Outcome, error) {
	return func(_ context.Context, emit func(media.Image) error) (media.Outcome, error) {
		for i := range s.images {
			if err := emit(s.image(f, i)); err != nil {
				return media.Outcome{}, err
			}
		}
		return media.Outcome{FramesDecoded: s.images}, nil
	}
}

func (s *stream) image(f *media.Fragment, index int) media.Image {
	pts := time.Duration(index) * 40 * time.Millisecond
	info := media.FrameInfo{
		Stream: s.name, FragmentNumber: f.Number, Index: index, PTS: pts, ProducerTime: f.ProducerTime.Add(pts), ServerTime: f.ServerTime.Add(pts), Key: index == 0,
	}
	img := media.Image{
		FrameInfo: info, Sink: s.sink, Format: "jpeg", Ext: "jpg", ContentType: "image/jpeg", Width: 640, Height: 360, Data: s.data(ID(info)),
	}
	if s.prepare != nil {
		s.prepare(&img)
	}
	return img
}

// data returns the content of the image with this ID.
func (s *stream) data(id string) []byte {
	return bytes.Repeat([]byte(id+"\n"), 3*(33+len(s.name))) // as many bytes as pixels of three have
}

// imagesOf returns the images of a fragment, by ID.
func (s *stream) imagesOf(fragment string) map[string][]byte {
	all := map[string][]byte{}
	for i := range s.images {
		id := ID(media.FrameInfo{Stream: s.name, FragmentNumber: fragment, Index: i})
		all[id] = s.data(id)
	}
	return all
}
