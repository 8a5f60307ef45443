package kvstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Arrival states when a part of a payload arrived.
type Arrival struct {
	// Bytes is the number of bytes that had arrived, from the start of the payload on.
	Bytes int64 `json:"bytes"`
	// After is when, since some start of the payload.
	After time.Duration `json:"ns"`
}

// ReadArrivals reads arrivals as `kvsframes record --times` writes them: one JSON object a line, in order.
func ReadArrivals(r io.Reader) ([]Arrival, error) {
	var all []Arrival
	last := Arrival{}
	for lines := json.NewDecoder(r); ; {
		var a Arrival
		err := lines.Decode(&a)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err == nil && (a.Bytes <= last.Bytes || a.After < last.After):
			err = fmt.Errorf("%d bytes after %v follow %d bytes after %v", a.Bytes, a.After, last.Bytes, last.After)
		}
		if err != nil {
			return nil, fmt.Errorf("read arrival %d: %w", len(all), err)
		}
		all = append(all, a)
		last = a
	}
}

// AddTimedFile adds a stream that serves the saved GetMedia payload at path, like AddFile, once, with the rhythm in which it arrived when it
// was recorded, from now on: the bytes of each arrival are sent at its time. Options.Pace and Options.Jitter do not apply. The
// arrivals must be those of ReadArrivals, and the last one that of the last byte.
func (s *Server) AddTimedFile(name, path string, arrivals []Arrival) error {
	if len(arrivals) == 0 {
		return adding(name, errors.New("there are no times"))
	}
	return adding(name, s.addFile(name, path, arrivals))
}

// replay sets when each chunk begins, when each of its pieces is sent, and when it is whole. The chunks are all of a payload.
func replay(chunks []*chunk, arrivals []Arrival, start time.Time) error {
	offset := int64(0)
	for i, c := range chunks {
		end := offset + c.data.len()
		for first := true; ; first = false {
			if len(arrivals) == 0 {
				return fmt.Errorf("the times end before the recording does, in chunk %d at byte %d", i, offset)
			}
			at := start.Add(arrivals[0].After)
			if first {
				c.at = at
			}
			if arrivals[0].Bytes >= end {
				c.whole = at
				break
			}
			c.pieces = append(c.pieces, piece{arrivals[0].Bytes - offset, at.Sub(c.at)})
			arrivals = arrivals[1:]
		}
		if arrivals[0].Bytes == end {
			arrivals = arrivals[1:]
		}
		offset = end
	}
	if len(arrivals) > 0 {
		return fmt.Errorf("the times continue after the recording, which has %d bytes", offset)
	}
	return nil
}
