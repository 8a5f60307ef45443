//go:build cgo

package decode

import (
	"errors"
	"os"
	"testing"

	"github.com/asticode/go-astiav"
)

// TestTheLibrariesOpenNothing tries to have libav read a file by itself. The libraries that `make` builds have no protocols, so that a
// stream which gets control of a decoder finds no code in them that opens files or connections.
func TestTheLibrariesOpenNothing(t *testing.T) {
	if os.Getenv("KVSFRAMES_LIBAV") == "" {
		t.Skip("these are the machine's own libraries")
	}
	for _, url := range []string{"testdata/small.mkv", "file:testdata/small.mkv", "pipe:0", "data:,x", "concat:a|b", "tcp://127.0.0.1:1"} {
		format := astiav.AllocFormatContext()
		err := format.OpenInput(url, nil, nil)
		if err == nil {
			format.CloseInput()
		}
		format.Free()
		if !errors.Is(err, astiav.ErrProtocolNotFound) {
			t.Errorf("%s: error %v", url, err)
		}
	}
}
