//go:build cgo

package decode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kvsframes/kvsframes/internal/npy"
	"github.com/kvsframes/kvsframes/media"
)

// imagenet is what torchvision's models want of their pictures.
var imagenet = Normalize{Mean: []Number{0.485, 0.456, 0.406}, Std: []Number{0.229, 0.224, 0.225}}

func arrayOf(format PixelFormat, resize Resize, layout Layout, normalize Normalize) Output {
	o := rawOf(format, resize)
	o.Format, o.Layout, o.Normalize = FormatNPY, layout, normalize
	return o
}

// withNumPy maps each array, makes it once more of the bare pixels, and compares.
const withNumPy = `
import json, sys
import numpy as np
for line in open(sys.argv[1]):
    c = json.loads(line)
    got = np.load(c["array"], mmap_mode="r", allow_pickle=False)
    want = np.fromfile(c["pixels"], np.uint8).reshape(c["height"], c["width"], -1)
    if c["mean"]:
        mean, std = (np.array([float(x) for x in c[n]], np.float32) for n in ("mean", "std"))
        want = (want.astype(np.float32) / np.float32(255) - mean) / std
    if want.shape[2] == 1:
        want = want[:, :, 0]
    elif c["layout"] == "chw":
        want = want.transpose(2, 0, 1)
    assert isinstance(got, np.memmap) and got.flags.c_contiguous
    assert got.dtype == want.dtype and got.shape == want.shape == tuple(c["shape"]), (c, got.dtype, got.shape)
    assert np.array_equal(got, want), c
    print(c["array"])
`

func TestNumPyReadsTheArraysOfRawFrames(t *testing.T) {
	dir := t.TempDir()
	var cases bytes.Buffer
	save := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	n := 0
	for _, format := range []PixelFormat{PixelRGB24, PixelBGR24, PixelGray} {
		for _, resize := range []Resize{{}, {Width: 33}} {
			outputs := []Output{rawOf(format, resize)}
			of := imagenet
			if format == PixelGray {
				of = Normalize{Mean: imagenet.Mean[:1], Std: imagenet.Std[:1]}
			}
			for _, layout := range []Layout{"", LayoutHWC, LayoutCHW} {
				outputs = append(outputs, arrayOf(format, resize, layout, Normalize{}), arrayOf(format, resize, layout, of))
			}
			for i := range outputs {
				outputs[i].Sink = fmt.Sprint(i)
			}
			images, _ := decodeAll(t, stream(t, newTestPool(t, nil), outputs...), fragments(t, "testdata/bframes.mkv")[:1])
			byFrame := map[int][]media.Image{}
			for _, img := range images[0] {
				byFrame[img.Index] = append(byFrame[img.Index], img)
			}
			for _, index := range []int{0, 7} {
				pixels := save(fmt.Sprint(n, ".raw"), byFrame[index][0].Data)
				for i, img := range byFrame[index][1:] {
					o := outputs[i+1]
					if n++; img.Format != "npy" || img.Ext != "npy" || !slices.Equal(img.Shape, o.shape(img.Width, img.Height)) {
						t.Errorf("format %s, extension %s, shape %v", img.Format, img.Ext, img.Shape)
					}
					line, err := json.Marshal(map[string]any{
						"array": save(fmt.Sprint(n, ".npy"), img.Data), "pixels": pixels, "width": img.Width, "height": img.Height, "shape": img.Shape,
						"layout": o.Layout, "mean": o.Normalize.Mean, "std": o.Normalize.Std,
					})
					if err != nil {
						t.Fatal(err)
					}
					cases.Write(append(line, '\n'))
				}
			}
		}
	}
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", withNumPy, save("cases", cases.Bytes())).CombinedOutput()
	if err != nil || bytes.Count(out, []byte("\n")) != n {
		t.Fatalf("NumPy (make setup-test installs it): %v: %s", err, out)
	}
}

func TestShapesOfImages(t *testing.T) {
	for _, test := range []struct {
		output        Output
		width, height int
		want          []int
		bytes         int
	}{
		{Output{Format: FormatJPEG}, 640, 360, nil, 0},
		{Output{Format: FormatPNG}, 640, 360, nil, 0},
		{rawOf(PixelRGB24, Resize{}), 640, 360, []int{360, 640, 3}, 691200},
		{rawOf(PixelBGR24, Resize{}), 3, 5, []int{5, 3, 3}, 45},
		{rawOf(PixelGray, Resize{}), 3, 5, []int{5, 3, 1}, 15},
		{rawOf(PixelNV12, Resize{}), 640, 360, []int{540, 640}, 345600},
		{rawOf(PixelYUV420P, Resize{}), 640, 360, []int{540, 640}, 345600},
		{rawOf(PixelYUV420P, Resize{}), 3, 5, []int{27}, 27},
		{arrayOf(PixelRGB24, Resize{}, LayoutHWC, Normalize{}), 4, 2, []int{2, 4, 3}, npy.HeaderSize + 24},
		{arrayOf(PixelRGB24, Resize{}, LayoutCHW, imagenet), 4, 2, []int{3, 2, 4}, npy.HeaderSize + 96},
		{arrayOf(PixelGray, Resize{}, LayoutCHW, Normalize{}), 4, 2, []int{2, 4}, npy.HeaderSize + 8},
	} {
		o := test.output.withDefaults()
		if got := o.blank(media.FrameInfo{}, test.width, test.height).Shape; !slices.Equal(got, test.want) {
			t.Errorf("%s %s of %dx%d: shape %v, want %v", o.Format, o.PixelFormat, test.width, test.height, got, test.want)
		}
		if o.raw() && (!o.believable(test.width, test.height, uint64(test.bytes)) || o.believable(test.width, test.height, uint64(test.bytes+1))) {
			t.Errorf("%s %s of %dx%d has not %d bytes", o.Format, o.PixelFormat, test.width, test.height, test.bytes)
		}
	}
}

func TestForgedArraysAreRefused(t *testing.T) {
	o := arrayOf(PixelRGB24, Resize{Width: 40}, LayoutCHW, imagenet)
	images, _ := decodeAll(t, stream(t, newTestPool(t, nil), o), fragments(t, "testdata/small.mkv"))
	img := images[0][0]
	if _, err := o.complete(img.Data, img); err != nil {
		t.Fatal(err)
	}
	for i := range npy.HeaderSize {
		forged := bytes.Clone(img.Data)
		forged[i] ^= 0x40
		if _, err := o.complete(forged, img); err == nil {
			t.Errorf("byte %d can be any", i)
		}
	}
}

func BenchmarkArray(b *testing.B) {
	f := painted(b, 640, 360, 0, scene)
	r := newRenderer(DefaultConfig())
	defer r.free()
	for name, o := range map[string]Output{
		"hwc":            arrayOf(PixelRGB24, Resize{}, LayoutHWC, Normalize{}),
		"chw":            arrayOf(PixelRGB24, Resize{}, LayoutCHW, Normalize{}),
		"hwc in float32": arrayOf(PixelRGB24, Resize{}, LayoutHWC, imagenet),
		"chw in float32": arrayOf(PixelRGB24, Resize{}, LayoutCHW, imagenet),
	} {
		b.Run(name, func(b *testing.B) {
			pic, err := r.render(f, o)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				array(planesOf(pic.frame, 1)[0], o, o.shape(pic.w, pic.h))
			}
		})
	}
}
