//go:build cgo

package decode

import (
	"errors"
	"fmt"
	"strconv"
	"unsafe"

	"github.com/asticode/go-astiav"
	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/plan"
)

/*
#include "codec.h"
#include "coverage.h"
*/
import "C"

// keptDecoders is how many decoders a worker keeps for streams that it may see
// again. A decoder holds the pictures of one stream's reference buffer.
const keptDecoders = 4

// decoderKey is everything that a decoder depends on: equal codec data gives an
// equal decoder. No stream gets the decoder of another.
type decoderKey struct {
	stream, codecID, codecPrivate, inBand string
	width, height                         int
	// track holds what frames inherit from the container.
	track facts
}

// openDecoder opens a single-threaded decoder: fragments are decoded side by
// side, each by one, which beats several threads on one fragment. s is what libavformat knows of the
// track, nil if nothing.
func openDecoder(codecID string, s *astiav.Stream, form plan.Form, maxPixels int64) (codec, error) {
	id := astiav.CodecIDH264
	if codecID == h26x.HEVC {
		id = astiav.CodecIDHevc
	}
	c := astiav.FindDecoder(id)
	if c == nil {
		return codec{}, errUnsupported
	}
	set := func(ctx *astiav.CodecContext) error {
		if s != nil && s.CodecParameters().CodecID() == id {
			if err := s.CodecParameters().ToCodecContext(ctx); err != nil {
				return err
			}
		}
		if string(ctx.ExtraData()) == form.CodecData {
			return nil
		}
		C.kvsf_drop_extradata(ctx.UnsafePointer()) // SetExtraData leaves it as it is when there is none to set
		return ctx.SetExtraData([]byte(form.CodecData))
	}
	opened, err := openCodec(c, set, map[string]string{
		"threads":    "1",
		"max_pixels": strconv.FormatInt(maxPixels, 10),
		// Pictures that miss a reference come out, marked, instead of not at all; the
		// crop may begin at any pixel.
		"flags": "+output_corrupt+unaligned",
	})
	if err == nil {
		C.kvsf_no_order(opened.UnsafePointer())
	}
	return opened, err
}

// By itself libav writes to standard error; what it would say reaches the user as errors, gaps
// and marks.
func init() { C.kvsf_listen() }

// asItIs is the form of packets that are of the same form as the codec data. All others are made a byte stream:
// their form is the size of their length prefixes, 3 or 4 bytes, or 0 for start codes.
const asItIs = C.KVSF_AS_IT_IS

// verdict is what a packet came to. complains: libav found something wrong; uncovered: nothing was
// decoded of parts of the picture, which are grey.
type verdict struct{ complains, uncovered bool }

// decode sends data as one packet of a form with a timestamp.
func (c codec) decode(data []byte, at int64, form int) (verdict, error) {
	var v C.kvsf_verdict
	n := C.kvsf_decode(c.UnsafePointer(), (*C.uint8_t)(unsafe.SliceData(data)), C.int(len(data)), C.int64_t(at), C.int(form), &v)
	var err error
	if n < 0 {
		err = astiav.Error(n)
	}
	return verdict{complains: v.complaints > 0, uncovered: v.uncovered > 0}, err
}

// watch makes the decoder find out which blocks of its pictures are decoded.
func (c codec) watch(b plan.Blocks) error {
	if b.Side == 0 {
		return nil
	}
	if n := C.kvsf_watch(c.UnsafePointer(), C.int(b.Side), cint(b.Fields)); n < 0 {
		return astiav.Error(n)
	}
	return nil
}

// leaveOut makes the decoder leave out the loop filter, and concealing what is missing, or not.
func (c codec) leaveOut(loopFilter, concealment bool) {
	C.kvsf_leave_out(c.UnsafePointer(), cint(loopFilter), cint(concealment))
}

// flush makes a decoder ready for a fragment that needs no other.
func (c codec) flush() { C.kvsf_flush(c.UnsafePointer()) }

// askDelayed asks an H.264 decoder for a picture that it holds back to put pictures in order.
func (c codec) askDelayed() error {
	if n := C.kvsf_ask_delayed(c.UnsafePointer()); n < 0 {
		return fmt.Errorf("ask decoder: %w", astiav.Error(n))
	}
	return nil
}

