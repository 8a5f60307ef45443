package kvstest

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// serverDelay is the distance of the server's clock from the producer's in chunks made of plain MKV, so that a
// confusion of the two is noticed.
const serverDelay = 250 * time.Millisecond

// maxPlainFragment is the largest fragment that is read from a plain MKV file, in bytes.
const maxPlainFragment = 64 << 20

// plainChunks turns a plain MKV file into chunks as in KVS.
func plainChunks(r *recording, epoch time.Time) ([]*chunk, error) {
	split := r.split()
	var chunks []*chunk
	for {
		f, err := split.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if _, gap := errors.AsType[*media.GapError](err); gap {
			continue // the rest of the file is usable
		}
		if err != nil {
			return nil, fmt.Errorf("read fragment %d: %w", len(chunks), err)
		}
		c, data, err := plainChunk(f.MKV, len(chunks), epoch)
		if err != nil {
			return nil, fmt.Errorf("turn fragment %d into a chunk: %w", len(chunks), err)
		}
		d, err := readDocument(data)
		if err != nil {
			return nil, fmt.Errorf("read chunk %d: %w", len(chunks), err)
		}
		c.pieces = r.pieces(d)
		if c.data, err = r.rest.add(data); err != nil {
			return nil, fmt.Errorf("keep fragment %d: %w", len(chunks), err)
		}
		chunks = append(chunks, c)
	}
	if len(chunks) == 0 {
		return nil, errors.New("the file holds no fragment")
	}
	return chunks, nil
}

// plainChunk turns one fragment of a plain MKV file into a chunk and returns the chunk with its bytes. The
// fragment's clusters become one cluster, and payloads do not change. The closing tags are added when the chunk
// is sent.
func plainChunk(mkv []byte, ordinal int, epoch time.Time) (*chunk, []byte, error) {
	d, err := readDocument(mkv)
	if err != nil {
		return nil, nil, err
	}
	base := d.timecode.Truncate(time.Millisecond)
	for i, b := range d.blocks {
		t := (d.timecode + b.Time).Round(time.Millisecond) - base
		if t > math.MaxInt16*time.Millisecond || t < math.MinInt16*time.Millisecond {
			return nil, nil, fmt.Errorf("block %d lies %v from the start of the fragment, maximum is 32.767s: the file has too few key frames", i, t)
		}
		d.blocks[i].Time = t
	}
	number := fragmentNumber(ordinal)
	producer := epoch.Add(base)
	server := producer.Add(serverDelay)
	c := &chunk{
		number:   number,
		token:    number,
		producer: producer,
		server:   server,
		length:   d.length(),
		closing:  true,
	}
	return c, AppendChunk(nil, Chunk{
		FragmentNumber: number,
		ProducerTime:   producer,
		ServerTime:     server,
		RawTracks:      d.rawTracks,
		Timecode:       base,
		Blocks:         d.blocks,
	}), nil
}

// fragmentNumber returns the number of the nth chunk made of a plain MKV file: 47 digits, as in KVS, and growing.
func fragmentNumber(ordinal int) string {
	return fmt.Sprintf("91343852333181432%030d", ordinal+1)
}
