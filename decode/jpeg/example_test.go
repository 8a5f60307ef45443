//go:build cgo

package jpeg_test

import (
	"bytes"
	"fmt"
	"image"
	stdjpeg "image/jpeg"

	"github.com/kvsframes/kvsframes/decode/jpeg"
)

// Encode the planes of an image of the standard library.
func ExampleEncoder_Encode() {
	img := image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420)
	encoder := jpeg.NewEncoder()
	defer encoder.Close()
	picture := jpeg.FromPlanes(64, 48,
		jpeg.Plane{Data: img.Y, Stride: img.YStride},
		jpeg.Plane{Data: img.Cb, Stride: img.CStride},
		jpeg.Plane{Data: img.Cr, Stride: img.CStride})
	data, err := encoder.Encode(picture, 85, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	decoded, err := stdjpeg.DecodeConfig(bytes.NewReader(data))
	fmt.Println(decoded.Width, decoded.Height, err)
	// Output: 64 48 <nil>
}
