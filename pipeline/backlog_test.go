package pipeline

import (
	"testing"
	"testing/synctest"

	"github.com/kvsframes/kvsframes/media"
)

// TestImagesWithoutDataWakeNobody has a take that waits: some images without data are left in its lane until there is an image for which
// there is no room, many of them, or an end.
func TestImagesWithoutDataWakeNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(10)
		head, next := &lane{number: 0}, &lane{number: 1}
		taken := 0
		go func() {
			for {
				img, ok, err := b.take(t.Context(), head)
				if !ok || err != nil {
					return
				}
				taken++
				b.release(head, int64(len(img.Data)))
			}
		}()
		expect := func(want int) {
			t.Helper()
			if synctest.Wait(); taken != want {
				t.Errorf("%d images are taken, want %d", taken, want)
			}
		}
		put := func(l *lane, size int) {
			if err := b.put(t.Context(), l, media.Image{Data: make([]byte, size)}); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		for range 3 {
			put(head, 0)
		}
		expect(0)
		put(next, 10)
		put(head, 10) // there is room for it when the three are taken
		expect(4)
		for range woken - 1 {
			put(head, 0)
		}
		expect(4)
		put(head, 0)
		expect(4 + woken)
		put(head, 0)
		b.end(head, media.Outcome{})
		expect(5 + woken)
	})
}
