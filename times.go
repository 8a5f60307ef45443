package kvsframes

import (
	"log/slog"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
)

// span holds the times between which a stream is read that are relative in the settings. The first run of a checkpoint determines them. The
// zero value has none.
type span struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

func (s span) equal(other span) bool { return s.From.Equal(other.From) && s.To.Equal(other.To) }

// log logs the times after a message.
func (s span) log(log *slog.Logger, message string) {
	var args []any
	if !s.From.IsZero() {
		args = append(args, "from", media.Timestamp(s.From))
	}
	if !s.To.IsZero() {
		args = append(args, "to", media.Timestamp(s.To))
	}
	if len(args) > 0 {
		log.Info(message, args...)
	}
}

// span returns the relative times as they were when the settings were loaded.
func (p *Pipeline) span() (s span) {
	start, end := p.Config.Relative()
	if from, _ := p.Config.Source.KVS(); start {
		s.From = from.StartSelector.Timestamp
	}
	if end {
		s.To = p.Config.Source.End.Timestamp
	}
	return s
}

// setSpan makes the times of a stream those of its checkpoint.
func (p *Pipeline) setSpan(stream string, s span) { p.spans.Store(stream, s) }

// within returns a stream's settings with the times of its checkpoint.
func (p *Pipeline) within(k kvs.Config) kvs.Config {
	if s, known := p.spans.Load(k.As); known {
		if from := s.(span).From; !from.IsZero() {
			k.Start.Timestamp = from
		}
		k.End = p.endOf(k.As)
	}
	return k
}

// endOf returns the end of a stream, with the time of its checkpoint.
func (p *Pipeline) endOf(stream string) source.End {
	end := p.Config.Source.End
	if s, known := p.spans.Load(stream); known && !s.(span).To.IsZero() {
		end.Timestamp = s.(span).To
	}
	return end
}
