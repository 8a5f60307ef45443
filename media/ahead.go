package media

import "context"

// Arrival is a fragment that is decoded while it arrives.
type Arrival interface {
	// More states how far the fragment has arrived: f is like the whole fragment, without what has not come yet. It does not wait.
	More(f *Fragment)
	// Decode calls emit for each image that is certainly wanted, in presentation order, until Close is called or the fragment is planned.
	// It is called once. Its error is emit's or the context's: what cannot be decoded is left for the fragment's end.
	Decode(ctx context.Context, emit func(Image) error) error
	// Close states that no more of the fragment arrives.
	Close()
}
