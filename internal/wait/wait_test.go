package wait

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSleepEndsWithItsTimeOrItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if err := Sleep(t.Context(), time.Minute); err != nil || time.Since(begin) != time.Minute {
			t.Errorf("a minute took %v, %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		if err := Sleep(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("a wait that was given up took %v, %v", time.Since(begin), err)
		}
		if err := Sleep(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no wait at all returns %v", err)
		}
	})
}

func TestBackoffDoublesUpToItsMost(t *testing.T) {
	for n, whole := range map[int]time.Duration{0: 1, 1: 2, 4: 16, 5: 30, 100: 30} {
		whole *= time.Second
		for range 100 {
			if d := Backoff(time.Second, 30*time.Second, n, 4); d > whole || d < whole*3/4 {
				t.Errorf("try %d waits %v, want %v less a quarter at most", n, d, whole)
			}
		}
	}
}
