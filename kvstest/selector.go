package kvstest

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// startSelector states where a session starts (API Reference, StartSelector).
type startSelector struct {
	StartSelectorType   string
	AfterFragmentNumber *string
	StartTimestamp      *json.Number
	ContinuationToken   *string
}

// start returns the index of the first chunk of a session, which may be one past the last. Indexes include
// future chunks, so that a session can wait for a time in the future. now is the current time, kept the current
// time by the clock of retention.
func (st *stream) start(sel *startSelector, now, kept time.Time) (int, *apiError) {
	if sel == nil {
		return 0, errInvalidArgument("StartSelector must be given")
	}
	if refusal := sel.validate(); refusal != nil {
		return 0, refusal
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	chunks, first := st.kept(kept)
	place, refusal := sel.place(chunks, now)
	return first + place, refusal
}

// place returns the index in chunks at which a session starts.
func (sel *startSelector) place(chunks []*chunk, now time.Time) (int, *apiError) {
	switch sel.StartSelectorType {
	case "NOW":
		// AWS does not document whether a chunk that is still arriving is the latest one: here it is, and is sent from its start.
		return max(0, newest(chunks, (*chunk).beginTime, now)), nil
	case "EARLIEST":
		return 0, nil
	case "FRAGMENT_NUMBER":
		return after(chunks, *sel.AfterFragmentNumber), nil
	case "CONTINUATION_TOKEN":
		return afterToken(chunks, *sel.ContinuationToken)
	case clockProducer:
		return containing(chunks, sel.time(), (*chunk).producerTime), nil
	default: // validate allows only SERVER_TIMESTAMP here
		return containing(chunks, sel.time(), (*chunk).serverTime), nil
	}
}

// The clocks of selectors.
const (
	clockProducer = "PRODUCER_TIMESTAMP"
	clockServer   = "SERVER_TIMESTAMP"
)

func (c *chunk) producerTime() time.Time { return c.producer }
func (c *chunk) serverTime() time.Time   { return c.server }

// selectorFields are the fields that the types of selectors require.
var selectorFields = map[string]string{
	"NOW": "", "EARLIEST": "", "FRAGMENT_NUMBER": "AfterFragmentNumber", "CONTINUATION_TOKEN": "ContinuationToken",
	clockProducer: "StartTimestamp", clockServer: "StartTimestamp",
}

// validate checks the format of each field, and that the field that the type requires is set.
func (sel *startSelector) validate() *apiError {
	if n := sel.AfterFragmentNumber; n != nil && !fragmentNumberForm.valid(*n) {
		return errInvalidArgument("AfterFragmentNumber must be " + fragmentNumberForm.text)
	}
	if t := sel.ContinuationToken; t != nil && !tokenForm.valid(*t) {
		return errInvalidArgument("ContinuationToken must be " + tokenForm.text)
	}
	if t := sel.StartTimestamp; t != nil {
		if _, ok := parseSeconds(*t); !ok {
			return errInvalidArgument("StartTimestamp must be a number of seconds since 1970")
		}
	}
	given := map[string]bool{
		"": true, "AfterFragmentNumber": sel.AfterFragmentNumber != nil,
		"ContinuationToken": sel.ContinuationToken != nil, "StartTimestamp": sel.StartTimestamp != nil,
	}
	switch field, known := selectorFields[sel.StartSelectorType]; {
	case !known:
		return errInvalidArgument("StartSelectorType must be one of NOW, EARLIEST, FRAGMENT_NUMBER, PRODUCER_TIMESTAMP, SERVER_TIMESTAMP, CONTINUATION_TOKEN")
	case !given[field]:
		return errInvalidArgument(field + " must be given with the start selector type " + sel.StartSelectorType)
	}
	return nil
}

// maxTimestamp keeps a time in seconds within int64 milliseconds; it is the year 9999.
const maxTimestamp = 253402300799

// parseSeconds reads a time in a request, to the millisecond: a number of seconds since 1970.
func parseSeconds(n json.Number) (time.Time, bool) {
	seconds, err := n.Float64()
	if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > maxTimestamp {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), true
}

// time returns StartTimestamp.
func (sel *startSelector) time() time.Time {
	t, _ := parseSeconds(*sel.StartTimestamp) // validate has checked it
	return t
}

// after returns the index of the first chunk with a greater number.
func after(chunks []*chunk, number string) int {
	for i, c := range chunks {
		if c.number != "" && media.CompareNumbers(c.number, number) > 0 {
			return i
		}
	}
	return len(chunks)
}

// afterToken returns the index after the chunk with the token. AWS does not say what happens with a token that
// no chunk has: here a number is taken as a fragment number, and any other token is refused.
func afterToken(chunks []*chunk, token string) (int, *apiError) {
	if i := slices.IndexFunc(chunks, func(c *chunk) bool { return c.token == token }); i >= 0 {
		return i + 1, nil
	}
	if !fragmentNumberForm.valid(token) {
		return 0, errInvalidArgument("ContinuationToken is not known")
	}
	return after(chunks, token), nil
}

// containing returns the index of the chunk that contains the time t; if several do, of the one that begins
// last, because ranges on the server's clock overlap. AWS does not say where a session starts when no chunk
// contains t: here, at the first chunk that begins after it.
func containing(chunks []*chunk, t time.Time, clock func(*chunk) time.Time) int {
	found, next := -1, len(chunks)
	for i, c := range chunks {
		begin := clock(c)
		switch {
		case begin.IsZero():
		case begin.After(t):
			next = min(next, i)
		case t.Before(begin.Add(c.length)) && (found < 0 || begin.After(clock(chunks[found]))):
			found = i
		}
	}
	if found >= 0 {
		return found
	}
	return next
}
