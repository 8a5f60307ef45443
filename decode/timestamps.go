package decode

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// DefaultTolerance is how far a frame may be from the instant that it is asked for.
const DefaultTolerance = 500 * time.Millisecond

// MaxTimesFile is the largest file of requests that is read, in bytes.
const MaxTimesFile = 64 << 20

// maxTimesLine is the longest line of such a file, in bytes.
const maxTimesLine = 4096

// Request is an instant that a frame is asked for, and a text of the caller's that goes with
// the image into its record.
type Request struct {
	Time  time.Time
	Label string
}

// ParseTime reads an instant: RFC 3339, or a number without sign since the Unix epoch, of milliseconds when it has
// 13 digits and of seconds when it has up to 11, before a decimal point.
func ParseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	const secondDigits, milliDigits, nanoDigits = 11, 13, 9
	whole, fraction, dotted := strings.Cut(text, ".")
	number := digits(whole) && (!dotted || digits(fraction))
	if len(whole) == milliDigits {
		whole, fraction = whole[:milliDigits-3], whole[milliDigits-3:]+fraction
	}
	if number && len(whole) <= secondDigits && len(fraction) <= nanoDigits {
		// Neither can fail: what is parsed are few digits.
		seconds, _ := strconv.ParseInt(whole, 10, 64)
		nanos, _ := strconv.ParseInt((fraction + "000000000")[:nanoDigits], 10, 64)
		return time.Unix(seconds, nanos).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%.60q is not a time: write RFC 3339, such as 2026-11-01T00:00:00Z, or seconds or milliseconds since the Unix epoch", text)
}

// digits reports whether text consists of decimal digits, at least one.
func digits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// ReadTimes reads requests, one a line: a time as ParseTime reads it, and what follows it after a space
// or a tab is its label. Blank lines and lines that begin with # are passed over, and so is a byte
// order mark at the start. The error names the first line that is wrong.
func ReadTimes(r io.Reader) ([]Request, error) {
	limited := &io.LimitedReader{R: r, N: MaxTimesFile + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 0, maxTimesLine), maxTimesLine)
	var requests []Request
	n := 0
	for lines.Scan() {
		text := lines.Text()
		if n++; n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		at, label := text, ""
		if i := strings.IndexAny(text, " \t"); i >= 0 {
			at, label = text[:i], strings.TrimSpace(text[i:])
		}
		t, err := ParseTime(at)
		if err != nil && limited.N > 0 {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if err != nil {
			break // the line may have been cut
		}
		requests = append(requests, Request{t, label})
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d: is longer than %d bytes", n+1, maxTimesLine)
	case err != nil:
		return nil, err
	case limited.N <= 0:
		return nil, fmt.Errorf("is larger than %d bytes", MaxTimesFile)
	case len(requests) == 0:
		return nil, errors.New("holds no time")
	}
	return requests, nil
}

// Requests returns what a sampler of type timestamps asks for, in the order asked.
func (s Sample) Requests() []Request {
	if s.Type != SampleTimestamps {
		return nil
	}
	requests := slices.Clone(s.Asked)
	for _, text := range s.At {
		if t, err := ParseTime(text); err == nil { // Validate reports the others
			requests = append(requests, Request{Time: t})
		}
	}
	return requests
}

// stampRequest is a request with its place among all.
type stampRequest struct {
	Request
	place    int
	answered bool
}

// answer returns what an image tells of the requests that it answers: the times in the order asked,
// and their labels, each once.
func (a asked) answer() (at []time.Time, label string) {
	slices.SortFunc(a.answers, func(x, y stampRequest) int { return cmp.Compare(x.place, y.place) })
	var labels []string
	for _, r := range a.answers {
		at = append(at, r.Time)
		if r.Label != "" && !slices.Contains(labels, r.Label) {
			labels = append(labels, r.Label)
		}
	}
	return at, strings.Join(labels, ",")
}

// stampSampler gives each of a list of instants a frame.
//
// The frames are seen in presentation order. As long as their clock does not go
// back they are one segment. A request's neighbours in a segment are the last
// frame before it and the first one at or after it, and the nearer one answers, the earlier at
// a tie. Where the frame that is shown is asked for, it is the last one at or before the request, and a frame counts as
// there half a unit of its time scale early. Either answers when it is within the tolerance. What no
// frame of a segment answers is open to the next one.
type stampSampler struct {
	// output is the output that the requests belong to.
	output    int
	sink      string
	tolerance time.Duration
	shown     bool
	// requests are in order of time.
	requests []stampRequest
	// next is the first request that no frame so far decides: after the latest frame, or
	// not before it when the frame that is shown is asked for.
	next int
	// last is the latest frame, nil before the first of a segment, and lastAt its instant.
	last   *plannedFrame
	lastAt time.Time
}

