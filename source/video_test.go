package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/media"
)

// queue is a Source of fragments in memory.
type queue struct {
	Source
	fragments []*media.Fragment
}

func (r *queue) Next(context.Context) (*media.Fragment, error) {
	if len(r.fragments) == 0 {
		return nil, io.EOF
	}
	f := r.fragments[0]
	r.fragments = r.fragments[1:]
	return f, nil
}

func TestAStreamOfAnotherCodecIsOneGap(t *testing.T) {
	fragment := func(n int, codec string) *media.Fragment {
		return &media.Fragment{Stream: "cam", Number: fmt.Sprint(n), Tracks: []media.Track{{Number: 1, Type: media.TrackVideo, CodecID: codec}}}
	}
	read := func(codecs ...string) (wanted int, gaps []string) {
		r := &queue{}
		for i, codec := range codecs {
			r.fragments = append(r.fragments, fragment(i, codec))
		}
		s := WithVideo(r, 0)
		for {
			f, err := s.Next(t.Context())
			var gap *media.GapError
			switch {
			case err == io.EOF:
				return wanted, gaps
			case errors.As(err, &gap):
				gaps = append(gaps, gap.Gap.FragmentNumber+" "+string(gap.Gap.Reason))
			case err != nil:
				t.Fatal(err)
			case !f.Unwanted:
				wanted++
			}
		}
	}
	if wanted, gaps := read(slices.Repeat([]string{"V_MJPEG"}, 30)...); wanted != 0 || !slices.Equal(gaps, []string{"0 unsupported"}) {
		t.Errorf("thirty of another codec: %d wanted, gaps %q", wanted, gaps)
	}
	if wanted, gaps := read("V_MJPEG", "V_MJPEG"); wanted != 0 || !slices.Equal(gaps, []string{"0 unsupported"}) {
		t.Errorf("two of another codec: %d wanted, gaps %q", wanted, gaps)
	}
	const avc = "V_MPEG4/ISO/AVC"
	if wanted, gaps := read("V_MJPEG", avc, "V_VP9", avc); wanted != 3 || !slices.Equal(gaps, []string{"0 unsupported"}) {
		t.Errorf("some of another codec: %d wanted, gaps %q", wanted, gaps)
	}
}
