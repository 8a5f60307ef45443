package sprite

import (
	"bytes"
	"fmt"
	"net/url"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// tile is a picture on a sheet, as the JSON has it: its place in pixels, and the frame that it shows.
type tile struct {
	X                 int    `json:"x"`
	Y                 int    `json:"y"`
	ProducerTimestamp string `json:"producer_timestamp"`
	ServerTimestamp   string `json:"server_timestamp"`
	FragmentNumber    string `json:"fragment_number"`
	FrameIndex        int    `json:"frame_index"`
	at                time.Time
}

// index returns the JSON of a sheet of a size in pixels.
func (p *pack) index(width, height int) ([]byte, error) {
	return sink.JSONLine(struct {
		Sheet      string `json:"sheet"`
		Width      int    `json:"width"`
		Height     int    `json:"height"`
		TileWidth  int    `json:"tile_width"`
		TileHeight int    `json:"tile_height"`
		Columns    int    `json:"columns"`
		Rows       int    `json:"rows"`
		Tiles      []tile `json:"tiles"`
	}{p.name, width, height, p.w, p.h, width / p.w, height / p.h, p.tiles})
}

// cues returns the WebVTT of a sheet: a cue for each tile, from its capture time to that of the next, counted from the first tile. The last cue is
// as long as the one before it, or takes a second. Each cue takes a millisecond at least, and begins after the one above it, whatever the clock did.
func (p *pack) cues() []byte {
	var b bytes.Buffer
	last := len(p.tiles) - 1
	fmt.Fprintf(&b, "WEBVTT\n\nNOTE 0 is %s\n", media.Timestamp(p.tiles[0].at))
	starts := make([]int64, last+2) // in ms
	for i, t := range p.tiles[1:] {
		starts[i+1] = max(t.at.Sub(p.tiles[0].at).Milliseconds(), starts[i]+1)
	}
	starts[last+1] = starts[last] + 1000
	if last > 0 {
		starts[last+1] = 2*starts[last] - starts[last-1]
	}
	for i, t := range p.tiles {
		picture := url.URL{Path: p.name, Fragment: fmt.Sprintf("xywh=%d,%d,%d,%d", t.X, t.Y, p.w, p.h)}
		fmt.Fprintf(&b, "\n%s --> %s\n%s\n", clock(starts[i]), clock(starts[i+1]), &picture)
	}
	return b.Bytes()
}

// clock returns a time in ms as WebVTT has it.
func clock(ms int64) string {
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
