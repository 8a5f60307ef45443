package batch

import (
	"fmt"
	"math"
	"math/big"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
)

// video is the layout of a yuv4mpeg file (the man page yuv4mpeg(5) of mjpegtools).
type video struct{}

func (video) Ext() string                         { return "y4m" }
func (video) ContentType() string                 { return "video/x-yuv4mpeg" }
func (video) Beside() []string                    { return nil }
func (video) Inside(img media.Image) media.Image  { return img }
func (video) NewPack(first media.Image) sink.Pack { return &frames{first: first} }

// NewEndless implements sink.EndlessLayout. The rate of the video is unknown.
func (video) NewEndless(first media.Image) sink.Pack { return endless{&frames{first: first}} }

// endless makes a stream of yuv4mpeg.
type endless struct{ frames *frames }

func (p endless) Joins(img media.Image) bool { return p.frames.Joins(img) }
func (p endless) Add(img media.Image, r sink.ManifestRecord) ([][]byte, error) {
	return p.frames.Add(img, r)
}
func (p endless) End() ([]byte, []sink.Companion, error) { return p.frames.End() }

// headSize is the size of every header, in bytes: as many as libav reads.
const headSize = 96

// frames makes one yuv4mpeg file.
type frames struct {
	first media.Image
	last  time.Time
	count int64
}

// Joins implements sink.Pack: one header describes all frames.
func (p *frames) Joins(img media.Image) bool {
	return p.first.Width == img.Width && p.first.Height == img.Height && p.first.FullRange == img.FullRange
}

// Add implements sink.Pack.
func (p *frames) Add(img media.Image, _ sink.ManifestRecord) ([][]byte, error) {
	const line = "FRAME\n"
	p.last = img.ProducerTime
	p.count++
	if p.count > 1 {
		return [][]byte{[]byte(line), img.Data}, nil
	}
	p.first.Data = nil
	return [][]byte{p.Head(), []byte(line), img.Data}, nil
}

// Head implements sink.HeadedPack. The rate is the mean one, so that the video takes as long as what it shows. Spaces fill the line.
func (p *frames) Head() []byte {
	color, values := "420mpeg2", "LIMITED"
	if p.first.Format == "gray" {
		color = "mono"
	}
	if p.first.FullRange {
		values = "FULL"
	}
	rate := "0:0" // unknown
	if num, den := (p.count-1)*1000, p.last.Sub(p.first.ProducerTime).Milliseconds(); num > 0 && den > 0 && max(num, den) <= math.MaxInt32 {
		reduced := big.NewRat(num, den)
		rate = fmt.Sprintf("%d:%d", reduced.Num(), reduced.Denom())
	}
	text := fmt.Sprintf("YUV4MPEG2 W%d H%d F%s Ip A1:1 C%s XCOLORRANGE=%s", p.first.Width, p.first.Height, rate, color, values)
	return fmt.Appendf(nil, "%-*s\n", headSize-1, text)
}

// End implements sink.Pack.
func (p *frames) End() ([]byte, []sink.Companion, error) { return nil, nil, nil }
