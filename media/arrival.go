package media

import "context"

// arrivals is the key of the function of WithArrivals.
type arrivals struct{}

// WithArrivals returns a context for the Next of a source. While a Next with it waits, the source calls arrived for the fragment that is
// arriving, each time more of it has come.
//
// The argument is the fragment as far as it has arrived. It has Stream, Number, ProducerTime, ServerTime, Timecode, TimeScale,
// VideoTrackNumber and Tracks. Blocks has all whole blocks so far, with the times, offsets and flags that they will have when the
// fragment is finished, and MKV the bytes so far. Cut is false, MillisBehindNow -1, and there are no Tags, no ContinuationToken and no
// Recycle: these are known at the end of a fragment alone. The argument and its slices are never changed afterwards, so they may be kept.
//
// Each call has at least one block more than the one before it of the same fragment. Only what Next returns later tells whether the
// fragment is whole, cut, damaged or lost: it returns the fragment, or a gap with its number, before anything of a later fragment is told.
// The fragment begins with what was told. If it has Damage, up to two blocks may be missing that were told last, since damage shows only
// behind the element that it is in. A fragment that is read again in another session is told again from its first block. A stream that
// ends or is interrupted may leave the last fragment that was told open.
//
// arrived is called from inside Next, on the goroutine of its caller, which it holds up. A source may call it for no fragment, and for no
// more than the first blocks of one: what was not told comes with the fragment. Wrappers that pass their context on pass this on with it,
// as those of net/http do with an httptrace.ClientTrace.
func WithArrivals(ctx context.Context, arrived func(*Fragment)) context.Context {
	return context.WithValue(ctx, arrivals{}, arrived)
}

// Arrivals returns the function of WithArrivals, or nil.
func Arrivals(ctx context.Context) func(*Fragment) {
	arrived, _ := ctx.Value(arrivals{}).(func(*Fragment))
	return arrived
}
