package media

import (
	"encoding/json"
	"time"
)

// Measured is what was measured of a frame for a sink that chooses frames by their pixels. What the sink does not need is zero. All
// measures are of one small picture (see package measure).
type Measured struct {
	// Black is the part of the pixels that are dark, in percent.
	Black float64
	// Blur is the mean width of edges, in pixels.
	Blur float64
	// Quality is the score by which the best frame is found.
	Quality float64
	// Hash is the hash of the picture.
	Hash uint64
	// Change is the difference to the frame before in the same fragment, 0 to 100; less than 0 if there is none.
	Change float64
	// Luma is the picture itself, in the first frame of a fragment and the last; nil in others.
	Luma *Luma
}

// Luma is a small picture without colours: full range, a byte a pixel, row after row.
type Luma struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Pix    []byte `json:"pix"`
}

// Chooser chooses the images of a stream that a sink gets, by what was measured of their frames. It is used by one goroutine
// at a time.
type Chooser interface {
	// Choose takes the next image in the order of the stream. An image without data cannot be chosen.
	Choose(img Image) Choice
	// End decides about the image that is held when the stream has ended.
	End() Choice
	// State returns what a later run needs to continue after the last image. It does not change when more images follow.
	State() json.Marshaler
}

// Choice is what a Chooser decides when it gets an image.
type Choice struct {
	// Decided reports whether the image that was held is decided. Earlier is that image if it is chosen.
	Decided bool
	Earlier *Image
	// Chosen is the new image if it is chosen, with its scores.
	Chosen *Image
	// Holds reports whether the new image is held: a later one decides about it.
	Holds bool
	// Filtered names the filter of each image that is left out because of one: the new image, the one that was held, or both.
	Filtered []string
}

// Cell returns the number of the cell that a time lies in, of a grid with points this far apart from the Unix epoch on.
func Cell(at time.Time, every time.Duration) int64 {
	d := at.Sub(time.Unix(0, 0)) // of times that are centuries away, the nearest that there is
	n := int64(d / every)
	if d%every < 0 {
		n--
	}
	return n
}
