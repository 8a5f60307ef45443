//go:build cgo

package decode

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"github.com/kvsframes/kvsframes/decode/measure"
	"github.com/kvsframes/kvsframes/media"
)

// eye sees the frames of one fragment for an output that chooses by pixels. It leaves out what is certainly not chosen, so that it need
// not be encoded; package pick decides about the rest.
type eye struct {
	// last is the output's last frame in the fragment: its packet.
	last int
	// before is a copy of the last picture, without pixels before the first one.
	before measure.Picture
	// best is the highest quality in the window, if any is set.
	best float64
	any  bool
}

// sight is what an output sees of a frame.
type sight struct {
	measured *media.Measured // nil for an output that gets every sample
	// hopeless reports whether the frame is certainly not chosen.
	hopeless bool
}

// openEyes makes the outputs see no frame yet.
func (j *job) openEyes() {
	j.eyes = make([]eye, len(j.outputs))
	for _, k := range j.plan.InOrder {
		for _, a := range j.plan.Frames[k].Outputs {
			if a.Output < len(j.eyes) {
				j.eyes[a.Output].last = k
			}
		}
	}
}

// glimpse is the small picture of a frame, which several outputs measure.
type glimpse struct {
	measure.Picture
	blur    float64
	blurred bool // whether blur is set
}

// Blur returns the picture's blur.
func (g *glimpse) Blur() float64 {
	if !g.blurred {
		g.blur, g.blurred = measure.Blur(g.Picture), true
	}
	return g.blur
}

// see measures frame k for each output that asks for it, in their order. It returns nil if none chooses by pixels, or if the frame has no
// small picture: it is not rendered either, for the same reason.
func (j *job) see(k int, f frame) (sights []sight) {
	var g glimpse
	asked := j.plan.Frames[k].Outputs
	for i, a := range asked {
		o := &j.outputs[a.Output]
		if !o.needs.Any() {
			continue
		}
		if sights == nil {
			var err error
			if g.Picture, err = j.worker.renderer.small(f); err != nil {
				return nil
			}
			sights = make([]sight, len(asked))
		}
		sights[i] = j.eyes[a.Output].see(o, &g, a.Begins, k)
	}
	return sights
}

// see measures the small picture of frame k, until it is certain that the frame is not chosen: what costs most comes last. begins reports whether a window begins with the frame.
func (e *eye) see(o *Output, g *glimpse, begins bool, k int) (s sight) {
	n, p := o.needs, g.Picture
	m := &media.Measured{}
	s.measured = m
	if n.Scene {
		first := e.before.Pix == nil
		m.Change = -1
		if !first {
			m.Change = measure.Difference(e.before, p)
			s.hopeless = m.Change < n.LeastChange // no score is above the change
		}
		if first || k == e.last {
			m.Luma = &media.Luma{Width: p.W, Height: p.H, Pix: slices.Clone(p.Pix)}
		}
		e.before = measure.Picture{W: p.W, H: p.H, Pix: append(e.before.Pix[:0], p.Pix...)}
	}
	e.any = e.any && !begins
	if n.Black > 0 && !s.hopeless {
		m.Black = measure.Black(p, n.Black)
		s.hopeless = m.Black >= n.MaxBlack
	}
	if n.Best && !s.hopeless {
		m.Quality = measure.Quality(p)
		s.hopeless = e.any && m.Quality <= e.best
	}
	if n.Blur && !s.hopeless {
		m.Blur = g.Blur()
		s.hopeless = m.Blur > n.MaxBlur
	}
	if s.hopeless {
		return s
	}
	if n.Duplicate {
		m.Hash = measure.Hash(p)
	}
	e.best, e.any = m.Quality, n.Best
	return s
}

// small returns the small picture of a frame: of the part that is shown, before it is turned. It is valid until the next call.
func (r *renderer) small(f frame) (measure.Picture, error) {
	d, err := r.describe(f)
	if err != nil {
		return measure.Picture{}, err
	}
	// The lines of both fields are looked at, and those of a picture that is one field as they are.
	luma, view := d.planes[0], d.view
	if d.lines != f.Height() {
		luma, view.y, view.h = planesOf(d.frame, 1)[0], view.y/2, view.h/2
	}
	v := part(luma, view.x, view.y, view.w, view.h, d.sampleSize())
	size := int(v.stride)*(int(v.h)-1) + int(v.w)*d.sampleSize()
	small, err := measure.Shrink(r.luma, measure.Plane{
		Data: unsafe.Slice((*byte)(unsafe.Pointer(v.data)), size), Stride: int(v.stride), W: int(v.w), H: int(v.h), Depth: d.depth, Full: d.color.full,
	})
	if err == nil {
		r.luma = small.Pix
	}
	return small, err
}

// What was measured is sent as five numbers of 8 bytes, and two of 4 for the size of the picture that follows, if there is one.
const (
	measuredSize = 5*8 + 2*4
	mostLuma     = 320 * 320
)

// measurable reports whether an image of the output can have so many bytes of measures.
func (o *Output) measurable(measures uint64) bool {
	if !o.needs.Any() {
		return measures == 0
	}
	return measures >= measuredSize && measures <= measuredSize+mostLuma
}

func appendMeasured(dst []byte, m media.Measured) []byte {
	le := binary.LittleEndian
	for _, v := range []float64{m.Black, m.Blur, m.Quality, m.Change} {
		dst = le.AppendUint64(dst, math.Float64bits(v))
	}
	dst = le.AppendUint64(dst, m.Hash)
	var l media.Luma
	if m.Luma != nil {
		l = *m.Luma
	}
	dst = le.AppendUint32(dst, uint32(l.Width))
	dst = le.AppendUint32(dst, uint32(l.Height))
	return append(dst, l.Pix...)
}

// readMeasured reads what appendMeasured has written. Numbers that no picture has are an error.
func readMeasured(b []byte) (*media.Measured, error) {
	le := binary.LittleEndian
	m := &media.Measured{}
	for i, to := range []*float64{&m.Black, &m.Blur, &m.Quality, &m.Change} {
		*to = math.Float64frombits(le.Uint64(b[8*i:]))
		if !(*to >= -1 && *to <= 1e9) {
			return nil, errNonsense
		}
	}
	m.Hash = le.Uint64(b[32:])
	w, h, pix := uint64(le.Uint32(b[40:])), uint64(le.Uint32(b[44:])), b[measuredSize:]
	if w*h != uint64(len(pix)) || w > mostLuma || h > mostLuma {
		return nil, errNonsense
	}
	if len(pix) > 0 {
		m.Luma = &media.Luma{Width: int(w), Height: int(h), Pix: append([]byte(nil), pix...)}
	}
	return m, nil
}
