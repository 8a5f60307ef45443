//go:build cgo

package decode

import (
	"errors"
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

// openDecoder opens a single-threaded decoder: decoding several fragments in parallel
// is faster than decoding one with several threads. s is the track as libavformat
// read it, or nil.
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
		C.kvsf_drop_extradata(ctx.UnsafePointer()) // SetExtraData does nothing without codec data
		return ctx.SetExtraData([]byte(form.CodecData))
	}
	opened, err := openCodec(c, set, map[string]string{
		"threads":    "1",
		"max_pixels": strconv.FormatInt(maxPixels, 10),
		// Pictures that lack a reference are output, and marked, instead of dropped; the
		// crop may begin at any pixel.
		"flags": "+output_corrupt+unaligned",
	})
	if err == nil {
		C.kvsf_no_order(opened.UnsafePointer())
	}
	return opened, err
}

func init() { listen() }

// listen takes libav's log, which goes to standard error by default. Users see errors, gaps and marks instead.
func listen() { C.kvsf_listen() }

// asItIs is the form of packets that have the same form as the codec data. Others are converted to a byte stream: their
// form is the size of their length prefixes, 3 or 4 bytes, or 0 for start codes.
const asItIs = C.KVSF_AS_IT_IS

// verdict is what decoding a packet has shown: complains reports whether libav found errors, uncovered
// whether parts of the picture were not decoded, and are grey.
type verdict struct{ complains, uncovered bool }

// decode sends data to the decoder as one packet, with a form and a timestamp.
func (c codec) decode(data []byte, at int64, form int) (verdict, error) {
	var v C.kvsf_verdict
	n := C.kvsf_decode(c.UnsafePointer(), (*C.uint8_t)(unsafe.SliceData(data)), C.int(len(data)), C.int64_t(at), C.int(form), &v)
	var err error
	if n < 0 {
		err = astiav.Error(n)
	}
	return verdict{complains: v.complaints > 0, uncovered: v.uncovered > 0}, err
}

// watch makes the decoder check which blocks of its pictures are decoded.
func (c codec) watch(b plan.Blocks) error {
	if b.Side == 0 {
		return nil
	}
	if n := C.kvsf_watch(c.UnsafePointer(), C.int(b.Side), cint(b.Fields)); n < 0 {
		return astiav.Error(n)
	}
	return nil
}

// leaveOut sets whether the decoder leaves out the loop filter, and the concealment of missing data.
func (c codec) leaveOut(loopFilter, concealment bool) {
	C.kvsf_leave_out(c.UnsafePointer(), cint(loopFilter), cint(concealment))
}

// flush prepares a decoder for a fragment that needs no other.
func (c codec) flush() { C.kvsf_flush(c.UnsafePointer()) }

// askDelayed asks an H.264 decoder for a picture that it delays in order to reorder pictures.
func (c codec) askDelayed() error {
	return failure("ask decoder", C.kvsf_ask_delayed(c.UnsafePointer()))
}

// damage reports whether libav had to guess data of the picture itself, and of pictures that
// it refers to.
func (f frame) damage() (own, referred bool) {
	n := C.kvsf_damage(f.UnsafePointer())
	return n&1 != 0, n&2 != 0
}

// continuous is a decoder that continues from fragment to fragment. Its timestamps never
// repeat, so that a late frame of one fragment is not taken for one of the next.
type continuous struct {
	keptDecoder
	base int64
	// taint tells which pictures that the next fragment may refer to are damaged.
	taint taint
}

// Free frees the decoder and its room. It is called at the end of a chain.
func (c *continuous) Free() { c.free() }

// keptDecoder is a decoder and the room that it takes.
type keptDecoder struct {
	codec
	room *room
}

func (d keptDecoder) free() {
	d.codec.free()
	d.room.free()
}

// feeder decodes the packets of one fragment. Each packet is a frame, and the decoder does not reorder
// frames, so each frame comes out with its packet or never.
type feeder struct {
	worker *worker
	codec  codec
	plan   *plan.Plan
	// mkv is the fragment's media. byStream reports whether the decoder was opened for a byte stream.
	mkv      []byte
	byStream bool
	// base is the timestamp of the fragment's first packet.
	base int64
	// got is called for each decoded frame, with the index of its packet. The frame is valid
	// during the call. failed is called for a packet that libav refuses. Decoding continues
	// unless they return an error.
	got    func(k int, f frame) error
	failed func(k int, err error) error
	// suspect is called for a packet with errors, before its frame is received.
	suspect func(k int, v verdict)
	// sent, if not nil, is called for each packet after its frame was received.
	sent func(k int) error
	// spoiled reports whether pictures before packet k, which later ones may refer to, are damaged.
	spoiled func(k int) bool
}

// feed decodes the planned packets, beginning with packet from.
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

// send decodes one packet. The timestamp identifies the packet of a frame: libav passes it
// through and does not use it.
func (d *feeder) send(k int) error {
	f := &d.plan.Frames[k]
	if d.begins(k) && d.spoiled(k) {
		d.codec.flush()
	}
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

// begins reports whether the decoder begins anew with packet k if pictures before it are damaged. Pictures after an entry of H.264 name their references
// by place in a list, which is right with what the encoder had before the entry and with nothing before it, but not with what libav put in place
// of lost pictures.
func (d *feeder) begins(k int) bool {
	p := &d.plan.Pictures[k]
	return d.plan.Track.CodecID == h26x.AVC && (p.Entry == plan.EntryOpen || p.Intra && k == d.plan.Refresh.From)
}

// startCodes returns a packet with length prefixes of size bytes in a form that codec.decode can
// convert to a byte stream, and that form.
func startCodes(packet []byte, size int) (data []byte, form int) {
	if size == 0 || size >= len(h26x.StartCode) {
		return packet, size
	}
	var out []byte
	h26x.EachNAL(packet, size, func(nal []byte) { out = h26x.AppendNAL(out, 0, nal) })
	return out, 0
}

// receive receives the frame of packet k, which was sent last.
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

// take receives all frames that the decoder has ready, and returns their number.
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
