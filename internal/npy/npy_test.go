package npy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/kvsframes/kvsframes/internal/npy"
)

// python is Debian's own, which is the one that python3-numpy is installed for.
const python = "/usr/bin/python3"

// TestNumPyOpensWhatAHeaderDescribes has NumPy map files of many shapes into memory.
func TestNumPyOpensWhatAHeaderDescribes(t *testing.T) {
	type array struct {
		Type  string
		Shape []int
	}
	var want []array
	dir := t.TempDir()
	args := []string{"-c", `import json, sys, numpy as np
arrays = [np.load(f, mmap_mode="r", allow_pickle=False) for f in sys.argv[1:]]
print(json.dumps([{"Type": a.dtype.str, "Shape": a.shape} for a in arrays]))`}
	for i, shape := range [][]int{{240}, {2, 3}, {360, 640, 3}, {3, 5, 7}, {1, 1, 1, 1}, {10, 3, 36, 64}, {0, 3, 2}} {
		for _, sample := range []string{npy.Uint8, npy.Float32} {
			size := map[string]int{npy.Uint8: 1, npy.Float32: 4}[sample]
			for _, n := range shape {
				size *= n
			}
			header := npy.Header(sample, shape...)
			if len(header) != npy.HeaderSize || !strings.HasSuffix(string(header), " \n") {
				t.Errorf("%v: %q", shape, header)
			}
			name := filepath.Join(dir, sample[1:]+string(rune('a'+i)))
			if size == 0 { // NumPy cannot map what is empty
				continue
			}
			if err := os.WriteFile(name, append(header, make([]byte, size)...), 0o600); err != nil {
				t.Fatal(err)
			}
			args, want = append(args, name), append(want, array{sample, shape})
		}
	}
	out, err := exec.CommandContext(t.Context(), python, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("NumPy (make setup-test installs it): %v: %s", err, out)
	}
	var got []array
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("NumPy reads %v, want %v", got, want)
	}
}

func TestEveryShapeOfFourDimensionsFits(t *testing.T) {
	const most = 999_999_999_999
	if n := len(npy.Header(npy.Float32, most, most, most, most)); n != npy.HeaderSize {
		t.Errorf("the header has %d bytes", n)
	}
	defer func() {
		if recover() == nil {
			t.Error("a shape that does not fit is written")
		}
	}()
	npy.Header(npy.Uint8, most, most, most, most, most)
}
