package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// planDocument is what plan says.
type planDocument struct {
	Streams map[string]*streamPlan `json:"streams"`
	Totals  *streamPlan            `json:"totals"`
	Notes   []string               `json:"notes"`

	order []string
}

// streamPlan is what a run would read and write of one stream, or of all.
type streamPlan struct {
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
	Sinks map[string]*sinkPlan `json:"sinks"`

	name  string
	media time.Duration
	order []string
}

// sinkPlan is what one sink would write.
type sinkPlan struct {
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

// newStreamPlan returns the plan of reading nothing.
func newStreamPlan(name string, c *config.Config) *streamPlan {
	sp := &streamPlan{name: name, Frames: new(int64), Sinks: map[string]*sinkPlan{}}
	for _, s := range c.Sinks {
		sp.Sinks[s.Name] = &sinkPlan{
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
func (sp *streamPlan) add(begins time.Time, length time.Duration, frames int64) {
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
func (s *sinkPlan) add(images int64) {
	addTo(&s.Images, images)
	addTo(&s.Objects, images)
	if s.manifest && images > 0 {
		addTo(&s.Objects, 1)
	}
}

// newPlanDocument adds the streams up.
func newPlanDocument(c *config.Config, plans []*streamPlan) *planDocument {
	d := &planDocument{Streams: map[string]*streamPlan{}, Totals: newStreamPlan("total", c), Notes: []string{}}
	for _, sp := range plans {
		d.Streams[sp.name] = sp
		d.order = append(d.order, sp.name)
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
func (sp *streamPlan) sum(other *streamPlan) {
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

// print writes the plan as a table.
func (d *planDocument) print(w io.Writer) error {
	for _, name := range d.order {
		if err := d.Streams[name].print(w, name); err != nil {
			return err
		}
	}
	if len(d.order) != 1 {
		if err := d.Totals.print(w, "total"); err != nil {
			return err
		}
	}
	for _, note := range d.Notes {
		if _, err := fmt.Fprintf(w, "note: %s\n", note); err != nil {
			return err
		}
	}
	return nil
}

func (sp *streamPlan) print(w io.Writer, name string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\n", inLine(name))
	fmt.Fprintf(t, "  fragments\t%d\n", sp.Fragments)
	if sp.First != nil {
		fmt.Fprintf(t, "  producer time\t%s to %s\n", clock(sp.First), clock(sp.Last))
	}
	fmt.Fprintf(t, "  media\t%s (%.2f hours)\n", sp.media.Round(time.Millisecond), sp.media.Hours())
	fmt.Fprintf(t, "  bytes\t%d (%s)\n", sp.Bytes, byteCount(sp.Bytes))
	fmt.Fprintf(t, "  frames\t%s\n", count(sp.Frames, sp.Estimate))
	if sp.Gaps > 0 {
		fmt.Fprintf(t, "  gaps\t%d\n", sp.Gaps)
	}
	if sp.Cost != nil {
		fmt.Fprintf(t, "  price of reading\tabout %.4f US$\n", *sp.Cost)
	}
	for _, name := range sp.order {
		s := sp.Sinks[name]
		fmt.Fprintf(t, "  sink %s\t%s images, %s objects\n", name, count(s.Images, s.Estimate), count(s.Objects, s.Estimate))
	}
	return t.Flush()
}

// count shows a number that may be unknown or an estimate.
func count(n *int64, estimate bool) string {
	switch {
	case n == nil:
		return "unknown"
	case estimate:
		return fmt.Sprintf("about %d", *n)
	}
	return fmt.Sprint(*n)
}
