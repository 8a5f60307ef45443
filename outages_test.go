package kvsframes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/sink"
	"github.com/kvsframes/kvsframes/source"
)

// unreachable is a source whose service has not answered for a time.
type unreachable struct {
	source.Source
	reach source.Reach
}

func (u *unreachable) Stats() source.Stats { return source.Stats{Reach: u.reach} }

func TestOutagesAreTold(t *testing.T) {
	now := time.Now()
	var o outages
	if got := o.text(now); got != "" {
		t.Errorf("without streams: %q", got)
	}
	done := o.watch("a", &unreachable{reach: source.Reach{Since: now.Add(-12 * time.Second), Err: errors.New("connection refused")}})
	if got, want := o.text(now), "out of reach for 12s: connection refused"; got != want {
		t.Errorf("one stream: %q, want %q", got, want)
	}
	defer o.watch("b", &unreachable{})()
	if got, want := o.text(now), "a out of reach for 12s: connection refused"; got != want {
		t.Errorf("one of two: %q, want %q", got, want)
	}
	defer o.watch("c", &unreachable{reach: source.Reach{Since: now.Add(-time.Minute), Err: errors.New("no route")}})()
	if got, want := o.text(now), "2 streams out of reach, a out of reach for 12s: connection refused"; got != want {
		t.Errorf("two of three: %q, want %q", got, want)
	}
	done()
	if got, want := o.text(now), "c out of reach for 1m0s: no route"; got != want {
		t.Errorf("after the end of a: %q, want %q", got, want)
	}
}

// absent is a store that does not answer.
type absent struct{ *sink.Mem }

func (absent) Put(context.Context, string, []byte, sink.PutOptions) error {
	return fmt.Errorf("put: %w", syscall.ETIMEDOUT)
}

func TestOutagesOfSinksAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sink.DefaultConfig()
		c.Name = "thumbs"
		s, err := sink.New(c, absent{sink.NewMem()}, sink.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var o outages
		o.watchSinks([]*sink.Sink{s})
		defer o.watch("a", &unreachable{reach: source.Reach{Since: time.Now(), Err: errors.New("no route")}})()
		ctx, cancel := context.WithCancel(t.Context())
		var write sync.WaitGroup
		write.Go(func() { _ = s.NewWriter().Write(ctx, media.Image{}) })
		for after, want := range map[time.Duration]string{
			2 * time.Second:  "",
			12 * time.Second: "sink thumbs out of reach for 12s: connection timed out, out of reach for 12s: no route",
		} {
			synctest.Wait()
			if got := o.text(time.Now().Add(after)); got != want {
				t.Errorf("after %v: %q, want %q", after, got, want)
			}
		}
		cancel()
		write.Wait()
	})
}
