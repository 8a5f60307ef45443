//go:build cgo

package decode

import (
	"bytes"
	"strings"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

func TestGrayVideoGivesGrayPictures(t *testing.T) {
	for _, resize := range []Resize{{}, {Width: 128}} {
		for _, o := range []Output{jpegOf(plan.Sample{Rule: plan.Keyframes{}}, resize), rawOf(PixelRGB24, resize)} {
			img := one(t, "card-gray.mkv", o)
			at := pixels(t, img)
			for i, c := range patches {
				got := at((2*i+1)*img.Width/16, img.Height/2)
				want := int(colorimetry{MatrixBT601, true}.ycc(c)[0])
				for _, v := range got {
					if d := int(v) - want; d < -3 || d > 3 {
						t.Errorf("%s: patch %d is %v, want grey %d", img.Format, i, got, want)
						break
					}
				}
			}
		}
	}
}

// TestPlanesOfDeepVideoHaveEightBitsAndKeepTheirRange looks at the white and the grey patch.
func TestPlanesOfDeepVideoHaveEightBitsAndKeepTheirRange(t *testing.T) {
	for clip, want := range map[string]colorimetry{
		"card-10bit.mkv": {MatrixBT709, false}, "card-10bit-full.mkv": {MatrixBT601, true}, "card-main10.mkv": {MatrixBT709, false},
	} {
		for _, resize := range []Resize{{}, {Width: 64}, {Width: 300, Upscale: true}} {
			for _, format := range []PixelFormat{PixelYUV420P, PixelNV12} {
				img := one(t, clip, rawOf(format, resize))
				for _, patch := range []int{5, 6} {
					got := int(img.Data[img.Height/2*img.Width+(2*patch+1)*img.Width/16])
					if d := got - int(want.ycc(patches[patch])[0]); d < -1 || d > 1 {
						t.Errorf("%s as %s at width %d: luma of patch %d is %d", clip, format, img.Width, patch, got)
					}
				}
			}
		}
	}
}

func TestHDRIsRefusedByName(t *testing.T) {
	for clip, want := range map[string]string{"card-pq.mkv": "HDR (PQ, SMPTE ST 2084) and is not tone-mapped", "card-hlg.mkv": "HDR (HLG, ARIB STD-B67) and is not tone-mapped"} {
		_, outcomes := decodeAll(t, stream(t, newTestPool(t, nil), jpegOf(plan.Sample{Rule: plan.All{}}, Resize{Width: 64})), fragments(t, "testdata/"+clip)[:1])
		if g := outcomes[0].Gaps; len(g) != 1 || !strings.Contains(g[0].Detail, want) || g[0].FramesLost != 2 || g[0].Reason != media.GapUnsupported {
			t.Errorf("%s: gaps = %+v", clip, g)
		}
	}
}

func TestPNGTakesTheSamePixelsAsRawRGB(t *testing.T) {
	f, _ := noise(t, 96, 64, astiav.PixelFormatYuv420P, 8)
	r := newTestRenderer(t)
	png := jpegOf(plan.Sample{}, Resize{Width: 40})
	png.Format = FormatPNG
	a, _, _ := rendered(t, r, f, png)
	b, _, _ := rendered(t, r, f, rawOf(PixelRGB24, Resize{Width: 40}))
	if len(a) != 3*40*27 || !bytes.Equal(a, b) {
		t.Error("the pixels differ")
	}
}

// TestRGBIsWhatTheDefinitionSays compares each component with what ITU-T H.273 says of each matrix.
func TestRGBIsWhatTheDefinitionSays(t *testing.T) {
	spaces := map[Matrix]astiav.ColorSpace{
		MatrixBT601: astiav.ColorSpaceSmpte170M, MatrixBT709: astiav.ColorSpaceBt709, MatrixBT2020: astiav.ColorSpaceBt2020Ncl,
		matrixFCC: astiav.ColorSpaceFcc, matrix240M: astiav.ColorSpaceSmpte240M, matrixYCgCo: astiav.ColorSpaceYcgco,
	}
	weights := map[Matrix][2]float64{
		MatrixBT601: {0.299, 0.114}, MatrixBT709: {0.2126, 0.0722}, MatrixBT2020: {0.2627, 0.0593}, matrixFCC: {0.30, 0.11}, matrix240M: {0.212, 0.087},
	}
	ranges := map[bool]astiav.ColorRange{true: astiav.ColorRangeJpeg, false: astiav.ColorRangeMpeg}
	f, value := noise(t, 512, 256, astiav.PixelFormatYuv444P, 8)
	for matrix, space := range spaces {
		for full, span := range ranges {
			f.SetColorSpace(space)
			f.SetColorRange(span)
			got, _, _ := rendered(t, newTestRenderer(t), f, rawOf(PixelRGB24, Resize{}))
			black, luma, chroma := colorimetry{matrix, full}.levels()
			kr, kb := weights[matrix][0], weights[matrix][1]
			for i := range 512 * 256 {
				y := (float64(value(0, i%512, i/512)) - black) * 255 / luma
				u := (float64(value(1, i%512, i/512)) - 128) * 255 / chroma
				v := (float64(value(2, i%512, i/512)) - 128) * 255 / chroma
				r, b := y+2*(1-kr)*v, y+2*(1-kb)*u
				want := [3]float64{r, (y - kr*r - kb*b) / (1 - kr - kb), b}
				if matrix == matrixYCgCo {
					want = [3]float64{y - u + v, y + u, y - u - v}
				}
				for k, want := range want {
					// Half a level is rounding, the rest is fixed point.
					if d := float64(got[3*i+k]) - min(max(want, 0), 255); d < -0.56 || d > 0.56 {
						t.Fatalf("%s full %v: component %d is %d, want %.3f", matrix, full, k, got[3*i+k], want)
					}
				}
			}
		}
	}
}

// patchFrame is a picture of the colours of patches, a column of 16 pixels each, in the given terms.
func patchFrame(t *testing.T, format astiav.PixelFormat, space astiav.ColorSpace, c colorimetry) frame {
	t.Helper()
	w := 16 * len(patches)
	f := drawn(t, w, 32, format, func(plane, x, _ int) uint16 {
		at := x / 16
		if plane > 0 && format == astiav.PixelFormatYuv420P {
			at = x / 8
		}
		return uint16(c.ycc(patches[min(at, len(patches)-1)])[plane])
	})
	f.SetColorSpace(space)
	f.SetColorRange(astiav.ColorRangeMpeg)
	if c.full {
		f.SetColorRange(astiav.ColorRangeJpeg)
	}
	return f
}

// TestTaggedMatricesGiveTheirColours makes JPEGs and pictures of RGB of video whose tags are rare.
func TestTaggedMatricesGiveTheirColours(t *testing.T) {
	tags := map[Matrix]astiav.ColorSpace{matrixYCgCo: astiav.ColorSpaceYcgco, matrix240M: astiav.ColorSpaceSmpte240M, matrixFCC: astiav.ColorSpaceFcc}
	encoder, err := newEncoder()
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.free()
	for matrix, tag := range tags {
		for _, full := range []bool{false, true} {
			for _, format := range []astiav.PixelFormat{astiav.PixelFormatYuv420P, astiav.PixelFormatYuv444P} {
				f := patchFrame(t, format, tag, colorimetry{matrix, full})
				padded := jpegOf(plan.Sample{}, Resize{Width: 16 * len(patches), Height: 64, Fit: FitPad})
				padded.Quality = 100
				for _, o := range []Output{padded, jpegOf(plan.Sample{}, Resize{}), rawOf(PixelRGB24, Resize{}), rawOf(PixelRGB24, Resize{Width: 64})} {
					if o.Format == FormatJPEG {
						o.Quality = 100
					}
					r := newTestRenderer(t)
					drawn, err := r.render(f, o)
					if err != nil {
						t.Fatal(err)
					}
					img, err := encoder.encode(drawn, o, media.FrameInfo{})
					if err != nil {
						t.Fatal(err)
					}
					at := pixels(t, img)
					for i, want := range patches {
						got := at((2*i+1)*img.Width/(2*len(patches)), img.Height/2)
						for k := range want {
							if d := int(got[k]) - int(want[k]); d < -3 || d > 3 {
								t.Errorf("%s full %v of %s as %s: patch %d is %v, want %v", matrix, full, format, img.Format, i, got, want)
								break
							}
						}
					}
				}
			}
		}
	}
}

// TestMatricesThatCannotBeAreNotBelieved has 4:2:0 video that says it is RGB, and values that mean nothing.
func TestMatricesThatCannotBeAreNotBelieved(t *testing.T) {
	for _, tag := range []astiav.ColorSpace{astiav.ColorSpaceRgb, astiav.ColorSpaceReserved, astiav.ColorSpaceChromaDerivedNcl, 99} {
		f := patchFrame(t, astiav.PixelFormatYuv420P, tag, colorimetry{MatrixBT601, false})
		got, _, _ := rendered(t, newTestRenderer(t), f, rawOf(PixelRGB24, Resize{}))
		f.SetColorSpace(astiav.ColorSpaceUnspecified)
		want, _, _ := rendered(t, newTestRenderer(t), f, rawOf(PixelRGB24, Resize{}))
		if !bytes.Equal(got, want) {
			t.Errorf("tag %d is believed", tag)
		}
	}
}

func TestColoursThatAreNotConvertedAreRefusedByName(t *testing.T) {
	for tag, want := range map[astiav.ColorSpace]string{astiav.ColorSpaceIctcp: "ICtCp", astiav.ColorSpaceBt2020Cl: "constant luminance", colorSpaceYCgCoRe: "YCgCo-Re"} {
		f := patchFrame(t, astiav.PixelFormatYuv420P, tag, colorimetry{MatrixBT709, false})
		_, err := newTestRenderer(t).render(f, rawOf(PixelRGB24, Resize{}))
		if err == nil || !strings.Contains(err.Error(), want) || reasonOf(err) != media.GapUnsupported {
			t.Errorf("%s: %v (%s)", want, err, reasonOf(err))
		}
	}
}
