package sink

import (
	"fmt"

	"github.com/kvsframes/kvsframes/media"
)

// follow notes that an image follows in a sequence of bytes. It returns an error if nobody could tell where it ends: bare frames do not state
// their size.
func (w *Writer) follow(img media.Image) error {
	bare := img.Shape != nil && img.Format != "npy"
	if b := w.before; bare && b.Width > 0 && (b.Width != img.Width || b.Height != img.Height) {
		return cannotFollow(b, img)
	}
	w.before = img
	w.before.Data = nil
	return nil
}

// cannotFollow returns the error of an image that cannot follow another one in a sequence of bytes.
func cannotFollow(before, img media.Image) error {
	if before.Width == img.Width && before.Height == img.Height {
		return fmt.Errorf("frame %d of fragment %s: the range of values changes, and %s has one for a whole stream", img.Index, img.FragmentNumber, img.Format)
	}
	return fmt.Errorf("frame %d of fragment %s: the size changes from %dx%d to %dx%d, and %s has one for a whole stream: "+
		"set resize.width and resize.height, with fit pad, cover or stretch", img.Index, img.FragmentNumber, before.Width, before.Height, img.Width, img.Height, img.Format)
}
