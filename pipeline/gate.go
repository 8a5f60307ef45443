package pipeline

import (
	"context"
	"sync"
)

// byteGate lets fragments in while those in flight are small enough together. One alone
// never shuts it, since it may wait for the next.
type byteGate struct {
	mu          sync.Mutex
	limit, used int64
	fragments   int
	change      chan struct{} // holds a token when used has shrunk
}

func (g *byteGate) add(bytes int64, fragments int) {
	g.mu.Lock()
	g.used += bytes
	g.fragments += fragments
	g.mu.Unlock()
	select {
	case g.change <- struct{}{}:
	default:
	}
}

// wait returns when less than the limit is in use, or one fragment. One goroutine may wait.
func (g *byteGate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		room := g.used < g.limit || g.fragments <= 1
		g.mu.Unlock()
		if room {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.change:
		}
	}
}
