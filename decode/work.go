//go:build cgo

package decode

import (
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// work is one fragment to decode: all that a decoder must know of it.
type work struct {
	// stream tells apart whose decoders are kept.
	stream string
	// mkv is the fragment's media, video the index of its track among the video tracks.
	mkv     []byte
	video   int
	plan    *plan.Plan
	outputs []Output
}

func newWork(f *media.Fragment, pl *plan.Plan, outputs []Output) work {
	w := work{stream: f.Stream, mkv: f.MKV, plan: pl, outputs: outputs}
	for _, t := range f.Tracks {
		if t.Number == pl.Track.Number {
			return w
		}
		if t.Type == media.TrackVideo {
			w.video++
		}
	}
	w.video = 0
	return w
}

// results takes what comes of a fragment: its wanted frames in presentation order, each with the reason why images of it
// are missing, if any are, and then its images by output.
type results interface {
	// image takes an image of frame k. Only its size and its data are set, and whether it is concealed.
	image(k, output int, img media.Image) error
	// miss takes the reason why frame k has no image for some output.
	miss(k int, err error) error
	// lose takes the reason why all frames that are left have no image. Nothing follows.
	lose(err error) error
	// fatal returns the error that ends the run because frame k is damaged.
	fatal(k int, err error) error
}
