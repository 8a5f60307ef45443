package manifest

import "testing"

// SortInRunsOf sets, for a test, about how much memory records take before they go into a file.
func SortInRunsOf(t *testing.T, bytes int) {
	t.Helper()
	before := runBytes
	runBytes = bytes
	t.Cleanup(func() { runBytes = before })
}
