//go:build linux && cgo && !race

package sandbox

import "testing"

func TestAChildThatTakesTooMuchMemoryEnds(t *testing.T) {
	if out, how := child(t, "memory", 1<<30, ""); how != "exit status 2" || out != "" {
		t.Errorf("%s: %s allocations of 32 MiB", how, out)
	}
}
