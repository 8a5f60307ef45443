package lag

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAStreamIsTooFarBehindAfterAMinute(t *testing.T) {
	const s = time.Second
	type seen struct {
		after, behind time.Duration
		want          bool
	}
	for name, test := range map[string]struct {
		watch Watch
		seen  []seen
	}{
		"a minute":                  {Watch{Max: 10 * s}, []seen{{0, 11 * s, false}, {59 * s, 20 * s, false}, {s, 11 * s, true}, {s, 11 * s, true}}},
		"the limit is not exceeded": {Watch{Max: 10 * s}, []seen{{0, 10 * s, false}, {120 * s, 10 * s, false}}},
		"a better moment begins it again": {
			Watch{Max: 10 * s},
			[]seen{{0, 11 * s, false}, {59 * s, 10 * s, false}, {s, 11 * s, false}, {59 * s, 11 * s, false}, {s, 11 * s, true}},
		},
		"no limit":         {Watch{}, []seen{{0, time.Hour, false}, {time.Hour, time.Hour, false}}},
		"another patience": {Watch{Max: 10 * s, Patience: 2 * s}, []seen{{0, 11 * s, false}, {2 * s, 11 * s, true}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := test.watch
				for i, seen := range test.seen {
					time.Sleep(seen.after)
					if got := w.Exceeded(seen.behind); got != seen.want {
						t.Errorf("observation %d: %t, want %t", i, got, seen.want)
					}
				}
				if w.Reset(); w.Exceeded(time.Hour) {
					t.Error("what was observed is not forgotten")
				}
			})
		})
	}
}
