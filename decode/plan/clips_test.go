package plan

import (
	"errors"
	"io"
	"os"
	"testing"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/source/payload"
)

// fragments returns the fragments of a clip of package decode.
func fragments(t testing.TB, clip string) (all []*media.Fragment) {
	t.Helper()
	f, err := os.Open("../testdata/" + clip)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := payload.NewSplitter(f, payload.Config{Stream: "cam"})
	for {
		frag, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, frag)
	}
}
