package checkpoint

import "context"

// Register is an object that is replaced as a whole, by compare-and-swap. One goroutine at a time uses it.
type Register interface {
	// Name is where the object is, for messages.
	Name() string
	// Read returns the object's content and a tag, which every change changes. The tag is "" if there is no object. An
	// object of more than limit bytes is an error.
	Read(ctx context.Context, limit int64) (content []byte, tag string, err error)
	// Swap replaces the object if its tag is still the given one, "" for no object, and returns the new tag. It
	// returns false if the tag is another one. After an error, the object may have been replaced or not.
	Swap(ctx context.Context, content []byte, tag string) (next string, swapped bool, err error)
}
