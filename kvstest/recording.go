package kvstest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/internal/ebml"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// AddFile adds a stream that serves the file at path, like AddRecording, but without keeping it in memory. A
// GetMedia payload is read from the file when it is sent; sessions break if the file has changed by then. The
// chunks made from any other recording are kept in a temporary file.
func (s *Server) AddFile(name, path string) error {
	return adding(name, s.addFile(name, path, nil))
}

// addFile adds a stream with the pace of the server, or of arrivals if they are not nil.
func (s *Server) addFile(name, path string, arrivals []Arrival) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return errors.Join(err, f.Close())
	case !info.Mode().IsRegular() && arrivals == nil: // it can be read only once
		return errors.Join(s.addStream(name, f), f.Close())
	}
	file := &storedFile{File: f, size: info.Size(), modified: info.ModTime()}
	rest := &onDisk{}
	switch err := s.addRecording(name, &recording{in: f, size: file.size, file: file, rest: rest, arrivals: arrivals}); {
	case err != nil:
		return errors.Join(err, f.Close(), rest.close())
	case rest.file != nil: // every chunk is in the file
		return f.Close()
	}
	return nil
}

// AddRecording adds a stream that serves the recording in r. A saved GetMedia payload is served byte for byte.
// If its last chunk is cut short, the connection is closed after it. A plain MKV file becomes a stream with one
// chunk for each fragment of payload.Splitter, and so does the readable part of a recording that is damaged, or
// merged under one header. The whole recording is kept in memory. It is an error if the name is taken.
func (s *Server) AddRecording(name string, r io.Reader) error {
	return adding(name, s.addStream(name, r))
}

// adding adds the name of the stream to an error.
func adding(name string, err error) error {
	if err != nil {
		return fmt.Errorf("add stream %s: %w", name, err)
	}
	return nil
}

func (s *Server) addStream(name string, r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, s.opts.MaxRecording+1))
	if err != nil {
		return fmt.Errorf("read recording: %w", err)
	}
	if int64(len(data)) > s.opts.MaxRecording {
		return fmt.Errorf("recording is too big, maximum is %d bytes", s.opts.MaxRecording)
	}
	return s.addRecording(name, &recording{in: bytes.NewReader(data), size: int64(len(data)), data: data, rest: inMemory{}})
}

// recording is the recording from which a stream is made.
type recording struct {
	in   io.ReaderAt
	size int64 // in bytes
	// data is the recording if it is in memory, file if it is not.
	data []byte
	file *storedFile
	// rest stores the chunks that differ from the bytes of the recording.
	rest scratch
	// paced reports whether the chunks are sent in pieces, by the times of their blocks.
	paced bool
	// arrivals, if not nil, are the times at which they are sent instead.
	arrivals []Arrival
}

// pieces returns the pieces of a chunk by the times of its blocks, none if it is not sent by these.
func (r *recording) pieces(d *document) []piece {
	if !r.paced {
		return nil
	}
	return d.pieces()
}

// part returns the bytes from begin up to end.
func (r *recording) part(begin, end int64) content {
	if r.file == nil {
		return content{bytes: r.data[begin:end:end]}
	}
	return content{file: r.file, offset: begin, size: end - begin}
}

func (s *Server) addRecording(name string, r *recording) error {
	if !streamNameForm.valid(name) {
		return fmt.Errorf("the name must be %s", streamNameForm.text)
	}
	r.paced = s.opts.Pace == PaceRealtime && r.arrivals == nil
	chunks, recorded, err := readChunks(r)
	if r.size == 0 {
		return err
	}
	merged := slices.ContainsFunc(chunks, func(c *chunk) bool { return c.merged })
	if r.arrivals != nil && (err != nil || merged || !recorded) {
		return errors.Join(errors.New("only a whole GetMedia payload has times"), err)
	}
	if err != nil || merged { // damaged, or under one header
		split, splitErr := splitChunks(r)
		if splitErr != nil {
			return errors.Join(err, splitErr)
		}
		if recorded = len(split) > 0; recorded {
			chunks = split
		}
	}
	if !recorded {
		if chunks, err = plainChunks(r, s.opts.Epoch); err != nil {
			return err
		}
	}
	start, added := time.Now(), s.opts.Now()
	switch {
	case r.arrivals != nil:
		if err := replay(chunks, r.arrivals, start); err != nil {
			return err
		}
	case r.paced:
		schedule(chunks, start, s.opts.Jitter, rand.New(rand.NewPCG(0, hash64(name))))
	}
	for _, c := range chunks {
		c.born = added
		if !c.at.IsZero() {
			c.born = added.Add(c.at.Sub(start))
		}
	}
	st := newStream(name, s.opts.Region, chunks)
	st.paced = r.paced || r.arrivals != nil
	return s.register(st)
}

