package decode

import (
	"errors"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// reasonError is an error that knows which kind of gap it makes.
type reasonError struct {
	reason media.GapReason
	err    error
}

func (e *reasonError) Error() string { return e.err.Error() }
func (e *reasonError) Unwrap() error { return e.err }

// reason returns err as the cause of gaps of a kind.
func reason(r media.GapReason, err error) error { return &reasonError{r, err} }

// reasonOf returns the kind of the gap that err makes: damage, unless it knows better.
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
