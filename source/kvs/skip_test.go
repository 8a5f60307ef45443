package kvs

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/kvstest"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source"
)

// timedPayload returns a payload of fragments of a second, the first from start on, which do not state how far behind they are.
func timedPayload(n int, start time.Time) []byte {
	var payload bytes.Buffer
	for i := range n {
		at := start.Add(time.Duration(i) * time.Second)
		payload.Write(kvstest.AppendChunk(nil, kvstest.Chunk{
			FragmentNumber: number(i), ProducerTime: at, ServerTime: at,
			Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: "V_TEST", Width: 16, Height: 16}},
			Blocks: []kvstest.Block{{Track: 1, Key: true, Data: []byte("key")}, {Track: 1, Time: 500 * time.Millisecond, Data: []byte("frame")}},
		}))
	}
	return payload.Bytes()
}

// TestASlowReaderSkipsToNow reads a camera, with a reader that takes three times as long, on a virtual clock. Each fragment is read or
// lies in a hole.
func TestASlowReaderSkipsToNow(t *testing.T) {
	const n, maxLag = 600, 20 * time.Second
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, kvstest.Options{Pace: kvstest.PaceRealtime}, timedPayload(n, time.Now()))
		s := b.open(t, Config{Start: earliest, MaxLag: maxLag, End: source.End{IdleTimeout: time.Minute}})
		next, holes, skipped := 0, 0, time.Now()
		for {
			f, err := s.Next(t.Context())
			var gap *media.GapError
			switch {
			case errors.Is(err, io.EOF):
				if next != n || holes < 5 {
					t.Errorf("read up to %d of %d, with %d holes", next, n, holes)
				}
				return
			case errors.As(err, &gap):
				after := time.Since(skipped)
				if gap.Gap.FragmentNumber != number(next-1) || gap.Gap.Reason != media.GapLeftOut || after < time.Minute {
					t.Errorf("after fragment %d and %v: %+v", next-1, after, gap.Gap)
				}
				for next < n && number(next) != gap.Gap.Until.Number {
					next++
				}
				skipped = time.Now()
				holes++
			case err != nil:
				t.Fatal(err)
			case f.Number != number(next):
				t.Fatalf("fragment %s, want %d", f.Number, next)
			default:
				if lag := s.Stats().Lag; lag > maxLag+2*time.Minute || skipped.Equal(time.Now()) && lag > 5*time.Second {
					t.Errorf("fragment %d is %v behind", next, lag)
				}
				next++
				time.Sleep(3 * time.Second)
			}
		}
	})
}
