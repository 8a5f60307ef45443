package main

import (
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// every is the distance between the frames whose JPEGs are compared.
const every = 30

// equalQuality finds our lowest quality whose pictures are at least as good as ffmpeg's at -q:v 3, and our size
// at exactly the same PSNR. It compares each picture with the decoded frame as a JPEG should have it: of full
// range and, for ours, which converts the matrix, with that of JFIF.
func (b *bench) equalQuality(clip string) error {
	frames, err := b.rawFrames(clip)
	if err != nil {
		return err
	}
	want, err := b.rateFFmpeg(clip, frames)
	if err != nil {
		return err
	}
	plain, err := b.rateFFmpeg(clip, frames, "-huffman", "default")
	if err != nil {
		return err
	}
	tried := map[int]rated{}
	low, high := 50, 99 // high is good enough
	for low < high {
		q := (low + high) / 2
		if tried[q], err = b.rateOurs(clip, frames, q); err != nil {
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
			if tried[q], err = b.rateOurs(clip, frames, q); err != nil {
				return err
			}
		}
	}
	above, below := tried[high], tried[high-1]
	part := min(1, max(0, (want.psnr-below.psnr)/(above.psnr-below.psnr)))
	bytes := below.bytes + part*(above.bytes-below.bytes)
	b.table.quality = high
	b.note("d: ffmpeg's -q:v 3 gives %.2f dB and %.0f bytes a picture, %.0f with -huffman default; ours at quality %d gives %.2f dB and %.0f bytes, at %d %.2f dB and %.0f bytes. "+
		"Interpolated to the same PSNR ours takes %+.1f %% bytes (goal: at most +5 %%), %+.1f %% against -huffman default.",
		want.psnr, want.bytes, plain.bytes, high, above.psnr, above.bytes, high-1, below.psnr, below.bytes, (bytes/want.bytes-1)*100, (bytes/plain.bytes-1)*100)
	return nil
}

// rawFrames returns every 30th frame of a clip.
func (b *bench) rawFrames(clip string) ([]*image.YCbCr, error) {
	out, err := b.emptyFolder("frames")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	sampling := fmt.Sprintf("type: stride, n: %d", every)
	if _, err := output(program(sampling, "type: raw, pixel_format: yuv420p")(b, clip, out)); err != nil {
		return nil, err
	}
	var frames []*image.YCbCr
	for _, path := range pictures(out) {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		m := image.NewYCbCr(image.Rect(0, 0, 1920, 1080), image.YCbCrSubsampleRatio420)
		if len(data) != len(m.Y)+len(m.Cb)+len(m.Cr) {
			return nil, fmt.Errorf("%s has %d bytes", filepath.Base(path), len(data))
		}
		copy(m.Y, data)
		copy(m.Cb, data[len(m.Y):])
		copy(m.Cr, data[len(m.Y)+len(m.Cb):])
		frames = append(frames, m)
	}
	return frames, nil
}

// rated is the quality of pictures (PSNR in dB, over all samples of all of them) and their mean size in bytes.
type rated struct{ psnr, bytes float64 }

func (b *bench) rateFFmpeg(clip string, frames []*image.YCbCr, more ...string) (rated, error) {
	out, err := b.emptyFolder("theirs")
	if err != nil {
		return rated{}, err
	}
	defer os.RemoveAll(out)
	pick := fmt.Sprintf(`select=not(mod(n\,%d))`, every)
	if _, err := output(ffmpeg(-1, nil, jpegs(pick, more...)).run(b, clip, out)); err != nil {
		return rated{}, err
	}
	return rate(frames, out, fullRange)
}

func (b *bench) rateOurs(clip string, frames []*image.YCbCr, quality int) (rated, error) {
	out, err := b.emptyFolder("ours")
	if err != nil {
		return rated{}, err
	}
	defer os.RemoveAll(out)
	sampling := fmt.Sprintf("type: stride, n: %d", every)
	if _, err := output(program(sampling, fmt.Sprintf("quality: %d", quality))(b, clip, out)); err != nil {
		return rated{}, err
	}
	return rate(frames, out, jfif)
}

// rate compares the JPEGs in a folder with frames.
func rate(frames []*image.YCbCr, folder string, ideal func(y, cb, cr float64) (float64, float64, float64)) (rated, error) {
	paths := pictures(folder)
	if len(paths) != len(frames) {
		return rated{}, fmt.Errorf("%d pictures for %d frames", len(paths), len(frames))
	}
	var squares, samples, bytes float64
	for i, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return rated{}, err
		}
		bytes += float64(len(data))
		decoded, err := jpeg.Decode(strings.NewReader(string(data)))
		if err != nil {
			return rated{}, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		got, ok := decoded.(*image.YCbCr)
		if !ok || got.Bounds() != frames[i].Bounds() || got.SubsampleRatio != image.YCbCrSubsampleRatio420 {
			return rated{}, fmt.Errorf("%s is not like the frame", filepath.Base(path))
		}
		s, n := distance(frames[i], got, ideal)
		squares, samples = squares+s, samples+n
	}
	return rated{psnr: 10 * math.Log10(255*255*samples/squares), bytes: bytes / float64(len(paths))}, nil
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
