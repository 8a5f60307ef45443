//go:build cgo

package decode

import (
	"errors"
	"io"
	"slices"

	"github.com/asticode/go-astiav"
)

// ioBufferSize is how much of a fragment libavformat reads at a time, in bytes.
const ioBufferSize = 16 << 10

// header is a fragment's track as libavformat reads it: the colours, pixel shape and orientation that
// the container states. Blocks are taken from media.Fragment instead.
type header struct {
	format *astiav.FormatContext
	io     *astiav.IOContext
	// video is the track; nil if libavformat does not find it.
	video *astiav.Stream
}

// openHeader opens a fragment's media, which must not change until free, for the video track with an index. It does not call
// avformat_find_stream_info, which decodes to find out what a Matroska header states: that costs more than many fragments.
func openHeader(mkv []byte, video int) *header {
	h, pos := &header{}, 0
	read := func(b []byte) (int, error) {
		n := copy(b, mkv[pos:])
		pos += n
		if n == 0 {
			return 0, io.EOF
		}
		return n, nil
	}
	if h.open(read) != nil {
		return h
	}
	other := func(s *astiav.Stream) bool { return s.CodecParameters().MediaType() != astiav.MediaTypeVideo }
	if videos := slices.DeleteFunc(h.format.Streams(), other); video < len(videos) {
		h.video = videos[video]
	}
	return h
}

func (h *header) open(read astiav.IOContextReadFunc) (err error) {
	matroska := astiav.FindInputFormat("matroska")
	if matroska == nil {
		return errors.New("libavformat was built without its Matroska demuxer")
	}
	if h.io, err = astiav.AllocIOContext(ioBufferSize, false, read, nil, nil); err != nil {
		return err
	}
	openObjects.Add(1)
	if h.format = astiav.AllocFormatContext(); h.format == nil {
		return errNoMemory
	}
	openObjects.Add(1)
	h.format.SetPb(h.io)
	if err := h.format.OpenInput("", matroska, nil); err != nil {
		// libavformat has freed the context itself.
		openObjects.Add(-1)
		h.format = nil
		return err
	}
	return nil
}

// facts returns what the track states. The zero value states nothing.
func (h *header) facts() facts {
	if h.video == nil {
		return facts{}
	}
	return trackFacts(h.video)
}

func (h *header) free() {
	if h.format != nil {
		h.format.CloseInput()
		openObjects.Add(-1)
	}
	if h.io != nil {
		h.io.Free()
		openObjects.Add(-1)
	}
}
