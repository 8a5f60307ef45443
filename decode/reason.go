package decode

import (
	"errors"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// reasonError is an error with the reason of the gaps that it causes.
type reasonError struct {
	reason media.GapReason
	err    error
}

func (e *reasonError) Error() string { return e.err.Error() }
func (e *reasonError) Unwrap() error { return e.err }

// reason returns err with the reason of the gaps that it causes.
func reason(r media.GapReason, err error) error { return &reasonError{r, err} }

// reasonOf returns the reason of the gaps that err causes, which is damage by default.
func reasonOf(err error) media.GapReason {
	var e *reasonError
	if errors.As(err, &e) {
		return e.reason
	}
	if errors.Is(err, h26x.ErrTooManyReferences) {
		return media.GapUnsupported
	}
	return media.GapDamaged
}
