package main

import (
	"fmt"
	"io"
	"math/big"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/config"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
	"github.com/kvsframes/kvsframes/source/kvs"
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
	nonkey   bool
	manifest bool
	seen     int64 // frames that a stride or a list of indices has counted
	requests []request
	indices  []int64
	ended    time.Time // where the last piece did
}

// request is a time that is asked for.
type request struct {
	at      time.Time
	counted bool
}

// requestsOf returns the times that a sampler asks for, in order, each once.
func requestsOf(s plan.Sample) []request {
	var rs []request
	for _, r := range s.Requests() {
		rs = append(rs, request{at: r.Time})
	}
	slices.SortFunc(rs, func(a, b request) int { return a.at.Compare(b.at) })
	return slices.CompactFunc(rs, func(a, b request) bool { return a.at.Equal(b.at) })
}

// newStreamPlan returns the plan of reading nothing.
func newStreamPlan(name string, c *config.Config) *streamPlan {
	sp := &streamPlan{name: name, Frames: new(int64), Sinks: map[string]*sinkPlan{}}
	for _, s := range c.Sinks {
		sp.Sinks[s.Name] = &sinkPlan{
			Images: new(int64), Objects: new(int64),
			sample: s.Sample, nonkey: c.Decode.SkipFrame == plan.SkipNonKey,
			manifest: s.Manifest.Format != sink.ManifestNone,
			requests: requestsOf(s.Sample),
			indices:  s.Sample.Indices(),
		}
		sp.order = append(sp.order, s.Name)
	}
	return sp
}

// unknown is a number of frames.
const unknown = -1

// piece is the wanted part of one fragment.
type piece struct {
	begins time.Time // producer time of the whole fragment
	// producer and server are the instants of the part's start.
	producer, server time.Time
	length           time.Duration
	// frames and keys are those in it; frames may be unknown.
	frames, keys int64
	exact        bool
}

// pieceOfFile counts the frames of a fragment that was read.
func pieceOfFile(f *media.Fragment) piece {
	p := piece{begins: f.ProducerTime, exact: true}
	track, ok := f.VideoTrack()
	if !ok {
		return p
	}
	var all, wanted []time.Duration
	for _, b := range f.Blocks {
		if b.Track != track.Number {
			continue
		}
		all = append(all, b.Time)
		at := f.At(f.Clock).Add(b.Time)
		if at.Before(f.From) || !f.Until.IsZero() && !at.Before(f.Until) {
			continue
		}
		wanted = append(wanted, b.Time)
		if b.Key {
			p.keys++
		}
	}
	if p.frames = int64(len(wanted)); p.frames == 0 {
		return p
	}
	distance := track.DefaultDuration
	if n := len(all) - 1; n > 0 && slices.Max(all) > slices.Min(all) {
		distance = (slices.Max(all) - slices.Min(all)) / time.Duration(n)
	}
	first := slices.Min(wanted)
	p.length = slices.Max(wanted) - first + distance
	p.producer, p.server = f.ProducerTime.Add(first), f.At(media.ClockServer).Add(first)
	return p
}

// pieceOfArchive is the part of a listed fragment, which begins at the instant at, that
// lies within start and until; zero is no bound. frames tells how many frames play in a
// time.
func pieceOfArchive(f kvs.ArchivedFragment, at, start, until time.Time, frames func(time.Duration) int64) piece {
	from, to := time.Duration(0), f.Length
	// Reading onward, a fragment that begins before the start may well be wanted whole.
	if start.After(at) && start.Before(at.Add(f.Length)) {
		from = start.Sub(at)
	}
	if !until.IsZero() {
		to = min(to, until.Sub(at))
	}
	p := piece{
		begins: f.ProducerTime, producer: f.ProducerTime.Add(from), server: f.ServerTime.Add(from),
		length: max(0, to-from),
	}
	p.frames = frames(p.length)
	if from == 0 {
		p.keys = 1 // a fragment begins with a key frame (Producer SDK requirement)
	}
	return p
}

// framesOf returns how many frames of the rate play in the time after what was added so
// far, without the rounding of each fragment adding up.
func (sp *streamPlan) framesOf(rate plan.Rate) func(time.Duration) int64 {
	return func(d time.Duration) int64 {
		if rate == (plan.Rate{}) {
			return unknown
		}
		until := func(d time.Duration) int64 {
			return int64(d.Seconds()*float64(rate.Num)/float64(rate.Den) + 0.5)
		}
		return until(sp.media+d) - until(sp.media)
	}
}

