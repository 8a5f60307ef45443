package sink_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/kvsframes/kvsframes/sink"
)

func TestLinesComeBack(t *testing.T) {
	for _, n := range []int{0, 1, 10, 1000, 20_000} {
		var lines sink.Lines
		var want bytes.Buffer
		for i := range n {
			line := fmt.Appendf(nil, "line %d of %d\n", i, n)
			want.Write(line)
			if m, err := lines.Write(line); err != nil || m != len(line) {
				t.Fatal(m, err)
			}
			clear(line) // it is the caller's
		}
		for range 2 {
			if got, err := lines.All(); err != nil || !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%d lines: %d bytes, want %d, %v", n, len(got), want.Len(), err)
			}
		}
	}
}
