package kvsemu

import (
	"cmp"
	"encoding/json"
	"math"
	"strings"
	"time"
)

// startSelector says where a session starts (API Reference, StartSelector).
type startSelector struct {
	StartSelectorType   string
	AfterFragmentNumber *string
	StartTimestamp      *json.Number
	ContinuationToken   *string
}

// start returns the index of the chunk that a session starts at, which may be one
// past the last. Indexes count chunks that are still to come, too, so that a
// time that lies ahead is waited for.
func (st *stream) start(sel *startSelector, now time.Time) (int, *apiError) {
	if sel == nil {
		return 0, errInvalidArgument("StartSelector must be given")
	}
	if refusal := sel.validate(); refusal != nil {
		return 0, refusal
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	switch sel.StartSelectorType {
	case "NOW":
		return max(0, st.newest(now)), nil
	case "EARLIEST":
		return 0, nil
	case "FRAGMENT_NUMBER":
		return st.after(*sel.AfterFragmentNumber), nil
	case "CONTINUATION_TOKEN":
		return st.afterToken(*sel.ContinuationToken)
	case "PRODUCER_TIMESTAMP":
		return st.containing(sel.time(), func(c *chunk) time.Time { return c.producer }), nil
	default: // validate leaves SERVER_TIMESTAMP alone
		return st.containing(sel.time(), func(c *chunk) time.Time { return c.server }), nil
	}
}

// validate checks each field's form and that the type has the field that it needs.
func (sel *startSelector) validate() *apiError {
	if n := sel.AfterFragmentNumber; n != nil && !fragmentNumberForm.valid(*n) {
		return errInvalidArgument("AfterFragmentNumber must be " + fragmentNumberForm.text)
	}
	if t := sel.ContinuationToken; t != nil && !tokenForm.valid(*t) {
		return errInvalidArgument("ContinuationToken must be " + tokenForm.text)
	}
	if t := sel.StartTimestamp; t != nil {
		if f, err := t.Float64(); err != nil || math.Abs(f) > maxTimestamp {
			return errInvalidArgument("StartTimestamp must be a number of seconds since 1970")
		}
	}
	missing := ""
	switch sel.StartSelectorType {
	case "NOW", "EARLIEST":
	case "FRAGMENT_NUMBER":
		if sel.AfterFragmentNumber == nil {
			missing = "AfterFragmentNumber"
		}
	case "CONTINUATION_TOKEN":
		if sel.ContinuationToken == nil {
			missing = "ContinuationToken"
		}
	case "PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP":
		if sel.StartTimestamp == nil {
			missing = "StartTimestamp"
		}
	default:
		return errInvalidArgument("StartSelectorType must be one of NOW, EARLIEST, FRAGMENT_NUMBER, PRODUCER_TIMESTAMP, SERVER_TIMESTAMP, CONTINUATION_TOKEN")
	}
	if missing != "" {
		return errInvalidArgument(missing + " must be given with the start selector type " + sel.StartSelectorType)
	}
	return nil
}

// maxTimestamp keeps a time in seconds within what int64 milliseconds hold; it is the
// year 9999.
const maxTimestamp = 253402300799

// time returns StartTimestamp to the millisecond.
func (sel *startSelector) time() time.Time {
	seconds, _ := sel.StartTimestamp.Float64() // validate has checked it
	return time.UnixMilli(int64(math.Round(seconds * 1000)))
}

// after returns the index of the first chunk whose number is greater.
func (st *stream) after(number string) int {
	for i, c := range st.chunks {
		if c.number != "" && compareNumbers(c.number, number) > 0 {
			return i
		}
	}
	return len(st.chunks)
}

// afterToken returns the index of the chunk after the one with the token. AWS does
// not say what it makes of a token that no chunk has: here a number is taken as a
// fragment number, and anything else refused.
func (st *stream) afterToken(token string) (int, *apiError) {
	for i, c := range st.chunks {
		if c.token == token {
			return i + 1, nil
		}
	}
	if !fragmentNumberForm.valid(token) {
		return 0, errInvalidArgument("ContinuationToken is not known")
	}
	return st.after(token), nil
}

// containing returns the index of the chunk that contains the moment t: of those that
// do, the one that begins last, for ranges on the server's clock overlap. AWS does
// not say where a session starts when no chunk contains t: here, at the first chunk
// that begins after it.
func (st *stream) containing(t time.Time, clock func(*chunk) time.Time) int {
	found, next := -1, len(st.chunks)
	for i, c := range st.chunks {
		begin := clock(c)
		switch {
		case begin.IsZero():
		case begin.After(t):
			next = min(next, i)
		case t.Before(begin.Add(c.length)) && (found < 0 || begin.After(clock(st.chunks[found]))):
			found = i
		}
	}
	if found >= 0 {
		return found
	}
	return next
}

// compareNumbers compares two decimal numbers of any length.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
