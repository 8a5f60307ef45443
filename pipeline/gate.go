package pipeline

import (
	"context"
	"sync"
)

// byteGate admits fragments while the total size of those in flight is below a limit. It always admits a second
// fragment, since the first may wait for it.
type byteGate struct {
	mu          sync.Mutex
	limit, used int64
	fragments   int
	change      chan struct{} // holds a token after used has shrunk
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

// wait returns when less than the limit, or at most one fragment, is in use. One goroutine may wait.
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
