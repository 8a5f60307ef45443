package main

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
)

// every is the distance between the frames whose JPEGs are compared.
const every = 30

// sampled is the sampling of these frames.
var sampled = fmt.Sprintf("type: stride, n: %d", every)

// equalQuality finds our lowest quality whose pictures are at least as good as ffmpeg's at -q:v 3, and our size
// at exactly the same PSNR. It compares each picture with the decoded frame as a JPEG should have it: of full
// range and, for ours, which converts the matrix, with that of JFIF.
func (b *bench) equalQuality(clip string) error {
	frames, err := b.rawFrames(clip)
	if err != nil {
		return err
	}
	theirs := func(more ...string) (rated, error) {
		return b.rate(ffmpeg(-1, nil, jpegs(fmt.Sprintf(`select=not(mod(n\,%d))`, every), more...)).run, clip, frames, fullRange)
	}
	ours := func(quality int) (rated, error) {
		return b.rate(program(sampled, fmt.Sprintf("quality: %d", quality)), clip, frames, jfif)
	}
	want, err := theirs()
	if err != nil {
		return err
	}
	plain, err := theirs("-huffman", "default")
	if err != nil {
		return err
	}
	tried := map[int]rated{}
	low, high := 50, 99 // high is good enough
	for low < high {
		q := (low + high) / 2
		if tried[q], err = ours(q); err != nil {
			return err
		}
		if tried[q].psnr >= want.psnr {
			high = q
		} else {
			low = q + 1
		}
	}
	for _, q := range []int{high - 1, high} {
		if tried[q].bytes == 0 {
			if tried[q], err = ours(q); err != nil {
				return err
			}
		}
	}
	above, below := tried[high], tried[high-1]
	part := min(1, max(0, (want.psnr-below.psnr)/(above.psnr-below.psnr)))
	size := below.bytes + part*(above.bytes-below.bytes)
	b.table.quality = high
	b.note("d: ffmpeg's -q:v 3 gives %.2f dB and %.0f bytes a picture, %.0f with -huffman default; ours at quality %d gives %.2f dB and %.0f bytes, at %d %.2f dB and %.0f bytes. "+
		"Interpolated to the same PSNR ours takes %+.1f %% bytes (goal: at most +5 %%), %+.1f %% against -huffman default.",
		want.psnr, want.bytes, plain.bytes, high, above.psnr, above.bytes, high-1, below.psnr, below.bytes, (size/want.bytes-1)*100, (size/plain.bytes-1)*100)
	return nil
}

// rawFrames returns every 30th frame of a clip.
func (b *bench) rawFrames(clip string) (frames []*image.YCbCr, err error) {
	err = b.eachPicture(program(sampled, "type: raw, pixel_format: yuv420p"), clip, func(name string, data []byte) error {
		m := image.NewYCbCr(image.Rect(0, 0, 1920, 1080), image.YCbCrSubsampleRatio420)
		if len(data) != len(m.Y)+len(m.Cb)+len(m.Cr) {
			return fmt.Errorf("%s has %d bytes", name, len(data))
		}
		copy(m.Y, data)
		copy(m.Cb, data[len(m.Y):])
		copy(m.Cr, data[len(m.Y)+len(m.Cb):])
		frames = append(frames, m)
		return nil
	})
	return frames, err
}

// rated is the quality of pictures (PSNR in dB, over all samples of all of them) and their mean size in bytes.
type rated struct{ psnr, bytes float64 }

// rate compares the JPEGs that a command makes of a clip with frames.
func (b *bench) rate(run func(b *bench, clip, out string) command, clip string, frames []*image.YCbCr, ideal func(y, cb, cr float64) (float64, float64, float64)) (rated, error) {
	var squares, samples, size float64
	n := 0
	err := b.eachPicture(run, clip, func(name string, data []byte) error {
		if n++; n > len(frames) {
			return nil // they are counted
		}
		size += float64(len(data))
		decoded, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		got, ok := decoded.(*image.YCbCr)
		if !ok || got.Bounds() != frames[n-1].Bounds() || got.SubsampleRatio != image.YCbCrSubsampleRatio420 {
			return fmt.Errorf("%s is not like the frame", name)
		}
		more, counted := distance(frames[n-1], got, ideal)
		squares, samples = squares+more, samples+counted
		return nil
	})
	if err == nil && n != len(frames) {
		err = fmt.Errorf("%d pictures for %d frames", n, len(frames))
	}
	return rated{psnr: 10 * math.Log10(255*255*samples/squares), bytes: size / float64(n)}, err
}

// distance sums the squared differences of all samples.
func distance(frame, got *image.YCbCr, ideal func(y, cb, cr float64) (float64, float64, float64)) (squares, samples float64) {
	square := func(want float64, got uint8) {
		d := want - float64(got)
		squares, samples = squares+d*d, samples+1
	}
	for y := range frame.Rect.Max.Y {
		for x := range frame.Rect.Max.X {
			at, chroma := frame.YOffset(x, y), frame.COffset(x, y)
			wy, wb, wr := ideal(float64(frame.Y[at]), float64(frame.Cb[chroma]), float64(frame.Cr[chroma]))
			square(wy, got.Y[got.YOffset(x, y)])
			if x%2 == 0 && y%2 == 0 {
				square(wb, got.Cb[got.COffset(x, y)])
				square(wr, got.Cr[got.COffset(x, y)])
			}
		}
	}
	return squares, samples
}

// fullRange stretches limited range to all levels.
func fullRange(y, cb, cr float64) (float64, float64, float64) {
	return clamp((y - 16) * 255 / 219), clamp(128 + (cb-128)*255/224), clamp(128 + (cr-128)*255/224)
}

// jfif does the same, and converts BT.709 to BT.601.
func jfif(y, cb, cr float64) (float64, float64, float64) {
	l, b, r := (y-16)/219, (cb-128)/224, (cr-128)/224
	red, blue := l+r*2*(1-0.2126), l+b*2*(1-0.0722)
	green := (l - 0.2126*red - 0.0722*blue) / (1 - 0.2126 - 0.0722)
	l = 0.299*red + 0.587*green + 0.114*blue
	return clamp(255 * l), clamp(128 + 255*(blue-l)/(2*(1-0.114))), clamp(128 + 255*(red-l)/(2*(1-0.299)))
}

func clamp(v float64) float64 { return min(255, max(0, v)) }
