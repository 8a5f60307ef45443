package kvsframes

import (
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode/pick"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// Plan is what a run would read and write.
type Plan struct {
	Streams map[string]*StreamPlan `json:"streams" doc:"the streams"`
	Totals  *StreamPlan            `json:"totals" doc:"the sums over all streams"`
	Notes   []string               `json:"notes" doc:"sentences about what the numbers leave out"`
	Prices  Prices                 `json:"prices" doc:"the list prices, in US dollars"`
	// Order holds the names of the streams in the order of the settings, SinkOrder those of the sinks.
	Order     []string `json:"-"`
	SinkOrder []string `json:"-"`
}

// StreamPlan is what a run would read and write for one stream, or for all of them.
type StreamPlan struct {
	Fragments int                  `json:"fragments" doc:"the number of fragments"`
	First     *time.Time           `json:"first_producer_timestamp,omitempty" doc:"the producer time at which the first fragment begins, in reading order; absent if there is none"`
	Last      *time.Time           `json:"last_producer_timestamp,omitempty" doc:"that of the last fragment, likewise"`
	MediaS    float64              `json:"media_s" doc:"the duration of the wanted media, in seconds"`
	Bytes     int64                `json:"bytes" doc:"the bytes of the fragments"`
	Frames    *int64               `json:"frames" doc:"the wanted frames; null when unknown"`
	Estimate  bool                 `json:"frames_estimated" doc:"whether frames is an estimate"`
	Gaps      int                  `json:"gaps" doc:"places in a file that yield no fragment"`
	Cost      *float64             `json:"cost_usd_estimate" doc:"the price of reading, in US dollars; null when unknown, and for files"`
	Tier      *string              `json:"storage_tier" doc:"the tier in which KVS stores new fragments, HOT or WARM; null when unknown, for files, and in totals"`
	Sinks     map[string]*SinkPlan `json:"sinks" doc:"the sinks"`

	name  string
	media time.Duration
	order []string
}

// SinkPlan is what one sink would write for a stream.
type SinkPlan struct {
	Images   *int64 `json:"images" doc:"the number of images; null when unknown: where pixels decide"`
	Objects  *int64 `json:"objects" doc:"the number of objects and manifest parts; null when unknown: also for groups and for manifest.every"`
	Estimate bool   `json:"estimated" doc:"whether both numbers are estimates"`
	// Put is without the parts of the ledger and checkpoints.
	Put       *float64       `json:"put_cost_usd_estimate" doc:"the price of writing the objects to S3, in US dollars; null when unknown, and elsewhere"`
	GetImages *GetImagesPlan `json:"get_images" doc:"what GetImages of KVS would need; null for files"`

	sample   plan.Sample
	manifest bool

	// For estimates of an archive: the sampler, nil where times are asked for, and these times.
	sampler  plan.Sampler
	nonkey   bool
	requests []request
	ended    time.Time // the end of the last piece
}

// Media returns the duration of the wanted media.
func (sp *StreamPlan) Media() time.Duration { return sp.media }

// newStreamPlan returns a plan that counts nothing yet.
func newStreamPlan(name string, c *config.Config) *StreamPlan {
	sp := &StreamPlan{name: name, Frames: new(int64), Sinks: map[string]*SinkPlan{}}
	for _, s := range c.Sinks {
		sp.Sinks[s.Name] = &SinkPlan{
			Images: new(int64), Objects: new(int64),
			sample: s.Sample, manifest: s.Manifest.Format != sink.ManifestNone,
			sampler: s.Sample.NewSampler(), nonkey: c.Decode.SkipFrame == plan.SkipNonKey, requests: requestsOf(s.Sample),
		}
		if s.SinkConfig().MostOpen() > 0 {
			sp.Sinks[s.Name].Objects = nil
		}
		if pick.NeedsOf(s.Sample, s.Filters).Any() {
			sp.Sinks[s.Name].Images, sp.Sinks[s.Name].Objects = nil, nil
		}
		sp.order = append(sp.order, s.Name)
	}
	return sp
}

// unknown is a number of frames or images that is not known.
const unknown = -1

// add counts a fragment that begins at begins and whose wanted part has this length and number of frames.
func (sp *StreamPlan) add(begins time.Time, length time.Duration, frames int64) {
	if sp.Fragments++; sp.Fragments == 1 {
		sp.First = instant(begins)
	}
	sp.Last = instant(begins)
	sp.media += length
	sp.MediaS = sp.media.Seconds()
	addTo(&sp.Frames, frames)
}

// addTo adds n to a sum. The sum becomes unknown if n is.
func addTo(sum **int64, n int64) {
	if n == unknown {
		*sum = nil
		return
	}
	addKnown(sum, &n)
}

// add counts the images of one fragment.
func (s *SinkPlan) add(images int64) {
	addTo(&s.Images, images)
	addTo(&s.Objects, images)
	if s.manifest && images > 0 {
		addTo(&s.Objects, 1)
	}
}

// newPlan returns the plan of the streams, with their totals.
func newPlan(c *config.Config, plans []*StreamPlan) *Plan {
	d := &Plan{Streams: map[string]*StreamPlan{}, Totals: newStreamPlan("total", c), Notes: []string{}, Prices: ListPrices()}
	d.SinkOrder = d.Totals.order
	from, isKVS := c.Source.KVS()
	if isKVS {
		d.Totals.Cost = new(float64)
	}
	for _, sp := range plans {
		d.Streams[sp.name] = sp
		d.Order = append(d.Order, sp.name)
		sp.pricePuts(c)
		d.Totals.sum(sp)
	}
	d.Totals.pricePuts(c)
	if from.Mode == source.ModeAuto {
		d.Notes = append(d.Notes, "mode auto continues live after the planned part; live reading cannot be planned")
	}
	if isKVS && d.Totals.Frames == nil {
		d.Notes = append(d.Notes, "the listing has no frame rate: use --fps-of-source to estimate frames")
	}
	d.Notes = append(d.Notes, priceNotes(c, plans)...)
	return d
}

// sum adds a stream to the totals.
func (sp *StreamPlan) sum(other *StreamPlan) {
	sp.Fragments += other.Fragments
	sp.media += other.media
	sp.MediaS = sp.media.Seconds()
	sp.Bytes += other.Bytes
	sp.Gaps += other.Gaps
	addKnown(&sp.Frames, other.Frames)
	sp.Estimate = sp.Estimate || other.Estimate
	addKnown(&sp.Cost, other.Cost)
	for name, s := range sp.Sinks {
		o := other.Sinks[name]
		addKnown(&s.Images, o.Images)
		addKnown(&s.Objects, o.Objects)
		s.Estimate = s.Estimate || o.Estimate
		if o.GetImages != nil {
			s.GetImages = s.GetImages.sum(o.GetImages)
		}
	}
}

// addKnown adds n to a sum. The sum becomes unknown if n is.
func addKnown[T int64 | float64](sum **T, n *T) {
	switch {
	case n == nil:
		*sum = nil
	case *sum != nil:
		**sum += *n
	}
}
