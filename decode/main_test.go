//go:build cgo

package decode

import (
	"fmt"
	"os"
	"testing"
)

// TestMain fails the package's tests when they leave an object of libav open.
func TestMain(m *testing.M) {
	if os.Getenv(benchClip) != "" {
		if err := benchChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if n := openObjects.Load(); n != 0 {
		fmt.Fprintf(os.Stderr, "FAIL: %d libav objects are still open after all tests\n", n)
		code = 1
	}
	os.Exit(code)
}
