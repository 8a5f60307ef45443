package plan

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultTolerance is how far a frame may be from the instant that it answers, by default.
const DefaultTolerance = 500 * time.Millisecond

// maxTimesFile is the largest file of requests that is read, in bytes.
const maxTimesFile = 64 << 20

// maxTimesLine is the longest line of such a file, in bytes.
const maxTimesLine = 4096

// Request asks for the frame at an instant. The label, which may be empty, is copied into the
// record of the image.
type Request struct {
	Time  time.Time
	Label string
}

// parseTime parses an instant: RFC 3339, or an unsigned number since the Unix epoch, of milliseconds if it has
// 13 digits before the decimal point and of seconds if it has at most 11.
func parseTime(text string) (time.Time, error) {
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
		// Neither can fail: both parse a few digits.
		seconds, _ := strconv.ParseInt(whole, 10, 64)
		nanos, _ := strconv.ParseInt((fraction + "000000000")[:nanoDigits], 10, 64)
		return time.Unix(seconds, nanos).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%.60q is not a time: write RFC 3339, such as 2026-11-01T00:00:00Z, or seconds or milliseconds since the Unix epoch", text)
}

// digits reports whether text consists of decimal digits, at least one.
func digits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// ReadTimes reads requests, one per line: a time as in Timestamps.At, then optionally a space or a
// tab and a label. It skips blank lines, lines that begin with #, and a byte order mark at the
// start. The error names the first invalid line.
func ReadTimes(r io.Reader) ([]Request, error) {
	limited := &io.LimitedReader{R: r, N: maxTimesFile + 1}
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
		t, err := parseTime(at)
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
		return nil, fmt.Errorf("is larger than %d bytes", maxTimesFile)
	case len(requests) == 0:
		return nil, errors.New("holds no time")
	}
	return requests, nil
}

// Requests returns all requests: those of Asked, then those of At.
func (r Timestamps) Requests() []Request {
	requests := slices.Clone(r.Asked)
	for _, text := range r.At {
		if t, err := parseTime(text); err == nil { // Validate reports the others
			requests = append(requests, Request{Time: t})
		}
	}
	return requests
}
