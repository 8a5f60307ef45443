package audittest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// sheet returns a PNG of 2 x 2 tiles of 3 x 2 pixels, each of one of these shades.
func sheet(t *testing.T, shades [4]byte) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 6, 4))
	for y := range 4 {
		for x := range 6 {
			v := shades[y/2*2+x/3]
			m.SetRGBA(x, y, color.RGBA{v, v, v, 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestWhatAnObjectDoesNotHoldIsFound has records of what is, and is not, on a sheet, in an array and in a table. An array may be an image by itself.
func TestWhatAnObjectDoesNotHoldIsFound(t *testing.T) {
	type picture struct {
		Bytes []byte `parquet:"bytes,optional"`
	}
	type row struct {
		Image *picture `parquet:"image,optional"`
	}
	var table bytes.Buffer
	if err := parquet.Write(&table, []row{{&picture{[]byte("one")}}, {&picture{[]byte("two")}}}); err != nil {
		t.Fatal(err)
	}
	array := append(fmt.Appendf(nil, "%-128s", "'shape': (2, 3,)"), "onetwo"...)
	pixels := func(v byte) []byte { return bytes.Repeat([]byte{v}, 3*3*2) }
	for _, test := range []struct {
		key    string
		object []byte
		image  []byte
		there  bool
	}{
		{"a.png", sheet(t, [4]byte{1, 2, 3, 4}), pixels(1), true},
		{"a.png", sheet(t, [4]byte{1, 2, 3, 4}), pixels(4), true},
		{"a.png", sheet(t, [4]byte{1, 2, 3, 4}), pixels(5), false},
		{"a.png", sheet(t, [4]byte{1, 2, 3, 4})[:60], pixels(1), false},
		{"a.npy", array, []byte("two"), true},
		{"a.npy", array, []byte("owt"), false},
		{"a.npy", array, array, true},
		{"a.npy", array, append([]byte("x"), array[1:]...), false},
		{"a.parquet", table.Bytes(), []byte("two"), true},
		{"a.parquet", table.Bytes(), []byte("three"), false},
		{"a.parquet", table.Bytes()[1:], []byte("two"), false},
	} {
		sum := sha256.Sum256(test.image)
		s := stored(map[string]string{test.key: string(test.object), manifestPart: fmt.Sprintf(
			`{"stream":"cam","fragment_number":"7","frame_index":0,"sink":"all","key":%q,"width":3,"height":2,"bytes":%d,"sha256":%q}`+"\n", test.key, len(test.image), hex.EncodeToString(sum[:]))})
		if found := Compare(s, s); (len(found) == 0) != test.there {
			t.Errorf("%s with %d bytes: found %v of %q", test.key, len(test.object), found, test.image)
		}
	}
}
