package pipeline

import (
	"context"
	"sync"

	"github.com/kvsframes/kvsframes/media"
)

// backlog holds the images that decoders have finished and sinks have not. It is bounded in bytes: decoders
// wait when it is full. Only the oldest fragment may exceed the bound, by one image, since all others wait
// for it.
type backlog struct {
	mu sync.Mutex
	// room wakes goroutines in put, more wakes the one in take.
	room, more *sync.Cond
	limit      int64
	used       int64
	head       uint64 // the number of the oldest fragment
}

func newBacklog(limit int64) *backlog {
	b := &backlog{limit: limit}
	b.room, b.more = sync.NewCond(&b.mu), sync.NewCond(&b.mu)
	return b
}

// lane holds the images of one fragment.
type lane struct {
	number  uint64
	images  []media.Image
	held    int // images put and not yet released
	ended   bool
	outcome media.Outcome
	// undecided reports whether the fragment was not decoded because the stream was interrupted. It is set before ended.
	undecided bool
}

// wait waits for a change, or for the end of ctx. The caller holds the lock, and checks again.
func (b *backlog) wait(ctx context.Context, change *sync.Cond) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		change.Broadcast()
	})()
	change.Wait()
	return nil
}

// admit waits until there is room for an image of l, and reserves it until release.
func (b *backlog) admit(ctx context.Context, l *lane, size int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.used+size > b.limit && b.used > 0 && !(l.number == b.head && l.held == 0) {
		b.more.Broadcast() // take may have left images without data in the lane
		if err := b.wait(ctx, b.room); err != nil {
			return err
		}
	}
	b.used += size
	l.held++
	return nil
}

// woken is of how many images without data the last one wakes take.
const woken = 64

// put waits until there is room for an image, and appends it to l. An image without data is not chosen, so take waits for more: to wake it
// for each would take as long as all else that is done about such an image.
func (b *backlog) put(ctx context.Context, l *lane, img media.Image) error {
	if err := b.admit(ctx, l, int64(len(img.Data))); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l.images = append(l.images, img)
	if l.number == b.head && (len(img.Data) > 0 || len(l.images)%woken == 0) { // take waits for this lane
		b.more.Broadcast()
	}
	return nil
}

// end marks l as complete: no more images follow.
func (b *backlog) end(l *lane, outcome media.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.ended, l.outcome = true, outcome
	b.more.Broadcast()
}

// take returns the next image of l, which becomes the oldest fragment; ok is false at the end of l. The image
// occupies room until it is released.
func (b *backlog) take(ctx context.Context, l *lane) (img media.Image, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.head != l.number {
		b.head = l.number
		b.room.Broadcast()
	}
	for len(l.images) == 0 && !l.ended {
		if err := b.wait(ctx, b.more); err != nil {
			return media.Image{}, false, err
		}
	}
	if len(l.images) == 0 {
		return media.Image{}, false, nil
	}
	img = l.images[0]
	l.images[0] = media.Image{} // the array must not keep it alive
	l.images = l.images[1:]
	return img, true, nil
}

// release frees the room of a delivered image.
func (b *backlog) release(l *lane, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= size
	l.held--
	b.room.Broadcast()
}
