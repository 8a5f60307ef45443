//go:build cgo

package decode

import (
	"reflect"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

func TestRejectedFramesAreReadAsTheyWereWritten(t *testing.T) {
	want := []rejected{
		{0, 1, false, &media.Measured{Black: 99.5, Change: -1, Luma: &media.Luma{Width: 2, Height: 1, Pix: []byte{3, 4}}}},
		{7, 0, true, &media.Measured{Blur: 4, Quality: 5, Hash: 6}},
	}
	var all []byte
	for _, r := range want {
		all = appendRejected(all, r)
	}
	for rest := all; len(rest) > 0; want = want[1:] {
		got, after, err := readRejected(rest)
		if err != nil || !reflect.DeepEqual(got, want[0]) {
			t.Fatalf("%+v, %v", got, err)
		}
		rest = after
	}
	if len(want) > 0 {
		t.Errorf("%d frames are missing", len(want))
	}
	for n := range rejectedSize + measuredSize + 2 { // the first frame
		if _, _, err := readRejected(all[:n]); err == nil {
			t.Errorf("%d bytes are a frame", n)
		}
	}
}
