package sprite_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/sink/sprite"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// shade is the colour of tile i.
func shade(i int) [3]byte {
	return [3]byte{byte(40 + 20*(i%10)), byte(200 - 10*(i%16)), byte(30 * (i % 8))}
}

// tile returns a picture of one colour, with its record.
func tile(i, w, h int, at time.Time, key string) (media.Image, sink.ManifestRecord) {
	c := shade(i)
	info := media.FrameInfo{Stream: "cam", FragmentNumber: fmt.Sprintf("%047d", i/2), Index: i % 2, ProducerTime: at}
	return media.Image{FrameInfo: info, Format: "rgb24", Width: w, Height: h, Data: bytes.Repeat(c[:], w*h)},
		sink.ManifestRecord{FrameRecord: sink.FrameRecord{Stream: "cam", FragmentNumber: info.FragmentNumber, FrameIndex: info.Index, ProducerTimestamp: media.Timestamp(at)}, Key: key}
}

func newPack(f sprite.Form, w, h int) sink.GrowingPack {
	first, _ := tile(0, w, h, noon, "")
	return f.Groups().Layout.NewPack(first).(sink.GrowingPack)
}

// sheet is what the JSON beside a sheet has.
type sheet struct {
	Sheet                        string
	Width, Height, Columns, Rows int
	TileWidth                    int `json:"tile_width"`
	TileHeight                   int `json:"tile_height"`
	Tiles                        []struct {
		X, Y           int
		Producer       string `json:"producer_timestamp"`
		FragmentNumber string `json:"fragment_number"`
		FrameIndex     int    `json:"frame_index"`
	}
}

