//go:build cgo

// Package decodetest tells tests what libav makes of a fragment when nothing of
// kvsframes is in its way.
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
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	r := bytes.NewReader(mkv)
	pb, err := astiav.AllocIOContext(4096, false, func(b []byte) (int, error) { return r.Read(b) }, nil, nil)
	must(err)
	defer pb.Free()
	fc := astiav.AllocFormatContext()
	defer fc.Free()
	fc.SetPb(pb)
	must(fc.OpenInput("", nil, nil))
	defer fc.CloseInput()
	must(fc.FindStreamInfo(nil))
	st, c, err := fc.FindBestStream(astiav.MediaTypeVideo, -1, -1)
	must(err)
	cc := astiav.AllocCodecContext(c)
	defer cc.Free()
	must(st.CodecParameters().ToCodecContext(cc))
	must(cc.Open(c, nil))
	pkt, frm := astiav.AllocPacket(), astiav.AllocFrame()
	defer pkt.Free()
	defer frm.Free()
	var out [][]byte
	drain := func() {
		for cc.ReceiveFrame(frm) == nil {
			b, err := frm.Data().Bytes(1)
			must(err)
			out = append(out, b)
			frm.Unref()
		}
	}
	for fc.ReadFrame(pkt) == nil {
		if pkt.StreamIndex() == st.Index() {
			_ = cc.SendPacket(pkt) // a damaged packet is libav's to skip
			drain()
		}
		pkt.Unref()
	}
	_ = cc.SendPacket(nil)
	drain()
	return out
}
