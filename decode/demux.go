//go:build cgo

package decode

import (
	"errors"
	"fmt"
	"io"

	"github.com/asticode/go-astiav"
)

// ioBufferSize is how much of a fragment libavformat asks for at a time, in bytes.
const ioBufferSize = 16 << 10

// demuxer reads the packets of one fragment's video track with libavformat.
type demuxer struct {
	format *astiav.FormatContext
	io     *astiav.IOContext
	video  *astiav.Stream
	pos    int
}

// newDemuxer opens a fragment in memory, which must stay as it is until free. It
// does not call avformat_find_stream_info: a Matroska header says what a decoder
// needs, and decoding to find it out again costs more than many a fragment.
func newDemuxer(mkv []byte) (*demuxer, error) {
	d := &demuxer{}
	read := func(b []byte) (int, error) {
		n := copy(b, mkv[d.pos:])
		d.pos += n
		if n == 0 {
			return 0, io.EOF
		}
		return n, nil
	}
	if err := d.open(read); err != nil {
		d.free()
		return nil, fmt.Errorf("open fragment: %w", err)
	}
	return d, nil
}

func (d *demuxer) open(read astiav.IOContextReadFunc) (err error) {
	matroska := astiav.FindInputFormat("matroska")
	if matroska == nil {
		return errors.New("libavformat was built without its Matroska demuxer")
	}
	if d.io, err = astiav.AllocIOContext(ioBufferSize, false, read, nil, nil); err != nil {
		return err
	}
	openObjects.Add(1)
	if d.format = astiav.AllocFormatContext(); d.format == nil {
		return errNoMemory
	}
	openObjects.Add(1)
	d.format.SetPb(d.io)
	// Packets are whole and their times are told by the plan: nothing has to be parsed out of them.
	d.format.SetFlags(d.format.Flags().Add(astiav.FormatContextFlagNoparse).Add(astiav.FormatContextFlagNofillin))
	if err := d.format.OpenInput("", matroska, nil); err != nil {
		// libavformat has freed the context itself.
		openObjects.Add(-1)
		d.format = nil
		return err
	}
	for _, s := range d.format.Streams() {
		if s.CodecParameters().MediaType() == astiav.MediaTypeVideo {
			d.video = s
			return nil
		}
	}
	return errors.New("no video track")
}

// next reads the next packet of the video track into p. It returns io.EOF at the
// fragment's end; a fragment that ends inside a block ends before that block.
func (d *demuxer) next(p packet) error {
	for {
		p.Unref()
		switch err := d.format.ReadFrame(p.Packet); {
		case errors.Is(err, astiav.ErrEof):
			return io.EOF
		case err != nil:
			return fmt.Errorf("demux fragment: %w", err)
		case p.StreamIndex() == d.video.Index() && p.Size() > 0:
			return nil
		}
	}
}

func (d *demuxer) free() {
	if d.format != nil {
		d.format.CloseInput()
		openObjects.Add(-1)
	}
	if d.io != nil {
		d.io.Free()
		openObjects.Add(-1)
	}
}