// check compares a sheet with n tiles, and what is beside it.
func check(t *testing.T, object []byte, beside []sink.Companion, format string, n, w, h, columns int) {
	t.Helper()
	picture, got, err := image.Decode(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	size := image.Pt(min(n, columns)*w, (n+columns-1)/columns*h)
	if got != format || picture.Bounds().Size() != size {
		t.Errorf("a %s of %v, want a %s of %v", got, picture.Bounds(), format, size)
	}
	var about sheet
	if err := json.Unmarshal(beside[1].Body, &about); err != nil {
		t.Fatal(err)
	}
	if about.Sheet != "a b%.jpg" || about.Width != size.X || about.Height != size.Y || about.Columns != size.X/w || about.Rows != size.Y/h || about.TileWidth != w || about.TileHeight != h || len(about.Tiles) != n {
		t.Errorf("%+v", about)
	}
	for i, a := range about.Tiles {
		if a.X != i%columns*w || a.Y != i/columns*h || a.FragmentNumber != fmt.Sprintf("%047d", i/2) || a.FrameIndex != i%2 || a.Producer == "" {
			t.Errorf("tile %d: %+v", i, a)
		}
		most := int32(0)
		if format == "jpeg" {
			most = 8 << 8 // in the middle of a tile
		}
		r, g, b, _ := picture.At(a.X+w/2, a.Y+h/2).RGBA()
		for c, v := range []uint32{r, g, b} {
			if d := int32(v>>8<<8) - int32(shade(i)[c])<<8; max(d, -d) > most {
				t.Errorf("tile %d has %d as channel %d, want %d", i, v>>8, c, shade(i)[c])
			}
		}
	}
}

func TestTilesFillRows(t *testing.T) {
	for _, format := range []decode.Format{decode.FormatJPEG, decode.FormatPNG} {
		f := sprite.DefaultForm()
		f.Format, f.Columns = format, 3
		for n := 1; n <= 8; n++ {
			p := newPack(f, 32, 16)
			for i := range n {
				img, record := tile(i, 32, 16, noon.Add(time.Duration(i)*time.Second), "x/a b%.jpg")
				if !p.Joins(img) {
					t.Errorf("tile %d does not join", i)
				}
				if pieces, err := p.Add(img, record); err != nil || len(pieces) > 0 {
					t.Fatal(pieces, err)
				}
				if object, beside, err := p.SoFar(); err != nil {
					t.Fatal(err)
				} else {
					check(t, object, beside, string(format), i+1, 32, 16, 3)
				}
			}
			object, beside, err := p.End()
			if err != nil {
				t.Fatal(err)
			}
			check(t, object, beside, string(format), n, 32, 16, 3)
		}
	}
}

// TestASheetIsNoLargerThanAnImageCanBe has tiles of which a sheet has fewer than it is asked for.
func TestASheetIsNoLargerThanAnImageCanBe(t *testing.T) {
	for _, test := range []struct {
		w, h, columns int
		tiles, row    int // on a full sheet, and in its rows
	}{
		{160, 90, 10, 290, 10},
		{320, 180, 10, 70, 10},
		{1920, 1080, 10, 2, 2},
		{3840, 2160, 10, 1, 1},
		{1, 1, 1, 65535, 1},
		{1, 1, 1000, 4194 * 1000, 1000},
		{65535, 1, 10, 64, 1},
		{100, 65535, 10, 1, 1},
	} {
		f := sprite.DefaultForm()
		f.Format, f.Columns = decode.FormatPNG, test.columns
		p := newPack(f, test.w, test.h)
		n := 0
		for img, record := tile(0, test.w, test.h, noon, "x"); p.Joins(img) && n < 66_000; n++ {
			if _, err := p.Add(img, record); err != nil {
				t.Fatal(err)
			}
		}
		if n != min(test.tiles, 66_000) {
			t.Errorf("%+v: %d tiles", test, n)
		}
		_, beside, err := p.End()
		var about sheet
		if err = cmpOr(err, json.Unmarshal(beside[1].Body, &about)); err != nil || about.Columns != test.row || max(about.Width, about.Height) > 65535 {
			t.Errorf("%+v: %d columns, %dx%d, %v", test, about.Columns, about.Width, about.Height, err)
		}
	}
}

func cmpOr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func TestOtherSizesAreOnOtherSheets(t *testing.T) {
	p := newPack(sprite.DefaultForm(), 32, 16)
	for size, joins := range map[[2]int]bool{{32, 16}: true, {32, 18}: false, {16, 16}: false} {
		img, record := tile(0, size[0], size[1], noon, "x")
		if p.Joins(img) != joins {
			t.Errorf("%v: joins is %v", size, !joins)
		}
		if _, err := p.Add(img, record); (err == nil) != joins {
			t.Errorf("%v: %v", size, err)
		}
	}
	img, record := tile(0, 32, 16, noon, "x")
	img.Data = img.Data[1:]
	if _, err := p.Add(img, record); err == nil {
		t.Error("a tile that lacks a byte is taken")
	}
}

// TestCuesAreWebVTT has the W3C's parser read cues of clocks that jump, and of names that are no addresses.
func TestCuesAreWebVTT(t *testing.T) {
	for name, test := range map[string]struct {
		at   []time.Duration // of the tiles
		want []float64       // the starts and the last end, in seconds
	}{
		"one tile":                 {[]time.Duration{0}, []float64{0, 1}},
		"a cadence":                {[]time.Duration{0, 10 * time.Second, 20 * time.Second}, []float64{0, 10, 20, 30}},
		"days":                     {[]time.Duration{0, 100*time.Hour + 61*time.Second + 5*time.Millisecond}, []float64{0, 360061.005, 720122.01}},
		"a clock that stands":      {[]time.Duration{0, 0, 0, time.Second}, []float64{0, 0.001, 0.002, 1, 1.998}},
		"a clock that is set back": {[]time.Duration{0, 2 * time.Second, time.Second, 3 * time.Second}, []float64{0, 2, 2.001, 3, 3.999}},
		"at the end, too":          {[]time.Duration{0, 2 * time.Second, time.Second}, []float64{0, 2, 2.001, 2.002}},
	} {
		for _, key := range []string{"a/sheet.jpg", "a/1:2 b%41#?é-->.jpg"} {
			p := newPack(sprite.DefaultForm(), 32, 16)
			for i, d := range test.at {
				img, record := tile(i, 32, 16, noon.Add(d), key)
				if _, err := p.Add(img, record); err != nil {
					t.Fatal(err)
				}
			}
			_, beside, err := p.End()
			file := filepath.Join(t.TempDir(), "a.vtt")
			if err = cmpOr(err, os.WriteFile(file, beside[0].Body, 0o600)); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "node", "../../tools/node/cues.mjs", file).Output()
			if err != nil {
				t.Fatalf("the parser (make setup-test installs it): %v", err)
			}
			var read struct {
				Cues []struct {
					Start, End float64
					Text       string
				}
				Errors []string
			}
			if err := json.Unmarshal(out, &read); err != nil || len(read.Errors) > 0 || len(read.Cues) != len(test.at) {
				t.Fatalf("%s: %v, %q\n%s", name, err, read.Errors, beside[0].Body)
			}
			var got []float64
			for i, c := range read.Cues {
				got = append(got, c.Start)
				if c.End <= c.Start {
					t.Errorf("%s: cue %d is from %v to %v", name, i, c.Start, c.End)
				}
				if want := fmt.Sprintf(".jpg#xywh=%d,0,32,16", 32*i); !strings.HasSuffix(c.Text, want) || strings.Count(c.Text, "#") != 1 || strings.Contains(strings.Split(c.Text, "/")[0], ":") {
					t.Errorf("%s: cue %d shows %s", name, i, c.Text)
				}
			}
			if got = append(got, read.Cues[len(read.Cues)-1].End); !slices.Equal(got, test.want) {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
	}
}

func TestSizesThatCannotBe(t *testing.T) {
	for want, test := range map[string]struct {
		columns int
		resize  decode.Resize
	}{
		"<nil>": {10, decode.Resize{Width: 160}},
		"resize: a sheet has small pictures: want a width or a height, such as {width: 160}":                  {10, decode.Resize{}},
		"columns: 100 tiles of 656 pixels are wider than an image can be: want at most 65535 pixels in a row": {100, decode.Resize{Width: 656}},
		"resize: a tile of 2048x2049 pixels is larger than a sheet: want at most 4194304 pixels":              {10, decode.Resize{Width: 2048, Height: 2049}},
	} {
		f := sprite.DefaultForm()
		f.Columns = test.columns
		if err := f.CheckResize(test.resize); fmt.Sprint(err) != want {
			t.Errorf("%+v: %v, want %s", test, err, want)
		}
	}
}
