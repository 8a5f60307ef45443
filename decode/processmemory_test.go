//go:build cgo && linux && !race

package decode

import "testing"

// TestAProcessThatTakesTooMuchMemoryCostsOneFragment is not for the race detector, under which processes have no limit.
func TestAProcessThatTakesTooMuchMemoryCostsOneFragment(t *testing.T) {
	dies{detail: "exit status 2"}.check(t, "memory")
}
