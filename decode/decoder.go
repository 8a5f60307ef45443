//go:build cgo

package decode

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/asticode/go-astiav"

	"github.com/kvsframes/kvsframes/media"
)

// keptDecoders is how many decoders a worker keeps for streams that it may see
// again. A decoder holds the pictures of one stream's reference buffer.
const keptDecoders = 4

// decoderKey is everything that a decoder depends on: equal codec data gives an
// equal decoder.
type decoderKey struct {
	codecID, codecPrivate string
	width, height         int
	// track holds what frames inherit from the container.
	track facts
}

// errUnsupported says that a codec is none of those that are decoded.
var errUnsupported = errors.New("codec is not supported")

// supported returns nil for the codecs that this build decodes.
func supported(t media.Track) error {
	switch t.CodecID {
	case codecAVC, codecHEVC:
		return nil
	}
	return fmt.Errorf("%s: %w (H.264 and H.265 are)", strconv.Quote(t.CodecID), errUnsupported)
}

// openDecoder opens a single-threaded decoder: fragments are decoded side by
// side, each by one, which beats several threads on one fragment.
func openDecoder(s *astiav.Stream, maxPixels int64) (codec, error) {
	c := astiav.FindDecoder(s.CodecParameters().CodecID())
	if c == nil {
		return codec{}, errUnsupported
	}
	set := func(ctx *astiav.CodecContext) error {
		// Crops begin where the stream says. By default libav moves them to where pointers are aligned.
		ctx.SetFlags(astiav.NewCodecContextFlags(astiav.CodecContextFlagUnaligned))
		return s.CodecParameters().ToCodecContext(ctx)
	}
	return openCodec(c, set, map[string]string{
		"threads":    "1",
		"max_pixels": strconv.FormatInt(maxPixels, 10),
		// A stream that does not tell its reorder depth is taken at the depth of
		// its level. By default libav guesses one and drops the frames that
		// prove the guess wrong.
		"strict": "strict",
	})
}

// decodeAll feeds the planned packets of one fragment to c and calls got for
// every frame that comes out, with the packet it came from. The frame is valid during the call.
// What libav refuses is reported to failed, and decoding goes on. The decoder is drained and flushed at the
// end, whatever happened.
func (w *worker) decodeAll(c codec, d *demuxer, pl *plan, got func(k int, f frame) error, failed func(error)) error {
	defer c.flush()
	last := len(pl.frames) - 1
	for last >= 0 && !pl.frames[last].feed {
		last--
	}
	for k := 0; k <= last; k++ {
		if err := d.next(w.packet); err != nil {
			if !errors.Is(err, io.EOF) {
				failed(err)
			}
			break
		}
		if !pl.frames[k].feed {
			continue
		}
		// The timestamp tells which packet a frame came from: libav carries it
		// through and does not use it.
		w.packet.SetPts(int64(k))
		w.packet.SetDts(astiav.NoPtsValue)
		if err := c.SendPacket(w.packet.Packet); err != nil {
			failed(fmt.Errorf("decode frame %d: %w", pl.frames[k].info.Index, err))
		}
		if err := w.receive(c, pl, got, failed); err != nil {
			return err
		}
	}
	w.packet.Unref()
	if err := c.SendPacket(nil); err != nil {
		failed(fmt.Errorf("drain decoder: %w", err))
		return nil
	}
	return w.receive(c, pl, got, failed)
}

// receive takes all the frames that the decoder has ready.
func (w *worker) receive(c codec, pl *plan, got func(k int, f frame) error, failed func(error)) error {
	for {
		err := c.ReceiveFrame(w.picture.Frame)
		if errors.Is(err, astiav.ErrEagain) || errors.Is(err, astiav.ErrEof) {
			return nil
		}
		if err != nil {
			// The decoder has dropped what it could not decode and can go on.
			failed(fmt.Errorf("decode: %w", err))
			continue
		}
		k := int(w.picture.Pts())
		if k >= 0 && k < len(pl.frames) {
			err = got(k, w.picture)
		}
		w.picture.Unref()
		if err != nil {
			return err
		}
	}
}
