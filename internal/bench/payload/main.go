// Payload turns a plain MKV into a GetMedia payload, one fragment for each group of
// pictures: `payload [-fragments N] CLIP`. The payload goes to standard output.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/source/payload"
)

// start is the capture time of the first frame. It is on a whole second, because that lets a sampler of whole
// seconds pick known frames.
var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func main() {
	limit := flag.Int("fragments", 0, "how many to write; 0 is all")
	flag.Parse()
	if err := run(flag.Args(), *limit, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "payload:", err)
		os.Exit(1)
	}
}

func run(args []string, limit int, w io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: payload [-fragments N] CLIP")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	chunks, err := groups(f)
	if err != nil {
		return fmt.Errorf("read %s: %w", args[0], err)
	}
	out := bufio.NewWriter(w)
	for i, c := range chunks {
		if limit > 0 && i == limit {
			break
		}
		c.FragmentNumber = fmt.Sprintf("%047d", i+1)
		c.ContinuationToken = c.FragmentNumber
		if _, err := out.Write(kvstest.AppendChunk(nil, c)); err != nil {
			return fmt.Errorf("write payload: %w", err)
		}
	}
	return out.Flush()
}

// groups returns a chunk for each group of pictures of a plain MKV with one track.
func groups(r io.Reader) (chunks []kvstest.Chunk, err error) {
	split := payload.NewSplitter(r, payload.Config{Stream: "clip"})
	var first time.Duration // of the group, on the clip's clock
	for {
		f, err := split.Next()
		if errors.Is(err, io.EOF) {
			return chunks, nil
		}
		if err != nil {
			return nil, err
		}
		for _, b := range f.Blocks {
			at := f.Timecode + b.Time
			if b.Key {
				first = at
				taken := start.Add(at)
				chunks = append(chunks, kvstest.Chunk{
					ProducerTime: taken, ServerTime: taken.Add(350 * time.Millisecond), Tracks: f.Tracks, Timecode: at,
				})
			}
			if len(chunks) == 0 {
				return nil, errors.New("the clip does not start at a key frame")
			}
			c := &chunks[len(chunks)-1]
			c.Blocks = append(c.Blocks, kvstest.Block{
				Track: b.Track, Time: at - first, Key: b.Key, Data: f.MKV[b.Offset : b.Offset+b.Size],
			})
		}
	}
}
