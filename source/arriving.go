package source

import (
	"context"

	"github.com/kvsframes/kvsframes/media"
)

// telling returns a context with which a source tells of arriving fragments (see media.WithArrivals) as change returns them, and of none for
// which that is nil. It returns ctx if that asks for no arrivals.
//
// The sources here hold back what is told of a fragment that their Next may not return, neither as a fragment nor as a gap. Each states in
// its own change what that is. Sources of files and archives tell of none, and what wraps only these has nothing to hold back.
func telling(ctx context.Context, change func(*media.Fragment) *media.Fragment) context.Context {
	arrived := media.Arrivals(ctx)
	if arrived == nil {
		return ctx
	}
	return media.WithArrivals(ctx, func(f *media.Fragment) {
		if f = change(f); f != nil {
			arrived(f)
		}
	})
}
