// Package soaktest is for tests that try many cases by chance: a few of them as a rule, and all in `make soak`.
package soaktest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Soaking reports whether all cases are to be tried: whether KVSTEST_SOAK is set.
func Soaking() bool { return os.Getenv("KVSTEST_SOAK") != "" }

// Rand returns a source of chance whose seed is new each time, unless KVSTEST_SEED repeats one, and prints the seed.
func Rand(tb testing.TB) *rand.Rand {
	tb.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KVSTEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			tb.Fatalf("KVSTEST_SEED: %v", err)
		}
	}
	fmt.Fprintf(os.Stderr, "%s: KVSTEST_SEED=%d\n", tb.Name(), seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// Some returns what to try: n by chance, a quarter of them under the race detector, and all when soaking. It changes the order of all.
func Some(tb testing.TB, all []string, n int) []string {
	tb.Helper()
	rng := Rand(tb)
	if Soaking() {
		return all
	}
	if UnderRace {
		n = max(1, n/4)
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(n, len(all))]
}
