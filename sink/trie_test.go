package sink

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// fit reports whether some text fits both patterns, by trying both of what each
// repetition may do.
func fit(a, b []element, anyName bool) bool {
	switch {
	case len(a) > 0 && a[0].repeat && fit(a[1:], b, anyName), len(b) > 0 && b[0].repeat && fit(a, b[1:], anyName):
		return true
	case len(a) == 0 || len(b) == 0:
		return len(a) == len(b)
	case !a[0].bytes.meets(&b[0].bytes) || a[0].name != b[0].name && !anyName:
		return false
	}
	after := func(p []element) []element {
		if p[0].repeat {
			return p
		}
		return p[1:]
	}
	if a[0].repeat && b[0].repeat {
		return false // what both repeat needs no text
	}
	return fit(after(a), after(b), anyName)
}

// segments cuts a pattern at its separators.
func segments(pattern []element) [][]element {
	out := [][]element{nil}
	for _, e := range pattern {
		if e == separator {
			out = append(out, nil)
			continue
		}
		out[len(out)-1] = append(out[len(out)-1], e)
	}
	return out
}

// inTheWay compares two patterns by themselves, segment by segment.
func inTheWay(a, b []element) (hit, folder bool) {
	x, y := segments(a), segments(b)
	for i := range min(len(x), len(y)) {
		if !fit(x[i], y[i], len(x) == len(y)) {
			return false, false
		}
	}
	return true, len(x) != len(y)
}

// What a keyspace finds is the first of the pairs that comparing every two finds.
func TestKeyspaceFindsWhatComparingAllPairsFinds(t *testing.T) {
	pieces := []string{
		"a", "b", "ab", "0", "_", "-", "manifest", "{stream}", "{sink}", "{fragment_number}", "{frame_index}", "{producer_time}",
		"{tag:x}", "{hash2}", "{ext}", "{width}", "{pts_ms}",
	}
	r := rand.New(rand.NewPCG(1, 2))
	hits, folders, misses := 0, 0, 0
	for round := range 400 {
		tree := newKeyspace()
		var all [][]element
		var paths []string
		for i := range 6 {
			var path []string
			for range 1 + r.IntN(3) {
				segment := ""
				for range 1 + r.IntN(3) {
					segment += pieces[r.IntN(len(pieces))]
				}
				path = append(path, segment)
			}
			text := strings.Join(path, "/")
			parsed, err := ParsePath(text)
			if err != nil {
				continue // such as two names without anything between them
			}
			pattern := Config{Name: fmt.Sprintf("s%d", i%3), Ext: "jpg"}.pattern(nil, parsed)
			want, wantFolder := none, false
			for j, other := range all {
				if hit, folder := inTheWay(pattern, other); hit {
					want, wantFolder = j, folder
					break
				}
			}
			first, folder := tree.meets(pattern)
			if first != want || folder != wantFolder {
				t.Fatalf("round %d: %s meets %d (folder %t), want %d (%t) of %q", round, text, first, folder, want, wantFolder, paths)
			}
			switch {
			case want == none:
				misses++
			case wantFolder:
				folders++
			default:
				hits++
			}
			tree.insert(pattern, len(all))
			all, paths = append(all, pattern), append(paths, text)
		}
	}
	if hits < 50 || folders < 50 || misses < 50 {
		t.Errorf("%d equal keys, %d folders and %d others are too few to tell anything", hits, folders, misses)
	}
}

// Twice the sinks must take twice the time, in each of these forms.
func BenchmarkConflicts(b *testing.B) {
	for _, path := range []string{
		"{sink}/{stream}/{fragment_number}_{frame_index}.{ext}",
		"{stream}/{sink}/{fragment_number}_{frame_index}.{ext}",
		"{fragment_number}_{frame_index}_{sink}.{ext}",
		"{stream}_{sink}/{fragment_number}_{frame_index}.{ext}",
		"{stream}/{fragment_number}_{frame_index}.{ext}", // all of them collide
	} {
		for _, n := range []int{600, 1200} {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(path, "/", ":"), n), func(b *testing.B) {
				sinks := make([]Config, n)
				for i := range sinks {
					sinks[i] = DefaultConfig()
					sinks[i].Name, sinks[i].Path, sinks[i].Ext = fmt.Sprintf("sink-%04d", i), path, "jpg"
				}
				for b.Loop() {
					Conflicts(sinks)
				}
			})
		}
	}
}
