package media

import (
	"encoding/json"
	"strings"
	"time"
)

// Score is a measurement of a picture by a filter or a sampler.
type Score struct {
	Name  string  `json:"name" doc:"what was measured: scene, black, blur, best or duplicate"`
	Value float64 `json:"value" doc:"the number; of duplicate the bits in which the picture differs from the last one that stayed, -1 for the first"`
}

// Timestamp returns t in the format of records: RFC 3339, in UTC, cut to the millisecond; "" when t is zero.
func Timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// Timestamps returns requested times in the format of records: like Timestamp, but with more digits where
// a time has them, so that neighbouring times differ. It never returns nil.
func Timestamps(times []time.Time) []string {
	texts := make([]string, len(times))
	for i, t := range times {
		texts[i] = Timestamp(t)
		if t.Nanosecond()%1e6 != 0 {
			texts[i] = t.UTC().Format(time.RFC3339Nano)
		}
	}
	return texts
}

// GapRecord is the JSON form of a Gap in the ledger and the summary. Every key is always present, and its
// type never changes.
type GapRecord struct {
	Stream            string    `json:"stream" doc:"the stream"`
	Sink              string    `json:"sink" doc:"the sink that lacks the frames; empty when all sinks do"`
	FragmentNumber    string    `json:"fragment_number" doc:"the fragment, of a hole the one before it; empty when the gap is outside any fragment"`
	FromFrame         int       `json:"from_frame" doc:"the index of the first missing frame; -1 is the fragment as a whole"`
	FramesLost        int       `json:"frames_lost" doc:"the number of frames known to be missing"`
	ProducerTimestamp string    `json:"producer_timestamp" doc:"the capture time of the first missing frame"`
	UntilFragment     string    `json:"until_fragment" doc:"of a hole: the first fragment after it"`
	Until             string    `json:"until" doc:"of a hole: the producer timestamp of that fragment"`
	AskedFor          []string  `json:"asked_for" doc:"requested times that no frame answers, and places of frames, as FRAGMENT@1.25s"`
	Reason            GapReason `json:"reason" doc:"the kind of the gap: see below"`
	Detail            string    `json:"detail" doc:"what happened, for a person"`
}

// UnmarshalJSON reads what MarshalJSON returns.
func (g *Gap) UnmarshalJSON(data []byte) error {
	var r GapRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	*g = Gap{
		Stream: r.Stream, Sink: r.Sink, FragmentNumber: r.FragmentNumber, FrameIndex: r.FromFrame, FramesLost: r.FramesLost,
		Until: Place{Number: r.UntilFragment}, Reason: r.Reason, Detail: r.Detail,
	}
	if err := parseTimestamp(r.ProducerTimestamp, &g.ProducerTime); err != nil {
		return err
	}
	if err := parseTimestamp(r.Until, &g.Until.ProducerTime); err != nil {
		return err
	}
	for _, text := range r.AskedFor {
		if strings.Contains(text, "@") {
			g.AskedPlaces = append(g.AskedPlaces, text)
			continue
		}
		var at time.Time
		if err := parseTimestamp(text, &at); err != nil {
			return err
		}
		g.AskedFor = append(g.AskedFor, at)
	}
	return nil
}

// parseTimestamp parses what Timestamp returns.
func parseTimestamp(text string, to *time.Time) (err error) {
	if text == "" {
		return nil
	}
	*to, err = time.Parse(time.RFC3339, text)
	return err
}

// MarshalJSON returns the gap as a record of the ledger. An unknown value is an empty string or list;
// from_frame is -1 for a whole fragment.
func (g Gap) MarshalJSON() ([]byte, error) {
	return json.Marshal(GapRecord{
		Stream:            g.Stream,
		Sink:              g.Sink,
		FragmentNumber:    g.FragmentNumber,
		FromFrame:         g.FrameIndex,
		FramesLost:        g.FramesLost,
		ProducerTimestamp: Timestamp(g.ProducerTime),
		UntilFragment:     g.Until.Number,
		Until:             Timestamp(g.Until.ProducerTime),
		AskedFor:          append(Timestamps(g.AskedFor), g.AskedPlaces...),
		Reason:            g.Reason,
		Detail:            g.Detail,
	})
}