func newStampSampler(output int, o Output) *stampSampler {
	s := &stampSampler{output: output, sink: o.Sink, tolerance: o.Sample.Tolerance, shown: o.Sample.Pick == PickShown}
	for i, r := range o.Sample.Requests() {
		s.requests = append(s.requests, stampRequest{Request: r, place: i})
	}
	slices.SortStableFunc(s.requests, func(a, b stampRequest) int { return a.Time.Compare(b.Time) })
	return s
}

// see takes the next frame, whose time is told in the given unit, and answers the requests that are decided by it.
func (s *stampSampler) see(frame *plannedFrame, at time.Time, unit time.Duration) {
	if s.last != nil && at.Before(s.lastAt) {
		s.settle()
		s.last = nil
	}
	begins := at.Add(-s.tolerance)
	if s.shown {
		begins = at.Add(-unit / 2)
	}
	if s.last == nil {
		s.next = sort.Search(len(s.requests), func(i int) bool { return !s.requests[i].Time.Before(begins) })
	}
	for ; s.next < len(s.requests); s.next++ {
		asked := s.requests[s.next].Time
		nearest, distance := frame, at.Sub(asked)
		if s.shown && !asked.Before(begins) || !s.shown && distance < 0 {
			break
		}
		if s.last != nil && (s.shown || asked.Sub(s.lastAt) <= distance) {
			nearest, distance = s.last, asked.Sub(s.lastAt)
		}
		if distance <= s.tolerance {
			s.answer(s.next, nearest)
		}
	}
	s.last, s.lastAt = frame, at
}

func (s *stampSampler) answer(i int, frame *plannedFrame) {
	if r := &s.requests[i]; !r.answered {
		r.answered = true
		frame.ask(s.output, *r)
	}
}

// waiting returns the open requests that the latest frame answers unless the next one is
// nearer, as a range of indexes whose first one is open.
func (s *stampSampler) waiting() (from, to int) {
	if s.last == nil {
		return 0, 0
	}
	for to = s.next; to < len(s.requests) && s.requests[to].Time.Sub(s.lastAt) <= s.tolerance; to++ {
	}
	for from = s.next; from < to && s.requests[from].answered; from++ {
	}
	return from, to
}

// settle answers what waits with the latest frame: no other one comes in this segment.
func (s *stampSampler) settle() {
	from, to := s.waiting()
	for i := from; i < to; i++ {
		s.answer(i, s.last)
	}
}

// maxNamedMisses is how many requests without a frame are named one by one. The rest
// is one gap: a summary should stay readable, and in memory.
const maxNamedMisses = 10000

// misses returns a gap for each request that no frame has answered.
func (s *stampSampler) misses(stream string) []media.Gap {
	near := "within " + s.tolerance.String() + " of"
	if s.shown {
		near = "shown, " + s.tolerance.String() + " after its time at most, at"
	}
	var gaps []media.Gap
	gap := func(times []time.Time, named string) {
		gaps = append(gaps, media.Gap{
			Stream: stream, FrameIndex: media.WholeFragment, Sink: s.sink, AskedFor: times,
			Reason: media.GapNoFrame, Detail: fmt.Sprintf("sink %s: no frame %s %s", s.sink, near, named),
		})
	}
	var more []time.Time
	for _, r := range s.requests {
		switch {
		case r.answered:
		case len(gaps) < maxNamedMisses:
			gap([]time.Time{r.Time}, instant(r.Time))
		default:
			more = append(more, r.Time)
		}
	}
	if n := len(more); n > 0 {
		gap(more, fmt.Sprintf("%d more times from %s to %s", n, instant(more[0]), instant(more[n-1])))
	}
	return gaps
}

// instant shows a request as precisely as it was written.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// named lists a few times for a message.
func named(times []time.Time) string {
	const most = 10
	var text []string
	for _, t := range times[:min(most, len(times))] {
		text = append(text, instant(t))
	}
	if n := len(times) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(text, ", "), n)
	}
	return strings.Join(text, ", ")
}
