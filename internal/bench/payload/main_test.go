package main

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/kvsframes/kvsframes/source/payload"
)

// The demo's recording has 7 fragments with a key frame each.
func TestEachGroupOfPicturesBecomesAFragment(t *testing.T) {
	const clip = "../../../testdata/demo.mkv"
	for limit, want := range map[int]int{0: 7, 3: 3} {
		var out bytes.Buffer
		if err := run([]string{clip}, limit, &out); err != nil {
			t.Fatal(err)
		}
		split := payload.NewSplitter(&out, payload.Config{Stream: "clip"})
		n, blocks := 0, 0
		for ; ; n++ {
			f, err := split.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !f.Blocks[0].Key || f.ProducerTime.Before(start) || n == 0 && !f.ProducerTime.Equal(start) {
				t.Errorf("fragment %d starts at %v, with a key frame: %t", n, f.ProducerTime, f.Blocks[0].Key)
			}
			blocks += len(f.Blocks)
		}
		if n != want || blocks != want*50 {
			t.Errorf("limit %d: %d fragments with %d blocks", limit, n, blocks)
		}
	}
}
