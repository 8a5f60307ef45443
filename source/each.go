package source

import (
	"errors"
	"io"

	"github.com/kvsframes/kvsframes/media"
)

// Each calls take for each fragment that next returns, and lose for each gap, until next returns io.EOF. It
// returns the first error of take, or the error with which next failed.
func Each(next func() (*media.Fragment, error), take func(*media.Fragment) error, lose func(media.Gap)) error {
	for {
		f, err := next()
		var gap *media.GapError
		switch {
		case err == nil:
			if err := take(f); err != nil {
				return err
			}
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &gap):
			lose(gap.Gap)
		default:
			return err
		}
	}
}
