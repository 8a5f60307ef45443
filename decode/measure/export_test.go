//go:build cgo

package measure

// SetPlainLoops is setPlainLoops.
var SetPlainLoops = setPlainLoops