// readChunks cuts a GetMedia payload into its chunks. recorded is false when no chunk has a fragment number:
// then it is not such a payload.
func readChunks(r *recording) (chunks []*chunk, recorded bool, err error) {
	var documents documentReader
	for at := int64(0); at < r.size; {
		d, err := documents.at(r, at)
		if err != nil {
			return nil, false, fmt.Errorf("read chunk %d at byte %d: %w", len(chunks), at, err)
		}
		end := at + int64(d.size)
		c := &chunk{
			number: d.tag(tagFragmentNumber),
			token:  d.tag(tagToken),
			length: d.length(),
			data:   r.part(at, end),
			pieces: r.pieces(d),
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

// documentReader is the memory for reading a recording: as much as one document needs.
type documentReader struct{ buffer []byte }

// firstWindow is the number of bytes that are first read for a document.
const firstWindow = 1 << 20

// at reads the document that begins with byte at. Its bytes are valid until the next call. A document that is
// larger than any fragment is an error.
func (d *documentReader) at(r *recording, at int64) (*document, error) {
	left := r.size - at
	for n := min(left, firstWindow); ; n = min(left, 2*n) {
		b, err := d.read(r, at, int(n))
		if err != nil {
			return nil, err
		}
		doc, err := readDocument(b)
		if err != nil || n == left || !doc.cut && len(b)-doc.size >= ebml.MaxHeader {
			return doc, err
		}
		if n >= maxPlainFragment {
			return nil, fmt.Errorf("the document has more than %d bytes", n)
		}
	}
}

// read returns n bytes of a recording.
func (d *documentReader) read(r *recording, at int64, n int) ([]byte, error) {
	if r.file == nil {
		return r.data[at : at+int64(n)], nil
	}
	if cap(d.buffer) < n {
		d.buffer = make([]byte, n)
	}
	b := d.buffer[:n]
	_, err := io.ReadFull(io.NewSectionReader(r.in, at, int64(n)), b)
	return b, err
}

// split returns a splitter of the recording.
func (r *recording) split() *payload.Splitter {
	return payload.NewSplitter(io.NewSectionReader(r.in, 0, r.size), payload.Config{MaxFragmentSize: maxPlainFragment, Size: r.size})
}

// splitChunks makes a chunk of each readable fragment of a recording that is damaged or merged. It returns none
// when no fragment has a number of KVS.
func splitChunks(r *recording) ([]*chunk, error) {
	split := r.split()
	var chunks []*chunk
	for {
		f, err := split.Next()
		_, gap := errors.AsType[*media.GapError](err)
		_, tag := errors.AsType[*payload.ErrorTag](err)
		switch {
		case errors.Is(err, io.EOF):
			return chunks, nil
		case gap, tag:
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
		data, err := r.rest.add(f.MKV)
		if err != nil {
			return nil, fmt.Errorf("keep fragment %s: %w", f.Number, err)
		}
		chunks = append(chunks, &chunk{
			number: f.Number, token: cmp.Or(f.ContinuationToken, f.Number), closing: f.ContinuationToken == "",
			producer: f.ProducerTime, server: f.ServerTime, length: d.length(), data: data, pieces: r.pieces(d), tail: d.tail,
		})
	}
}
