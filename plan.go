package kvsframes

import (
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// Plan is what a run would read and write.
type Plan struct {
	Streams map[string]*StreamPlan `json:"streams"`
	Totals  *StreamPlan            `json:"totals"`
	// Notes are sentences about what the numbers do not tell.
	Notes []string `json:"notes"`
	// Order has the names of the streams in the order of the settings, SinkOrder those of the sinks.
	Order     []string `json:"-"`
	SinkOrder []string `json:"-"`
}

// StreamPlan is what a run would read and write of one stream, or of all.
type StreamPlan struct {
	Fragments int `json:"fragments"`
	// First and Last are the producer times at which the first and the last fragment
	// begin, in the order in which they are read.
	First *time.Time `json:"first_producer_timestamp,omitempty"`
	Last  *time.Time `json:"last_producer_timestamp,omitempty"`
	// MediaS is how long the wanted media plays, in seconds.
	MediaS float64 `json:"media_s"`
	Bytes  int64   `json:"bytes"`
	// Frames are the wanted frames; null when unknown.
	Frames *int64 `json:"frames"`
	// Estimate reports whether Frames is one.
	Estimate bool `json:"frames_estimated"`
	// Gaps are places of a file that give no fragment.
	Gaps int `json:"gaps"`
	// Cost is an estimate in US dollars; null for files.
	Cost  *float64             `json:"cost_usd_estimate"`
	Sinks map[string]*SinkPlan `json:"sinks"`

	name  string
	media time.Duration
	order []string
}

// SinkPlan is what one sink would write of a stream.
type SinkPlan struct {
	// Images and Objects, which are images and manifest parts; null when unknown.
	Images  *int64 `json:"images"`
	Objects *int64 `json:"objects"`
	// Estimate reports whether the two are estimates.
	Estimate bool `json:"estimated"`

	sample   plan.Sample
	manifest bool

	// What estimates of an archive need: the sampler, nil for times that are asked for, and these times.
	sampler  plan.Sampler
	nonkey   bool
	requests []request
	ended    time.Time // where the last piece did
}

// Media returns how long the wanted media plays.
func (sp *StreamPlan) Media() time.Duration { return sp.media }

// newStreamPlan returns the plan of reading nothing.
func newStreamPlan(name string, c *config.Config) *StreamPlan {
	sp := &StreamPlan{name: name, Frames: new(int64), Sinks: map[string]*SinkPlan{}}
	for _, s := range c.Sinks {
		sp.Sinks[s.Name] = &SinkPlan{
			Images: new(int64), Objects: new(int64),
			sample: s.Sample, manifest: s.Manifest.Format != sink.ManifestNone,
			sampler: s.Sample.NewSampler(), nonkey: c.Decode.SkipFrame == plan.SkipNonKey, requests: requestsOf(s.Sample),
		}
		sp.order = append(sp.order, s.Name)
	}
	return sp
}

// unknown is a number of frames.
const unknown = -1

// add counts a fragment: when it begins, how long its wanted part plays and how many frames that has.
func (sp *StreamPlan) add(begins time.Time, length time.Duration, frames int64) {
	if sp.Fragments++; sp.Fragments == 1 {
		sp.First = instant(begins)
	}
	sp.Last = instant(begins)
	sp.media += length
	sp.MediaS = sp.media.Seconds()
	addTo(&sp.Frames, frames)
}

// addTo adds a number to a sum, which is unknown when one of the numbers is.
func addTo(sum **int64, n int64) {
	if n == unknown {
		*sum = nil
	}
	if *sum != nil {
		**sum += n
	}
}

// add counts the images that a fragment gives the sink.
func (s *SinkPlan) add(images int64) {
	addTo(&s.Images, images)
	addTo(&s.Objects, images)
	if s.manifest && images > 0 {
		addTo(&s.Objects, 1)
	}
}

// newPlan adds the streams up.
func newPlan(c *config.Config, plans []*StreamPlan) *Plan {
	d := &Plan{Streams: map[string]*StreamPlan{}, Totals: newStreamPlan("total", c), Notes: []string{}}
	d.SinkOrder = d.Totals.order
	for _, sp := range plans {
		d.Streams[sp.name] = sp
		d.Order = append(d.Order, sp.name)
		d.Totals.sum(sp)
	}
	from, isKVS := c.Source.KVS()
	if from.Mode == source.ModeAuto {
		d.Notes = append(d.Notes, "mode auto goes on live after what is planned here, which nobody can plan")
	}
	if isKVS && d.Totals.Frames == nil {
		d.Notes = append(d.Notes, "the listing tells no frame rate: with --fps-of-source frames can be estimated")
	}
	return d
}

// sum adds a stream to the totals.
func (sp *StreamPlan) sum(other *StreamPlan) {
	sp.Fragments += other.Fragments
	sp.media += other.media
	sp.MediaS = sp.media.Seconds()
	sp.Bytes += other.Bytes
	sp.Gaps += other.Gaps
	addTo(&sp.Frames, orUnknown(other.Frames))
	sp.Estimate = sp.Estimate || other.Estimate
	if other.Cost != nil {
		cost := *other.Cost
		if sp.Cost != nil {
			cost += *sp.Cost
		}
		sp.Cost = &cost
	}
	for name, s := range sp.Sinks {
		o := other.Sinks[name]
		addTo(&s.Images, orUnknown(o.Images))
		addTo(&s.Objects, orUnknown(o.Objects))
		s.Estimate = s.Estimate || o.Estimate
	}
}

func orUnknown(n *int64) int64 {
	if n == nil {
		return unknown
	}
	return *n
}
