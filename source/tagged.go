package source

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/media"
)

// WithTags returns a Source of the fragments of s that marks as Unwanted those whose own tags lack one of
// these, each as NAME=VALUE. Where a name repeats in a fragment, any of its values counts. Stats counts the
// unwanted fragments. It tells of no arriving fragment, as the tags come behind the media.
func WithTags(s Source, tags []string) Source {
	if len(tags) == 0 {
		return s
	}
	t := &tagged{Source: s}
	for _, pair := range tags {
		name, value, _ := strings.Cut(pair, "=")
		t.tags = append(t.tags, media.Tag{Name: name, Value: value})
	}
	return t
}

// tagged is a Source that selects fragments by their tags.
type tagged struct {
	Source
	tags     []media.Tag
	unwanted atomic.Int64
}

// Next implements Source.
func (s *tagged) Next(ctx context.Context) (*media.Fragment, error) {
	f, err := s.Source.Next(media.WithArrivals(ctx, nil))
	if err != nil || s.wants(f) {
		return f, err
	}
	s.unwanted.Add(1)
	skipped := *f
	skipped.Unwanted = true
	return &skipped, nil
}

func (s *tagged) wants(f *media.Fragment) bool {
	lacks := func(want media.Tag) bool { return !slices.Contains(f.Tags, want) }
	return !slices.ContainsFunc(s.tags, lacks)
}

// Stats implements Source.
func (s *tagged) Stats() Stats {
	stats := s.Source.Stats()
	stats.Unwanted += int(s.unwanted.Load())
	return stats
}
