//go:build cgo

package decode

/*
#include "codec.h"
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"

	"github.com/asticode/go-astiav"

	"github.com/kvsframes/kvsframes/media"
)

// keptDecoders is how many decoders a worker keeps for streams that it may see
// again. A decoder holds the pictures of one stream's reference buffer.
const keptDecoders = 4

// maxDelay is the most pictures that a decoder holds back to put them in order (the size
// of the decoded picture buffer in H.264, A.3.1, and H.265, A.4.2).
const maxDelay = 16

// decoderKey is everything that a decoder depends on: equal codec data gives an
// equal decoder.
type decoderKey struct {
	codecID, codecPrivate, inBand string
	width, height                 int
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
func openDecoder(s *astiav.Stream, form packetForm, maxPixels int64) (codec, error) {
	c := astiav.FindDecoder(s.CodecParameters().CodecID())
	if c == nil {
		return codec{}, errUnsupported
	}
	set := func(ctx *astiav.CodecContext) error {
		if err := s.CodecParameters().ToCodecContext(ctx); err != nil {
			return err
		}
		if string(ctx.ExtraData()) == form.codecData {
			return nil
		}
		C.kvsf_drop_extradata(ctx.UnsafePointer()) // SetExtraData leaves it as it is when there is none to set
		return ctx.SetExtraData([]byte(form.codecData))
	}
	return openCodec(c, set, map[string]string{
		"threads":    "1",
		"max_pixels": strconv.FormatInt(maxPixels, 10),
		// A stream that does not tell its reorder depth is taken at the depth of
		// its level. By default libav guesses one and drops the frames that
		// prove the guess wrong.
		"strict": "strict",
		// Pictures that miss a reference come out, marked, instead of not at all; the
		// crop may begin at any pixel.
		"flags": "+output_corrupt+unaligned",
	})
}

// By itself libav writes to standard error; what it would say reaches the user as errors, gaps
// and marks.
func init() { C.kvsf_listen() }

// sendPacket decodes a packet and says whether libav found anything wrong with it. A single-threaded
// decoder works on the thread that calls it.
func (c codec) sendPacket(p packet) (complains bool, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.kvsf_complaints() // of whoever used the thread before
	err = c.SendPacket(p.Packet)
	return C.kvsf_complaints() > 0, err
}

// leaveOut makes the decoder leave out the loop filter, and concealing what is missing, or not.
func (c codec) leaveOut(loopFilter, concealment bool) {
	C.kvsf_leave_out(c.UnsafePointer(), cint(loopFilter), cint(concealment))
}

// flush makes a drained decoder ready for the next fragment.
func (c codec) flush() { C.kvsf_flush(c.UnsafePointer()) }

// askDelayed asks a decoder for a picture that it holds back.
func (c codec) askDelayed() error {
	if n := C.kvsf_ask_delayed(c.UnsafePointer()); n < 0 {
		return fmt.Errorf("drain decoder: %w", astiav.Error(n))
	}
	return nil
}

// useStartCodes turns the packet's length prefixes of four bytes into start codes.
func (p packet) useStartCodes() error {
	data := p.Data()
	for at := 0; at+4 <= len(data); {
		n := int(binary.BigEndian.Uint32(data[at:]))
		copy(data[at:], "\x00\x00\x00\x01")
		at += 4 + n
	}
	return p.replace(data)
}

// replace puts other data in the place of the packet's.
func (p packet) replace(data []byte) error {
	size := len(data)
	p.Unref()
	if err := p.FromData(append(data, make([]byte, inputPadding)...)); err != nil {
		return fmt.Errorf("rewrite packet: %w", err)
	}
	p.SetSize(size)
	return nil
}

// errMisread says that packets and blocks do not go together any more, so that nothing that
// comes out would be what it is taken for.
var errMisread = errors.New("libav does not find the block, since the fragment is damaged before it")

// inputPadding is the number of bytes that libav may read past the end of a packet
// (AV_INPUT_BUFFER_PADDING_SIZE).
const inputPadding = 64

// damage says what libav had to guess: lost data of the picture itself, and pictures
// that it refers to.
func (f frame) damage() (own, referred bool) {
	n := C.kvsf_damage(f.UnsafePointer())
	return n&1 != 0, n&2 != 0
}

// continuous is a decoder that goes on from fragment to fragment. Its timestamps count
// on, so that what an earlier fragment left behind is not taken for a frame of the next.
type continuous struct {
	codec
	base int64
	// tainted says that a picture which the next fragment may refer to is not whole.
	tainted bool
}

// feeder takes the packets of one fragment through a decoder.
type feeder struct {
	worker *worker
	codec  codec
	demux  *demuxer
	plan   *plan
	// base is the timestamp of the fragment's first packet.
	base int64
	// got is called for each frame that comes out, with the packet it came from. The frame is
	// valid during the call. failed is called with a packet that libav refuses. Decoding
	// goes on unless they return an error.
	got    func(k int, f frame) error
	failed func(k int, err error) error
	// suspect, if it is there, is called with a packet that libav finds something wrong with,
	// before what comes out is taken.
	suspect func(k int)
	// sent, if it is there, is called with a packet that was sent, when what came out was taken.
	sent func(k int) error
}

// feed hands the planned packets from one on to the decoder.
func (d *feeder) feed(from int) error {
	w := d.worker
	defer w.packet.Unref()
	for k, last := 0, d.plan.lastFed(); k <= last; k++ {
		if err := d.demux.next(w.packet); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the fragment ends before its last frame")
			}
			return d.failed(k, err)
		}
		if w.packet.Size() != d.plan.blocks[k].Size && !d.plan.track.Encoded {
			return d.failed(k, errMisread)
		}
		if k < from || !d.plan.frames[k].feed {
			continue
		}
		if err := d.send(k); err != nil {
			return err
		}
	}
	return nil
}

// send decodes one packet. The timestamp tells which packet a frame came from: libav
// carries it through and does not use it.
func (d *feeder) send(k int) error {
	p := d.worker.packet
	complains := false
	bare := d.plan.frames[k].bare
	var err error
	if bare != nil {
		err = p.replace(bare)
	}
	if err == nil && d.plan.form.startCodes {
		err = p.useStartCodes()
	}
	p.SetPts(d.base + int64(k))
	p.SetDts(astiav.NoPtsValue)
	if err == nil {
		d.codec.leaveOut(d.plan.frames[k].fast, bare != nil)
		complains, err = d.codec.sendPacket(p)
	}
	if complains && bare == nil && d.suspect != nil {
		d.suspect(k)
	}
	if err != nil {
		if err := d.failed(k, err); err != nil {
			return err
		}
	}
	if _, err = d.receive(k); err == nil && d.sent != nil {
		err = d.sent(k)
	}
	return err
}

// receive takes all the frames that the decoder has ready, and returns their number. k is
// the packet that was sent last.
func (d *feeder) receive(k int) (n int, err error) {
	picture := d.worker.picture
	for {
		err := d.codec.ReceiveFrame(picture.Frame)
		if errors.Is(err, astiav.ErrEagain) || errors.Is(err, astiav.ErrEof) {
			return n, nil
		}
		if err != nil {
			// The decoder has dropped what it could not decode and can go on.
			if err := d.failed(k, err); err != nil {
				return n, err
			}
			continue
		}
		n++
		if from := picture.Pts() - d.base; from >= 0 && from < int64(len(d.plan.frames)) {
			err = d.got(int(from), picture)
		}
		picture.Unref()
		if err != nil {
			return n, err
		}
	}
}

// drain takes the frames that the decoder holds back, after which it is at its end.
func (d *feeder) drain() error {
	if err := d.codec.SendPacket(nil); err != nil {
		return d.failed(len(d.plan.frames)-1, fmt.Errorf("drain decoder: %w", err))
	}
	_, err := d.receive(len(d.plan.frames) - 1)
	return err
}

// drainSoftly takes the frames that an H.264 decoder holds back, and leaves it able to go on.
func (d *feeder) drainSoftly() error {
	last := len(d.plan.frames) - 1
	for range maxDelay + 1 {
		if err := d.codec.askDelayed(); err != nil {
			return d.failed(last, err)
		}
		if n, err := d.receive(last); n == 0 || err != nil {
			return err
		}
	}
	return nil
}
