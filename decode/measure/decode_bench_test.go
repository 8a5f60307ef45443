//go:build cgo

package measure_test

import (
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/asticode/go-astiav"
	"github.com/kvsframes/kvsframes/decode/measure"
	"golang.org/x/sys/unix"
)

// BenchmarkBesideDecoding decodes the clip that KVSTEST_CLIP names and measures each picture as soon as it is decoded. decode-us is the processor
// time that decoding takes per picture; the others are in percent of it.
func BenchmarkBesideDecoding(b *testing.B) {
	clip := os.Getenv("KVSTEST_CLIP")
	if clip == "" {
		b.Skip("KVSTEST_CLIP names no clip")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var last, small measure.Picture
	steps := []struct {
		name string
		do   func(p measure.Plane)
	}{
		{"shrink", func(p measure.Plane) {
			var err error
			if small, err = measure.Shrink(small.Pix, p); err != nil {
				b.Fatal(err)
			}
		}},
		{"black", func(measure.Plane) { measure.Black(small, threshold) }},
		{"blur", func(measure.Plane) { measure.Blur(small) }},
		{"difference", func(measure.Plane) { measure.Difference(last, small) }},
		{"hash", func(measure.Plane) { measure.Hash(small) }},
		{"quality", func(measure.Plane) { measure.Quality(small) }},
	}
	spent := make([]time.Duration, len(steps)+1)
	frames := 0
	for b.Loop() {
		mark := threadTime(b)
		lap := func(i int) {
			now := threadTime(b)
			spent[i] += now - mark
			mark = now
		}
		decodeFile(b, clip, func(p measure.Plane) {
			lap(len(steps))
			for i, step := range steps {
				step.do(p)
				lap(i)
			}
			last, small = small, last
			frames++
		})
		lap(len(steps))
	}
	decoding := spent[len(steps)]
	for i, step := range steps {
		b.ReportMetric(100*float64(spent[i])/float64(decoding), step.name+"-%")
	}
	b.ReportMetric(float64(decoding.Microseconds())/float64(frames), "decode-us")
}

// decodeFile calls f with the luma of each picture of a file, in one thread. The plane is libav's own memory.
func decodeFile(b *testing.B, file string, f func(measure.Plane)) {
	r, err := os.Open(file)
	check(b, err)
	defer r.Close()
	io, err := astiav.AllocIOContext(1<<16, false, r.Read, nil, nil)
	check(b, err)
	defer io.Free()
	format := astiav.AllocFormatContext()
	defer format.Free()
	format.SetPb(io)
	check(b, format.OpenInput("", nil, nil))
	defer format.CloseInput()
	check(b, format.FindStreamInfo(nil))
	stream, codec, err := format.FindBestStream(astiav.MediaTypeVideo, -1, -1)
	check(b, err)
	c := astiav.AllocCodecContext(codec)
	defer c.Free()
	check(b, stream.CodecParameters().ToCodecContext(c))
	c.SetThreadCount(1)
	check(b, c.Open(codec, nil))
	packet, frame := astiav.AllocPacket(), astiav.AllocFrame()
	defer packet.Free()
	defer frame.Free()
	send := func(p *astiav.Packet) {
		check(b, c.SendPacket(p))
		for c.ReceiveFrame(frame) == nil {
			// An AVFrame begins with eight pointers to planes, and their strides.
			data, stride := *(*unsafe.Pointer)(frame.UnsafePointer()), int(frame.Linesize()[0])
			p := measure.Plane{Stride: stride, W: frame.Width(), H: frame.Height(), Depth: 8, Full: frame.ColorRange() == astiav.ColorRangeJpeg}
			if stride >= 2*p.W {
				p.Depth = 10
			}
			p.Data = unsafe.Slice((*byte)(data), stride*p.H)
			f(p)
			frame.Unref()
		}
	}
	for format.ReadFrame(packet) == nil {
		if packet.StreamIndex() == stream.Index() {
			send(packet)
		}
		packet.Unref()
	}
	send(nil)
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// threadTime is the processor time of this thread.
func threadTime(b *testing.B) time.Duration {
	b.Helper()
	var t unix.Timespec
	check(b, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t))
	return time.Duration(t.Nano())
}
