package sink

import (
	"context"

	"github.com/kvsframes/kvsframes/media"
)

// FullLines is the size in bytes at which a part of several fragments ends.
const FullLines = fullLines

// WriteImage writes one image with a writer of its own.
func WriteImage(s *Sink, ctx context.Context, img media.Image) (media.Record, error) {
	return s.NewWriter().write(ctx, img)
}

// WritePart writes one manifest part with a writer of its own.
func WritePart(s *Sink, ctx context.Context, f *media.Fragment, records []media.Record) error {
	w := s.NewWriter()
	return w.parts.each(ctx, []ended{{fragment: f, records: records, durable: func(media.Receipt) {}}}, media.Split{})
}
