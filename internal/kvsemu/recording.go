package kvsemu

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// AddFile adds a stream that serves the file at path (see AddRecording).
func (s *Server) AddFile(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("add stream %s: %w", name, err)
	}
	defer f.Close() // only read
	return s.AddRecording(name, f)
}

// AddRecording adds a stream that serves what r holds. A saved GetMedia payload is
// served byte for byte as it is, cut at chunk boundaries alone; a last chunk that
// is cut short is served so, and the connection closed after it. A plain MKV file
// becomes a stream with one chunk for each fragment that source.Splitter makes of
// it. So does a recording that is damaged, or merged under one header, as far as it can be read.
// The whole recording is held in memory. A name that is taken is an error.
func (s *Server) AddRecording(name string, r io.Reader) error {
	if err := s.addRecording(name, r); err != nil {
		return fmt.Errorf("add stream %s: %w", name, err)
	}
	return nil
}

func (s *Server) addRecording(name string, r io.Reader) error {
	if !streamNameForm.valid(name) {
		return fmt.Errorf("the name must be %s", streamNameForm.text)
	}
	data, err := io.ReadAll(io.LimitReader(r, s.opts.MaxRecording+1))
	if err != nil {
		return fmt.Errorf("read recording: %w", err)
	}
	if int64(len(data)) > s.opts.MaxRecording {
		return fmt.Errorf("recording is too big, maximum is %d bytes", s.opts.MaxRecording)
	}
	chunks, recorded, err := readChunks(data)
	if len(data) == 0 {
		return err
	}
	if err != nil || merged(chunks) { // damaged, or under one header
		split, splitErr := splitChunks(data)
		if splitErr != nil {
			return errors.Join(err, splitErr)
		}
		if recorded = len(split) > 0; recorded {
			chunks = split
		}
	}
	if !recorded {
		if chunks, err = plainChunks(data, s.opts.Epoch); err != nil {
			return err
		}
	}
	start, added := time.Now(), s.opts.Now()
	if s.opts.Pace == PaceRealtime {
		schedule(chunks, start)
	}
	for _, c := range chunks {
		c.born = added
		if !c.at.IsZero() {
			c.born = added.Add(c.at.Sub(start))
		}
	}
	return s.register(newStream(name, s.opts.Region, chunks))
}

// readChunks cuts a GetMedia payload into its chunks. recorded is false when no
// chunk has a fragment number: then it is no such payload.
func readChunks(data []byte) (chunks []*chunk, recorded bool, err error) {
	for at := 0; at < len(data); {
		d, err := readDocument(data[at:])
		if err != nil {
			return nil, false, fmt.Errorf("read chunk %d at byte %d: %w", len(chunks), at, err)
		}
		end := at + d.size
		c := &chunk{
			number: d.tag(tagFragmentNumber),
			token:  d.tag(tagToken),
			length: d.length(),
			data:   data[at:end:end],
			tail:   d.tail,
			cut:    d.cut,
		}
		c.producer, _ = parseStamp(d.tag(tagProducerTime))
		c.server, _ = parseStamp(d.tag(tagServerTime))
		recorded = recorded || c.number != ""
		c.merged = d.numbers() > 1
		chunks = append(chunks, c)
		at = end
	}
	if len(chunks) == 0 {
		return nil, false, errors.New("the recording is empty")
	}
	return chunks, recorded, nil
}

// merged reports whether a chunk holds several fragments.
func merged(chunks []*chunk) bool {
	return slices.ContainsFunc(chunks, func(c *chunk) bool { return c.merged })
}

// splitChunks makes a chunk of each fragment that can be read of a recording that is damaged or merged,
// none when no fragment has a number of KVS.
func splitChunks(data []byte) ([]*chunk, error) {
	split := source.NewSplitter(bytes.NewReader(data), source.SplitConfig{MaxFragmentSize: maxPlainFragment})
	var chunks []*chunk
	for {
		f, err := split.Next()
		var gap *media.GapError
		var tag *source.ErrorTag
		switch {
		case errors.Is(err, io.EOF):
			return chunks, nil
		case errors.As(err, &gap), errors.As(err, &tag):
			continue
		case err != nil:
			return nil, fmt.Errorf("read fragment %d: %w", len(chunks), err)
		case f.ServerTime.IsZero():
			continue // of a plain file
		}
		d, err := readDocument(f.MKV)
		if err != nil {
			return nil, fmt.Errorf("read fragment %s: %w", f.Number, err)
		}
		chunks = append(chunks, &chunk{
			number: f.Number, token: cmp.Or(f.ContinuationToken, f.Number), closing: f.ContinuationToken == "",
			producer: f.ProducerTime, server: f.ServerTime, length: d.length(), data: f.MKV, tail: d.tail,
		})
	}
}

// maxPause is the longest pause between two chunks that PaceRealtime keeps: the
// longest fragment that KVS takes (Developer Guide, Quotas). A longer one, and a
// clock that goes back, is a producer that began anew; it is not waited for.
const maxPause = 20 * time.Second

// schedule sets when each chunk comes into being: the first at start, each other
// as much later as its producer time is.
func schedule(chunks []*chunk, start time.Time) {
	at := start
	for i, c := range chunks {
		c.at = at
		if i+1 == len(chunks) {
			break
		}
		step := chunks[i+1].producer.Sub(c.producer)
		if c.producer.IsZero() || chunks[i+1].producer.IsZero() || step <= 0 || step > c.length+maxPause {
			step = c.length
		}
		at = at.Add(step)
	}
}
