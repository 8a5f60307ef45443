package media

import (
	"encoding/json"
	"time"
)

// Score is one measure of a picture that a filter or a sampler took.
type Score struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Timestamp returns t as records show it: RFC 3339, in UTC, cut to the millisecond; "" when t
// is zero.
func Timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// Timestamps returns times that somebody asked for as records show them: as Timestamp does, but
// with more digits where a time has them, so that neighbouring times differ. It never
// returns nil.
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

// gapRecord is a Gap as the ledger and the summary show it. Every key is there, and each has one
// type for ever.
type gapRecord struct {
	Stream            string    `json:"stream"`
	Sink              string    `json:"sink"`
	FragmentNumber    string    `json:"fragment_number"`
	FromFrame         int       `json:"from_frame"`
	FramesLost        int       `json:"frames_lost"`
	ProducerTimestamp string    `json:"producer_timestamp"`
	AskedFor          []string  `json:"asked_for"`
	Reason            GapReason `json:"reason"`
	Detail            string    `json:"detail"`
}

// MarshalJSON returns the gap as a record of the ledger. What is unknown is an empty text or
// list; from_frame is -1 for a fragment as a whole.
func (g Gap) MarshalJSON() ([]byte, error) {
	return json.Marshal(gapRecord{
		Stream:            g.Stream,
		Sink:              g.Sink,
		FragmentNumber:    g.FragmentNumber,
		FromFrame:         g.FrameIndex,
		FramesLost:        g.FramesLost,
		ProducerTimestamp: Timestamp(g.ProducerTime),
		AskedFor:          Timestamps(g.AskedFor),
		Reason:            g.Reason,
		Detail:            g.Detail,
	})
}
