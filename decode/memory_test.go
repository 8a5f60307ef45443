//go:build cgo

package decode

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

func nothingKept() bool { return false }

func TestFragmentsEnterWhileThereIsRoomAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory{limit: 100}
		var order []int64
		enter := func(size int64) *room {
			r, err := m.enter(t.Context(), size, nothingKept)
			if err != nil {
				t.Error(err)
			}
			order = append(order, size)
			return r
		}
		leave := func(r *room) {
			r.free()
			m.leave()
			synctest.Wait()
		}
		a, b := enter(60), enter(40)
		var large, small *room
		go func() { large = enter(1000) }() // more than all: it runs alone
		synctest.Wait()
		go func() { small = enter(1) }() // does not overtake
		synctest.Wait()
		if len(order) != 2 {
			t.Fatalf("%v entered", order)
		}
		if enter(0); m.running != 3 { // it brings its decoder
			t.Error("a fragment without a need of room waits")
		}
		m.leave()
		leave(a)
		if leave(b); large == nil || small != nil {
			t.Fatalf("%v entered", order)
		}
		if leave(large); small == nil {
			t.Fatalf("%v entered", order)
		}
		if leave(small); m.used != 0 || m.running != 0 || len(m.waiting) != 0 {
			t.Errorf("%d bytes used, %d running, %d waiting", m.used, m.running, len(m.waiting))
		}
	})
}

func TestKeptDecodersMakeRoomAndWaitsEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory{limit: 100}
		var kept []*room
		for range 3 {
			r, _ := m.enter(t.Context(), 30, nothingKept)
			kept = append(kept, r.pass())
			m.leave()
		}
		drop := func() bool {
			if len(kept) == 0 {
				return false
			}
			kept[0].free()
			kept = kept[1:]
			return true
		}
		if r, err := m.enter(t.Context(), 50, drop); err != nil || len(kept) != 1 || m.used != 80 {
			t.Errorf("%v, %v: %d kept, %d bytes used", r, err, len(kept), m.used)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var first, second error
		go func() { _, first = m.enter(ctx, 90, drop) }()
		synctest.Wait()
		done := false
		go func() { _, second = m.enter(t.Context(), 20, drop); done = true }()
		synctest.Wait()
		if done {
			t.Error("a later fragment overtakes")
		}
		cancel()
		if synctest.Wait(); !errors.Is(first, context.Canceled) || !done || second != nil {
			t.Errorf("%v, %v, done %t", first, second, done)
		}
	})
}

func TestSpareRoomIsWhatNobodyElseHas(t *testing.T) {
	m := memory{limit: 100, used: 80}
	if r := m.spare(30, 70); r != nil || m.used != 80 {
		t.Errorf("%+v, %d bytes used", r, m.used)
	}
	fits, alone := m.spare(20, 70), m.spare(30, 100)
	if fits == nil || alone == nil || m.used != 130 {
		t.Errorf("%+v, %+v, %d bytes used", fits, alone, m.used)
	}
	if fits.free(); m.used != 110 {
		t.Errorf("%d bytes used", m.used)
	}
}

// TestLargeDecodersShareTheirMemory decodes two streams with room for less than one decoder.
func TestLargeDecodersShareTheirMemory(t *testing.T) {
	frags := fragments(t, "testdata/bframes.mkv")
	pool := newTestPool(t, func(c *Config) { c.Workers, c.MaxMemory = 4, 1 })
	var decoding sync.WaitGroup
	var mu sync.Mutex
	images := 0
	for range 2 {
		s := stream(t, pool, everyFrame())
		for _, f := range frags {
			work := s.Plan(f)
			decoding.Go(func() {
				_, err := work(context.Background(), func(media.Image) error {
					pool.memory.mu.Lock()
					running := pool.memory.running
					pool.memory.mu.Unlock()
					mu.Lock()
					defer mu.Unlock()
					if images++; running != 1 {
						t.Errorf("%d fragments at once", running)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		s.End()
	}
	decoding.Wait()
	want := 0
	for _, f := range frags {
		want += 2 * len(f.Blocks)
	}
	if images != want || pool.memory.running != 0 {
		t.Errorf("%d images, want %d", images, want)
	}
}

// TestFootprintIsThatOfThePictureBuffer has pictures of 160x90, coded as 160x96, in 4:2:0.
func TestFootprintIsThatOfThePictureBuffer(t *testing.T) {
	const picture = 160 * 96 * 2 // samples, and where blocks moved from
	const picturesBeside = 3     // the one that is decoded, the last one, and one of another size
	f := fragments(t, "testdata/bframes.mkv")[0]
	pl := plan.NewPlanner(plan.SkipAuto, requested(everyFrame())).Plan(f)
	_, sps, _ := h26x.ParseAVCSPS(h26x.CodecDataUnits(h26x.AVC, f.Tracks[0].CodecPrivate)[0])
	if want := int64(picture) * int64(sps.References+picturesBeside); pl.Footprint != want || sps.References < 2 {
		t.Errorf("%d bytes, want %d of %d references", pl.Footprint, want, sps.References)
	}
	// What no set tells is taken for the most that there can be: 8K takes all of the default.
	large := media.Track{CodecID: h26x.AVC, Width: 8192, Height: 4320}
	if got, want := h26x.DecoderMemory(large.CodecID, large.Width, large.Height, nil), int64(8192*4320*2*19); got != want || got < int64(DefaultConfig().MaxMemory) {
		t.Errorf("%d bytes, want %d", got, want)
	}
}
