//go:build linux && cgo && !race

package sandbox

import "testing"

func TestAChildThatTakesTooMuchMemoryEnds(t *testing.T) {
	if out, state := child(t, "memory", 1<<30, ""); state.Success() || out != "" {
		t.Errorf("%v: %s allocations of 32 MiB", state, out)
	}
}
