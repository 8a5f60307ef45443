package manifest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/kvsframes/kvsframes/media"
)

// open calls visit with the line of each gap that no other line closes. Lines that close a gap have the same place but for the line itself.
func (s *sorter) open(ctx context.Context, visit func(line []byte) error) error {
	var place string
	var lines [][]byte
	pass := func() error {
		open, err := openOf(lines)
		for _, line := range open {
			if err == nil {
				err = visit(line)
			}
		}
		lines = nil
		return err
	}
	err := s.eachEntry(ctx, func(e entry) error {
		if at := strings.TrimSuffix(e.place, string(e.line)); at != place {
			if err := pass(); err != nil {
				return err
			}
			place = at
		}
		lines = append(lines, e.line)
		return nil
	})
	if err != nil {
		return err
	}
	return pass()
}

// openOf returns the lines of one place that are gaps, and not closed.
func openOf(lines [][]byte) (open [][]byte, err error) {
	gaps := make([]media.Gap, len(lines))
	for i, line := range lines {
		if err := json.Unmarshal(line, &gaps[i]); err != nil {
			return nil, err
		}
	}
	for i, g := range gaps {
		closes := func(c media.Gap) bool {
			return c.Reason == media.GapRepaired && c.FramesLost == g.FramesLost && c.Until == g.Until &&
				slices.Equal(media.Timestamps(c.AskedFor), media.Timestamps(g.AskedFor)) && slices.Equal(c.AskedPlaces, g.AskedPlaces)
		}
		if g.Reason != media.GapRepaired && !slices.ContainsFunc(gaps, closes) {
			open = append(open, lines[i])
		}
	}
	return open, nil
}
