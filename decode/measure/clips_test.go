//go:build cgo

package measure_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/kvsframes/kvsframes/decode/measure"
)

// recordings holds real recordings of cameras, which not every checkout has.
const recordings = "../../../shared/kvs"

// video is a real or an encoded clip and what ffmpeg does to it before anything is measured.
type video struct {
	name, file string
	w, h       int
	filters    string
}

// videos returns those that are there: moving and static, with cuts, fades and blur.
func videos(t testing.TB) (all []video) {
	t.Helper()
	for _, v := range []video{
		{"moving", "../testdata/bframes.mkv", 160, 90, ""},
		{"noise that fades to black", "../testdata/lists-pyramid.mkv", 160, 90, ""},
		{"the demo's camera", "../../testdata/demo.mkv", 640, 360, "select='lt(n,200)*not(mod(n,4))'"},
		{"blurred by a box", "../../testdata/demo.mkv", 640, 360, "select='lt(n,200)*not(mod(n,8))',boxblur=luma_radius=4:luma_power=2"},
		{"blurred by a Gaussian", "../../testdata/demo.mkv", 640, 360, "select='lt(n,200)*not(mod(n,8))',gblur=sigma=3"},
		{"fade to black", "../../testdata/demo.mkv", 640, 360, "select='lt(n,40)',fade=out:5:30"},
		{"upright", "../../testdata/demo.mkv", 360, 640, "select='lt(n,20)',transpose"},
		{"street", recordings + "/clusters.mkv", 640, 480, "select='not(mod(n,4))'"},
		{"building site", recordings + "/output_get_media.mkv", 640, 360, "select='lt(n,50)'"},
		{"people", recordings + "/output-get-media-non-increasing-timecode.mkv", 960, 720, "select='lt(n,28)'"},
		{"people, sigma 1.5", recordings + "/output-get-media-non-increasing-timecode.mkv", 960, 720, "select='lt(n,28)',gblur=sigma=1.5"},
		{"people, sigma 3", recordings + "/output-get-media-non-increasing-timecode.mkv", 960, 720, "select='lt(n,28)',gblur=sigma=3"},
		{"people, sigma 6", recordings + "/output-get-media-non-increasing-timecode.mkv", 960, 720, "select='lt(n,28)',gblur=sigma=6"},
		{"people, enlarged", recordings + "/output-get-media-non-increasing-timecode.mkv", 1920, 1440, "select='lt(n,28)',scale=1920:1440:flags=lanczos"},
		{"people behind lines", recordings + "/output-get-media-non-increasing-timecode.mkv", 1920, 1440, "select='lt(n,28)',scale=1920:1440:flags=lanczos,drawgrid=w=3840:h=7:t=1:c=white,scroll=vertical=1/1440"},
		{"stage with cuts", recordings + "/vogels_480.mkv", 640, 480, "select='not(mod(n,8))'"},
		{"stage, blurred", recordings + "/vogels_480.mkv", 640, 480, "select='not(mod(n,16))',gblur=sigma=2"},
	} {
		if _, err := os.Stat(v.file); err == nil || filepath.Dir(v.file) != recordings {
			all = append(all, v)
		}
	}
	return all
}

// luma returns the luma planes of the first pictures of a video, n or less, as they are decoded, without padding.
func (v video) luma(t testing.TB, n int) (planes []measure.Plane) {
	t.Helper()
	filters := "null"
	if v.filters != "" {
		filters = v.filters
	}
	raw, _ := ffmpeg(t, nil, "-v", "error", "-i", v.file, "-an", "-vf", filters+",format=yuv420p", "-frames:v", strconv.Itoa(n), "-fps_mode", "passthrough", "-f", "rawvideo", "-")
	size := v.w * v.h * 3 / 2
	for ; len(raw) >= size; raw = raw[size:] {
		planes = append(planes, measure.Plane{Data: raw[:v.w*v.h], Stride: v.w, W: v.w, H: v.h, Depth: 8})
	}
	if len(planes) < min(n, 10) || len(raw) > 0 {
		t.Fatalf("%s: %d pictures and %d bytes", v.name, len(planes), len(raw))
	}
	return planes
}

func shrunk(t testing.TB, planes []measure.Plane) []measure.Picture {
	t.Helper()
	pictures := make([]measure.Picture, len(planes))
	for i, p := range planes {
		var err error
		if pictures[i], err = measure.Shrink(nil, p); err != nil {
			t.Fatal(err)
		}
	}
	return pictures
}

// drawn returns n pictures of w x h pixels.
func drawn(w, h, n int, level func(x, y, i int) float64) []measure.Picture {
	pictures := make([]measure.Picture, n)
	for i := range pictures {
		p := measure.Picture{W: w, H: h, Pix: make([]byte, w*h)}
		for k := range p.Pix {
			p.Pix[k] = byte(min(max(level(k%w, k/w, i), 0), 255))
		}
		pictures[i] = p
	}
	return pictures
}

// clips returns pictures of many kinds, each clip of one size.
func clips(t testing.TB) map[string][]measure.Picture {
	t.Helper()
	all := map[string][]measure.Picture{}
	for _, v := range videos(t) {
		if v.w > 1000 { // what is enlarged is no other picture
			continue
		}
		all[v.name] = shrunk(t, v.luma(t, 60))
	}
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(sigma float64) float64 { return random.NormFloat64() * sigma }
	waves := func(x, y, _ int) float64 {
		return 128 + 60*math.Sin(float64(x)/9) + 60*math.Cos(float64(y)/14+float64(x)/40)
	}
	all["static with noise"] = drawn(320, 180, 20, func(x, y, i int) float64 { return waves(x, y, i) + noise(4) })
	all["waves that move"] = drawn(320, 180, 20, func(x, y, i int) float64 { return waves(x+3*i, y-i, i) })
	all["cuts"] = drawn(319, 179, 24, func(x, y, i int) float64 { return waves(x*(1+i/4%3), y*(1+i/4%2), 0)*float64(1+i/8)/3 + noise(1) })
	all["fade"] = drawn(320, 240, 30, func(x, y, i int) float64 { return waves(x, y, 0) * (1 - float64(i)/25) })
	all["noise alone"] = drawn(160, 120, 12, func(_, _, _ int) float64 { return 128 + noise(60) })
	all["levels at random"] = drawn(77, 53, 12, func(_, _, _ int) float64 { return float64(random.IntN(256)) })
	all["flat"] = drawn(320, 180, 9, func(_, _, i int) float64 { return float64(i * 32) })
	all["steps"] = drawn(320, 180, 40, func(x, y, i int) float64 { return float64(100 + (i+1)*(((x+y*(i%3))/(i+5))&1)) })
	all["slopes of all lengths"] = drawn(320, 320, 40, func(x, y, i int) float64 {
		a := float64(i) * math.Pi / 20
		return 127 + 6*float64(i+2)*math.Tanh((float64(x-160)*math.Cos(a)+float64(y-160)*math.Sin(a))/float64(3*i+1))
	})
	for _, size := range [][2]int{{1, 1}, {2, 1}, {1, 9}, {3, 3}, {4, 5}, {5, 4}, {5, 5}, {6, 6}, {7, 320}, {320, 7}, {33, 31}} {
		all[fmt.Sprintf("%dx%d", size[0], size[1])] = drawn(size[0], size[1], 20, func(_, _, i int) float64 { return float64(random.IntN(13*i + 1)) })
	}
	return all
}