// add counts a piece.
func (sp *streamPlan) add(p piece) {
	if sp.Fragments++; sp.Fragments == 1 {
		sp.First = instant(p.begins)
	}
	sp.Last = instant(p.begins)
	sp.media += p.length
	sp.MediaS = sp.media.Seconds()
	addTo(&sp.Frames, p.frames)
	sp.Estimate = sp.Estimate || !p.exact
	for _, s := range sp.Sinks {
		s.add(p)
	}
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

func (s *sinkPlan) add(p piece) {
	if s.nonkey {
		p.frames = p.keys
	}
	images := int64(unknown)
	switch s.sample.Type {
	case plan.SampleAll:
		images = p.frames
	case plan.SampleKeyframes:
		images = p.keys
	case plan.SampleStride:
		if p.frames != unknown {
			n := int64(s.sample.N)
			images = (s.seen+p.frames+n-1)/n - (s.seen+n-1)/n
			s.seen += p.frames
		}
	case plan.SampleInterval:
		from := p.at(s.sample.Clock)
		images = s.estimate(gridPoints(s.sample, from, from.Add(p.length)), p)
	case plan.SampleIndices:
		if p.frames != unknown {
			images = s.placed(s.seen, s.seen+p.frames)
			s.seen += p.frames
		}
	case plan.SampleTimestamps:
		if images = 0; p.length > 0 {
			images = s.estimate(s.answered(p), p)
		}
	}
	s.Estimate = s.Estimate || !p.exact
	addTo(&s.Images, images)
	addTo(&s.Objects, images)
	if s.manifest && images > 0 {
		addTo(&s.Objects, 1)
	}
}

// placed counts the indices that are asked for, each once, from one on and before another.
func (s *sinkPlan) placed(from, until int64) (n int64) {
	for _, i := range s.indices {
		if from <= i && i < until {
			n++
		}
	}
	return n
}

// at returns the instant of the piece's start.
func (p piece) at(c media.Clock) time.Time {
	if c == media.ClockServer {
		return p.server
	}
	return p.producer
}

// estimate returns the images that a number of instants within a piece gives.
func (s *sinkPlan) estimate(instants int64, p piece) int64 {
	s.Estimate = true
	if p.frames != unknown {
		return min(instants, p.frames)
	}
	return instants
}

// answered counts the requests that are answered by a piece: those in it, those that lie a little
// before it, and those that lie a little after the piece before it and not so near to this one.
func (s *sinkPlan) answered(p piece) int64 {
	from := p.at(s.sample.Clock)
	begins := from
	if s.sample.Pick != plan.PickShown {
		begins = from.Add(-s.sample.Tolerance)
	}
	n := s.count(begins, from.Add(p.length)) + s.rest()
	s.ended = from.Add(p.length)
	return n
}

// rest counts the requests that lie a little after the last piece.
func (s *sinkPlan) rest() int64 {
	if s.ended.IsZero() {
		return 0
	}
	return s.count(s.ended, s.ended.Add(s.sample.Tolerance))
}

// count counts the requests from one instant on and before another that were not counted before.
func (s *sinkPlan) count(from, until time.Time) (n int64) {
	first, _ := slices.BinarySearchFunc(s.requests, from, func(r request, t time.Time) int { return r.at.Compare(t) })
	for i := first; i < len(s.requests) && s.requests[i].at.Before(until); i++ {
		if !s.requests[i].counted {
			s.requests[i].counted = true
			n++
		}
	}
	return n
}

// gridPoints returns how many points of a sampler's grid, which starts at the Unix
// epoch, lie from one instant on and before another.
func gridPoints(s plan.Sample, from, to time.Time) int64 {
	// The points are num/den microseconds apart.
	num, den := s.Interval.Nanoseconds(), int64(1000)
	if s.Rate != (plan.Rate{}) {
		num, den = s.Rate.Den*1e6, s.Rate.Num
	}
	before := func(t time.Time) int64 { // points from the epoch on and before t
		v := new(big.Int).Mul(big.NewInt(-t.UnixMicro()), big.NewInt(den))
		return -v.Div(v, big.NewInt(num)).Int64() // rounds down, for a divisor above 0
	}
	return before(to) - before(from)
}

// newPlanDocument adds the streams up.
func newPlanDocument(c *config.Config, plans []*streamPlan) *planDocument {
	d := &planDocument{Streams: map[string]*streamPlan{}, Totals: newStreamPlan("total", c), Notes: []string{}}
	for _, sp := range plans {
		for _, s := range sp.Sinks {
			n := s.rest()
			addTo(&s.Images, n)
			addTo(&s.Objects, n)
		}
		d.Streams[sp.name] = sp
		d.order = append(d.order, sp.name)
		d.Totals.sum(sp)
	}
	if c.Source.Type == source.TypeKVS && c.Source.Mode == source.ModeAuto {
		d.Notes = append(d.Notes, "mode auto goes on live after what is planned here, which nobody can plan")
	}
	if c.Source.Type == source.TypeKVS && d.Totals.Frames == nil {
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
