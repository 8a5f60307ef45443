//go:build cgo

// Package decodetest decodes fragments with libav alone, for tests that compare its
// frames with those of package decode.
package decodetest

import (
	"bytes"
	"testing"

	"github.com/asticode/go-astiav"
)

// Frames decodes one fragment as any user of libav would: open, find the stream's
// parameters, decode every packet, drain. It shares nothing with package decode
// and returns the frames as planes without padding, in the order that libav gives.
func Frames(t testing.TB, mkv []byte) [][]byte {
	t.Helper()
	return Continuous(t, mkv)
}

// Continuous decodes fragments of one stream with one decoder that continues from each to
// the next and is drained after the last one.
func Continuous(t testing.TB, mkvs ...[]byte) [][]byte {
	t.Helper()
	frm := astiav.AllocFrame()
	defer frm.Free()
	var cc *astiav.CodecContext
	var out [][]byte
	drain := func() {
		for cc.ReceiveFrame(frm) == nil {
			b, err := frm.Data().Bytes(1)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b)
			frm.Unref()
		}
	}
	for _, mkv := range mkvs {
		packets(t, mkv, func(c *astiav.Codec, parameters *astiav.CodecParameters, pkt *astiav.Packet) {
			if cc == nil {
				cc = astiav.AllocCodecContext(c)
				must(t, parameters.ToCodecContext(cc))
				must(t, cc.Open(c, nil))
			}
			_ = cc.SendPacket(pkt) // libav skips damaged packets
			drain()
		})
	}
	if cc == nil {
		return nil
	}
	defer cc.Free()
	_ = cc.SendPacket(nil)
	drain()
	return out
}

func must(t testing.TB, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

// packets calls f for every packet of the video track.
func packets(t testing.TB, mkv []byte, f func(*astiav.Codec, *astiav.CodecParameters, *astiav.Packet)) {
	t.Helper()
	r := bytes.NewReader(mkv)
	pb, err := astiav.AllocIOContext(4096, false, func(b []byte) (int, error) { return r.Read(b) }, nil, nil)
	must(t, err)
	defer pb.Free()
	fc := astiav.AllocFormatContext()
	defer fc.Free()
	fc.SetPb(pb)
	must(t, fc.OpenInput("", nil, nil))
	defer fc.CloseInput()
	must(t, fc.FindStreamInfo(nil))
	st, c, err := fc.FindBestStream(astiav.MediaTypeVideo, -1, -1)
	must(t, err)
	pkt := astiav.AllocPacket()
	defer pkt.Free()
	for fc.ReadFrame(pkt) == nil {
		if pkt.StreamIndex() == st.Index() {
			f(c, st.CodecParameters(), pkt)
		}
		pkt.Unref()
	}
}
