//go:build cgo

package measure

// SetLoops is setLoops.
var SetLoops = setLoops

// The sets of loops.
const (
	LoopsPlain  = loopsPlain
	LoopsAVX2   = loopsAVX2
	LoopsAVX512 = loopsAVX512
)
