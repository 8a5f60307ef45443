// Recording turns clips into a GetMedia payload as from a camera's stream: `recording START CLIP [START
// CLIP...]`, where START is the producer time of the clip's first frame (RFC 3339). The payload goes to
// standard output.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// firstFragment is a fragment number with the length of KVS numbers: 47 digits.
const firstFragment = "9134385233318143239268206260774392014626409"

// delay is the time between the capture of a fragment and its arrival at the server.
const delay = 350 * time.Millisecond

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
}

func run(args []string, w io.Writer) error {
	if len(args) == 0 || len(args)%2 != 0 {
		return errors.New("usage: recording START CLIP [START CLIP...]")
	}
	var chunks []kvstest.Chunk
	for i := 0; i < len(args); i += 2 {
		start, err := time.Parse(time.RFC3339, args[i])
		if err != nil {
			return fmt.Errorf("read start of %s: %w", args[i+1], err)
		}
		if chunks, err = appendClip(chunks, start, args[i+1]); err != nil {
			return fmt.Errorf("read clip %s: %w", args[i+1], err)
		}
	}
	out := bufio.NewWriter(w)
	newest := chunks[len(chunks)-1].ProducerTime
	for i, c := range chunks {
		c.FragmentNumber = fmt.Sprintf("%s%04d", firstFragment, 4487+i)
		c.ContinuationToken = c.FragmentNumber
		c.ServerTime = c.ProducerTime.Add(delay)
		c.MillisBehindNow = newest.Sub(c.ProducerTime).Milliseconds()
		if _, err := out.Write(kvstest.AppendChunk(nil, c)); err != nil {
			return fmt.Errorf("write payload: %w", err)
		}
	}
	return out.Flush()
}

// appendClip appends one chunk for each fragment of a plain MKV.
func appendClip(chunks []kvstest.Chunk, start time.Time, path string) ([]kvstest.Chunk, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := payload.NewSplitter(f, payload.Config{Stream: "demo"})
	for {
		frag, err := s.Next()
		if errors.Is(err, io.EOF) {
			return chunks, nil
		}
		if err != nil {
			return nil, err
		}
		c := kvstest.Chunk{
			ProducerTime: start.Add(frag.Timecode),
			Timecode:     frag.Timecode,
			Tracks:       frag.Tracks,
			TrailingTags: []media.Tag{{Name: "camera", Value: path}},
		}
		for _, b := range frag.Blocks {
			c.Blocks = append(c.Blocks, kvstest.Block{Track: b.Track, Time: b.Time, Key: b.Key, Data: frag.MKV[b.Offset : b.Offset+b.Size]})
		}
		chunks = append(chunks, c)
	}
}
