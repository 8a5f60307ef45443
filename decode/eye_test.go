//go:build cgo

package decode

import (
	"testing"

	"github.com/kvsframes/kvsframes/decode/measure"
	"github.com/kvsframes/kvsframes/decode/pick"
)

// TestAnEyeStopsWhenItIsCertain counts how often the blur, which costs most, is asked for.
func TestAnEyeStopsWhenItIsCertain(t *testing.T) {
	picture := func(contrast int) measure.Picture {
		p := measure.Picture{W: 64, H: 64, Pix: make([]byte, 64*64)}
		for i := range p.Pix {
			p.Pix[i] = byte(i / 4 % 2 * contrast)
		}
		return p
	}
	type look struct {
		contrast      int
		blur          float64
		begins        bool
		asks, hopeful bool
	}
	for name, test := range map[string]struct {
		needs pick.Needs
		looks []look
	}{
		"black": {pick.Needs{Black: 32, MaxBlack: 98, Blur: true, MaxBlur: 6, Duplicate: true}, []look{
			{0, 5, false, false, false},
			{200, 5, false, true, true},
			{200, 7, false, true, false},
		}},
		"scene": {pick.Needs{Scene: true, LeastChange: 10, Blur: true, MaxBlur: 6}, []look{
			{100, 5, false, true, true}, // the change from the fragment before is not known
			{104, 5, false, false, false},
			{200, 5, false, true, true},
		}},
		"best": {pick.Needs{Best: true, Blur: true, MaxBlur: 6}, []look{
			{200, 7, true, true, false}, // a blurred picture is not the best
			{100, 5, false, true, true},
			{90, 5, false, false, false},
			{110, 5, false, true, true},
			{90, 5, true, true, true},
		}},
	} {
		var e eye
		for i, l := range test.looks {
			g := glimpse{Picture: picture(l.contrast), blur: l.blur, blurred: true}
			s := e.see(&Output{needs: test.needs}, &g, l.begins, i)
			if asked := s.measured.Blur == l.blur; asked != l.asks || s.hopeless == l.hopeful {
				t.Errorf("%s: picture %d: blur is asked for: %t, hopeless: %t", name, i, asked, s.hopeless)
			}
		}
	}
}
