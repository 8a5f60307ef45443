package audittest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image/png"
	"io"
	"path"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// onSheet reports whether a PNG has a picture of a size, and of this digest of its pixels, in a row of pictures of that size.
func onSheet(data []byte, width, height int, digest string) bool {
	sheet, err := png.Decode(bytes.NewReader(data))
	if err != nil || width < 1 || height < 1 {
		return false
	}
	for y := 0; y+height <= sheet.Bounds().Dy(); y += height {
		for x := 0; x+width <= sheet.Bounds().Dx(); x += width {
			sum := sha256.New()
			for i := range width * height {
				r, g, b, _ := sheet.At(x+i%width, y+i/width).RGBA()
				sum.Write([]byte{byte(r), byte(g), byte(b)})
			}
			if hex.EncodeToString(sum.Sum(nil)) == digest {
				return true
			}
		}
	}
	return false
}

// table is what is read of a Parquet file.
type table struct {
	Image struct {
		Bytes []byte `parquet:"bytes,optional"`
	} `parquet:"image,optional"`
}

// inside returns what an object of several images holds: their sizes, by their digests. It returns nil for another object. What follows
// something that cannot be read is not there.
func inside(key string, data []byte) map[string]int64 {
	all := map[string]int64{}
	add := func(image []byte) {
		sum := sha256.Sum256(image)
		all[hex.EncodeToString(sum[:])] = int64(len(image))
	}
	switch path.Ext(key) {
	case ".tar":
		for t := tar.NewReader(bytes.NewReader(data)); ; {
			header, err := t.Next()
			if err != nil {
				return all
			}
			image, err := io.ReadAll(t)
			if err != nil {
				return all
			}
			if path.Ext(header.Name) != ".json" {
				add(image)
			}
		}
	case ".npy":
		const head = 128
		_, shape, _ := strings.Cut(string(data[:min(len(data), head)]), "'shape': (")
		var rows int
		if _, err := fmt.Sscanf(shape, "%d,", &rows); err != nil || rows < 1 {
			return all
		}
		for row, rest := (len(data)-head)/rows, data[head:]; len(rest) >= row && row > 0; rest = rest[row:] {
			add(rest[:row])
		}
		return all
	case ".parquet":
		rows, err := parquet.Read[table](bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return all
		}
		for _, r := range rows {
			add(r.Image.Bytes)
		}
		return all
	case ".y4m":
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		var w, h int
		if _, err := fmt.Sscanf(string(line), "YUV4MPEG2 W%d H%d", &w, &h); err != nil {
			return all
		}
		size := w*h + 2*((w+1)/2)*((h+1)/2)
		if bytes.Contains(line, []byte("Cmono")) {
			size = w * h
		}
		const mark = "FRAME\n"
		for ; len(rest) >= len(mark)+size && bytes.HasPrefix(rest, []byte(mark)); rest = rest[len(mark)+size:] {
			add(rest[len(mark):][:size])
		}
		return all
	}
	return nil
}