// damage reports what libav had to guess: lost data of the picture itself, and pictures
// that it refers to.
func (f frame) damage() (own, referred bool) {
	n := C.kvsf_damage(f.UnsafePointer())
	return n&1 != 0, n&2 != 0
}

// continuous is a decoder that continues from fragment to fragment. Its timestamps count
// on, so that what an earlier fragment left behind is not taken for a frame of the next.
type continuous struct {
	codec
	room *room
	base int64
	// tainted reports whether a picture which the next fragment may refer to is not whole.
	tainted bool
}

// Free frees the decoder and gives its room back. It is what the last of a chain does.
func (c *continuous) Free() {
	c.codec.free()
	c.room.free()
}

// keptDecoder is a decoder and the room that it takes.
type keptDecoder struct {
	codec
	room *room
}

func (d keptDecoder) free() {
	d.codec.free()
	d.room.free()
}

// feeder takes the packets of one fragment through a decoder. Each packet is a frame, and the decoder is
// kept from putting frames in order, so that each comes out with its packet or never.
type feeder struct {
	worker *worker
	codec  codec
	plan   *plan.Plan
	// mkv is the fragment's media, byStream that the decoder was opened for a byte stream.
	mkv      []byte
	byStream bool
	// base is the timestamp of the fragment's first packet.
	base int64
	// got is called for each frame that comes out, with the packet it came from. The frame is
	// valid during the call. failed is called with a packet that libav refuses. Decoding
	// continues unless they return an error.
	got    func(k int, f frame) error
	failed func(k int, err error) error
	// suspect is called with a packet that something is wrong with, before what comes out is taken.
	suspect func(k int, v verdict)
	// sent, if it is there, is called with a packet that was sent, when what came out was taken.
	sent func(k int) error
}

// feed hands the planned packets from one on to the decoder.
func (d *feeder) feed(from int) error {
	if err := d.codec.watch(d.plan.Form.Blocks); err != nil {
		return d.failed(from, err)
	}
	for k, last := from, d.plan.LastFed(); k <= last; k++ {
		if !d.plan.Frames[k].Feed {
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
	f := &d.plan.Frames[k]
	data, form := d.plan.Packet(d.mkv, k), asItIs
	if d.byStream {
		data, form = startCodes(data, d.plan.LengthSize)
	}
	d.codec.leaveOut(f.Fast, f.HeaderOnly != nil)
	v, err := d.codec.decode(data, d.base+int64(k), form)
	if v != (verdict{}) && f.HeaderOnly == nil {
		d.suspect(k, v)
	}
	if err != nil {
		if err := d.failed(k, err); err != nil {
			return err
		}
	}
	if err = d.receive(k); err == nil && d.sent != nil {
		err = d.sent(k)
	}
	return err
}

// startCodes returns a packet with length prefixes of size bytes in a form that codec.decode makes
// a byte stream of, and that form.
func startCodes(packet []byte, size int) (data []byte, form int) {
	if size == 0 || size >= len(h26x.StartCode) {
		return packet, size
	}
	var out []byte
	h26x.EachNAL(packet, size, func(nal []byte) { out = h26x.AppendNAL(out, 0, nal) })
	return out, 0
}

// receive takes the frame of packet k, which was sent last.
func (d *feeder) receive(k int) error {
	asked := d.plan.Track.CodecID != h26x.AVC
	for {
		switch n, err := d.take(k); {
		case err != nil:
			return err
		case n == 0 && asked:
			return nil
		case n == 0:
			asked = true
			if err := d.codec.askDelayed(); err != nil {
				return d.failed(k, err)
			}
		}
	}
}

// take takes all the frames that the decoder has ready, and returns their number.
func (d *feeder) take(k int) (n int, err error) {
	picture := d.worker.picture
	for {
		err := d.codec.ReceiveFrame(picture.Frame)
		if errors.Is(err, astiav.ErrEagain) || errors.Is(err, astiav.ErrEof) {
			return n, nil
		}
		if err != nil {
			// The decoder has dropped what it could not decode and can continue.
			if err := d.failed(k, err); err != nil {
				return n, err
			}
			continue
		}
		n++
		if from := picture.Pts() - d.base; from >= 0 && from < int64(len(d.plan.Frames)) {
			err = d.got(int(from), picture)
		}
		picture.Unref()
		if err != nil {
			return n, err
		}
	}
}
