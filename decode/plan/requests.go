package plan

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultTolerance is how far a frame may be from the instant that it answers, by default.
const DefaultTolerance = 500 * time.Millisecond

// maxRequestsFile is the largest file of requests that is read, in bytes.
const maxRequestsFile = 64 << 20

// maxRequestLine is the longest line of such a file, and maxLabel the longest label, in bytes. What Rekognition writes about one frame has a line.
const (
	maxRequestLine = 1 << 20
	maxLabel       = 4096
)

// maxBadLines is how many bad lines of a file are named.
const maxBadLines = 20

// Request asks for the frame at an instant, or at a place. The label, which may be empty, is copied into the record of the image.
type Request struct {
	// Time is the instant. In a request for a place it is zero.
	Time  time.Time
	Label string
	// Fragment is the number of a fragment, and Offset a time from its start: the frame on screen then is asked for. Fragment is "" in a
	// request for an instant.
	Fragment string
	Offset   time.Duration
}

// Place returns a request's place as people write it: 91343852333181432392682062607743920146264094487@1.25s.
func (r Request) Place() string { return r.Fragment + "@" + r.Offset.String() }

// ParsePlace parses what Request.Place returns.
func ParsePlace(text string) (Request, error) {
	number, offset, _ := strings.Cut(text, "@")
	d, err := time.ParseDuration(offset)
	if err != nil || d < 0 {
		return Request{}, fmt.Errorf("%.150q is no frame of a fragment: write NUMBER@OFFSET, such as 91343852333181432392682062607743920146264094487@1.25s", text)
	}
	r := Request{Fragment: number, Offset: d}
	return r, r.checkFragment()
}

// checkFragment returns an error if the number of the fragment is none.
func (r Request) checkFragment() error {
	const longest = 128
	if !digits(r.Fragment) || len(r.Fragment) > longest {
		return fmt.Errorf("%.150q is not a fragment number", r.Fragment)
	}
	return nil
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

// ReadRequests reads requests, one per line: a time as in Timestamps.At, then optionally a space or a tab and a label; or an object of JSON, as
// readRecord takes it. It skips blank lines, lines that begin with #, and a byte order mark at the start. With placesOnly it takes no times. The
// error names the bad lines, up to 20.
func ReadRequests(r io.Reader, placesOnly bool) ([]Request, error) {
	limited := &io.LimitedReader{R: r, N: maxRequestsFile + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxRequestLine)
	var requests []Request
	var bad []string
	n, wrong := 0, 0
	for lines.Scan() {
		text := lines.Text()
		if n++; n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if text = strings.TrimSpace(text); text == "" || text[0] == '#' {
			continue
		}
		request, err := parseRequest(text)
		if err == nil && placesOnly && request.Fragment == "" {
			err = errors.New("names no fragment: want FragmentNumber and FrameOffsetInSeconds")
		}
		switch {
		case err == nil:
			requests = append(requests, request)
		case limited.N <= 0: // the line may have been cut
		default:
			if wrong++; wrong <= maxBadLines {
				bad = append(bad, fmt.Sprintf("line %d: %v", n, err))
			}
		}
	}
	switch err := lines.Err(); {
	case limited.N <= 0:
		return nil, fmt.Errorf("is larger than %d bytes", maxRequestsFile)
	case errors.Is(err, bufio.ErrTooLong):
		bad = append(bad, fmt.Sprintf("line %d: is longer than %d bytes", n+1, maxRequestLine))
	case err != nil:
		return nil, err
	case wrong > len(bad):
		bad = append(bad, fmt.Sprintf("%d more lines are wrong", wrong-len(bad)))
	case len(bad)+len(requests) == 0:
		return nil, errors.New("holds no request")
	}
	if len(bad) > 0 {
		return nil, errors.New(strings.Join(bad, "; "))
	}
	return requests, nil
}

// parseRequest parses a line.
func parseRequest(text string) (Request, error) {
	if text[0] == '{' {
		return parseRecord(text)
	}
	at, label := text, ""
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		at, label = text[:i], strings.TrimSpace(text[i:])
	}
	t, err := parseTime(at)
	if err != nil {
		return Request{}, err
	}
	return labelled(Request{Time: t}, label)
}

func labelled(r Request, label string) (Request, error) {
	if r.Label = label; len(label) > maxLabel {
		return Request{}, fmt.Errorf("the label is longer than %d bytes", maxLabel)
	}
	return r, nil
}

// frameOf is the part of a record that names a frame, as Amazon Rekognition does (Rekognition Developer Guide, KinesisVideo).
type frameOf struct {
	FragmentNumber       string
	FrameOffsetInSeconds json.Number
}

// parseRecord parses an object of JSON: a time and a label, {"timestamp": "2026-11-01T00:00:00Z", "label": "door"}, or the place of a frame,
// {"FragmentNumber": "1", "FrameOffsetInSeconds": 1.25, "label": "door"}. The place may be where Rekognition has it, in InputInformation.KinesisVideo.
// Other keys say nothing about the frame.
func parseRecord(text string) (Request, error) {
	var record struct {
		Timestamp, Label string
		frameOf
		InputInformation struct{ KinesisVideo frameOf }
	}
	if err := json.Unmarshal([]byte(text), &record); err != nil {
		return Request{}, fmt.Errorf("%.60q is no record: %w", text, err)
	}
	place, nested := record.frameOf, record.InputInformation.KinesisVideo
	if place == (frameOf{}) {
		place = nested
	} else if nested != (frameOf{}) {
		return Request{}, errors.New("names a fragment twice")
	}
	switch isPlace := place != (frameOf{}); {
	case isPlace && record.Timestamp != "":
		return Request{}, errors.New("has a timestamp and a fragment: want one")
	case !isPlace && record.Timestamp == "":
		return Request{}, errors.New("asks for nothing: want timestamp, or FragmentNumber with FrameOffsetInSeconds")
	case !isPlace:
		t, err := parseTime(record.Timestamp)
		if err != nil {
			return Request{}, err
		}
		return labelled(Request{Time: t}, record.Label)
	}
	r := Request{Fragment: place.FragmentNumber}
	if err := r.checkFragment(); err != nil {
		return Request{}, fmt.Errorf("FragmentNumber %w", err)
	}
	const longest = 24 * time.Hour
	seconds, err := place.FrameOffsetInSeconds.Float64()
	if err != nil || seconds < 0 || seconds > longest.Seconds() {
		return Request{}, fmt.Errorf("FrameOffsetInSeconds %.60q is no number of seconds from 0 to %.0f", place.FrameOffsetInSeconds, longest.Seconds())
	}
	r.Offset = time.Duration(math.Round(seconds * float64(time.Second)))
	return labelled(r, record.Label)
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
