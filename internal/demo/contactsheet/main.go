// Contactsheet lays out JPEG thumbnails on one page: `contactsheet OUT.jpg COLUMNS THUMB.jpg [THUMB.jpg...]`.
// The demo uses it to show all its pictures together.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"os"
	"strconv"
)

// gap is the distance between thumbnails, in pixels.
const gap = 8

// maxSide is the largest side of a JPEG, in pixels.
const maxSide = 65535

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "contactsheet:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: contactsheet OUT.jpg COLUMNS THUMB.jpg [THUMB.jpg...]")
	}
	columns, err := strconv.Atoi(args[1])
	if err != nil || columns < 1 {
		return fmt.Errorf("columns: %q is not a number above 0", args[1])
	}
	var thumbs []image.Image
	for _, path := range args[2:] {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read thumbnail: %w", err)
		}
		thumb, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("decode %s: %w", path, err)
		}
		thumbs = append(thumbs, thumb)
	}
	page, err := layOut(thumbs, columns)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, page, &jpeg.Options{Quality: 90}); err != nil {
		return fmt.Errorf("encode page: %w", err)
	}
	return os.WriteFile(args[0], out.Bytes(), 0o644)
}

// layOut arranges the thumbnails in rows, each centred in a cell that fits the largest of them.
func layOut(thumbs []image.Image, columns int) (image.Image, error) {
	var cell image.Point
	for _, t := range thumbs {
		cell.X, cell.Y = max(cell.X, t.Bounds().Dx()), max(cell.Y, t.Bounds().Dy())
	}
	columns = min(columns, len(thumbs))
	rows := (len(thumbs) + columns - 1) / columns
	size := image.Pt(gap+columns*(cell.X+gap), gap+rows*(cell.Y+gap))
	if size.X > maxSide || size.Y > maxSide {
		return nil, fmt.Errorf("a page of %dx%d pixels is too large, maximum side is %d", size.X, size.Y, maxSide)
	}
	page := image.NewRGBA(image.Rectangle{Max: size})
	draw.Draw(page, page.Bounds(), image.NewUniform(color.RGBA{24, 24, 24, 255}), image.Point{}, draw.Src)
	for i, t := range thumbs {
		b := t.Bounds()
		at := image.Pt(gap+i%columns*(cell.X+gap)+(cell.X-b.Dx())/2, gap+i/columns*(cell.Y+gap)+(cell.Y-b.Dy())/2)
		draw.Draw(page, image.Rectangle{Min: at, Max: at.Add(b.Size())}, t, b.Min, draw.Src)
	}
	return page, nil
}
